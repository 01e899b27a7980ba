//! The graph in the language of Graphviz.

use super::drawing::{Arrow, Content, Drawing, Edge, Node, Status};
use std::fmt::Write;

/// Writes a drawing in the language of Graphviz. `heading` is the label of the whole graph.
pub fn dot(drawing: &Drawing, heading: &str) -> String {
    let mut text = String::from("digraph stack {\n");
    let _ = writeln!(
        text,
        "  label={};\n  labelloc=t;\n  node [shape=box, style=\"filled,rounded\", fillcolor=white];",
        quoted(heading)
    );
    frame(&mut text, drawing, 0, 1);
    for &Edge { upper, lower, arrow } in &drawing.edges {
        let direction = match arrow {
            Arrow::Down => "",
            Arrow::Up => " [dir=back]",
            Arrow::Both => " [dir=both]",
        };
        let (upper, lower) = (name(&drawing.boxes[upper]), name(&drawing.boxes[lower]));
        let _ = writeln!(text, "  {upper} -> {lower}{direction};");
    }
    text.push_str("}\n");
    text
}

/// Writes the boxes and frames in a frame. Graphviz draws a subgraph with the prefix `cluster` as a frame.
fn frame(text: &mut String, drawing: &Drawing, at: usize, depth: usize) {
    let indent = "  ".repeat(depth);
    for node in drawing.boxes.iter().filter(|node| node.frame == at) {
        let label = quoted(&format!("{}\n{}", node.kind(), node.name));
        let shape = if node.is_lookup() { ", shape=ellipse, style=filled" } else { "" };
        let colour = colour(node.status);
        let _ = writeln!(text, "{indent}{} [label={label}, fillcolor={colour}{shape}];", name(node));
    }
    for (number, inner) in drawing.frames.iter().enumerate().filter(|(_, inner)| inner.parent == Some(at)) {
        let _ = writeln!(text, "{indent}subgraph cluster_{number} {{\n{indent}  label={};", quoted(&inner.title));
        frame(text, drawing, number, depth + 1);
        let _ = writeln!(text, "{indent}}}");
    }
}

fn name(node: &Node) -> String {
    match &node.content {
        Content::Resource(urn) | Content::Lookup(urn) => quoted(&format!("{} {}", urn.kind(), urn.name())),
        Content::Component { id, .. } | Content::Kind { id, .. } | Content::Other { id, .. } => quoted(id),
    }
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Declared | Status::Absent | Status::Forget => "white",
        Status::Unchanged | Status::Recorded | Status::Read => "grey92",
        Status::Create | Status::Running => "palegreen",
        Status::Update => "lightgoldenrod1",
        Status::Replace => "plum",
        Status::Delete | Status::Undeclared | Status::Failed => "lightpink",
        Status::Uncertain => "navajowhite",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
