//! Faults of the local cloud: the active ones, the past ones, and the request of a new one.

use super::{
    Context, Problem, Query,
    events::{EventKind, Events, only_local},
    inventory::{self, Inventory, Kind, Resource},
    schemas::DiagnosticSchema,
};
use crate::audit::{self, Action};
use infra_core::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The place outside of the cloud.
const INTERNET: &str = "internet";

/// The longest delay of packets, in milliseconds.
const LONGEST_DELAY: u64 = 60_000;

/// The longest name of a resource or pattern of operations.
const NAME: usize = 256;

/// A fault, in the form of the local cloud's `POST /_infra/fault`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// The host of an instance fails.
    KillInstance { instance: String },
    /// An availability zone fails.
    LoseZone { zone: String },
    /// A failed zone works again.
    RestoreZone { zone: String },
    /// Requests are refused with a throttling error.
    Throttle(Requests),
    /// Requests fail with an internal error and have no effect.
    Errors(Requests),
    /// Requests are carried out, and their responses are dropped.
    DropAnswers(Requests),
    /// Requests are delayed.
    Latency {
        milliseconds: u64,
        #[serde(flatten)]
        requests: Requests,
    },
    /// Reads return an earlier state; 0 ends the fault.
    Lag { milliseconds: u64 },
    /// Packets between two places are dropped.
    Partition { between: [String; 2] },
    /// A part of the packets between two places is dropped.
    PacketLoss { between: [String; 2], percent: u8 },
    /// Packets between two places are delayed.
    NetworkLatency { between: [String; 2], milliseconds: u64 },
    /// One fault of requests or of the network ends.
    End {
        /// Number of the fault, from the request in `end` of the active fault.
        number: u64,
    },
    /// All faults end.
    Clear,
}

/// Requests that a fault applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Requests {
    /// Pattern of operations, such as `ec2:Run*`.
    #[serde(default = "all")]
    pub(crate) operation: String,
    /// Probability of a request to be affected.
    #[serde(default = "always")]
    pub(crate) percent: u8,
    /// Number of requests to affect; unlimited if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
}

fn all() -> String {
    "*".to_owned()
}

fn always() -> u8 {
    100
}

/// The faults of the local cloud and the choices for a new one.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Faults {
    pub(crate) active: Vec<ActiveFault>,
    /// Faults that were injected and ended, the oldest first.
    pub(crate) past: Events,
    /// Reason why the past faults are not known.
    #[schemars(with = "Option<DiagnosticSchema>")]
    pub(crate) past_problem: Option<Diagnostic>,
    /// Instances that can be killed.
    pub(crate) instances: Vec<Resource>,
    pub(crate) zones: BTreeSet<String>,
    /// Sides of network faults.
    pub(crate) places: Vec<Place>,
    /// Reason why faults of the network are impossible.
    pub(crate) network_problem: Option<String>,
    /// `true` if the console may inject and end faults.
    pub(crate) allow_changes: bool,
}

/// An active fault.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ActiveFault {
    pub(crate) text: String,
    /// The request that ends only this fault. A local cloud of an earlier version ends the others together.
    pub(crate) end: Option<Fault>,
}

/// A side of a network fault.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) label: String,
}

/// The parameters of the faults: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsQuery {}

impl Query for FaultsQuery {
    type View = Faults;

    async fn load(self, context: &Context) -> Result<Faults, Problem> {
        Faults::load(context).await
    }
}

impl Faults {
    /// Reads the faults. A cloud without events has faults, too.
    pub(crate) async fn load(context: &Context) -> Result<Self, Problem> {
        only_local(context)?;
        let (inventory, events) = tokio::join!(Inventory::load(context), Events::load(context));
        let inventory = inventory?;
        let (past, past_problem) = match events {
            Ok(events) => (events.filtered(|event| event.kind == EventKind::Fault), None),
            Err(problem) => (Events::default(), Some(problem.diagnostic)),
        };
        let active = if inventory.active_faults.is_empty() {
            inventory.faults.iter().map(|text| ActiveFault::described(text)).collect()
        } else {
            inventory.active_faults.iter().map(ActiveFault::of).collect()
        };
        let exists = |instance: &&Resource| !matches!(instance.state.as_str(), "terminated" | "shutting-down");
        Ok(Self {
            past,
            past_problem,
            instances: inventory.of_kind(Kind::Instance).filter(exists).cloned().collect(),
            places: places(&inventory),
            network_problem: network_problem(&inventory),
            zones: inventory.zones,
            active,
            allow_changes: context.allow_changes,
        })
    }
}

