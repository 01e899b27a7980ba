//! `stack graph`

use crate::{exit::Exit, failure::Failure, render, session::Session};
use clap::{Args, ValueEnum};
use infra_core::graph::{NodeKind, ResourceGraph};
use infra_graph::{Drawing, Layout, Markup, Status, SvgOptions, Theme};
use serde_json::json;
use std::{collections::BTreeMap, process::ExitCode};

/// Draw the resources and their dependencies
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Output format
    #[arg(long, value_enum, default_value = "svg")]
    format: GraphFormat,
    /// Colour the resources by the changes that `up` would make
    #[arg(long, conflicts_with = "state")]
    plan: bool,
    /// Colour the resources by the recorded state
    #[arg(long)]
    state: bool,
    /// Colours of the SVG image; `auto` follows the viewer's preference
    #[arg(long, value_enum, default_value = "auto")]
    theme: ThemeName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    Svg,
    // Graphviz.
    Dot,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ThemeName {
    // Light or dark, as the viewer prefers.
    Auto,
    Light,
    Dark,
}

impl From<ThemeName> for Theme {
    fn from(name: ThemeName) -> Self {
        match name {
            ThemeName::Auto => Self::Auto,
            ThemeName::Light => Self::Light,
            ThemeName::Dark => Self::Dark,
        }
    }
}

pub(super) async fn run(session: &Session<'_>, arguments: &GraphArgs) -> Result<ExitCode, Failure> {
    let graph = session.declared().await?;
    let drawing = if arguments.plan {
        // Standard output carries the picture.
        let messages = render::messages();
        let engine = session.engine(None, &messages).await?;
        let run = session.configure(engine.preview(&session.program.run), None, &messages);
        // The command shows no plan, so it leaves no record of one.
        let plan = run.events(messages.clone().events()).await;
        session.stop_empty_cloud().await;
        let state = session.offline().state().await?;
        Drawing::of_plan(&graph, state.as_ref(), &plan?)
    } else if arguments.state {
        Drawing::of_state(&graph, session.offline().state().await?.as_ref())
    } else {
        Drawing::declared(&graph)
    };
    let coloured = match (arguments.plan, arguments.state) {
        (true, _) => ": planned changes",
        (_, true) => ": recorded state",
        _ => "",
    };
    let heading = format!("{}, stack {}{coloured}", session.program.name(), session.stack);
    let text = match arguments.format {
        _ if session.json => document(&graph, &drawing),
        GraphFormat::Json => document(&graph, &drawing),
        GraphFormat::Dot => infra_graph::dot(&drawing, &heading),
        GraphFormat::Svg => {
            let markup = Markup::File(arguments.theme.into());
            infra_graph::svg(&drawing, &Layout::new(&drawing), SvgOptions { heading: &heading, markup })
        }
    };
    print_line!("{}", text.trim_end());
    Ok(Exit::Done.into())
}

fn document(graph: &ResourceGraph, drawing: &Drawing) -> String {
    let status = |status: Status| (status != Status::Declared).then(|| status.label());
    let drawn: BTreeMap<_, _> = drawing.boxes.iter().filter_map(|node| Some((node.urn()?, node))).collect();
    let declared = graph.in_order().map(|node| {
        let kind = match node.kind {
            NodeKind::Resource => "resource",
            NodeKind::Lookup => "lookup",
            NodeKind::Component => "component",
        };
        let mut document = json!({"urn": node.urn, "kind": kind, "region": node.region, "parent": node.parent, "uses": graph.dependencies(&node.urn)});
        if let Some(status) = drawn.get(&node.urn).and_then(|node| status(node.status)) {
            document["status"] = status.into();
        }
        document
    });
    let boxes = drawing.boxes.iter().filter_map(|node| Some((node.urn()?, node)));
    let undeclared = boxes.filter(|(urn, _)| graph.node(urn).is_none()).map(|(urn, node)| {
        let kind = if node.is_lookup() { "lookup" } else { "resource" };
        json!({"urn": urn, "kind": kind, "status": node.status.label()})
    });
    let nodes: Vec<_> = declared.chain(undeclared).collect();
    format!("{:#}", json!({ "nodes": nodes }))
}
