//! The declared resources and their dependencies.

mod recorded;

pub use recorded::RecordedGraph;

use crate::{
    diff::PropertyPath,
    intern::intern,
    options::Options,
    resource::Schema,
    urn::{Urn, UrnError},
    value::{Expression, LowerError, Reference, Segment, Value},
};
use petgraph::{
    Direction,
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    fmt,
    sync::Arc,
};

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Created, updated and deleted by a provider.
    Resource,
    /// Read from a provider and never changed.
    Lookup,
    /// A named group of other nodes.
    Component,
}

/// One declaration.
#[derive(Clone, Debug)]
pub struct Node {
    /// The identity of the declaration.
    pub urn: Urn,
    /// The kind of the declaration.
    pub kind: NodeKind,
    /// Region of the resource, if its provider has regions.
    pub region: Option<String>,
    /// The properties as declared.
    pub inputs: Expression,
    /// Rules for its properties.
    pub schema: Arc<Schema>,
    /// The component that contains the declaration.
    pub parent: Option<Urn>,
    /// Options of the declaration.
    pub options: Arc<Options>,
    /// The set that it belongs to, if the size of the set is known only while applying.
    pub set: Option<Set>,
    /// The recorded result of a lookup that is not read again.
    pub pinned: Option<Value>,
}

/// A set of declarations whose size is known only while applying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Name of the component that contains the members.
    pub name: String,
    /// Maximum number of members.
    pub most: usize,
}

impl Node {
    /// Returns `true` if the previous generation is deleted before its replacement is created.
    pub fn deletes_before_replace(&self) -> bool {
        self.options.delete_before_replace.unwrap_or_else(|| self.schema.deletes_before_replace())
    }

    /// Returns `true` if every change at this path of the inputs updates the resource in place.
    pub fn updates_in_place(&self, path: &str) -> bool {
        let replaces = |path: &PropertyPath| self.options.replace_on_changes.iter().any(|it| it.overlaps(path));
        self.can_update_in_place(path) && !replaces(&PropertyPath::from(path))
    }

    /// Returns `true` if some change at this path of the inputs updates the resource in place.
    pub fn can_update_in_place(&self, path: &str) -> bool {
        let name = path.split(['.', '[']).next().unwrap_or_default();
        let path = PropertyPath::from(path);
        let is_ignored = self.options.ignore_changes.iter().any(|ignored| ignored.covers(&path));
        let replaces = self.options.replace_on_changes.iter().any(|replacing| replacing.covers(&path));
        self.schema.is_tracked(name) && !self.schema.replaces(name) && !is_ignored && !replaces
    }
}

/// A declaration that cannot be part of a graph.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GraphError {
    /// Two declarations have the same name.
    #[error("`{0}` is declared twice: give one of them another name")]
    Duplicate(Urn),
    /// A name is invalid.
    #[error(transparent)]
    Name(#[from] UrnError),
    /// A struct cannot be converted to properties.
    #[error("`{}`: {error}", urn.short())]
    Lower {
        /// The declaration.
        urn: Urn,
        /// The cause.
        error: LowerError,
    },
    /// An input refers to a resource that is not declared.
    #[error("`{}` uses `{property}` of `{}`, which is not declared in this program", user.short(), used.short())]
    Undeclared {
        /// The dependent.
        user: Urn,
        /// The dependency.
        used: Urn,
        /// Output of the dependency.
        property: String,
    },
    /// An id is used outside of its region.
    #[error(
        "`{}` in {user_region} uses `{property}` of `{}`, which exists only in {used_region}: declare both in one region, or pass an address instead of an id",
        user.short(), used.short()
    )]
    ForeignRegion {
        /// The dependent.
        user: Urn,
        /// Region of the dependent.
        user_region: String,
        /// The dependency.
        used: Urn,
        /// Region of the dependency.
        used_region: String,
        /// Output of the dependency.
        property: String,
    },
    /// Two options of a declaration contradict each other.
    #[error("`{}` {one} and {other}: remove one of the two options", urn.short())]
    Contradiction {
        /// The declaration.
        urn: Urn,
        /// Meaning of the first option.
        one: String,
        /// Meaning of the second option.
        other: String,
    },
    /// Declarations depend on each other.
    #[error("these resources depend on each other: {}", Links(.0))]
    Cycle(Vec<Link>),
}

