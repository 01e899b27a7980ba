//! The content of a picture: boxes in nested frames, and the edges between the boxes.

use infra_core::{diff::Action, urn::Urn};
use std::collections::BTreeSet;

/// Everything that is drawn, without positions.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// The boxes, each after the boxes that it uses.
    pub boxes: Vec<Node>,
    /// The frames. The first one is the whole picture, and each follows its parent.
    pub frames: Vec<Frame>,
    /// The dependencies between the boxes, sorted and transitively reduced.
    pub edges: Vec<Edge>,
}

/// A box of a drawing.
#[derive(Clone, Debug)]
pub struct Node {
    /// The declarations that the box represents.
    pub content: Content,
    /// Name below the components around the box.
    pub name: String,
    /// Meaning of the colour.
    pub status: Status,
    /// Index of the innermost frame around the box.
    pub frame: usize,
}

/// The declarations that a box represents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A resource.
    Resource(Urn),
    /// A lookup.
    Lookup(Urn),
    /// A component with all of its content.
    Component {
        /// The [`Frame::id`] of the component.
        id: String,
        /// URN of the component, if the program declares it.
        urn: Option<Urn>,
        /// Number of resources and lookups in the component.
        resources: usize,
    },
    /// A thing that is no declaration, such as a network interface.
    Other {
        /// Identity, unique in the drawing.
        id: String,
        /// First line of the box.
        kind: String,
    },
    /// Declarations of one type in one frame.
    Kind {
        /// Identity of the group, equal in every drawing of the stack.
        id: String,
        /// Type token, such as `aws:ec2:Subnet`.
        token: String,
        /// Number of resources and lookups in the group.
        resources: usize,
    },
}

/// A region or a component.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Identity of the frame, equal in every drawing of the stack. The whole picture has an empty one.
    pub id: String,
    /// URN of the component, if the program declares it.
    pub urn: Option<Urn>,
    /// Name of the region, or of the component below the components around it.
    pub title: String,
    /// Index of the frame around this one; `None` for the whole picture.
    pub parent: Option<usize>,
    /// `true` for a region.
    pub region: bool,
}

/// A dependency between two boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Index of the box that is drawn above the other one.
    pub upper: usize,
    /// Index of the box that is drawn below the other one.
    pub lower: usize,
    /// Direction of the dependency.
    pub arrow: Arrow,
}

/// Direction of an edge: arrows lead to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arrow {
    /// The lower box uses the upper one.
    Down,
    /// The upper box uses the lower one. Only edges that close a cycle have this direction: boxes with several resources
    /// can depend on each other, although no two resources do.
    Up,
    /// The boxes use each other.
    Both,
}

/// The meaning of a box's colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Declared, in a drawing without colours.
    Declared,
    /// The plan does not change the resource.
    Unchanged,
    /// The plan reads the lookup.
    Read,
    /// The plan creates the resource.
    Create,
    /// The plan updates the resource.
    Update,
    /// The plan replaces the resource.
    Replace,
    /// The plan deletes the resource.
    Delete,
    /// The plan removes the resource from the state.
    Forget,
    /// The state contains the resource.
    Recorded,
    /// The state does not contain the declared resource.
    Absent,
    /// The recorded inputs and outputs of the resource may be outdated.
    Uncertain,
    /// The state contains the resource, and the program does not declare it.
    Undeclared,
    /// A run is working on the resource.
    Running,
    /// A run failed to change the resource.
    Failed,
}

