//! Routing of a listener's requests: rules, conditions, and actions.

use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// Action for the requests that meet all conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
    pub(crate) tags: Tags,
}

/// Condition on a request. One of several values is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", content = "values", rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// Patterns with `*` and `?`, told apart by case.
    PathPattern(Vec<String>),
    /// Patterns for the host name, whatever its case.
    HostHeader(Vec<String>),
    /// Patterns for the values of one header.
    HttpHeader { name: String, values: Vec<String> },
    /// Methods as they are written.
    HttpRequestMethod(Vec<String>),
    /// Patterns for a parameter's value, and for its key when there is one.
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
    /// A target of one of the groups answers it.
    Forward(Forward),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The balancer answers it itself.
    FixedResponse(FixedResponse),
}

/// Target groups, and whether a client stays with the one it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forward {
    pub(crate) target_groups: Vec<WeightedGroup>,
    pub(crate) sticky: bool,
    /// For how long a client stays.
    pub(crate) sticky_seconds: Option<u32>,
}

/// A share of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WeightedGroup {
    /// ARN of the target group.
    pub(crate) target_group: String,
    pub(crate) weight: u32,
}

/// Target of a redirect, with `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` for what it asked for.
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

/// An answer of the balancer's own.
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
