//! HTML pages, one file per page. A page is complete without its script, which updates it in place.

mod assets;
mod calls;
mod faults;
mod figures;
mod filters;
mod form;
mod graph;
mod logs;
pub(crate) mod metrics;
mod network;
mod outcomes;
mod plan;
mod resource;
mod runs;

use crate::{
    access::{Access, Caller},
    views::{Context, Problem, plan::Plans},
};
use askama::Template;
use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use infra_core::diagnostic::Diagnostic;
use std::{convert::Infallible, sync::Arc};

/// State of all handlers.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) access: Arc<Access>,
    pub(crate) outcomes: Arc<outcomes::Outcomes>,
}

/// The pages in the navigation: path, title.
const NAVIGATION: &[(&str, &str)] = &[
    ("/", "Graph"),
    ("/network", "Network"),
    ("/runs", "Runs"),
    ("/plan", "Plan"),
    ("/logs", "Logs"),
    ("/metrics", "Metrics"),
    ("/calls", "API calls"),
    ("/faults", "Faults"),
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(graph::page))
        .route("/network", get(network::page))
        .route("/resources/{*urn}", get(resource::page).post(resource::reveal))
        .route("/controls", post(resource::control))
        .merge(plan::routes())
        .merge(runs::routes())
        .route("/metrics", get(metrics::page))
        .route("/metrics/plot.svg", get(metrics::picture))
        .route("/metrics/data.csv", get(metrics::values_file))
        .merge(faults::routes())
        .route("/calls", get(calls::list))
        .route("/calls/{number}", get(calls::one))
        .route("/logs", get(logs::page))
        .merge(assets::routes())
}

/// The part of a page that all pages share.
pub(crate) struct Frame {
    pub(crate) program: String,
    pub(crate) stack: String,
    pub(crate) target: String,
    pub(crate) csrf: String,
    pub(crate) allow_changes: bool,
    path: String,
}

impl Frame {
    pub(crate) fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        NAVIGATION.iter().map(|(path, title)| {
            let current = if *path == "/" { self.path == "/" } else { self.path.starts_with(path) };
            (*path, *title, current)
        })
    }
}

impl FromRequestParts<Shared> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Infallible> {
        let csrf = parts.extensions.get::<Caller>().map(|caller| caller.csrf.clone()).unwrap_or_default();
        let context = &shared.context;
        Ok(Self {
            program: context.source.program().to_owned(),
            stack: context.source.stack().to_owned(),
            target: context.source.target().to_owned(),
            csrf,
            allow_changes: context.allow_changes,
            path: parts.uri.path().to_owned(),
        })
    }
}

/// A page, or the page of the problem.
type Page = Result<Response, Failure>;

/// A problem as a page.
pub(crate) struct Failure {
    frame: Frame,
    problem: Problem,
}

impl Failure {
    /// Returns a function that converts problems of this page.
    pub(crate) fn of<P: Into<Problem>>(frame: Frame) -> impl FnOnce(P) -> Self {
        |problem| Self { frame, problem: problem.into() }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: &'a Frame,
    diagnostic: &'a Diagnostic,
    topics: &'static str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let page = ProblemPage { frame: &self.frame, diagnostic: &self.problem.diagnostic, topics: "stack cloud" };
        (self.problem.status, render(&page)).into_response()
    }
}

/// Renders a page.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be rendered: {error}\n")).into_response()
        }
    }
}

/// Refuses a change without the CSRF token of the caller's session.
pub(crate) fn check_csrf(caller: &Caller, csrf: &str) -> Result<(), Problem> {
    if caller.may_change(csrf) {
        return Ok(());
    }
    let refused = Diagnostic::error("the form belongs to another session");
    Err(Problem::refused(refused.hint("load the page again, and repeat the request")))
}

/// Refuses a change if the console only reads.
fn check_change(frame: &Frame) -> Result<(), Problem> {
    if frame.allow_changes { Ok(()) } else { Err(Problem::read_only()) }
}

/// Returns a duration for people.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1_000.0),
        _ => format!("{} min {:02} s", milliseconds / 60_000, milliseconds / 1_000 % 60),
    }
}

/// Responds to paths that do not exist.
pub(crate) async fn unknown(frame: Frame) -> Failure {
    let missing = Diagnostic::error(format!("there is no page `{}`", frame.path));
    Failure { problem: Problem::not_found(missing.hint("the pages are in the navigation")), frame }
}
