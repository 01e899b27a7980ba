//! Conditions of listener rules.

use aws_sdk_elasticloadbalancingv2::types::{
    HostHeaderConditionConfig, HttpHeaderConditionConfig, HttpRequestMethodConditionConfig, PathPatternConditionConfig,
    QueryStringConditionConfig, QueryStringKeyValuePair, RuleCondition as Described, SourceIpConditionConfig,
};
use infra_core::provider::Problem;
use serde::{Deserialize, Serialize};

/// A condition that a request meets when one of the values matches. In patterns `*` stands for any text and `?` for one
/// character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Patterns for the path, such as `/images/*`.
    Path(Vec<String>),
    /// Patterns for the host name, such as `*.example.org`.
    Host(Vec<String>),
    /// Patterns for a header.
    Header {
        /// Name of the header.
        name: String,
        /// Patterns for its value.
        values: Vec<String>,
    },
    /// Methods, such as `GET`.
    Method(Vec<String>),
    /// Patterns for parameters of the query.
    Query(Vec<QueryPattern>),
    /// Source addresses, as CIDR blocks.
    Source(Vec<String>),
}

/// A pattern for a parameter of the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryPattern {
    /// Name of the parameter; any parameter when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Pattern for the value.
    pub value: String,
}

impl Condition {
    /// Matches paths by patterns.
    pub fn path(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Path(texts(patterns))
    }

    /// Matches hosts by patterns.
    pub fn host(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Host(texts(patterns))
    }

    /// Matches the values of a header by patterns.
    pub fn header(name: impl Into<String>, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Header { name: name.into(), values: texts(patterns) }
    }

    /// Matches HTTP methods.
    pub fn method(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Method(texts(methods))
    }

    /// Matches a query parameter by a pattern for its value.
    pub fn query(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Query(vec![QueryPattern { key: Some(key.into()), value: value.into() }])
    }

    /// Matches client addresses by CIDR blocks.
    pub fn source(cidrs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Source(texts(cidrs))
    }

    fn count(&self) -> usize {
        match self {
            Self::Path(values)
            | Self::Host(values)
            | Self::Header { values, .. }
            | Self::Method(values)
            | Self::Source(values) => values.len(),
            Self::Query(pairs) => pairs.len(),
        }
    }

    /// Converts the condition for a request.
    pub(super) fn to_sdk(&self) -> Described {
        let condition = Described::builder();
        match self.clone() {
            Self::Path(values) => {
                let config = PathPatternConditionConfig::builder().set_values(Some(values)).build();
                condition.field("path-pattern").path_pattern_config(config)
            }
            Self::Host(values) => {
                let config = HostHeaderConditionConfig::builder().set_values(Some(values)).build();
                condition.field("host-header").host_header_config(config)
            }
            Self::Header { name, values } => {
                let config = HttpHeaderConditionConfig::builder().http_header_name(name).set_values(Some(values));
                condition.field("http-header").http_header_config(config.build())
            }
            Self::Method(values) => {
                let config = HttpRequestMethodConditionConfig::builder().set_values(Some(values)).build();
                condition.field("http-request-method").http_request_method_config(config)
            }
            Self::Query(pairs) => {
                let pair =
                    |pair: QueryPattern| QueryStringKeyValuePair::builder().set_key(pair.key).value(pair.value).build();
                let pairs = pairs.into_iter().map(pair).collect();
                let config = QueryStringConditionConfig::builder().set_values(Some(pairs)).build();
                condition.field("query-string").query_string_config(config)
            }
            Self::Source(values) => {
                let config = SourceIpConditionConfig::builder().set_values(Some(values)).build();
                condition.field("source-ip").source_ip_config(config)
            }
        }
        .build()
    }

    /// Converts the condition of a description; `None` for a condition that cannot be declared.
    pub(super) fn from_sdk(condition: &Described) -> Option<Self> {
        let plain = || condition.values().to_vec();
        Some(match condition.field()? {
            "path-pattern" => {
                Self::Path(condition.path_pattern_config().map_or_else(plain, |config| config.values().to_vec()))
            }
            "host-header" => {
                Self::Host(condition.host_header_config().map_or_else(plain, |config| config.values().to_vec()))
            }
            "http-header" => {
                let config = condition.http_header_config()?;
                Self::Header { name: config.http_header_name()?.to_owned(), values: config.values().to_vec() }
            }
            "http-request-method" => Self::Method(condition.http_request_method_config()?.values().to_vec()),
            "query-string" => {
                let pairs = condition.query_string_config()?.values().iter();
                let pairs = pairs.map(|pair| QueryPattern {
                    key: pair.key.clone(),
                    value: pair.value().unwrap_or_default().to_owned(),
                });
                Self::Query(pairs.collect())
            }
            "source-ip" => Self::Source(condition.source_ip_config()?.values().to_vec()),
            _ => return None,
        })
    }
}

/// Returns the problems for which the API would refuse the conditions of a rule.
pub(super) fn problems(conditions: &[Condition]) -> Vec<Problem> {
    const MOST: usize = 5;
    let mut problems = Vec::new();
    if conditions.is_empty() {
        problems.push(Problem::new("conditions", "a rule has at least one condition"));
    }
    for (at, condition) in conditions.iter().enumerate() {
        if condition.count() == 0 {
            problems.push(Problem::new(format!("conditions[{at}]"), "a condition has at least one value"));
        }
        let repeatable = matches!(condition, Condition::Header { .. } | Condition::Query(_));
        let kind = std::mem::discriminant(condition);
        if !repeatable && conditions[..at].iter().any(|other| std::mem::discriminant(other) == kind) {
            problems.push(
                Problem::new(format!("conditions[{at}]"), "there is another condition of this kind")
                    .hint("write all values into one condition: one of them is enough"),
            );
        }
    }
    if conditions.iter().map(Condition::count).sum::<usize>() > MOST {
        problems.push(
            Problem::new("conditions", format!("a rule has at most {MOST} values in all its conditions"))
                .hint("split it into several rules"),
        );
    }
    problems
}

fn texts(values: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    values.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_sent_condition_is_the_same_condition() {
        for condition in [
            Condition::path(["/a/*", "/b"]),
            Condition::host(["*.example.org"]),
            Condition::header("X-Kind", ["test"]),
            Condition::method(["GET"]),
            Condition::query("version", "2"),
            Condition::source(["10.0.0.0/8"]),
        ] {
            assert_eq!(Condition::from_sdk(&condition.to_sdk()), Some(condition));
        }
    }

    #[test]
    fn limits_are_checked() {
        assert_eq!(problems(&[]).len(), 1);
        assert_eq!(problems(&[Condition::path([""; 0])]).len(), 1);
        assert_eq!(problems(&[Condition::path(["/a"]), Condition::path(["/b"])]).len(), 1);
        assert!(problems(&[Condition::query("a", "1"), Condition::query("b", "2")]).is_empty());
        assert_eq!(problems(&[Condition::path(["/"; 6])]).len(), 1);
    }
}
