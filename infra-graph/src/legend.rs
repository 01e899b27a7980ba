//! The legend of shapes, colours and arrows.

use super::{
    drawing::{Arrow, Content, Drawing, Node, Status},
    layout::ARROW,
    text::{self, escaped},
};
use std::{collections::BTreeMap, fmt::Write};

/// The size of the texts, in pixels.
const LEGEND: f64 = 13.0;

/// Returns the legend of shapes, colours and arrows, and its width. A drawing without declarations has none, because its
/// colours and arrows have other meanings.
pub(crate) fn legend(drawing: &Drawing) -> (String, f64) {
    if drawing.boxes.iter().all(|node| matches!(node.content, Content::Other { .. })) {
        return (String::new(), 0.0);
    }
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
    if drawing.boxes.iter().any(Node::is_lookup) {
        entry(&mut svg, &sample(Status::Declared.class(), 3.0), "resource");
        entry(&mut svg, &sample(Status::Declared.class(), 7.5), "lookup");
    }
    if !plain {
        for (status, count) in counts {
            let label = format!("{}{} ({count})", status.sign(), status.label());
            entry(&mut svg, &sample(status.class(), 3.0), &label);
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
    if drawing.edges.iter().any(|edge| edge.arrow != Arrow::Down) {
        let back = |x: f64| arrow(x).replace("class=\"edge\"", "class=\"edge back\"");
        entry(&mut svg, &back, "between groups that use each other");
    }
    (svg, x)
}