/// An edge of a cycle: `user` depends on `property` of `used`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The dependent.
    pub user: Urn,
    /// The dependency.
    pub used: Urn,
    /// Output of the dependency, or `depends_on`.
    pub property: String,
}

struct Links<'a>(&'a [Link]);

impl fmt::Display for Links<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|Link { user, used, property }| {
            write!(f, "\n  {} needs `{property}` of {}", user.name(), used.name())
        })
    }
}

/// The declared resources as a directed acyclic graph. Edges point from a dependency to its dependent.
#[derive(Clone, Debug, Default)]
pub struct ResourceGraph {
    graph: DiGraph<Node, Arc<str>>,
    order: Vec<NodeIndex>,
    index: HashMap<Urn, NodeIndex>,
    exports: BTreeMap<String, Expression>,
}

impl ResourceGraph {
    /// Creates the graph of these declarations, or returns all of their errors.
    pub fn new(nodes: Vec<Node>, exports: BTreeMap<String, Expression>) -> Result<Self, Vec<GraphError>> {
        let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len());
        let mut index = HashMap::with_capacity(nodes.len());
        let mut errors = Vec::new();
        for node in nodes {
            let urn = node.urn.clone();
            let at = graph.add_node(node);
            if index.insert(urn.clone(), at).is_some() {
                errors.push(GraphError::Duplicate(urn));
            }
        }
        let contents = contents(&graph);
        for at in graph.node_indices() {
            let node: &Node = &graph[at];
            errors.extend(contradiction(node));
            let mut edges = Vec::new();
            for used in &node.options.depends_on {
                for content in contents.get(used).into_iter().flatten() {
                    edges.push((content.clone(), intern("depends_on")));
                }
                edges.push((used.clone(), intern("depends_on")));
            }
            edges.extend(node.parent.iter().map(|parent| (parent.clone(), intern("depends_on"))));
            let conditions = node.options.conditions.iter().map(|condition| &condition.value);
            for expression in conditions.chain(&node.options.present) {
                expression.references(&mut |reference, _| {
                    edges.push((reference.urn.clone(), intern(&reference.property)));
                });
            }
            node.inputs.references(&mut |reference, plain| {
                errors.extend(foreign_region(node, reference).filter(|_| plain));
                edges.push((reference.urn.clone(), intern(&reference.property)));
            });
            let user = node.urn.clone();
            for (used, property) in edges {
                match index.get(&used) {
                    Some(&used) => drop(graph.add_edge(used, at, property)),
                    None => {
                        let property = property.to_string();
                        errors.push(GraphError::Undeclared { user: user.clone(), used, property });
                    }
                }
            }
        }
        let order = order(&graph);
        if order.len() < graph.node_count() {
            errors.extend(cycles(&graph));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { graph, order, index, exports })
    }

    /// Returns the nodes in an order in which each follows its dependencies.
    pub fn in_order(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.order.iter().map(|&at| &self.graph[at])
    }

    /// Returns the node with this URN.
    pub fn node(&self, urn: &Urn) -> Option<&Node> {
        self.index.get(urn).map(|&at| &self.graph[at])
    }

    /// Returns the direct dependencies of a node, each once, in the order of declaration.
    pub fn dependencies(&self, urn: &Urn) -> Vec<&Urn> {
        let Some(&at) = self.index.get(urn) else {
            return Vec::new();
        };
        let mut used: Vec<NodeIndex> =
            self.graph.edges_directed(at, Direction::Incoming).map(|edge| edge.source()).collect();
        used.sort_unstable();
        used.dedup();
        used.into_iter().map(|at| &self.graph[at].urn).collect()
    }

    /// Calls `visit` for each use of an output of a resource by a declaration or an export, with the name of the output and
    /// the path to the used part.
    pub fn uses(&self, urn: &Urn, visit: &mut dyn FnMut(&str, &[&Segment])) {
        let declared = self.graph.node_weights().flat_map(|node| {
            let conditions = node.options.conditions.iter().map(|condition| &condition.value);
            std::iter::once(&node.inputs).chain(conditions).chain(&node.options.present)
        });
        for expression in declared.chain(self.exports.values()) {
            expression.parts(&mut |reference, path| {
                if reference.urn == *urn {
                    visit(&reference.property, path);
                }
            });
        }
    }

    /// Returns the exports of the program by name.
    pub fn exports(&self) -> &BTreeMap<String, Expression> {
        &self.exports
    }

    /// Returns the number of declarations.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns `true` if the program declares nothing.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// Returns the contents, at any depth, of each component that a declaration depends on.
