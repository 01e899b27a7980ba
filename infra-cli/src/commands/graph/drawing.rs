//! The content of the picture: boxes in nested frames, and the edges that do not follow from others.

use infra_core::{
    diff::Action,
    graph::{NodeKind, ResourceGraph},
    plan::Plan,
    state::State,
    urn::Urn,
};
use std::collections::{BTreeSet, HashMap};

/// Everything that is drawn, without positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    /// The boxes, each after the boxes that it uses.
    pub(super) boxes: Vec<Node>,
    /// The frames; the first one is the whole picture, and each comes after its parent.
    pub(super) frames: Vec<Frame>,
    /// Pairs of a used box and its user, transitively reduced.
    pub(super) edges: Vec<(usize, usize)>,
}

/// A resource or a lookup.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) urn: Urn,
    /// The name below the components around it.
    pub(super) name: String,
    pub(super) lookup: bool,
    pub(super) status: Status,
    /// The innermost frame around it.
    pub(super) frame: usize,
}

/// A region or a component.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) parent: Option<usize>,
    pub(super) region: bool,
}

/// The meaning of a box's colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Declared,
    Unchanged,
    Read,
    Create,
    Update,
    Replace,
    Delete,
    Forget,
    Recorded,
    Absent,
    Uncertain,
    Undeclared,
}

impl Status {
    /// Returns the text in the legend and in the JSON document.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Unchanged => "unchanged",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
            Self::Recorded => "recorded",
            Self::Absent => "not created",
            Self::Uncertain => "uncertain",
            Self::Undeclared => "no longer declared",
        }
    }

    fn planned(action: Action) -> Self {
        match action {
            Action::Same | Action::Import => Self::Unchanged,
            Action::Read => Self::Read,
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::Replace => Self::Replace,
            Action::Delete => Self::Delete,
            Action::Forget => Self::Forget,
        }
    }
}

impl Node {
    /// Returns the last segment of the type token.
    pub(super) fn kind(&self) -> &str {
        self.urn.kind().rsplit(':').next().unwrap_or_default()
    }
}

impl Drawing {
    /// Returns the declared resources without colours.
    pub(super) fn declared(graph: &ResourceGraph) -> Self {
        Self::new(graph, None, &|_| Status::Declared)
    }

    /// Returns the declared and the recorded resources, coloured by whether they are recorded.
    pub(super) fn of_state(graph: &ResourceGraph, state: Option<&State>) -> Self {
        let status = |urn: &Urn| match state.and_then(|state| state.current(urn)) {
            None => Status::Absent,
            Some(_) if graph.node(urn).is_none() => Status::Undeclared,
            Some(generation) if generation.uncertain => Status::Uncertain,
            Some(_) => Status::Recorded,
        };
        Self::new(graph, state, &status)
    }

    /// Returns the declared and the recorded resources, coloured by the actions of a plan.
    pub(super) fn of_plan(graph: &ResourceGraph, state: Option<&State>, plan: &Plan) -> Self {
        let mut actions: HashMap<&Urn, Action> = HashMap::new();
        for step in &plan.steps {
            // A replacement also deletes its previous generation.
            let action = actions.entry(&step.urn).or_insert(step.action);
            if *action == Action::Delete {
                *action = step.action;
            }
        }
        let status = |urn: &Urn| actions.get(urn).map_or(Status::Unchanged, |action| Status::planned(*action));
        Self::new(graph, state, &status)
    }

    fn new(graph: &ResourceGraph, state: Option<&State>, status: &dyn Fn(&Urn) -> Status) -> Self {
        let mut drawing = Self::default();
        drawing.frames.push(Frame { title: String::new(), parent: None, region: false });
        let declared = graph.in_order().filter(|node| node.kind != NodeKind::Component);
        let resources = state.iter().flat_map(|state| &state.resources);
        let undeclared: Vec<_> = resources
            .filter_map(|(urn, resource)| Some((urn, resource.current.as_ref().or(resource.deposed.first())?)))
            .filter(|(urn, _)| graph.node(urn).is_none())
            .collect();
        let regional = graph.in_order().any(|node| node.region.is_some())
            || undeclared.iter().any(|(_, generation)| generation.region.is_some());
        let mut frames: HashMap<(Option<String>, String), usize> = HashMap::new();
        let mut index: HashMap<Urn, usize> = HashMap::new();
        for node in declared {
            let path = node.parent.as_ref().map_or("", |parent| parent.name());
            let frame = drawing.frame(&mut frames, regional, node.region.as_deref(), path);
            index.insert(node.urn.clone(), drawing.boxes.len());
            let name = node.urn.name().strip_prefix(path).unwrap_or(node.urn.name()).trim_start_matches('/').to_owned();
            let lookup = node.kind == NodeKind::Lookup;
            drawing.boxes.push(Node { urn: node.urn.clone(), name, lookup, status: status(&node.urn), frame });
        }
        for (urn, generation) in &undeclared {
            let (path, name) = urn.name().rsplit_once('/').unwrap_or(("", urn.name()));
            let frame = drawing.frame(&mut frames, regional, generation.region.as_deref(), path);
            index.insert((*urn).clone(), drawing.boxes.len());
            let (name, lookup) = (name.to_owned(), generation.id.is_none());
            drawing.boxes.push(Node { urn: (*urn).clone(), name, lookup, status: status(urn), frame });
        }
        let mut edges = BTreeSet::new();
        for (user, node) in drawing.boxes.iter().enumerate() {
            edges.extend(graph.dependencies(&node.urn).into_iter().filter_map(|used| Some((*index.get(used)?, user))));
        }
        for (urn, generation) in &undeclared {
            edges
                .extend(generation.dependencies.iter().filter_map(|used| Some((*index.get(used)?, *index.get(*urn)?))));
        }
        drawing.edges = edges.into_iter().collect();
        drawing.sort();
        drawing.reduce();
        drawing
    }

