//! Colours and style sheets.

use std::fmt::Write;

/// Colours of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Light or dark, as the viewer prefers.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
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

/// The colours of groups.
const GROUP_COLOURS: &[(&str, &str, Colour)] = &[
    (".inset", "stroke", ("#7d8792", "#7d8792")),
    (".back path", "stroke", ("#bc4c00", "#db6d28")),
    (".back .head", "fill", ("#bc4c00", "#db6d28")),
];

/// The colours of runs.
const RUN_COLOURS: &[(&str, &str, Colour)] = &[
    (".running .box", "fill", ("#ddf4ff", "#10263f")),
    (".running .box", "stroke", ("#0969da", "#58a6ff")),
    (".failed .box", "fill", ("#cf222e", "#b62324")),
    (".failed .box", "stroke", ("#82071e", "#ff7b72")),
    (".failed text", "fill", ("#ffffff", "#ffffff")),
];

/// The parts of a style sheet that not every image needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) groups: bool,
    pub(crate) runs: bool,
}

/// Returns the style sheet of an image for an HTML page, see [`Markup::Page`](crate::Markup::Page). Its selectors are
/// general, such as `text`: a page that contains more than the image nests the rules in one for the image.
pub fn style_sheet(theme: Theme) -> String {
    // The group of a box has the same class as its rectangle, and texts inherit its stroke.
    let mut style = style(theme, Parts { groups: true, runs: true });
    style.push_str("text { stroke: none }\na:focus-visible .box { stroke-width: 3 }\n");
    style
}

/// Returns the style sheet of an image.
pub(crate) fn style(theme: Theme, parts: Parts) -> String {
    let mut style = String::from(
        ".heading, .title, .name { font-weight: 600 }\n.kind, .name { text-anchor: middle }\n\
         .title { paint-order: stroke; stroke-width: 5px; stroke-linejoin: round }\n\
         .edge path { fill: none; stroke-width: 1.4 }\n.edge .head { stroke: none }\n\
         .edge:hover path { stroke-width: 3 }\n.absent .box { stroke-dasharray: 5 3 }\n",
    );
    if parts.groups {
        style.push_str(".inset { fill: none }\n");
    }
    let groups = GROUP_COLOURS.iter().filter(|_| parts.groups);
    let colours: Vec<_> = COLOURS.iter().chain(groups).chain(RUN_COLOURS.iter().filter(|_| parts.runs)).collect();
    let rules = |dark: bool| -> String {
        let rule = |&&(selector, property, (light, in_dark)): &&(&str, &str, Colour)| {
            format!("{selector} {{ {property}: {} }}\n", if dark { in_dark } else { light })
        };
        colours.iter().map(rule).collect()
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
