//! Page of a resource.

use super::{Failure, Frame, Page, Shared, check_csrf, render};
use crate::{
    access::Caller,
    views::properties::Property,
    views::resource::{Part, Record, Related, Resource, Secret, reveal as reveal_secret},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, State},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage {
    frame: Frame,
    resource: Resource,
    /// The secret that the user has requested, with its part.
    shown: Option<(Part, Secret)>,
    topics: &'static str,
}

impl ResourcePage {
    fn record(&self) -> Option<&Record> {
        self.resource.current.as_ref()
    }

    fn related(&self) -> [(&'static str, &[Related]); 2] {
        [("Uses", &self.resource.uses), ("Used by", &self.resource.used_by)]
    }

    fn secret(&self, part: &str, path: &str) -> Option<&str> {
        let (shown, secret) = self.shown.as_ref()?;
        (shown.name() == part && secret.path == path).then_some(secret.value.as_str())
    }
}

/// Returns the recorded values: the title, the name of the part, the rows.
fn parts(record: &Record) -> [(&'static str, &'static str, &[Property]); 2] {
    [("Inputs", "inputs", &record.inputs), ("Outputs", "outputs", &record.outputs)]
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Inputs => "inputs",
            Part::Outputs => "outputs",
        }
    }
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, Path(urn): Path<String>) -> Page {
    match Resource::load(&shared.context, &urn).await {
        Ok(resource) => Ok(render(&ResourcePage { frame, resource, shown: None, topics: "stack" })),
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    csrf: String,
    part: Part,
    path: String,
}

/// Shows the page with one secret in plain text. The page is not updated, so that the secret stays until the user leaves.
pub(super) async fn reveal(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Path(urn): Path<String>,
    Form(wanted): Form<Wanted>,
) -> Page {
    let found = async {
        check_csrf(&caller, &wanted.csrf)?;
        let secret = reveal_secret(&shared.context, &urn, wanted.part, &wanted.path).await?;
        Ok((Resource::load(&shared.context, &urn).await?, secret))
    };
    match found.await {
        Ok((resource, secret)) => {
            Ok(render(&ResourcePage { frame, resource, shown: Some((wanted.part, secret)), topics: "" }))
        }
        Err(problem) => Err(Failure::of::<crate::views::Problem>(frame)(problem)),
    }
}
