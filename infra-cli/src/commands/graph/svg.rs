//! SVG images for light and dark backgrounds.

use super::{
    drawing::{Drawing, Status},
    layout::{ARROW, BOX, Layout, Rect},
    text,
};
use clap::ValueEnum;
use std::{collections::BTreeMap, fmt::Write};

/// The sizes of texts, in pixels.
const KIND: f64 = 12.0;
const NAME: f64 = 13.0;
const LEGEND: f64 = 13.0;
/// The distance of a text from the border of its box.
const INSIDE: f64 = 8.0;
/// The radius of a line's corners.
const BEND: f64 = 5.0;

/// Colours of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Theme {
    // Light or dark, as the viewer prefers.
    Auto,
    Light,
    Dark,
}

/// Draws a layout. `heading` names the stack.
pub(super) fn svg(drawing: &Drawing, layout: &Layout, heading: &str, theme: Theme) -> String {
    let legend = legend(drawing);
    let width = layout.width.max(legend.1 + 24.0).max(text::width(heading, 20.0, true) + 48.0).ceil();
    let height = layout.height.ceil();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\">\n\
         <title>{0}</title>\n<style>\n{1}</style>\n\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"heading\" x=\"24\" y=\"36\" font-size=\"20\">{0}</text>\n{2}",
        escaped(heading),
        style(theme),
        legend.0,
    );
    let frames = || drawing.frames.iter().zip(&layout.frames).enumerate().skip(1);
    for (_, (frame, area)) in frames() {
        let class = if frame.region { "region" } else { "component" };
        rect(&mut svg, class, *area, 8.0);
    }
    let outermost = |at: usize| {
        let around = std::iter::successors(Some(drawing.boxes[at].frame), |&frame| drawing.frames[frame].parent);
        around.filter(|&frame| frame != 0).last()
    };
    for (&(used, user), corners) in drawing.edges.iter().zip(&layout.edges) {
        let class = if outermost(used) == outermost(user) { "edge" } else { "edge far" };
        edge(&mut svg, class, corners);
    }
    for (_, (frame, area)) in frames() {
        let (size, class) = if frame.region { (14.0, "title") } else { (13.0, "title inner") };
        let title = text::fit(&frame.title, size, true, area.width - 2.0 * INSIDE);
        let (x, y) = (area.x + INSIDE, area.y + 18.0);
        let _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\">{}</text>",
            escaped(&title)
        );
    }
    for (node, area) in drawing.boxes.iter().zip(&layout.boxes) {
        let _ = writeln!(svg, "<g class=\"{}\"><title>{}</title>", class(node.status), escaped(node.urn.as_str()));
        rect(&mut svg, "box", *area, radius(node.lookup));
        let (kind, name) = labels(&format!("{}{}", sign(node.status), node.kind()), &node.name);
        let centre = area.x + area.width / 2.0;
        for (class, text, size, below) in [("kind", kind, KIND, 17.0), ("name", name, NAME, 34.0)] {
            let (y, text) = (area.y + below, escaped(&text));
            let _ =
                writeln!(svg, "<text class=\"{class}\" x=\"{centre}\" y=\"{y}\" font-size=\"{size}\">{text}</text>");
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns the texts of a box, shortened to its width.
fn labels(kind: &str, name: &str) -> (String, String) {
    let most = BOX.0 - 2.0 * INSIDE;
    (text::fit(kind, KIND, false, most), text::fit(name, NAME, true, most))
}

fn radius(lookup: bool) -> f64 {
    if lookup { BOX.1 / 2.0 } else { 6.0 }
}

fn rect(svg: &mut String, class: &str, area: Rect, radius: f64) {
    let Rect { x, y, width, height } = area;
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\"/>"
    );
}

/// Draws a line with rounded corners and an arrow at its end.
fn edge(svg: &mut String, class: &str, corners: &[(f64, f64)]) {
    let [(x, y), .., end] = corners else {
        return;
    };
    let mut path = format!("M{x:.1} {y:.1}");
    for triple in corners.windows(3) {
        let [before, corner, after] = triple else {
            continue;
        };
        let towards = |other: &(f64, f64)| {
            let (dx, dy) = (other.0 - corner.0, other.1 - corner.1);
            let length = dx.hypot(dy);
            let part = BEND.min(length / 2.0) / length;
            (corner.0 + dx * part, corner.1 + dy * part)
        };
        let (first, last) = (towards(before), towards(after));
        let _ =
            write!(path, "L{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}", first.0, first.1, corner.0, corner.1, last.0, last.1);
    }
    let base = end.1 - ARROW;
    let _ = write!(path, "L{:.1} {base:.1}", end.0);
    let (left, right) = (end.0 - 3.5, end.0 + 3.5);
    let _ = writeln!(
        svg,
        "<g class=\"{class}\"><path d=\"{path}\"/><path class=\"head\" d=\"M{left:.1} {base:.1}L{right:.1} {base:.1}L{:.1} {:.1}Z\"/></g>",
        end.0, end.1
    );
}

/// Returns the legend of shapes, colours and arrows, and its width.
fn legend(drawing: &Drawing) -> (String, f64) {
    let mut svg = String::new();
    let mut x = 24.0;
    let mut entry = |svg: &mut String, sample: &dyn Fn(f64) -> String, label: &str| {
        let _ = writeln!(
            svg,
            "{}<text class=\"note\" x=\"{:.1}\" y=\"63\" font-size=\"{LEGEND}\">{}</text>",
            sample(x),
            x + 32.0,
            escaped(label)
        );
        x += 32.0 + text::width(label, LEGEND, false) + 20.0;
    };
    let sample = |class: &str, radius: f64| {
        let class = class.to_owned();
        move |x: f64| {
            format!(
                "<g class=\"{class}\"><rect class=\"box\" x=\"{x:.1}\" y=\"51\" width=\"24\" height=\"15\" rx=\"{radius}\"/></g>"
            )
        }
    };
    let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
    drawing.boxes.iter().for_each(|node| *counts.entry(node.status).or_default() += 1);
    let plain = counts.keys().all(|status| *status == Status::Declared);
    if drawing.boxes.iter().any(|node| node.lookup) {
        entry(&mut svg, &sample(class(Status::Declared), 3.0), "resource");
        entry(&mut svg, &sample(class(Status::Declared), 7.5), "lookup");
    }
    if !plain {
        for (status, count) in counts {
            let label = format!("{}{} ({count})", sign(status), status.label());
            entry(&mut svg, &sample(class(status), 3.0), &label);
        }
    }
    let arrow = |x: f64| {
        let mut svg = String::new();
        let (tip, base) = (x + 24.0, x + 24.0 - ARROW);
        let _ = write!(
            svg,
            "<g class=\"edge\"><path d=\"M{x:.1} 58.5L{base:.1} 58.5\"/><path class=\"head\" d=\"M{base:.1} 55L{base:.1} 62L{tip:.1} 58.5Z\"/></g>"
        );
        svg
    };
    if !drawing.edges.is_empty() {
        entry(&mut svg, &arrow, "to what uses it");
    }
    if drawing.frames.iter().filter(|frame| frame.region).count() > 1 {
        let far = |x: f64| arrow(x).replace("class=\"edge\"", "class=\"edge far\"");
        entry(&mut svg, &far, "across regions");
    }
    (svg, x)
}

/// Returns the sign of a planned action, as the other commands show it.
fn sign(status: Status) -> &'static str {
    match status {
        Status::Create => "+ ",
        Status::Update => "~ ",
        Status::Replace => "± ",
        Status::Delete => "- ",
        Status::Forget => "< ",
        _ => "",
    }
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Declared => "plain",
        Status::Unchanged | Status::Recorded | Status::Read => "kept",
        Status::Create => "create",
        Status::Update => "update",
        Status::Replace => "replace",
        Status::Delete => "delete",
        Status::Forget | Status::Absent => "absent",
        Status::Uncertain => "uncertain",
        Status::Undeclared => "delete absent",
    }
}

