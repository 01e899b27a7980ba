//! Page of the faults: the active ones, controls for new ones, and their effect.

use super::{Failure, Frame, Page, Shared, check_csrf, figures::Figures, metrics::parameters, render};
use crate::{
    access::Caller,
    views::{
        Problem,
        events::Events,
        faults::{Fault, Faults, Requests, invalid},
        metrics::{Metrics, Query},
    },
};
use askama::Template;
use axum::{
    Extension, Form, Router,
    extract::{Query as Parameters, State, rejection::FormRejection, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::get,
};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;
use std::{
    collections::VecDeque,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// Number of outcomes that are kept.
const OUTCOMES: usize = 64;

/// Patterns of operations that are suggested; every other one is possible.
const OPERATIONS: &[&str] = &[
    "*",
    "ec2:*",
    "ec2:RunInstances",
    "ec2:Describe*",
    "autoscaling:*",
    "elasticloadbalancing:*",
    "rds:*",
    "iam:*",
    "ssm:*",
    "s3:GET",
    "s3:PUT",
];

/// The controls of network faults: name, title, description, and the field besides the places.
const NETWORK_FAULTS: &[(&str, &str, &str, &str)] = &[
    ("partition", "Partition", "Drops the packets in both directions, also those of open connections.", ""),
    ("packet-loss", "Packet loss", "Drops each packet with the given probability, in both directions.", "percent"),
    (
        "network-latency",
        "Network latency",
        "Delays each packet in both directions: a round trip takes twice the delay longer.",
        "milliseconds",
    ),
];

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/faults", get(page).post(change)).layer(Extension(Arc::<Outcomes>::default()))
}

/// The outcomes of requests, which the page shows after the redirect.
#[derive(Default)]
struct Outcomes(Mutex<VecDeque<(u64, Outcome)>>);

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done(String),
    Refused(Diagnostic),
}

impl Outcomes {
    /// Keeps an outcome, and returns its number.
    fn add(&self, outcome: Outcome) -> u64 {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = outcomes.back().map_or(1, |(last, _)| last + 1);
        if outcomes.len() == OUTCOMES {
            outcomes.pop_front();
        }
        outcomes.push_back((number, outcome));
        number
    }

    fn find(&self, number: u64) -> Option<Outcome> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().find(|(known, _)| *known == number).map(|(_, outcome)| outcome.clone())
    }
}

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPage {
    frame: Frame,
    outcome: Option<Outcome>,
    faults: Faults,
    events: Events,
    figures: Vec<Figures>,
    /// Reason why there are no plots.
    plot_problem: Option<Diagnostic>,
    topics: &'static str,
}

impl FaultsPage {
    /// Returns the attribute that disables controls.
    fn disabled(&self) -> &'static str {
        if self.frame.allow_changes { "" } else { "disabled" }
    }

    fn network_disabled(&self) -> &'static str {
        if self.faults.network_problem.is_some() { "disabled" } else { self.disabled() }
    }
}

/// Parameters of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// Number of the outcome.
    outcome: Option<u64>,
}

async fn page(
    State(shared): State<Shared>,
    Extension(outcomes): Extension<Arc<Outcomes>>,
    frame: Frame,
    shown: Result<Parameters<Shown>, QueryRejection>,
) -> Page {
    let loaded = async {
        let shown: Shown = parameters(shown)?;
        let query = Query::default();
        let (faults, metrics) = tokio::join!(Faults::load(&shared.context), Metrics::load(&shared.context, &query));
        let figures = metrics.and_then(|metrics| Figures::render(&metrics.sections, &metrics.range, ""));
        Ok((faults?, figures, shown.outcome.and_then(|number| outcomes.find(number))))
    };
    match loaded.await {
        Ok((mut faults, figures, outcome)) => {
            let (figures, plot_problem) = match figures {
                Ok(figures) => (figures, None),
                Err(problem) => (Vec::new(), Some(problem.diagnostic)),
            };
            let mut events = std::mem::take(&mut faults.past);
            events.events.reverse();
            let topics = "clock cloud";
            Ok(render(&FaultsPage { frame, outcome, faults, events, figures, plot_problem, topics }))
        }
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}

/// The fields of all forms. A form has the fields of its fault, and the others are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FaultForm {
    csrf: String,
    fault: String,
    instance: String,
    zone: String,
    operation: String,
    percent: String,
    count: String,
    milliseconds: String,
    one: String,
    other: String,
}

impl FaultForm {
    fn fault(self) -> Result<Fault, Problem> {
        let milliseconds = || number("delay", &self.milliseconds);
        let between = || [self.one.clone(), self.other.clone()];
        Ok(match self.fault.as_str() {
            "kill-instance" => Fault::KillInstance { instance: self.instance },
            "lose-zone" => Fault::LoseZone { zone: self.zone },
            "restore-zone" => Fault::RestoreZone { zone: self.zone },
            "throttle" => Fault::Throttle(self.requests()?),
            "errors" => Fault::Errors(self.requests()?),
            "drop-answers" => Fault::DropAnswers(self.requests()?),
            "latency" => Fault::Latency { milliseconds: milliseconds()?, requests: self.requests()? },
            "lag" => Fault::Lag { milliseconds: milliseconds()? },
            "partition" => Fault::Partition { between: between() },
            "packet-loss" => Fault::PacketLoss { between: between(), percent: number("percentage", &self.percent)? },
            "network-latency" => Fault::NetworkLatency { between: between(), milliseconds: milliseconds()? },
            "clear" => Fault::Clear,
            other => return Err(invalid(&format!("there is no fault `{other}`"), "use the controls of this page")),
        })
    }

    fn requests(&self) -> Result<Requests, Problem> {
        let count = self.count.trim();
        let count = if count.is_empty() { None } else { Some(number("number of requests", count)?) };
        Ok(Requests {
            operation: self.operation.trim().to_owned(),
            percent: number("percentage", &self.percent)?,
            count,
        })
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    let invalid = |_| invalid(&format!("the {name} `{text}` is not a number in its range"), "write digits only");
    text.trim().parse().map_err(invalid)
}

/// Injects or ends a fault, and redirects to the page, which shows the outcome.
async fn change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(outcomes): Extension<Arc<Outcomes>>,
    frame: Frame,
    form: Result<Form<FaultForm>, FormRejection>,
) -> Page {
    let done = async {
        let Form(form) = form.map_err(|error| invalid("the form is invalid", &error.body_text()))?;
        check_csrf(&caller, &form.csrf)?;
        form.fault()?.inject(&shared.context).await
    };
    let outcome = match done.await {
        Ok(done) => Outcome::Done(done),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => Outcome::Refused(problem.diagnostic),
        Err(problem) => return Err(Failure::of::<Problem>(frame)(problem)),
    };
    Ok(Redirect::to(&format!("/faults?outcome={}", outcomes.add(outcome))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_outcomes_are_forgotten() {
        let outcomes = Outcomes::default();
        let numbers: Vec<u64> = (0..=OUTCOMES).map(|index| outcomes.add(Outcome::Done(index.to_string()))).collect();
        assert_eq!(outcomes.find(numbers[0]), None);
        assert_eq!(outcomes.find(numbers[1]), Some(Outcome::Done("1".to_owned())));
        assert_eq!(outcomes.find(numbers[OUTCOMES]), Some(Outcome::Done(OUTCOMES.to_string())));
    }
}
