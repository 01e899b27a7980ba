//! Page of a resource.

use super::{
    Failure, Frame, Page, Shared,
    form::{Checked, Submitted},
    metrics::parameters,
    outcomes::{Outcome, Shown},
    render,
};
use crate::views::{
    Problem,
    calls::{Call, Relation},
    controls::{Choice, ControlRequest},
    graph::encoded,
    history::{Past, PastEvent},
    plan::Change,
    properties::Property,
    resource::{Part, Record, Related, Resource, Secret, reveal as reveal_secret},
};
use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use chrono::SecondsFormat;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage {
    frame: Frame,
    resource: Resource,
    /// The secret that the user has requested, with its part.
    shown: Option<(Part, Secret)>,
    /// The outcome of a control.
    outcome: Option<Outcome>,
    topics: &'static str,
}

impl ResourcePage {
    fn record(&self) -> Option<&Record> {
        self.resource.current.as_ref()
    }

    /// Returns the attribute that disables a control.
    fn disabled(&self, choice: &Choice) -> &'static str {
        if self.frame.allow_changes && choice.possible { "" } else { "disabled" }
    }

    fn related(&self) -> [(&'static str, &[Related]); 2] {
        [("Uses", &self.resource.uses), ("Used by", &self.resource.used_by)]
    }

    fn secret(&self, part: &str, path: &str) -> Option<&str> {
        let (shown, secret) = self.shown.as_ref()?;
        (shown.name() == part && secret.path == path).then_some(secret.value.as_str())
    }
}

/// Returns the relation of a call to the resource for people.
fn relation(call: &Call) -> &'static str {
    match call.relation {
        Some(Relation::Step) => "in a step",
        Some(Relation::Named) => "names it",
        None => "",
    }
}

/// Identifies an event of the past on the page.
fn past_key(past: &Past) -> String {
    let kind = past.step().map_or_else(String::new, |step| step.step.action.to_string());
    format!("{} {} {kind}", past.run.id, timestamp(past))
}

fn timestamp(past: &Past) -> String {
    past.at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Returns a changed property in one line.
fn described(change: &Change) -> String {
    let [old, new] = [&change.old, &change.new].map(|value| value.as_deref().unwrap_or("nothing"));
    let consequence = if change.replaces { " (replaces the resource)" } else { "" };
    format!("{}: {old} → {new}{consequence}", change.path)
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

pub(super) async fn page(
    State(shared): State<Shared>,
    frame: Frame,
    Path(urn): Path<String>,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Page {
    let loaded = async {
        let shown = parameters(shown)?;
        Ok((Resource::load(&shared.context, &urn).await?, shared.outcomes.shown(&shown)))
    };
    match loaded.await {
        Ok((resource, outcome)) => {
            // A control changes the state that the local cloud reports.
            let topics = if resource.controls.is_some() { "stack cloud" } else { "stack" };
            Ok(render(&ResourcePage { frame, resource, shown: None, outcome, topics }))
        }
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}

/// Starts, stops or restarts, and redirects to the page, which shows the outcome.
pub(super) async fn control(State(shared): State<Shared>, frame: Frame, form: Submitted<ControlRequest>) -> Page {
    let done = async {
        let Checked(request) = form?;
        let done = request.execute(&shared.context).await;
        let path = request.urn.split('/').map(encoded).collect::<Vec<_>>().join("/");
        shared.outcomes.redirect(&format!("/resources/{path}"), done)
    };
    done.await.map_err(Failure::of(frame))
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    part: Part,
    path: String,
}

/// Shows the page with one secret in plain text. The page is not updated, so that the secret stays until the user leaves.
pub(super) async fn reveal(
    State(shared): State<Shared>,
    frame: Frame,
    Path(urn): Path<String>,
    form: Submitted<Wanted>,
) -> Page {
    let found = async {
        let Checked(wanted) = form?;
        let secret = reveal_secret(&shared.context, &urn, wanted.part, &wanted.path).await?;
        Ok((Resource::load(&shared.context, &urn).await?, (wanted.part, secret)))
    };
    match found.await {
        Ok((resource, secret)) => {
            Ok(render(&ResourcePage { frame, resource, shown: Some(secret), outcome: None, topics: "" }))
        }
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}
