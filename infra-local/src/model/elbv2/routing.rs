//! Routing of a listener's requests: rules, conditions, and actions.

use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// A rule: an action for the requests that meet all conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
    pub(crate) tags: Tags,
}

/// Condition on a request. A match with one of several values is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", content = "values", rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// Patterns with `*` and `?`, case-sensitive.
    PathPattern(Vec<String>),
    /// Patterns for the host name, not case-sensitive.
    HostHeader(Vec<String>),
    /// Patterns for the values of one header.
    HttpHeader { name: String, values: Vec<String> },
    /// Methods, case-sensitive.
    HttpRequestMethod(Vec<String>),
    /// Patterns for a parameter's value, and optionally for its key.
    QueryString(Vec<Parameter>),
    /// Address ranges.
    SourceIp(Vec<String>),
}

/// A pattern for a parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: Option<String>,
    pub(crate) value: String,
}

/// Action for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Forwards the request to a target of one of the groups.
    Forward(Forward),
    /// Redirects the client.
    Redirect(Redirect),
    /// Responds with a fixed response.
    FixedResponse(FixedResponse),
}

/// Target groups, and the stickiness of clients to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forward {
    pub(crate) target_groups: Vec<WeightedGroup>,
    pub(crate) sticky: bool,
    /// Stickiness duration of the target group, in seconds.
    pub(crate) sticky_seconds: Option<u32>,
}

/// A target group with its weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WeightedGroup {
    /// ARN of the target group.
    pub(crate) target_group: String,
    pub(crate) weight: u32,
}

/// A redirect. `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for the parts of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Redirect {
    pub(crate) protocol: String,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// 301 or 302.
    pub(crate) status: u16,
}

/// A fixed response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FixedResponse {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<String>,
}

impl Action {
    /// Returns the ARNs of the target groups of the action.
    pub(crate) fn target_groups(&self) -> impl Iterator<Item = &str> {
        let groups = match self {
            Action::Forward(forward) => forward.target_groups.as_slice(),
            Action::Redirect(_) | Action::FixedResponse(_) => &[],
        };
        groups.iter().map(|group| group.target_group.as_str())
    }
}
