//! Health checks of target groups: the defaults and limits of each type and protocol, parsing and rendering.
//!
//! The rules are those of [CreateTargetGroup](https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html).

use super::{not_honoured, number, port, validation};
use crate::domain::elbv2::Matcher;
use crate::model::elbv2::{Check, Protocol, ProtocolVersion, TargetType};
use crate::wire::{Node, Outcome, Params};

/// The parameters of health checks, for operation tables.
pub(super) const CHECK: &[&str] = &[
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher.HttpCode",
    "Matcher.GrpcCode",
];

/// Properties of a target group that decide about its health check.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    pub(super) target_type: TargetType,
    pub(super) protocol: Protocol,
    pub(super) version: ProtocolVersion,
}

/// Returns AWS's default health check by this protocol.
pub(super) fn default_check(checked: Checked, protocol: Protocol) -> Check {
    let Checked { target_type, protocol: traffic, version } = checked;
    let grpc = version == ProtocolVersion::Grpc;
    let is_function = target_type == TargetType::Lambda;
    let (path, matcher) = match (protocol, grpc) {
        (Protocol::Tcp, _) => ("", ""),
        (_, true) => ("/AWS.ALB/healthcheck", "12"),
        (_, false) if traffic.is_http() => ("/", "200"),
        (_, false) => ("/", "200-399"),
    };
    let (interval_seconds, timeout_seconds) = match (traffic, protocol) {
        _ if is_function => (35, 30),
        (Protocol::Geneve, _) => (10, 5),
        (Protocol::Http | Protocol::Https, _) => (30, 5),
        (_, Protocol::Http) => (30, 6),
        _ => (30, 10),
    };
    Check {
        protocol,
        enabled: !is_function,
        path: path.to_owned(),
        port: if traffic == Protocol::Geneve { "80" } else { "traffic-port" }.to_owned(),
        interval_seconds,
        timeout_seconds,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: matcher.to_owned(),
    }
}

/// Returns the health check of a request: `current` with its changes, or the default one of a new group.
pub(super) fn parse(params: &Params, checked: Checked, current: Option<Check>) -> Outcome<Check> {
    let default = match (checked.target_type, checked.protocol) {
        (TargetType::Alb, _) | (_, Protocol::Http | Protocol::Https) => Protocol::Http,
        _ => Protocol::Tcp,
    };
    let before = current.as_ref().map_or(default, |current| current.protocol);
    let protocol = protocol(params, checked)?.unwrap_or(before);
    let current = current
        .filter(|current| (current.protocol == Protocol::Tcp) == (protocol == Protocol::Tcp))
        .unwrap_or_else(|| default_check(checked, protocol));
    let check = Check {
        protocol,
        enabled: enabled(params, checked)?.unwrap_or(current.enabled),
        path: path(params, protocol)?.unwrap_or(current.path),
        port: check_port(params)?.unwrap_or(current.port),
        interval_seconds: number(params, "HealthCheckIntervalSeconds", 5, 300)?.unwrap_or(current.interval_seconds),
        timeout_seconds: number(params, "HealthCheckTimeoutSeconds", 2, 120)?.unwrap_or(current.timeout_seconds),
        healthy_threshold: number(params, "HealthyThresholdCount", 2, 10)?.unwrap_or(current.healthy_threshold),
        unhealthy_threshold: number(params, "UnhealthyThresholdCount", 2, 10)?.unwrap_or(current.unhealthy_threshold),
        matcher: matcher(params, protocol, checked.version)?.unwrap_or(current.matcher),
    };
    if check.timeout_seconds >= check.interval_seconds {
        return Err(validation(format!(
            "Health check timeout '{}' must be smaller than the interval '{}'",
            check.timeout_seconds, check.interval_seconds
        )));
    }
    Ok(check)
}

fn protocol(params: &Params, checked: Checked) -> Outcome<Option<Protocol>> {
    let Some(name) = params.optional("HealthCheckProtocol") else { return Ok(None) };
    let allowed: &[Protocol] = match checked.protocol {
        Protocol::Http | Protocol::Https => &[Protocol::Http, Protocol::Https],
        _ => &[Protocol::Http, Protocol::Https, Protocol::Tcp],
    };
    let found = Protocol::parse(name).filter(|protocol| allowed.contains(protocol));
    found.map(Some).ok_or_else(|| {
        let allowed: Vec<&str> = allowed.iter().map(|protocol| protocol.as_str()).collect();
        validation(format!("Health check protocol '{name}' must be one of '{}'", allowed.join(", ")))
    })
}

