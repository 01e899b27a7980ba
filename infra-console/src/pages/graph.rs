//! The first page: the stack at a glance and its graph.

use super::{Failure, Frame, Page, Shared, render};
use crate::views::{graph::Graph, overview::CloudSummary, properties::Property};
use askama::Template;
use axum::extract::{RawQuery, State};
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "graph.html")]
struct GraphPage {
    frame: Frame,
    graph: Graph,
    /// `true` if a group is drawn with its content.
    expanded: bool,
    topics: &'static str,
}

impl GraphPage {
    /// Returns the URL in an output, which becomes a link.
    fn url<'o>(&self, output: &'o Property) -> Option<&'o str> {
        let is_url = ["http://", "https://"].iter().any(|scheme| output.value.starts_with(scheme));
        is_url.then_some(output.value.as_str())
    }
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Page {
    let query = query.unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.strip_prefix("expand="));
    let expanded: BTreeSet<String> =
        pairs.map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()).collect();
    match Graph::load(&shared.context, &expanded).await {
        Ok(graph) => Ok(render(&GraphPage { frame, graph, expanded: !expanded.is_empty(), topics: "stack cloud" })),
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
