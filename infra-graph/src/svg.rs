//! SVG images.

use super::{
    drawing::{Arrow, Content, Drawing, Edge, Frame, Node, Status},
    layout::{ARROW, BOX, Layout, Rect},
    legend::legend,
    style::{self, Parts, Theme},
    text::{self, escaped},
};
use infra_core::Urn;
use std::fmt::Write;

/// The sizes of texts, in pixels.
const KIND: f64 = 12.0;
const NAME: f64 = 13.0;
/// The distance of a text from the border of its box.
const INSIDE: f64 = 8.0;
/// The distance between the two borders of a group's box.
const INSET: f64 = 3.0;
/// The radius of a line's corners.
const BEND: f64 = 5.0;

/// Options of an image.
#[derive(Clone, Copy)]
pub struct SvgOptions<'a> {
    /// Text above the drawing.
    pub heading: &'a str,
    /// Use of the image.
    pub markup: Markup<'a>,
}

/// Returns the URL that a box links to, or `None` for a box without a link.
pub type Link<'a> = &'a dyn Fn(&Node) -> Option<String>;

/// Use of an image.
#[derive(Clone, Copy)]
pub enum Markup<'a> {
    /// A file, which contains its style sheet.
    File(Theme),
    /// A part of an HTML page, which contains [`style_sheet`](crate::style_sheet).
    ///
    /// A box is a `<g>` with the class `box`, the classes of its status ([`Status::class`]), its index as `data-box`, and
    /// its URN as `data-urn`; a component or group has its identity as `data-group`. A frame has its identity as
    /// `data-frame`, and the URN of a component as `data-urn`. An edge has the indices of its boxes as `data-upper` and
    /// `data-lower`.
    Page {
        /// Link of each box.
        link: Option<Link<'a>>,
    },
}

