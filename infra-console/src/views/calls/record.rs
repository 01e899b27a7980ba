//! A call, as the local cloud records it.

use crate::views::text::clean;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The longest shown text of parameters and of an answer, in characters.
const LONGEST: usize = 64 * 1024;

/// A part of the recorded calls.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    /// The oldest first.
    pub(super) calls: Vec<Call>,
}

/// A call to the local cloud. Secrets in parameters and answers are masked by the local cloud.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Call {
    /// Position in the sequence of all calls since the start of the cloud.
    pub(crate) number: u64,
    /// Time of the request.
    pub(crate) at: DateTime<Utc>,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) region: String,
    /// ARN of the identity; `None` if the signature is not valid.
    #[serde(default)]
    pub(crate) caller: Option<String>,
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) parameters: Json,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) error: Option<CallError>,
    /// Beginning of the response's text.
    #[serde(default)]
    pub(crate) answer: String,
    pub(crate) microseconds: u64,
    #[serde(default)]
    pub(crate) decisions: Vec<Decision>,
    /// Relation to the resource whose calls were requested.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(crate) relation: Option<Relation>,
}

/// Relation of a call to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "CallRelation")]
pub(crate) enum Relation {
    /// It was made during a step of the resource.
    Step,
    /// Its parameters name the resource, outside of its steps.
    Named,
}

/// The error of a response.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct CallError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The decision about an action on a resource.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Decision {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) allowed: bool,
    pub(crate) reason: String,
    /// The policy and its statement that decided, if one did.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) statement: Option<String>,
}

impl Decision {
    /// Returns whether the cloud does not enforce policies for the caller.
    pub(crate) fn is_unenforced(&self) -> bool {
        self.allowed && self.reason == "not enforced"
    }
}

impl Call {
    /// Returns whether the response is an error.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some() || self.status >= 400
    }

    /// Returns whether a policy denied an action of the call.
    pub(crate) fn is_denied(&self) -> bool {
        self.decisions.iter().any(|decision| !decision.allowed)
    }

    /// Returns the caller's name without the beginning of the ARN.
    pub(crate) fn short_caller(&self) -> &str {
        let caller = self.caller.as_deref().unwrap_or("unknown");
        caller.splitn(6, ':').nth(5).unwrap_or(caller)
    }

    /// Returns the duration in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "durations of calls are short")]
    pub(crate) fn milliseconds(&self) -> f64 {
        self.microseconds as f64 / 1000.0
    }

    /// Returns the parameters as indented JSON.
    pub(crate) fn parameters_text(&self) -> String {
        clean(&serde_json::to_string_pretty(&self.parameters).unwrap_or_default(), LONGEST)
    }

    /// Returns the answer; JSON is indented.
    pub(crate) fn answer_text(&self) -> String {
        let json = serde_json::from_str::<Json>(&self.answer).ok();
        let indented = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
        clean(indented.as_ref().unwrap_or(&self.answer), LONGEST)
    }
}