/// A colour on a light and on a dark page.
type Colour = (&'static str, &'static str);

/// The rules of the style sheet that depend on the theme: selector, property, colours.
const COLOURS: &[(&str, &str, Colour)] = &[
    (".page", "fill", ("#ffffff", "#0d1117")),
    ("text", "fill", ("#1f2328", "#e6edf3")),
    (".note, .kind", "fill", ("#59636e", "#9da7b1")),
    (".region", "fill", ("#f3f5f8", "#151b23")),
    (".region", "stroke", ("#c3cad2", "#3d444d")),
    (".component", "fill", ("#ffffff", "#0d1117")),
    (".component", "stroke", ("#c3cad2", "#3d444d")),
    (".title", "stroke", ("#f3f5f8", "#151b23")),
    (".inner", "stroke", ("#ffffff", "#0d1117")),
    (".edge path", "stroke", ("#7d8792", "#7d8792")),
    (".edge .head", "fill", ("#7d8792", "#7d8792")),
    (".far path", "stroke", ("#0969da", "#58a6ff")),
    (".far .head", "fill", ("#0969da", "#58a6ff")),
    (".box", "fill", ("#ffffff", "#212830")),
    (".box", "stroke", ("#7d8792", "#7d8792")),
    (".kept .box", "fill", ("#e7ebef", "#2a313c")),
    (".create .box", "fill", ("#dafbe1", "#12301e")),
    (".create .box", "stroke", ("#1a7f37", "#3fb950")),
    (".update .box", "fill", ("#fff3b8", "#332a0f")),
    (".update .box", "stroke", ("#9a6700", "#d29922")),
    (".replace .box", "fill", ("#f5e6ff", "#2d2144")),
    (".replace .box", "stroke", ("#8250df", "#ab7df8")),
    (".delete .box", "fill", ("#ffe2df", "#3a1a1d")),
    (".delete .box", "stroke", ("#cf222e", "#f85149")),
    (".uncertain .box", "fill", ("#ffead6", "#3a2512")),
    (".uncertain .box", "stroke", ("#bc4c00", "#db6d28")),
];

fn style(theme: Theme) -> String {
    let mut style = String::from(
        ".heading, .title, .name { font-weight: 600 }\n.kind, .name { text-anchor: middle }\n\
         .title { paint-order: stroke; stroke-width: 5px; stroke-linejoin: round }\n\
         .edge path { fill: none; stroke-width: 1.4 }\n.edge .head { stroke: none }\n\
         .edge:hover path { stroke-width: 3 }\n.absent .box { stroke-dasharray: 5 3 }\n",
    );
    let rules = |dark: bool| -> String {
        let rule = |(selector, property, (light, in_dark)): &(&str, &str, Colour)| {
            format!("{selector} {{ {property}: {} }}\n", if dark { in_dark } else { light })
        };
        COLOURS.iter().map(rule).collect()
    };
    match theme {
        Theme::Light => style.push_str(&rules(false)),
        Theme::Dark => style.push_str(&rules(true)),
        Theme::Auto => {
            let _ = write!(style, "{}@media (prefers-color-scheme: dark) {{\n{}}}\n", rules(false), rules(true));
        }
    }
    style
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