impl ActiveFault {
    /// Converts a fault with the request that ends it. A request that this version does not know is left out.
    fn of(active: &inventory::ActiveFault) -> Self {
        let end = active.end.clone().and_then(|end| serde_json::from_value(end).ok());
        Self { text: active.text.clone(), end }
    }

    /// Recognises the faults of an earlier version that can be ended alone by their descriptions.
    fn described(text: &str) -> Self {
        let zone = text.strip_prefix("the zone ").and_then(|rest| rest.strip_suffix(" is lost"));
        let lags = text.starts_with("answers are ") && text.ends_with(" ms old");
        let end = match zone {
            Some(zone) => Some(Fault::RestoreZone { zone: zone.to_owned() }),
            None => lags.then_some(Fault::Lag { milliseconds: 0 }),
        };
        Self { text: text.to_owned(), end }
    }
}

fn places(inventory: &Inventory) -> Vec<Place> {
    let exists = |resource: &&Resource| !matches!(resource.state.as_str(), "terminated" | "shutting-down");
    let has_interface = |resource: &&Resource| resource.kind != Kind::Group;
    let resources = inventory.resources.iter().filter(exists).filter(has_interface);
    let resources = resources.map(|resource| Place {
        id: resource.id.clone(),
        label: format!("{} {}", resource.kind.name(), resource.label()),
    });
    let zones = inventory.zones.iter().map(|zone| Place { id: zone.clone(), label: format!("zone {zone}") });
    let internet = Place { id: INTERNET.to_owned(), label: INTERNET.to_owned() };
    [internet].into_iter().chain(zones).chain(resources).collect()
}

fn network_problem(inventory: &Inventory) -> Option<String> {
    let reason = inventory.network.reason.as_deref().unwrap_or("the cloud uses the loopback interface");
    (!inventory.network.namespaces).then(|| {
        format!(
            "network faults need network namespaces, but {reason}: stop the cloud, and start it with `stack local start \
             --network namespaces`"
        )
    })
}

impl Fault {
    /// Refuses values that no cloud accepts, so that they are not recorded.
    fn check(&self) -> Result<(), Problem> {
        let is_name = |name: &str| !name.trim().is_empty() && name.len() <= NAME && !name.contains(char::is_control);
        let is_percent = |percent: u8| (1..=100).contains(&percent);
        let reason = match self {
            Fault::KillInstance { instance } if !is_name(instance) => "choose an instance",
            Fault::LoseZone { zone } | Fault::RestoreZone { zone } if !is_name(zone) => "choose a zone",
            Fault::Throttle(requests)
            | Fault::Errors(requests)
            | Fault::DropAnswers(requests)
            | Fault::Latency { requests, .. }
                if !is_name(&requests.operation) || !is_percent(requests.percent) || requests.count == Some(0) =>
            {
                "name a pattern of operations, a percentage from 1 to 100, and at least one request"
            }
            Fault::Partition { between }
            | Fault::PacketLoss { between, .. }
            | Fault::NetworkLatency { between, .. }
                if !between.iter().all(|place| is_name(place)) || between[0] == between[1] =>
            {
                "choose two different places"
            }
            Fault::PacketLoss { percent, .. } if !is_percent(*percent) => "the percentage must be from 1 to 100",
            Fault::NetworkLatency { milliseconds, .. } if !(1..=LONGEST_DELAY).contains(milliseconds) => {
                "the delay must be from 1 to 60000 ms"
            }
            _ => return Ok(()),
        };
        Err(invalid("the fault is incomplete or out of range", reason))
    }

    fn concerns_network(&self) -> bool {
        matches!(self, Fault::Partition { .. } | Fault::PacketLoss { .. } | Fault::NetworkLatency { .. })
    }

