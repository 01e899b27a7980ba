//! Page of the faults: the active ones, controls for new ones, and their effect.

use super::{
    Failure, Frame, Page, Shared,
    figures::Figures,
    form::{Checked, Submitted},
    metrics::parameters,
    outcomes::{Outcome, Shown},
    render,
};
use crate::views::{
    Problem,
    events::Events,
    faults::{ActiveFault, Fault, Faults, Requests, invalid},
    metrics::{Metrics, Query},
};
use askama::Template;
use axum::{
    Router,
    extract::{Query as Parameters, State, rejection::QueryRejection},
    routing::get,
};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;
use std::str::FromStr;

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
    Router::new().route("/faults", get(page).post(change))
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

async fn page(State(shared): State<Shared>, frame: Frame, shown: Result<Parameters<Shown>, QueryRejection>) -> Page {
    let loaded = async {
        let shown: Shown = parameters(shown)?;
        let query = Query::default();
        let (faults, metrics) = tokio::join!(Faults::load(&shared.context), Metrics::load(&shared.context, &query));
        let figures = metrics.and_then(|metrics| Figures::render(&metrics.sections, &metrics.range, ""));
        Ok((faults?, figures, shared.outcomes.shown(&shown)))
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

/// Identifies an active fault on the page. Two faults may have the same description.
fn key(fault: &ActiveFault) -> String {
    match &fault.end {
        Some(Fault::End { number }) => number.to_string(),
        _ => fault.text.clone(),
    }
}

/// The fields of all forms. A form has the fields of its fault, and the others are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FaultForm {
    fault: String,
    instance: String,
    zone: String,
    operation: String,
    percent: String,
    count: String,
    milliseconds: String,
    one: String,
    other: String,
    number: String,
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
            "end" => Fault::End { number: number("number of the fault", &self.number)? },
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
async fn change(State(shared): State<Shared>, frame: Frame, form: Submitted<FaultForm>) -> Page {
    let done = async {
        let Checked(form) = form?;
        form.fault()?.inject(&shared.context).await
    };
    shared.outcomes.redirect("/faults", done.await).map_err(Failure::of(frame))
}
