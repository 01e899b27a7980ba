//! `stack graph`

use crate::{
    arguments::{Graph, GraphFormat},
    failure::Failure,
    session::Session,
};
use infra_core::{
    graph::{NodeKind, ResourceGraph},
    urn::Urn,
};
use layout::{
    backends::svg::SVGWriter,
    gv::{DotParser, GraphBuilder},
};
use serde_json::json;
use std::{fmt::Write, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, arguments: &Graph) -> Result<ExitCode, Failure> {
    let graph = session.declared().await?;
    let text = match arguments.format {
        _ if session.json => document(&graph),
        GraphFormat::Json => document(&graph),
        GraphFormat::Dot => dot(&graph),
        GraphFormat::Svg => svg(&graph)?,
    };
    say!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// What is drawn: everything but components, which are part of the names.
fn drawn(graph: &ResourceGraph) -> impl Iterator<Item = (&Urn, NodeKind)> {
    graph.in_order().filter(|node| node.kind != NodeKind::Component).map(|node| (&node.urn, node.kind))
}

fn dot(graph: &ResourceGraph) -> String {
    let mut text = String::from("digraph stack {\n  rankdir=LR;\n  node [shape=box];\n");
    let quoted = |urn: &Urn| format!("\"{}\"", urn.short());
    for (urn, kind) in drawn(graph) {
        let region = graph.node(urn).and_then(|node| node.region.as_deref());
        let place = region.map(|region| format!("\\n{region}")).unwrap_or_default();
        let colour = if kind == NodeKind::Lookup { "lightgrey" } else { "white" };
        // Names are letters, digits and separators, so nothing has to be escaped.
        let kind = urn.kind().rsplit(':').next().unwrap_or_default();
        let label = format!("{kind}\\n{}{place}", urn.name());
        let _ = writeln!(text, "  {} [label=\"{label}\", style=filled, fillcolor={colour}];", quoted(urn));
    }
    for (urn, _) in drawn(graph) {
        for used in graph.dependencies(urn) {
            if graph.node(used).is_some_and(|node| node.kind != NodeKind::Component) {
                let _ = writeln!(text, "  {} -> {};", quoted(used), quoted(urn));
            }
        }
    }
    text.push_str("}\n");
    text
}

fn svg(graph: &ResourceGraph) -> Result<String, Failure> {
    let text = dot(graph);
    let parsed = DotParser::new(&text).process();
    let parsed = parsed.map_err(|error| Failure::failed(format!("the graph cannot be drawn: {error}")))?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&parsed);
    let mut writer = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut writer);
    Ok(writer.finalize())
}

fn document(graph: &ResourceGraph) -> String {
    let nodes: Vec<_> = graph
        .in_order()
        .map(|node| {
            let kind = match node.kind {
                NodeKind::Resource => "resource",
                NodeKind::Lookup => "lookup",
                NodeKind::Component => "component",
            };
            json!({"urn": node.urn, "kind": kind, "region": node.region, "parent": node.parent, "uses": graph.dependencies(&node.urn)})
        })
        .collect();
    format!("{:#}", json!({ "nodes": nodes }))
}
