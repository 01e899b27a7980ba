//! Groups of boxes, for graphs that are too large to be drawn box by box.

use super::drawing::{Arrow, Content, Drawing, Node};
use std::collections::{BTreeMap, BTreeSet};

/// Number of boxes above which an overview has no box per component.
const MANY: usize = 1000;

impl Drawing {
    /// Replaces each of these components by one box, which has the number of its resources, the most severe of their
    /// statuses and their edges to other boxes. `components` contains values of [`Frame::id`](crate::Frame::id); regions
    /// and unknown identities are ignored.
    pub fn collapsed(self, components: &BTreeSet<String>) -> Self {
        self.collapse(|id| components.contains(id))
    }

    /// Returns a drawing that stays readable at any number of resources. A drawing of at most `most` boxes is returned
    /// unchanged. Otherwise, every component is one box, and if there still are more boxes than `most`, the resources of a
    /// frame that have the same type are one box; so are components if there are thousands of them. Components and groups
    /// in `expanded` keep their content; it contains values of [`Frame::id`](crate::Frame::id) and [`Node::group`].
    pub fn overview(self, most: usize, expanded: &BTreeSet<String>) -> Self {
        if self.boxes.len() <= most {
            return self;
        }
        let collapsed = self.collapse(|id| !expanded.contains(id));
        if collapsed.boxes.len() <= most {
            return collapsed;
        }
        let grouped = collapsed.grouped_by_kind(expanded, |node| node.group().is_none());
        if grouped.boxes.len() <= MANY { grouped } else { grouped.grouped_by_kind(expanded, |_| true) }
    }

    fn collapse(self, chosen: impl Fn(&str) -> bool) -> Self {
        let component = |at: usize| {
            let frame = &self.frames[at];
            (at != 0 && !frame.region && chosen(&frame.id)).then_some(at)
        };
        // The outermost chosen component around each frame; a frame follows its parent.
        let mut inside: Vec<Option<usize>> = Vec::with_capacity(self.frames.len());
        for (at, frame) in self.frames.iter().enumerate() {
            let outer = frame.parent.and_then(|parent| inside[parent]);
            inside.push(outer.or(component(at)));
        }
        let mut groups = Groups::default();
        let members: Vec<Option<usize>> = self
            .boxes
            .iter()
            .map(|node| {
                let at = inside[node.frame]?;
                let frame = &self.frames[at];
                Some(groups.add(&frame.id, node, || Node {
                    content: Content::Component { id: frame.id.clone(), urn: frame.urn.clone(), resources: 0 },
                    name: frame.title.clone(),
                    status: node.status,
                    frame: frame.parent.unwrap_or(0),
                }))
            })
            .collect();
        self.merged(&members, groups.boxes)
    }

    /// Replaces the chosen boxes of a frame that have the same type by one box.
    fn grouped_by_kind(self, expanded: &BTreeSet<String>, chosen: impl Fn(&Node) -> bool) -> Self {
        let id = |node: &Node| {
            let token = node.token().filter(|_| chosen(node))?;
            Some(format!("{}#{token}", self.frames[node.frame].id))
        };
        let ids: Vec<Option<String>> = self.boxes.iter().map(id).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        ids.iter().flatten().for_each(|id| *counts.entry(id).or_default() += 1);
        let mut groups = Groups::default();
        let members: Vec<Option<usize>> = self
            .boxes
            .iter()
            .zip(&ids)
            .map(|(node, id)| {
                let id = id.as_deref().filter(|id| counts[id] > 1 && !expanded.contains(*id))?;
                let token = node.token()?.to_owned();
                Some(groups.add(id, node, || Node {
                    content: Content::Kind { id: id.to_owned(), token, resources: 0 },
                    name: String::new(),
                    ..node.clone()
                }))
            })
            .collect();
        for node in &mut groups.boxes {
            node.name = format!("{} resources", node.resources());
        }
        self.merged(&members, groups.boxes)
    }

    /// Replaces the members of each group by the box of the group.
    fn merged(self, members: &[Option<usize>], groups: Vec<Node>) -> Self {
        let mut groups: Vec<Option<Node>> = groups.into_iter().map(Some).collect();
        let mut drawing = Self { frames: self.frames, ..Self::default() };
        let mut of_groups: Vec<Option<usize>> = vec![None; groups.len()];
        let mut moved = Vec::with_capacity(members.len());
        // The box of a group is at the place of its first member.
        for (node, member) in self.boxes.into_iter().zip(members) {
            let known = member.and_then(|group| of_groups[group]);
            moved.push(known.unwrap_or(drawing.boxes.len()));
            if known.is_none() {
                if let Some(group) = *member {
                    of_groups[group] = Some(drawing.boxes.len());
                }
                drawing.boxes.push(member.and_then(|group| groups[group].take()).unwrap_or(node));
            }
        }
        let mut uses = BTreeSet::new();
        for edge in &self.edges {
            let (upper, lower) = (moved[edge.upper], moved[edge.lower]);
            if upper != lower && edge.arrow != Arrow::Up {
                uses.insert((upper, lower));
            }
            if upper != lower && edge.arrow != Arrow::Down {
                uses.insert((lower, upper));
            }
        }
        drawing.remove_empty_frames();
        drawing.connect(&uses);
        drawing
    }

    fn remove_empty_frames(&mut self) {
        let mut kept = vec![false; self.frames.len()];
        kept[0] = true;
        for node in &self.boxes {
            self.around(node.frame).for_each(|frame| kept[frame] = true);
        }
        let mut moved = Vec::with_capacity(kept.len());
        let mut frames = Vec::new();
        for (mut frame, kept) in std::mem::take(&mut self.frames).into_iter().zip(kept) {
            moved.push(frames.len());
            if kept {
                frame.parent = frame.parent.map(|parent| moved[parent]);
                frames.push(frame);
            }
        }
        self.boxes.iter_mut().for_each(|node| node.frame = moved[node.frame]);
        self.frames = frames;
    }
}

/// The boxes of groups, by their identities.
#[derive(Default)]
struct Groups {
    boxes: Vec<Node>,
    index: BTreeMap<String, usize>,
}

impl Groups {
    /// Adds a box to a group, which `create` creates for its first member, and returns the index of the group.
    fn add(&mut self, id: &str, member: &Node, create: impl FnOnce() -> Node) -> usize {
        let at = self.index.get(id).copied().unwrap_or_else(|| {
            self.index.insert(id.to_owned(), self.boxes.len());
            self.boxes.push(create());
            self.boxes.len() - 1
        });
        let group = &mut self.boxes[at];
        if member.status.severity() > group.status.severity() {
            group.status = member.status;
        }
        if let Content::Component { resources, .. } | Content::Kind { resources, .. } = &mut group.content {
            *resources += member.resources();
        }
        at
    }
}
