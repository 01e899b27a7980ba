//! The resources and their dependencies, as a picture and as data.

use super::{
    Context, Problem, Query,
    overview::Overview,
    runs::{self, StepOutcome},
    schemas::UrnSchema,
    system::{Status, System},
};
use infra_core::{graph::ResourceGraph, urn::Urn};
use infra_graph::{Drawing, Layout, Markup, Node, Status as Colour, SvgOptions, svg};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Number of boxes above which components and types are single boxes.
const MOST: usize = 250;

/// The resources and their dependencies.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Graph {
    #[serde(flatten)]
    pub(crate) overview: Overview,
    pub(crate) resources: Vec<Resource>,
    /// The picture, without a style sheet.
    #[serde(skip)]
    pub(crate) svg: String,
    /// `true` if the picture shows groups.
    #[serde(skip)]
    pub(crate) grouped: bool,
}

/// A resource or lookup.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GraphNode")]
pub(crate) struct Resource {
    #[schemars(with = "UrnSchema")]
    pub(crate) urn: Urn,
    pub(crate) status: Status,
    /// URNs of the resources that it uses.
    #[schemars(with = "BTreeSet<UrnSchema>")]
    pub(crate) uses: BTreeSet<Urn>,
}

/// The parameters of the graph.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphQuery {
    /// Text in the URNs of the returned resources, such as a name or a part of a type. All resources if omitted.
    search: Option<String>,
    /// Status of the returned resources. All resources if omitted.
    status: Option<Status>,
}

impl Query for GraphQuery {
    type View = Graph;

    async fn load(self, context: &Context) -> Result<Graph, Problem> {
        let mut graph = Graph::of(context, &System::load(context).await?).await;
        let wanted = self.search.unwrap_or_default().to_lowercase();
        graph.resources.retain(|resource| {
            resource.urn.as_str().to_lowercase().contains(&wanted)
                && self.status.is_none_or(|status| resource.status == status)
        });
        Ok(graph)
    }
}

impl Graph {
    /// Reads the graph. Components and groups in `expanded` are drawn with their content.
    pub(crate) async fn load(context: &Context, expanded: &BTreeSet<String>) -> Result<Self, Problem> {
        let system = System::load(context).await?;
        let (svg, grouped) = draw(&system, &runs::latest(context), expanded);
        Ok(Self { svg, grouped, ..Self::of(context, &system).await })
    }

    /// Returns the graph without its picture.
    async fn of(context: &Context, system: &System) -> Self {
        let resources = system.urns().into_iter().map(|urn| Resource {
            urn: urn.clone(),
            status: system.status(urn),
            uses: system.dependencies(urn),
        });
        let overview = Overview::of(context, system).await;
        Self { overview, resources: resources.collect(), svg: String::new(), grouped: false }
    }
}

fn draw(system: &System, latest: &BTreeMap<Urn, StepOutcome>, expanded: &BTreeSet<String>) -> (String, bool) {
    let empty = match &system.graph {
        Ok(_) => None,
        Err(_) => ResourceGraph::new(Vec::new(), BTreeMap::new()).ok(),
    };
    // The graph of a large program is not copied.
    let Some(graph) = system.graph.as_ref().ok().or(empty.as_ref()) else {
        return (String::new(), false);
    };
    let colour = |urn: &Urn| match (latest.get(urn), system.status(urn)) {
        (Some(StepOutcome::Failed), _) => Some(Colour::Failed),
        (Some(_), _) | (None, Status::Creating | Status::Updating | Status::Deleting) => Some(Colour::Running),
        // The colours of a recorded state.
        (None, Status::Deployed | Status::Declared | Status::Undeclared | Status::Uncertain) => None,
    };
    let drawing = Drawing::of_state(graph, system.state.as_ref()).coloured(colour);
    let drawing = drawing.overview(MOST, expanded);
    let grouped = drawing.boxes.iter().any(|node| node.group().is_some());
    let link = |node: &Node| {
        Some(match (node.group(), node.urn()) {
            (Some(group), _) => {
                let all = expanded.iter().map(String::as_str).chain([group]);
                format!("/?expand={}", all.map(encoded).collect::<Vec<_>>().join("&expand="))
            }
            (None, urn) => format!("/resources/{}", encoded(urn?.as_str())),
        })
    };
    let options = SvgOptions { heading: "Resources", markup: Markup::Page { link: Some(&link) } };
    (svg(&drawing, &Layout::new(&drawing), options), grouped)
}

/// Encodes a text for a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
