//! Page of the API: the routes, and how programs use them.

use super::{ROUTES, Route};
use crate::pages::{Frame, Shared, render};
use askama::Template;
use axum::{extract::State, response::Response};

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    frame: Frame,
    /// Address of the console.
    address: String,
    /// File with the token.
    file: String,
    routes: &'static [Route],
    topics: &'static str,
}

/// Splits a description at its backticks. Returns whether each part is code.
fn parts(about: &str) -> impl Iterator<Item = (bool, &str)> {
    about.split('`').enumerate().map(|(index, text)| (index % 2 == 1, text))
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame) -> Response {
    let file = shared.context.source.directory().join("console.json").display().to_string();
    render(&ApiPage { frame, address: shared.access.address().to_string(), file, routes: ROUTES, topics: "" })
}
