//! The graph in the language of Graphviz.

use super::drawing::{Drawing, Status};
use std::fmt::Write;

pub(super) fn dot(drawing: &Drawing, heading: &str) -> String {
    let mut text = String::from("digraph stack {\n");
    let _ = writeln!(
        text,
        "  label={};\n  labelloc=t;\n  node [shape=box, style=\"filled,rounded\", fillcolor=white];",
        quoted(heading)
    );
    frame(&mut text, drawing, 0, 1);
    for &(used, user) in &drawing.edges {
        let _ = writeln!(text, "  {} -> {};", name(drawing, used), name(drawing, user));
    }
    text.push_str("}\n");
    text
}

/// Writes the boxes and frames in a frame. Graphviz draws a subgraph with the prefix `cluster` as a frame.
fn frame(text: &mut String, drawing: &Drawing, at: usize, depth: usize) {
    let indent = "  ".repeat(depth);
    for (number, node) in drawing.boxes.iter().enumerate().filter(|(_, node)| node.frame == at) {
        let label = quoted(&format!("{}\n{}", node.kind(), node.name));
        let shape = if node.lookup { ", shape=ellipse, style=filled" } else { "" };
        let colour = colour(node.status);
        let _ = writeln!(text, "{indent}{} [label={label}, fillcolor={colour}{shape}];", name(drawing, number));
    }
    for (number, inner) in drawing.frames.iter().enumerate().filter(|(_, inner)| inner.parent == Some(at)) {
        let _ = writeln!(text, "{indent}subgraph cluster_{number} {{\n{indent}  label={};", quoted(&inner.title));
        frame(text, drawing, number, depth + 1);
        let _ = writeln!(text, "{indent}}}");
    }
}

fn name(drawing: &Drawing, at: usize) -> String {
    let node = &drawing.boxes[at];
    quoted(&format!("{} {}", node.urn.kind(), node.urn.name()))
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Declared | Status::Absent | Status::Forget => "white",
        Status::Unchanged | Status::Recorded | Status::Read => "grey92",
        Status::Create => "palegreen",
        Status::Update => "lightgoldenrod1",
        Status::Replace => "plum",
        Status::Delete | Status::Undeclared => "lightpink",
        Status::Uncertain => "navajowhite",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