/// Only the checks of functions can be disabled.
fn enabled(params: &Params, checked: Checked) -> Outcome<Option<bool>> {
    let enabled = params.parsed("HealthCheckEnabled").map_err(|error| validation(error.message))?;
    if enabled == Some(false) && checked.target_type != TargetType::Lambda {
        return Err(validation(format!(
            "Health check enabled must be true for target groups with target type '{}'",
            checked.target_type.as_str()
        )));
    }
    Ok(enabled)
}

fn path(params: &Params, protocol: Protocol) -> Outcome<Option<String>> {
    match params.optional("HealthCheckPath") {
        None => Ok(None),
        // Some clients send an empty path for none.
        Some("") if protocol == Protocol::Tcp => Ok(None),
        Some(_) if protocol == Protocol::Tcp => {
            Err(validation("You cannot specify a health check path for health checks with the TCP protocol"))
        }
        Some(path) if path.starts_with('/') && path.len() <= 1024 && path.parse::<hyper::Uri>().is_ok() => {
            Ok(Some(path.to_owned()))
        }
        Some(path) => Err(validation(format!(
            "Health check path '{path}' must begin with '/', be at most 1024 characters long and be a valid path"
        ))),
    }
}

fn check_port(params: &Params) -> Outcome<Option<String>> {
    match params.optional("HealthCheckPort") {
        None => Ok(None),
        Some("traffic-port") => Ok(Some("traffic-port".to_owned())),
        Some(number) => port(params, "HealthCheckPort").map(|_| Some(number.to_owned())),
    }
}

/// Returns the codes that count as success.
fn matcher(params: &Params, protocol: Protocol, version: ProtocolVersion) -> Outcome<Option<String>> {
    let given = |name: &str| params.optional(name).filter(|codes| !codes.is_empty());
    let (http, grpc) = (given("Matcher.HttpCode"), given("Matcher.GrpcCode"));
    if protocol == Protocol::Tcp && (http.is_some() || grpc.is_some()) {
        return Err(not_honoured(
            "Custom health check matchers are not supported for health checks for target groups with the TCP protocol",
        ));
    }
    match (http, grpc) {
        (Some(_), _) if version == ProtocolVersion::Grpc => {
            Err(not_honoured("You must specify gRPC codes, not HTTP codes, for target groups with the version GRPC"))
        }
        (_, Some(_)) if version != ProtocolVersion::Grpc => Err(not_honoured(format!(
            "You must specify HTTP codes, not gRPC codes, for target groups with the version {}",
            version.as_str()
        ))),
        (Some(codes), _) => {
            codes.parse::<Matcher>().map_err(|error| validation(format!("Health check matcher {error}")))?;
            Ok(Some(codes.to_owned()))
        }
        (_, Some(codes)) if codes.split(',').all(is_grpc) => Ok(Some(codes.to_owned())),
        (_, Some(codes)) => {
            Err(validation(format!("Health check matcher gRPC code '{codes}' must be within 0-99 inclusive")))
        }
        (None, None) => Ok(None),
    }
}

/// Returns whether the text is a code of gRPC or a range of codes: `12`, `0-5`.
fn is_grpc(codes: &str) -> bool {
    let code = |text: &str| text.parse::<u32>().ok().filter(|code| *code < 100);
    match codes.split_once('-') {
        Some((low, high)) => code(low).zip(code(high)).is_some_and(|(low, high)| low <= high),
        None => code(codes).is_some(),
    }
}

/// Adds the health check to a target group's description.
pub(super) fn render(node: Node, check: &Check, version: ProtocolVersion) -> Node {
    let node = node
        .with("HealthCheckProtocol", check.protocol.as_str())
        .with("HealthCheckPort", &check.port)
        .with("HealthCheckEnabled", check.enabled)
        .with("HealthCheckIntervalSeconds", check.interval_seconds)
        .with("HealthCheckTimeoutSeconds", check.timeout_seconds)
        .with("HealthyThresholdCount", check.healthy_threshold)
        .with("UnhealthyThresholdCount", check.unhealthy_threshold);
    if check.protocol == Protocol::Tcp {
        return node;
    }
    let codes = if version == ProtocolVersion::Grpc { "GrpcCode" } else { "HttpCode" };
    node.with("HealthCheckPath", &check.path).with("Matcher", Node::new().with(codes, &check.matcher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_grpc_are_numbers_and_ranges() {
        for codes in ["0", "12", "99", "0-99", "3-3"] {
            assert!(is_grpc(codes), "{codes}");
        }
        for codes in ["", "100", "5-1", "1-", "OK", "-1"] {
            assert!(!is_grpc(codes), "{codes}");
        }
    }
}
