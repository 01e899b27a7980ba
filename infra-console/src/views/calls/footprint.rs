//! Recognition of the calls that were made for a resource.
//!
//! Requests carry no reference to a step. A call belongs to a resource if it was made during a step of the resource, in
//! its region, and names the resource: by an ID, a name, the URN in the tag `infra:urn`, or the ID of an operation, which is
//! the client token of creations. In a creation, only the answer may name the ID. At other times, a call belongs to a
//! resource if its parameters name the resource: a refresh reads it, and a user may call operations.

use super::record::{Call, Relation};
use crate::views::{
    Context, Problem,
    history::{self, Past},
    system::System,
};
use chrono::{DateTime, TimeDelta, Utc};
use infra_core::{
    diagnostic::{Diagnostic, did_you_mean},
    state::{Generation, ResourceState},
    urn::Urn,
};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Tolerance at the limits of a step, because records have milliseconds.
const TOLERANCE: TimeDelta = TimeDelta::milliseconds(2);

/// The shortest name that identifies a resource. Shorter ones, such as `web`, are in many requests.
const SHORTEST: usize = 6;

/// Beginning of the URNs in tags.
const URN: &str = "urn:infra:";

/// Services whose credential scope names no region of a resource.
const GLOBAL: &[&str] = &["iam", "sts"];

/// Outputs and inputs that identify a resource in requests.
const NAMES: &[&str] = &["id", "arn", "name", "identifier", "bucket", "label", "address", "endpoint"];

/// Everything that identifies the calls of a resource.
#[derive(Debug, Default)]
pub(super) struct Footprint {
    urn: String,
    /// IDs, names and operations.
    terms: BTreeSet<String>,
    steps: Vec<Window>,
}

/// Time and region of a step.
#[derive(Debug)]
struct Window {
    from: DateTime<Utc>,
    /// `None` while it is executed.
    to: Option<DateTime<Utc>>,
    region: Option<String>,
}

impl Footprint {
    /// Reads the state and the records of a resource.
    pub(super) async fn load(context: &Context, urn: &str) -> Result<Self, Problem> {
        let system = System::load(context).await?;
        let known = system.urns();
        let Some(urn) = known.iter().find(|known| known.as_str() == urn).copied() else {
            let missing = Diagnostic::error(format!("the stack has no resource `{urn}`"));
            let near = did_you_mean(urn, known.iter().map(|known| known.as_str()));
            return Err(Problem::not_found(missing.hint(near.unwrap_or_else(|| "choose one of the graph".to_owned()))));
        };
        Ok(Self::of(&system, urn, &history::of_resource(context, urn)))
    }

    /// Collects the terms and the steps of a resource.
    pub(super) fn of(system: &System, urn: &Urn, past: &[Past]) -> Self {
        let mut footprint = Self { urn: urn.to_string(), ..Self::default() };
        let recorded: Option<&ResourceState> = system.state.as_ref().and_then(|state| state.resources.get(urn));
        for generation in recorded.iter().flat_map(|resource| resource.current.iter().chain(&resource.deposed)) {
            footprint.add_generation(generation);
        }
        let region = recorded.and_then(|resource| resource.current.as_ref()?.region.clone());
        let open = system.state.iter().flat_map(|state| &state.open).filter(|open| open.request.urn == *urn);
        for open in open {
            footprint.add(open.request.operation.as_str());
            footprint.add_id(open.request.id.as_deref());
        }
        for event in past {
            let Some(step) = event.step() else { continue };
            footprint.add_id(step.id.as_deref());
            let elapsed = step.step.elapsed_ms().map(|elapsed| i64::try_from(elapsed).unwrap_or(i64::MAX));
            let to = elapsed.map(|elapsed| event.at + TimeDelta::milliseconds(elapsed) + TOLERANCE);
            let region = step.region.clone().or_else(|| region.clone());
            footprint.steps.push(Window { from: event.at - TOLERANCE, to, region });
        }
        footprint
    }

    fn add_generation(&mut self, generation: &Generation) {
        self.add_id(generation.id.as_deref());
        if let Some(operation) = &generation.operation {
            self.add(operation.as_str());
        }
        for values in [&generation.inputs, &generation.outputs] {
            // Secrets are masked, so they are no terms.
            let values = values.masked();
            let named = values.as_object().into_iter().flatten();
            for (_, value) in named.filter(|(name, _)| NAMES.contains(&name.as_str())) {
                self.add(value.as_str().unwrap_or_default());
            }
        }
    }

    /// Adds an ID. That of a resource of Cloud Control is `TYPE|IDENTIFIER`.
    fn add_id(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            self.terms.insert(id.split_once('|').map_or(id, |(_, id)| id).to_owned());
        }
    }

    fn add(&mut self, term: &str) {
        if term.len() >= SHORTEST {
            self.terms.insert(term.to_owned());
        }
    }

    /// Returns the relation of a call to the resource, if it has one.
    pub(super) fn relation(&self, call: &Call) -> Option<Relation> {
        let mut names = Names::default();
        names.collect(self, &call.parameters);
        if names.other_urn && !names.own_urn {
            return None;
        }
        let is_named = names.own_urn || names.term;
        let in_step = self.steps.iter().any(|step| step.contains(call));
        match (in_step, is_named) {
            (true, true) => Some(Relation::Step),
            (true, false) => self.is_in_answer(&call.answer).then_some(Relation::Step),
            (false, true) => Some(Relation::Named),
            (false, false) => None,
        }
    }

    /// Returns whether an answer contains a term as a whole word.
    fn is_in_answer(&self, answer: &str) -> bool {
        let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        self.terms.iter().any(|term| {
            answer.match_indices(term.as_str()).any(|(at, _)| {
                let (before, after) = (&answer[..at], &answer[at + term.len()..]);
                !before.ends_with(is_part) && !after.starts_with(is_part)
            })
        })
    }
}

impl Window {
    fn contains(&self, call: &Call) -> bool {
        let is_there =
            GLOBAL.contains(&call.service.as_str()) || self.region.as_ref().is_none_or(|region| *region == call.region);
        is_there && call.at >= self.from && self.to.is_none_or(|to| call.at <= to)
    }
}

/// Names among the parameters of a call.
#[derive(Default)]
struct Names {
    term: bool,
    own_urn: bool,
    other_urn: bool,
}

impl Names {
    fn collect(&mut self, footprint: &Footprint, value: &Json) {
        match value {
            Json::String(text) => {
                self.term |= footprint.terms.contains(text);
                self.own_urn |= *text == footprint.urn;
                self.other_urn |= text.starts_with(URN) && *text != footprint.urn;
            }
            Json::Array(items) => items.iter().for_each(|item| self.collect(footprint, item)),
            Json::Object(members) => members.values().for_each(|member| self.collect(footprint, member)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
}
