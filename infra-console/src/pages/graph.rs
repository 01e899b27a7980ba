//! The first page: the stack at a glance and its graph.

use super::{Failure, Frame, Page, Shared, render};
use crate::views::{
    graph::{Graph, Resource},
    overview::CloudSummary,
    properties::Property,
};
use askama::Template;
use axum::extract::{RawQuery, State};
use std::collections::BTreeSet;

/// Number of outputs beside the state of the resources and of the local cloud.
const URLS: usize = 2;

/// Number of resources in the list below the picture, and of names that the search suggests.
const LISTED: usize = 300;

#[derive(Template)]
#[template(path = "graph.html")]
struct GraphPage {
    frame: Frame,
    graph: Graph,
    /// Searched text.
    search: String,
    /// `true` if a group is drawn with its content.
    expanded: bool,
    topics: &'static str,
}

impl GraphPage {
    /// Returns the first outputs that are URLs, as many as fit into the first row.
    fn urls(&self) -> impl Iterator<Item = (&str, &str)> {
        let urls = self.graph.overview.outputs.iter().filter_map(|output| Some((output.path.as_str(), url(output)?)));
        urls.take(URLS)
    }

    /// Returns the resources whose name or type contains the searched text.
    fn found(&self) -> Vec<&Resource> {
        let wanted = self.search.to_lowercase();
        let resources = self.graph.resources.iter();
        resources.filter(|resource| resource.urn.as_str().to_lowercase().contains(&wanted)).collect()
    }
}

/// Returns the URL in an output, which becomes a link.
fn url(output: &Property) -> Option<&str> {
    let is_url = ["http://", "https://"].iter().any(|scheme| output.value.starts_with(scheme));
    is_url.then_some(output.value.as_str())
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Page {
    let query = query.unwrap_or_default();
    let (mut expanded, mut search) = (BTreeSet::new(), String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "expand" => drop(expanded.insert(value.into_owned())),
            "q" => search = value.into_owned(),
            _ => {}
        }
    }
    match Graph::load(&shared.context, &expanded).await {
        Ok(graph) => {
            Ok(render(&GraphPage { frame, graph, search, expanded: !expanded.is_empty(), topics: "stack cloud" }))
        }
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