    /// Injects or ends a fault, once the request is recorded in the audit file. Returns a description of the effect.
    pub(crate) async fn inject(&self, context: &Context) -> Result<String, Problem> {
        only_local(context)?;
        if !context.allow_changes {
            return Err(Problem::read_only());
        }
        self.check()?;
        let (source, cloud) = (&context.source, context.cloud()?);
        if self.concerns_network()
            && let Some(reason) = network_problem(&Inventory::load(context).await?)
        {
            return Err(Problem::invalid(Diagnostic::error(reason)));
        }
        let document = serde_json::to_value(self).map_err(std::io::Error::from);
        let recorded = document.and_then(|document| {
            let action = Action::FaultRequested { fault: &document };
            audit::record(source.directory(), source.program(), source.stack(), action).map(|()| document)
        });
        let document = recorded.map_err(|error| Problem::not_recorded("nothing was changed", &error))?;
        let answer = cloud.post("fault", &document).await?;
        Ok(answer["done"].as_str().unwrap_or("the fault is injected").to_owned())
    }
}

/// Returns the problem of a request with invalid values.
pub(crate) fn invalid(summary: &str, hint: &str) -> Problem {
    Problem::invalid(Diagnostic::error(summary).hint(hint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_have_the_form_of_the_local_cloud() {
        let requests = || Requests { operation: "ec2:Run*".to_owned(), percent: 20, count: None };
        let between = || ["a".to_owned(), "b".to_owned()];
        let texts = [
            Fault::KillInstance { instance: "i-1".to_owned() },
            Fault::LoseZone { zone: "us-east-1a".to_owned() },
            Fault::Throttle(Requests { count: Some(3), ..requests() }),
            Fault::DropAnswers(requests()),
            Fault::Latency { milliseconds: 5, requests: requests() },
            Fault::PacketLoss { between: between(), percent: 5 },
            Fault::NetworkLatency { between: between(), milliseconds: 7 },
            Fault::Clear,
        ]
        .map(|fault| {
            let text = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
            text
        });
        insta::assert_snapshot!(texts.join("\n"), @r#"
        {"fault":"kill-instance","instance":"i-1"}
        {"fault":"lose-zone","zone":"us-east-1a"}
        {"fault":"throttle","operation":"ec2:Run*","percent":20,"count":3}
        {"fault":"drop-answers","operation":"ec2:Run*","percent":20}
        {"fault":"latency","milliseconds":5,"operation":"ec2:Run*","percent":20}
        {"fault":"packet-loss","between":["a","b"],"percent":5}
        {"fault":"network-latency","between":["a","b"],"milliseconds":7}
        {"fault":"clear"}
        "#);
    }

    #[test]
    fn omitted_values_of_requests_have_defaults() {
        let fault: Fault = serde_json::from_value(json!({ "fault": "errors" })).unwrap();
        assert_eq!(fault, Fault::Errors(Requests { operation: "*".to_owned(), percent: 100, count: None }));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let refused = |fault: serde_json::Value| {
            let fault: Fault = serde_json::from_value(fault).unwrap();
            fault.check().unwrap_err().diagnostic.hint.unwrap()
        };
        assert_eq!(refused(json!({ "fault": "kill-instance", "instance": " " })), "choose an instance");
        refused(json!({ "fault": "throttle", "percent": 0 }));
        refused(json!({ "fault": "latency", "milliseconds": 5, "count": 0 }));
        refused(json!({ "fault": "partition", "between": ["a", "a"] }));
        refused(json!({ "fault": "packet-loss", "between": ["a", "b"], "percent": 101 }));
        refused(json!({ "fault": "network-latency", "between": ["a", "b"], "milliseconds": 0 }));
    }

    #[test]
    fn zones_and_lags_end_alone() {
        let end = |text| ActiveFault::described(text).end;
        assert_eq!(end("the zone us-east-1a is lost"), Some(Fault::RestoreZone { zone: "us-east-1a".to_owned() }));
        assert_eq!(end("answers are 500 ms old"), Some(Fault::Lag { milliseconds: 0 }));
        assert_eq!(end("20% of ec2:Run* are throttled"), None);
    }
}
