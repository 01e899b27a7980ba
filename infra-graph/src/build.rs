//! Drawings of declared resources, of recorded states and of plans.

use super::drawing::{Content, Drawing, Frame, Node, Status};
use infra_core::{
    diff::Action,
    graph::{NodeKind, ResourceGraph},
    plan::Plan,
    state::State,
    urn::Urn,
};
use std::collections::{BTreeSet, HashMap};

impl Drawing {
    /// Returns the declared resources without colours.
    pub fn declared(graph: &ResourceGraph) -> Self {
        Builder::build(graph, None, &|_| Status::Declared)
    }

    /// Returns the declared and the recorded resources, coloured by whether they are recorded.
    pub fn of_state(graph: &ResourceGraph, state: Option<&State>) -> Self {
        let status = |urn: &Urn| match state.and_then(|state| state.current(urn)) {
            None => Status::Absent,
            Some(_) if graph.node(urn).is_none() => Status::Undeclared,
            Some(generation) if generation.uncertain => Status::Uncertain,
            Some(_) => Status::Recorded,
        };
        Builder::build(graph, state, &status)
    }

    /// Returns the declared and the recorded resources, coloured by the actions of a plan.
    pub fn of_plan(graph: &ResourceGraph, state: Option<&State>, plan: &Plan) -> Self {
        let mut actions: HashMap<&Urn, Action> = HashMap::new();
        for step in &plan.steps {
            // A replacement also deletes its previous generation.
            let action = actions.entry(&step.urn).or_insert(step.action);
            if *action == Action::Delete {
                *action = step.action;
            }
        }
        let status = |urn: &Urn| actions.get(urn).map_or(Status::Unchanged, |action| Status::from(*action));
        Builder::build(graph, state, &status)
    }
}

/// A drawing without edges, and the indices of its parts.
struct Builder<'a> {
    drawing: Drawing,
    /// `true` if a declaration or a recorded resource has a region: then each region has a frame.
    regional: bool,
    /// The declared components by their names.
    components: HashMap<&'a str, &'a Urn>,
    frames: HashMap<(Option<String>, String), usize>,
    boxes: HashMap<Urn, usize>,
}

impl<'a> Builder<'a> {
    fn build(graph: &'a ResourceGraph, state: Option<&State>, status: &dyn Fn(&Urn) -> Status) -> Drawing {
        let resources = state.iter().flat_map(|state| &state.resources);
        let undeclared: Vec<_> = resources
            .filter_map(|(urn, resource)| Some((urn, resource.current.as_ref().or(resource.deposed.first())?)))
            .filter(|(urn, _)| graph.node(urn).is_none())
            .collect();
        let regional = graph.in_order().any(|node| node.region.is_some())
            || undeclared.iter().any(|(_, generation)| generation.region.is_some());
        let mut builder = Self::new(graph, regional);
        for node in graph.in_order().filter(|node| node.kind != NodeKind::Component) {
            let path = node.parent.as_ref().map_or("", |parent| parent.name());
            let frame = builder.frame(node.region.as_deref(), path);
            let name = node.urn.name().strip_prefix(path).unwrap_or(node.urn.name()).trim_start_matches('/');
            builder.push(&node.urn, node.kind == NodeKind::Lookup, name, status(&node.urn), frame);
        }
        for (urn, generation) in &undeclared {
            let (path, name) = urn.name().rsplit_once('/').unwrap_or(("", urn.name()));
            let frame = builder.frame(generation.region.as_deref(), path);
            builder.push(urn, generation.id.is_none(), name, status(urn), frame);
        }
        let mut uses = BTreeSet::new();
        for (user, node) in builder.drawing.boxes.iter().enumerate() {
            let used = node.urn().into_iter().flat_map(|urn| graph.dependencies(urn));
            uses.extend(used.filter_map(|used| Some((*builder.boxes.get(used)?, user))));
        }
        for (urn, generation) in &undeclared {
            let used = generation.dependencies.iter();
            uses.extend(used.filter_map(|used| Some((*builder.boxes.get(used)?, *builder.boxes.get(*urn)?))));
        }
        let mut drawing = builder.drawing;
        drawing.connect(&uses);
        drawing
    }

    fn new(graph: &'a ResourceGraph, regional: bool) -> Self {
        let components = graph.in_order().filter(|node| node.kind == NodeKind::Component);
        let picture = Frame { id: String::new(), urn: None, title: String::new(), parent: None, region: false };
        Self {
            drawing: Drawing { frames: vec![picture], ..Drawing::default() },
            regional,
            components: components.map(|node| (node.urn.name(), &node.urn)).collect(),
            frames: HashMap::new(),
            boxes: HashMap::new(),
        }
    }

    fn push(&mut self, urn: &Urn, lookup: bool, name: &str, status: Status, frame: usize) {
        let content = if lookup { Content::Lookup(urn.clone()) } else { Content::Resource(urn.clone()) };
        self.boxes.insert(urn.clone(), self.drawing.boxes.len());
        self.drawing.boxes.push(Node { content, name: name.to_owned(), status, frame });
    }

    /// Returns the frame of a component in a region, and creates it with the frames around it.
    fn frame(&mut self, region: Option<&str>, path: &str) -> usize {
        let key = (region.map(str::to_owned), path.to_owned());
        if let Some(&frame) = self.frames.get(&key) {
            return frame;
        }
        let id = format!("{}:{path}", region.unwrap_or_default());
        let frame = match path.rsplit_once('/') {
            None if path.is_empty() && !self.regional => return 0,
            None if path.is_empty() => {
                let title = region.unwrap_or("no region").to_owned();
                Frame { id, urn: None, title, parent: Some(0), region: true }
            }
            parts => {
                let (around, title) = parts.unwrap_or(("", path));
                let urn = self.components.get(path).map(|urn| (*urn).clone());
                Frame { id, urn, title: title.to_owned(), parent: Some(self.frame(region, around)), region: false }
            }
        };
        self.drawing.frames.push(frame);
        self.frames.insert(key, self.drawing.frames.len() - 1);
        self.drawing.frames.len() - 1
    }
}
