//! Style sheet, script and icon.

use super::Shared;
use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use infra_graph::{Theme, style_sheet};

const STYLE: &str = include_str!("../../assets/console.css");
/// The style sheet of a page, by its name.
const STYLES: &[(&str, &str)] = &[
    ("faults", include_str!("../../assets/faults.css")),
    ("logs", include_str!("../../assets/logs.css")),
    ("metrics", include_str!("../../assets/metrics.css")),
    ("runs", include_str!("../../assets/runs.css")),
];

/// The style sheet of the page with the graph, without the rules of the picture.
const GRAPH_STYLE: &str = include_str!("../../assets/graph.css");

/// The script of a page, by its name.
const SCRIPTS: &[(&str, &str)] = &[
    ("graph", include_str!("../../assets/graph.js")),
    ("logs", include_str!("../../assets/logs.js")),
    ("metrics", include_str!("../../assets/metrics.js")),
];

const SCRIPT: &str = include_str!("../../assets/console.js");
const ICON: &str = include_str!("../../assets/icon.svg");

pub(super) fn routes() -> Router<Shared> {
    let pages = STYLES.iter().map(|(name, style)| (format!("/assets/{name}.css"), "text/css; charset=utf-8", *style));
    let scripts =
        SCRIPTS.iter().map(|(name, script)| (format!("/assets/{name}.js"), "text/javascript; charset=utf-8", *script));
    let routes = pages.chain(scripts).fold(Router::new(), |routes, (path, content_type, content)| {
        routes.route(&path, get(async move || asset(content_type, content)))
    });
    routes
        .route("/assets/graph.css", get(async || asset("text/css; charset=utf-8", graph_style())))
        .route("/assets/console.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/assets/console.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/assets/icon.svg", get(async || asset("image/svg+xml", ICON)))
}

/// Nests the rules of the picture, whose selectors are general.
fn graph_style() -> String {
    format!("{GRAPH_STYLE}.drawing {{\n{}}}\n", style_sheet(Theme::Auto))
}

/// The files change only with the executable, but keep their names, so a browser asks each time.
fn asset<C: IntoResponse>(content_type: &'static str, content: C) -> impl IntoResponse + use<C> {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], content)
}
