//! Conditions of rules: parsing, validation and rendering.

use super::limits::{self, VALUES_PER_RULE, WILDCARDS_PER_RULE};
use super::{required, validation};
use crate::model::elbv2::routing::{Condition, Parameter};
use crate::wire::{Node, Outcome, Params};

/// The parameters of conditions, for operation tables.
pub(super) const CONDITIONS: &[&str] = &[
    "Conditions.N.Field",
    "Conditions.N.Values.N",
    "Conditions.N.PathPatternConfig.Values.N",
    "Conditions.N.HostHeaderConfig.Values.N",
    "Conditions.N.HttpHeaderConfig.HttpHeaderName",
    "Conditions.N.HttpHeaderConfig.Values.N",
    "Conditions.N.HttpRequestMethodConfig.Values.N",
    "Conditions.N.QueryStringConfig.Values.N.Key",
    "Conditions.N.QueryStringConfig.Values.N.Value",
    "Conditions.N.SourceIpConfig.Values.N",
];

/// The longest pattern.
const LONGEST: usize = 128;

/// Parses the conditions of a request.
pub(super) fn parse(params: &Params) -> Outcome<Vec<Condition>> {
    let mut conditions: Vec<Condition> = Vec::new();
    for entry in params.structures("Conditions") {
        let condition = parse_one(&entry)?;
        let repeatable = matches!(condition, Condition::HttpHeader { .. } | Condition::QueryString(_));
        if !repeatable && conditions.iter().any(|other| field(other) == field(&condition)) {
            return Err(validation(format!("A rule can only have one '{}' condition", field(&condition))));
        }
        conditions.push(condition);
    }
    if conditions.is_empty() {
        return Err(validation("A condition must be specified"));
    }
    let values: usize = conditions.iter().map(|condition| texts(condition).len()).sum();
    if values > limits::of(VALUES_PER_RULE) {
        return Err(validation(format!("A rule can only have '{}' condition values", limits::of(VALUES_PER_RULE))));
    }
    let wildcards: usize = conditions.iter().flat_map(texts).map(|text| text.matches(['*', '?']).count()).sum();
    if wildcards > limits::of(WILDCARDS_PER_RULE) {
        return Err(validation(format!("A rule can only have '{}' wildcards", limits::of(WILDCARDS_PER_RULE))));
    }
    Ok(conditions)
}

fn parse_one(entry: &Params) -> Outcome<Condition> {
    let field = required(entry, "Field")?;
    let config_name = match field {
        "path-pattern" => "PathPatternConfig",
        "host-header" => "HostHeaderConfig",
        "http-header" => "HttpHeaderConfig",
        "http-request-method" => "HttpRequestMethodConfig",
        "query-string" => "QueryStringConfig",
        "source-ip" => "SourceIpConfig",
        other => {
            return Err(validation(format!(
                "Condition field '{other}' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"
            )));
        }
    };
    let config = entry.structure(config_name).unwrap_or_default();
    let mut values = config.texts("Values");
    let plain = entry.texts("Values");
    // Conditions on paths and hosts have an older form, without a configuration structure.
    if ["path-pattern", "host-header"].contains(&field) && values.is_empty() {
        values = plain;
    } else if !plain.is_empty() && (values != plain || !["path-pattern", "host-header"].contains(&field)) {
        return Err(validation(format!("You must specify the values of '{field}' in its {config_name} alone")));
    }
    let condition = match field {
        "path-pattern" => Condition::PathPattern(check(values, field, path_character)?),
        "host-header" => Condition::HostHeader(check(values, field, host_character)?),
        "http-header" => {
            let name = required(&config, "HttpHeaderName")?.to_owned();
            if name.len() > 40 || name.parse::<hyper::header::HeaderName>().is_err() {
                return Err(validation(format!("The HTTP header name '{name}' is not valid")));
            }
            if name.eq_ignore_ascii_case("host") {
                return Err(validation("Use a 'host-header' condition for the Host header"));
            }
            Condition::HttpHeader { name, values: check(values, field, printable)? }
        }
        "http-request-method" => {
            let method = |character: char| character.is_ascii_uppercase() || "-_".contains(character);
            Condition::HttpRequestMethod(check(values, field, method)?)
        }
        "query-string" => Condition::QueryString(parse_query(&config)?),
        _ => {
            let values = check(values, field, printable)?;
            if let Some(wrong) = values.iter().find(|range| crate::domain::elbv2::AddressRange::parse(range).is_none())
            {
                return Err(validation(format!("'{wrong}' is not a valid CIDR block")));
            }
            Condition::SourceIp(values)
        }
    };
    Ok(condition)
}

