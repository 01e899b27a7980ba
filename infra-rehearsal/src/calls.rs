//! The API calls of a rehearsal.

use infra_core::Urn;
use infra_local::AuthorisedAction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request to the scratch cloud, as its endpoint recorded it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Record")]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) service: String,
    pub(crate) operation: String,
    /// Name of the CloudFormation type of a request to Cloud Control.
    pub(crate) type_name: Option<String>,
    /// URN of the resource that the request was sent for.
    pub(crate) resource: String,
    pub(crate) error: Option<CallError>,
    /// The actions that the request needed permission for.
    pub(crate) decisions: Vec<AuthorisedAction>,
    /// The result of the evaluation of each of them, `true` if it was allowed.
    pub(crate) allowed: Vec<bool>,
    /// The parameters of a request with an error, without secrets.
    pub(crate) parameters: Value,
}

/// The form of a request in `GET /_infra/calls`.
#[derive(Deserialize)]
struct Record {
    number: u64,
    service: String,
    operation: String,
    #[serde(default)]
    parameters: Value,
    #[serde(default)]
    resource: String,
    error: Option<CallError>,
    #[serde(default)]
    decisions: Vec<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    allowed: bool,
    #[serde(flatten)]
    action: AuthorisedAction,
}

/// Condition keys with times, without which equal authorisations of different requests are equal.
const TIMES: &[&str] = &["aws:CurrentTime", "aws:EpochTime", "aws:TokenIssueTime"];

impl From<Record> for Call {
    fn from(record: Record) -> Call {
        let Record { number, service, operation, parameters, resource, error, decisions } = record;
        let type_name = parameters["TypeName"].as_str().map(str::to_owned);
        let parameters = if error.is_some() { parameters } else { Value::Null };
        let allowed = decisions.iter().map(|decision| decision.allowed).collect();
        let timeless = |mut action: AuthorisedAction| {
            action.context.retain(|key, _| !TIMES.contains(&key.as_str()));
            action
        };
        let decisions = decisions.into_iter().map(|decision| timeless(decision.action)).collect();
        Call { number, service, operation, type_name, resource, error, decisions, allowed, parameters }
    }
}

/// An error of the scratch cloud.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CallError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The number of calls of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallCount {
    /// Service and operation, such as `ec2:RunInstances`.
    pub operation: String,
    /// Number of requests.
    pub count: usize,
}

/// Codes with which the local cloud refuses a request that it cannot honour, although AWS may.
const UNSUPPORTED: &[&str] = &[
    "UnsupportedParameter",
    "InvalidAction",
    "UnknownOperationException",
    "UnknownService",
    "UnsupportedActionException",
    "TypeNotFoundException",
    "NotImplemented",
];

impl Call {
    /// Returns whether the call was sent for this resource.
    pub(crate) fn is_for(&self, urn: &Urn) -> bool {
        self.resource == urn.to_string()
    }

    /// Returns the limit of the local cloud that made the call fail, if it lacks the operation, a parameter or the type.
    pub(crate) fn unsupported(&self) -> Option<String> {
        let error = self.error.as_ref().filter(|error| UNSUPPORTED.contains(&error.code.as_str()))?;
        Some(format!("the local cloud cannot execute {}: {}", self.name(), error.message))
    }

    /// Returns the service and the operation.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

/// Counts calls by operation, in the order of the first call.
pub(crate) fn count<'a>(calls: impl Iterator<Item = &'a Call>) -> Vec<CallCount> {
    let mut counts: Vec<CallCount> = Vec::new();
    for call in calls {
        let operation = call.name();
        match counts.iter_mut().find(|known| known.operation == operation) {
            Some(known) => known.count += 1,
            None => counts.push(CallCount { operation, count: 1 }),
        }
    }
    counts
}