    /// Returns the frame of a component in a region, and creates it with the frames around it.
    fn frame(
        &mut self,
        frames: &mut HashMap<(Option<String>, String), usize>,
        regional: bool,
        region: Option<&str>,
        path: &str,
    ) -> usize {
        let key = (region.map(str::to_owned), path.to_owned());
        if let Some(&frame) = frames.get(&key) {
            return frame;
        }
        let frame = match path.rsplit_once('/') {
            None if path.is_empty() && !regional => return 0,
            None if path.is_empty() => {
                let title = region.unwrap_or("no region").to_owned();
                Frame { title, parent: Some(0), region: true }
            }
            parts => {
                let (around, title) = parts.unwrap_or(("", path));
                let parent = self.frame(frames, regional, region, around);
                Frame { title: title.to_owned(), parent: Some(parent), region: false }
            }
        };
        self.frames.push(frame);
        frames.insert(key, self.frames.len() - 1);
        self.frames.len() - 1
    }

    /// Sorts the boxes, so that each is after the boxes that it uses. An edge that closes a cycle, which only a damaged
    /// state can contain, is omitted.
    fn sort(&mut self) {
        let mut waiting = vec![0; self.boxes.len()];
        self.edges.iter().for_each(|&(_, user)| waiting[user] += 1);
        let mut ready: BTreeSet<usize> = (0..self.boxes.len()).filter(|&at| waiting[at] == 0).collect();
        let mut place = vec![usize::MAX; self.boxes.len()];
        for next in 0..self.boxes.len() {
            let unplaced = || (0..place.len()).find(|&at| place[at] == usize::MAX);
            let Some(at) = ready.pop_first().or_else(unplaced) else {
                break;
            };
            place[at] = next;
            for &(_, user) in self.edges.iter().filter(|(used, _)| *used == at) {
                waiting[user] -= 1;
                if waiting[user] == 0 && place[user] == usize::MAX {
                    ready.insert(user);
                }
            }
        }
        let mut boxes: Vec<(usize, Node)> = place.iter().copied().zip(std::mem::take(&mut self.boxes)).collect();
        boxes.sort_by_key(|(place, _)| *place);
        self.boxes = boxes.into_iter().map(|(_, node)| node).collect();
        let moved = self.edges.iter().map(|&(used, user)| (place[used], place[user]));
        self.edges = moved.filter(|(used, user)| used < user).collect();
        self.edges.sort_unstable();
    }

    /// Removes every edge between two boxes that a longer path connects as well.
    fn reduce(&mut self) {
        let words = self.boxes.len().div_ceil(64);
        let mut used_by: Vec<Vec<usize>> = vec![Vec::new(); self.boxes.len()];
        self.edges.iter().for_each(|&(used, user)| used_by[user].push(used));
        // Boxes that are reachable from each box through the boxes that it uses.
        let mut reached = vec![vec![0_u64; words]; self.boxes.len()];
        let mut kept = Vec::new();
        for user in 0..self.boxes.len() {
            let mut all = vec![0_u64; words];
            // Later boxes first: only they can lead to earlier ones.
            for &used in used_by[user].iter().rev() {
                if all[used / 64] & (1 << (used % 64)) != 0 {
                    continue;
                }
                kept.push((used, user));
                all[used / 64] |= 1 << (used % 64);
                all.iter_mut().zip(&reached[used]).for_each(|(all, reached)| *all |= reached);
            }
            reached[user] = all;
        }
        kept.sort_unstable();
        self.edges = kept;
    }
}