fn contents(graph: &DiGraph<Node, Arc<str>>) -> HashMap<Urn, Vec<Urn>> {
    let wanted = graph.node_weights().flat_map(|node| &node.options.depends_on);
    let mut contents: HashMap<Urn, Vec<Urn>> = wanted.map(|urn| (urn.clone(), Vec::new())).collect();
    if contents.is_empty() {
        return contents;
    }
    let parents: HashMap<&Urn, &Urn> =
        graph.node_weights().filter_map(|node| Some((&node.urn, node.parent.as_ref()?))).collect();
    for node in graph.node_weights().filter(|node| node.kind != NodeKind::Component) {
        let around = std::iter::successors(node.parent.as_ref(), |parent| parents.get(parent).copied());
        for component in around {
            if let Some(contents) = contents.get_mut(component) {
                contents.push(node.urn.clone());
            }
        }
    }
    contents
}

/// Returns the nodes in an order in which each follows its dependencies, otherwise in the order of declaration. The
/// result is shorter than the graph if there is a cycle.
fn order(graph: &DiGraph<Node, Arc<str>>) -> Vec<NodeIndex> {
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|at| graph.edges_directed(at, Direction::Incoming).count()).collect();
    let mut ready: BinaryHeap<Reverse<NodeIndex>> =
        graph.node_indices().filter(|at| waiting[at.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for edge in graph.edges(at) {
            let user = edge.target();
            waiting[user.index()] -= 1;
            if waiting[user.index()] == 0 {
                ready.push(Reverse(user));
            }
        }
    }
    order
}

/// Returns the error for options that contradict each other.
fn contradiction(node: &Node) -> Option<GraphError> {
    let options = &node.options;
    let contradiction = |one: String, other: String| GraphError::Contradiction { urn: node.urn.clone(), one, other };
    let ignored = options.ignore_changes.iter();
    let both = ignored.flat_map(|ignored| options.replace_on_changes.iter().map(move |replacing| (ignored, replacing)));
    let both = both.filter(|(ignored, replacing)| ignored.covers(replacing)).map(|(ignored, replacing)| {
        contradiction(format!("ignores changes of `{ignored}`"), format!("is replaced for changes of `{replacing}`"))
    });
    let goes = options.deleted_with.as_ref().filter(|_| options.retain_on_delete == Some(true)).map(|container| {
        contradiction(
            "is retained when it is no longer declared".into(),
            format!("is deleted with `{}`", container.short()),
        )
    });
    both.chain(goes).next()
}

fn foreign_region(node: &Node, reference: &Reference) -> Option<GraphError> {
    let (here, there) = (node.region.as_ref()?, reference.region.as_ref()?);
    (here != there).then(|| GraphError::ForeignRegion {
        user: node.urn.clone(),
        user_region: here.clone(),
        used: reference.urn.clone(),
        used_region: there.clone(),
        property: reference.property.clone(),
    })
}

fn cycles(graph: &DiGraph<Node, Arc<str>>) -> Vec<GraphError> {
    let mut found = Vec::new();
    for component in kosaraju_scc(graph) {
        let links: Vec<Link> = graph
            .edge_references()
            .filter(|edge| component.contains(&edge.source()) && component.contains(&edge.target()))
            .map(|edge| Link {
                user: graph[edge.target()].urn.clone(),
                used: graph[edge.source()].urn.clone(),
                property: edge.weight().to_string(),
            })
            .collect();
        if !links.is_empty() {
            found.push(GraphError::Cycle(links));
        }
    }
    found
}