impl Status {
    /// Returns the name in the legend and in JSON documents.
    pub fn label(self) -> &'static str {
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
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    /// Returns the classes of a box with this status in an SVG image.
    pub fn class(self) -> &'static str {
        match self {
            Self::Declared => "plain",
            Self::Unchanged | Self::Recorded | Self::Read => "kept",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Forget | Self::Absent => "absent",
            Self::Uncertain => "uncertain",
            Self::Undeclared => "delete absent",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    /// Returns the sign of a planned action, as the other commands show it, followed by a space.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Create => "+ ",
            Self::Update => "~ ",
            Self::Replace => "± ",
            Self::Delete => "- ",
            Self::Forget => "< ",
            _ => "",
        }
    }

    /// Returns the rank of the status among those of a group, which has the highest status of its members.
    pub(crate) fn severity(self) -> u8 {
        match self {
            Self::Declared => 0,
            Self::Unchanged => 1,
            Self::Recorded => 2,
            Self::Read => 3,
            Self::Absent => 4,
            Self::Forget => 5,
            Self::Undeclared => 6,
            Self::Create => 7,
            Self::Update => 8,
            Self::Replace => 9,
            Self::Delete => 10,
            Self::Uncertain => 11,
            Self::Running => 12,
            Self::Failed => 13,
        }
    }
}

impl From<Action> for Status {
    fn from(action: Action) -> Self {
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
    /// Returns the URN of the resource, the lookup or the declared component.
    pub fn urn(&self) -> Option<&Urn> {
        match &self.content {
            Content::Resource(urn) | Content::Lookup(urn) => Some(urn),
            Content::Component { urn, .. } => urn.as_ref(),
            Content::Kind { .. } | Content::Other { .. } => None,
        }
    }

    /// Returns the identity of a component or of a group, by which [`Drawing::collapsed`] and [`Drawing::overview`] know it.
    pub fn group(&self) -> Option<&str> {
        match &self.content {
            Content::Resource(_) | Content::Lookup(_) | Content::Other { .. } => None,
            Content::Component { id, .. } | Content::Kind { id, .. } => Some(id),
        }
    }

    /// Returns the type token. A component that is not declared has none.
    pub fn token(&self) -> Option<&str> {
        match &self.content {
            Content::Kind { token, .. } => Some(token),
            _ => self.urn().map(Urn::kind),
        }
    }

    /// Returns the last segment of the type token.
    pub fn kind(&self) -> &str {
        if let Content::Other { kind, .. } = &self.content {
            return kind;
        }
        self.token().map_or("Component", |token| token.rsplit(':').next().unwrap_or_default())
    }

    /// Returns `true` for a lookup.
    pub fn is_lookup(&self) -> bool {
        matches!(self.content, Content::Lookup(_))
    }

    /// Returns the number of resources and lookups that the box represents.
    pub fn resources(&self) -> usize {
        match self.content {
            Content::Resource(_) | Content::Lookup(_) | Content::Other { .. } => 1,
            Content::Component { resources, .. } | Content::Kind { resources, .. } => resources,
        }
    }
}

impl Drawing {
    /// Returns a drawing of boxes in frames, with an arrow for each pair of indices from the first to the second box. The
    /// first frame is the whole picture, and each frame follows its parent.
    pub fn new(frames: Vec<Frame>, boxes: Vec<Node>, arrows: &BTreeSet<(usize, usize)>) -> Self {
        let mut drawing = Self { boxes, frames, edges: Vec::new() };
        drawing.sort(arrows);
        drawing
    }

    /// Changes the colours of the resources and lookups for which `status` returns one. It does not change the boxes of
    /// groups, so that it must precede [`Drawing::collapsed`] and [`Drawing::overview`].
    pub fn coloured(mut self, status: impl Fn(&Urn) -> Option<Status>) -> Self {
        for node in &mut self.boxes {
            if let Content::Resource(urn) | Content::Lookup(urn) = &node.content {
                node.status = status(urn).unwrap_or(node.status);
            }
        }
        self
    }

    /// Returns the frames around a frame, from the inside out: the frame itself first, the whole picture last.
    pub fn around(&self, frame: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(frame), |&frame| self.frames[frame].parent)
    }

    /// Returns the outermost frame around a box, below the whole picture.
    pub(crate) fn outermost(&self, at: usize) -> Option<usize> {
        self.around(self.boxes[at].frame).filter(|&frame| frame != 0).last()
    }
}