/// Writes a laid out drawing as an SVG image.
pub fn svg(drawing: &Drawing, layout: &Layout, options: SvgOptions<'_>) -> String {
    let heading = escaped(options.heading);
    let page = matches!(options.markup, Markup::Page { .. });
    let legend = legend(drawing);
    let width = layout.width.max(legend.1 + 24.0).max(text::width(options.heading, 20.0, true) + 48.0).ceil();
    let height = layout.height.ceil();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\"{}>\n{}\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"heading\" x=\"24\" y=\"36\" font-size=\"20\">{heading}</text>\n{}",
        // Browsers would show the title as a tooltip of the whole image.
        if page { format!(" aria-label=\"{heading}\"") } else { String::new() },
        match options.markup {
            Markup::File(theme) =>
                format!("<title>{heading}</title>\n<style>\n{}</style>\n", style::style(theme, parts(drawing))),
            Markup::Page { .. } => String::new(),
        },
        legend.0,
    );
    let frames = || drawing.frames.iter().zip(&layout.frames).skip(1);
    for (frame, area) in frames() {
        let class = if frame.region { "region" } else { "component" };
        rect(&mut svg, &format!("class=\"{class}\"{}", frame_data(frame, page)), *area, 8.0);
    }
    for (edge, corners) in drawing.edges.iter().zip(&layout.edges) {
        line(&mut svg, &edge_attributes(drawing, edge, page), edge.arrow, corners);
    }
    for (frame, area) in frames() {
        frame_title(&mut svg, frame, *area);
    }
    for (at, (node, area)) in drawing.boxes.iter().zip(&layout.boxes).enumerate() {
        match options.markup {
            Markup::File(_) => draw_box(&mut svg, &format!("class=\"{}\"", node.status.class()), node, *area),
            Markup::Page { link } => {
                let link = link.and_then(|link| link(node));
                let (open, close) = match link {
                    Some(url) => (format!("<a href=\"{}\">", escaped(&url)), "</a>\n"),
                    None => (String::new(), ""),
                };
                svg.push_str(&open);
                draw_box(&mut svg, &box_attributes(at, node), node, *area);
                svg.push_str(close);
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns the parts of the style sheet that a drawing needs.
fn parts(drawing: &Drawing) -> Parts {
    let groups = drawing.boxes.iter().any(|node| node.group().is_some());
    let back = drawing.edges.iter().any(|edge| edge.arrow != Arrow::Down);
    let runs = drawing.boxes.iter().any(|node| matches!(node.status, Status::Running | Status::Failed));
    Parts { groups: groups || back, runs }
}

fn frame_data(frame: &Frame, page: bool) -> String {
    if !page {
        return String::new();
    }
    let urn = frame.urn.as_ref().map(|urn| format!(" data-urn=\"{}\"", escaped(urn.as_str())));
    format!(" data-frame=\"{}\"{}", escaped(&frame.id), urn.unwrap_or_default())
}

fn box_attributes(at: usize, node: &Node) -> String {
    let data = |name: &str, value: Option<&str>| {
        value.map(|value| format!(" data-{name}=\"{}\"", escaped(value))).unwrap_or_default()
    };
    let (urn, group) = (data("urn", node.urn().map(Urn::as_str)), data("group", node.group()));
    format!("class=\"box {}\" data-box=\"{at}\"{urn}{group}", node.status.class())
}

fn edge_attributes(drawing: &Drawing, edge: &Edge, page: bool) -> String {
    let (upper, lower) = (drawing.outermost(edge.upper), drawing.outermost(edge.lower));
    // Files also distinguish edges between components, if there are no regions.
    let regions = !page || upper.is_some_and(|frame| drawing.frames[frame].region);
    let far = if upper != lower && regions { " far" } else { "" };
    let back = if edge.arrow == Arrow::Down { "" } else { " back" };
    let data =
        if page { format!(" data-upper=\"{}\" data-lower=\"{}\"", edge.upper, edge.lower) } else { String::new() };
    format!("class=\"edge{far}{back}\"{data}")
}

fn frame_title(svg: &mut String, frame: &Frame, area: Rect) {
    let (size, class) = if frame.region { (14.0, "title") } else { (13.0, "title inner") };
    let title = escaped(&text::fit(&frame.title, size, true, area.width - 2.0 * INSIDE));
    let (x, y) = (area.x + INSIDE, area.y + 18.0);
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\">{title}</text>");
}

fn draw_box(svg: &mut String, attributes: &str, node: &Node, area: Rect) {
    let title = node.urn().map_or_else(|| format!("{}: {}", node.kind(), node.name), ToString::to_string);
    let _ = writeln!(svg, "<g {attributes}><title>{}</title>", escaped(&title));
    rect(svg, "class=\"box\"", area, if node.is_lookup() { BOX.1 / 2.0 } else { 6.0 });
    if node.group().is_some() {
        let (width, height) = (area.width - 2.0 * INSET, area.height - 2.0 * INSET);
        rect(svg, "class=\"inset\"", Rect { x: area.x + INSET, y: area.y + INSET, width, height }, INSET);
    }
    let (kind, name) = labels(&kind_label(node), &node.name);
    let centre = area.x + area.width / 2.0;
    for (class, text, size, below) in [("kind", kind, KIND, 17.0), ("name", name, NAME, 34.0)] {
        let (y, text) = (area.y + below, escaped(&text));
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{centre}\" y=\"{y}\" font-size=\"{size}\">{text}</text>");
    }
    svg.push_str("</g>\n");
}

/// Returns the first line of a box. The second line of a group by type is its size.
fn kind_label(node: &Node) -> String {
    let (sign, kind) = (node.status.sign(), node.kind());
    match &node.content {
        Content::Component { resources, .. } => format!("{sign}{kind} ({resources})"),
        _ => format!("{sign}{kind}"),
    }
}

/// Returns the texts of a box, shortened to its width.
fn labels(kind: &str, name: &str) -> (String, String) {
    let most = BOX.0 - 2.0 * INSIDE;
    (text::fit(kind, KIND, false, most), text::fit(name, NAME, true, most))
}

fn rect(svg: &mut String, attributes: &str, area: Rect, radius: f64) {
    let Rect { x, y, width, height } = area;
    let _ = writeln!(
        svg,
        "<rect {attributes} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\"/>"
    );
}

/// Draws a line with rounded corners and arrows at its ends.
fn line(svg: &mut String, attributes: &str, arrow: Arrow, corners: &[(f64, f64)]) {
    let [start, .., end] = corners else {
        return;
    };
    let top = if arrow == Arrow::Down { start.1 } else { start.1 + ARROW };
    let bottom = if arrow == Arrow::Up { end.1 } else { end.1 - ARROW };
    let mut path = format!("M{:.1} {top:.1}", start.0);
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
    let _ = write!(path, "L{:.1} {bottom:.1}", end.0);
    let _ = write!(svg, "<g {attributes}><path d=\"{path}\"/>");
    if arrow != Arrow::Down {
        head(svg, start.0, top, start.1);
    }
    if arrow != Arrow::Up {
        head(svg, end.0, bottom, end.1);
    }
    svg.push_str("</g>\n");
}

/// Draws the head of an arrow that is at `x`, from its base to its tip.
fn head(svg: &mut String, x: f64, base: f64, tip: f64) {
    let (left, right) = (x - 3.5, x + 3.5);
    let _ = write!(svg, "<path class=\"head\" d=\"M{left:.1} {base:.1}L{right:.1} {base:.1}L{x:.1} {tip:.1}Z\"/>");
}