fn parse_query(config: &Params) -> Outcome<Vec<Parameter>> {
    let pairs = config.structures("Values").into_iter().map(|pair| {
        let key = pair.optional("Key").filter(|key| !key.is_empty()).map(str::to_owned);
        Ok(Parameter { key, value: required(&pair, "Value")?.to_owned() })
    });
    let pairs = pairs.collect::<Outcome<Vec<_>>>()?;
    let texts = pairs.iter().flat_map(|pair| pair.key.iter().chain([&pair.value])).cloned().collect();
    check(texts, "query-string", printable)?;
    Ok(pairs)
}

fn check(values: Vec<String>, field: &str, allowed: impl Fn(char) -> bool) -> Outcome<Vec<String>> {
    if values.is_empty() {
        return Err(validation("A condition value must be specified"));
    }
    for value in &values {
        if value.is_empty() || value.len() > LONGEST || !value.chars().all(&allowed) {
            return Err(validation(format!(
                "Condition value '{value}' is not valid for '{field}': it must have 1 to {LONGEST} characters of those that AWS allows there"
            )));
        }
    }
    Ok(values)
}

fn path_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(character)
}

fn host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-.*?".contains(character)
}

fn printable(character: char) -> bool {
    (' '..='~').contains(&character)
}

/// Returns the name of the condition's field in AWS's API.
fn field(condition: &Condition) -> &'static str {
    match condition {
        Condition::PathPattern(_) => "path-pattern",
        Condition::HostHeader(_) => "host-header",
        Condition::HttpHeader { .. } => "http-header",
        Condition::HttpRequestMethod(_) => "http-request-method",
        Condition::QueryString(_) => "query-string",
        Condition::SourceIp(_) => "source-ip",
    }
}

fn texts(condition: &Condition) -> Vec<&str> {
    match condition {
        Condition::PathPattern(values)
        | Condition::HostHeader(values)
        | Condition::HttpHeader { values, .. }
        | Condition::HttpRequestMethod(values)
        | Condition::SourceIp(values) => values.iter().map(String::as_str).collect(),
        Condition::QueryString(pairs) => pairs.iter().map(|pair| pair.value.as_str()).collect(),
    }
}

pub(super) fn render(condition: &Condition) -> Node {
    let shown = Node::new().with("Field", field(condition));
    let config = |values: &[String]| Node::new().list("Values", values);
    match condition {
        Condition::PathPattern(values) => shown.list("Values", values).with("PathPatternConfig", config(values)),
        Condition::HostHeader(values) => shown.list("Values", values).with("HostHeaderConfig", config(values)),
        Condition::HttpHeader { name, values } => {
            shown.with("HttpHeaderConfig", Node::new().with("HttpHeaderName", name).list("Values", values))
        }
        Condition::HttpRequestMethod(values) => shown.with("HttpRequestMethodConfig", config(values)),
        Condition::QueryString(pairs) => {
            let pairs = pairs.iter().map(|pair| Node::new().maybe("Key", pair.key.as_ref()).with("Value", &pair.value));
            shown.with("QueryStringConfig", Node::new().list("Values", pairs))
        }
        Condition::SourceIp(values) => shown.with("SourceIpConfig", config(values)),
    }
}
