//! Settings of the proxy from attributes, rules and certificates.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use crate::domain::elbv2::Matcher;
use crate::model::Region;
use crate::model::elbv2::attributes::Attributed as _;
use crate::model::elbv2::routing;
use crate::model::elbv2::ssl_policy;
use crate::model::elbv2::{Listener, LoadBalancer, Protocol, ProtocolVersion, TargetGroup};
use crate::runtime::proxy::{
    Action, Algorithm, CheckPort, DesyncMode, Forward, ForwardedFor, HealthCheck, Identity, MinimumHealthy,
    PoolSettings, Route, Rule, Settings, Stickiness, TargetPool, Tls, Transport,
};

/// Returns the settings of a target group's pool.
pub(super) fn of_group(group: &TargetGroup, in_use: bool) -> PoolSettings {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let check = &group.check;
    let slow_start = group.number("slow_start.duration_seconds");
    PoolSettings {
        check: HealthCheck {
            transport: transport(check.protocol),
            version: group.version,
            port: check.port.parse().map_or(CheckPort::Traffic, CheckPort::Fixed),
            path: check.path.clone(),
            interval: seconds(check.interval_seconds),
            timeout: seconds(check.timeout_seconds),
            healthy_threshold: check.healthy_threshold,
            unhealthy_threshold: check.unhealthy_threshold,
            matcher: match group.version {
                ProtocolVersion::Grpc => Matcher::of_grpc(&check.matcher).unwrap_or_default(),
                ProtocolVersion::Http1 | ProtocolVersion::Http2 => check.matcher.parse().unwrap_or_default(),
            },
        },
        transport: transport(group.protocol),
        version: group.version,
        deregistration_delay: Duration::from_secs(group.number("deregistration_delay.timeout_seconds")),
        algorithm: match group.attribute("load_balancing.algorithm.type").as_str() {
            "least_outstanding_requests" => Algorithm::LeastOutstanding,
            "weighted_random" => Algorithm::Random,
            _ => Algorithm::RoundRobin,
        },
        slow_start: (slow_start > 0).then(|| Duration::from_secs(slow_start)),
        minimum_healthy: minimum_healthy(group),
        stickiness: group.is("stickiness.enabled").then(|| stickiness(group)),
        in_use,
    }
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Https => Transport::Tls,
        // No balancer forwards to groups of other protocols than HTTP and HTTPS, so nothing connects to their targets.
        _ => Transport::Plain,
    }
}

/// Returns the health that the group needs for requests to its healthy targets alone.
fn minimum_healthy(group: &TargetGroup) -> MinimumHealthy {
    let minimum = |unit: &str| {
        group.number(&format!("target_group_health.unhealthy_state_routing.minimum_healthy_targets.{unit}"))
    };
    MinimumHealthy { count: minimum("count"), percentage: minimum("percentage") }
}

fn stickiness(group: &TargetGroup) -> Stickiness {
    if group.attribute("stickiness.type") == "app_cookie" {
        return Stickiness::Application {
            cookie: group.attribute("stickiness.app_cookie.cookie_name"),
            most: Duration::from_secs(group.number("stickiness.app_cookie.duration_seconds")),
        };
    }
    Stickiness::Duration(Duration::from_secs(group.number("stickiness.lb_cookie.duration_seconds")))
}

/// Returns the settings of a listener that apply to all its rules.
pub(super) fn of_listener(balancer: &LoadBalancer, listener: &Listener) -> Settings {
    let request_header =
        |name: &str| listener.attribute(&format!("routing.http.request.{name}.header_name")).parse::<HeaderName>().ok();
    let tls_headers = balancer
        .is("routing.http.x_amzn_tls_version_and_cipher_suite.enabled")
        .then(|| request_header("x_amzn_tls_version").zip(request_header("x_amzn_tls_cipher_suite")))
        .flatten();
    Settings {
        idle_timeout: Duration::from_secs(balancer.number("idle_timeout.timeout_seconds")),
        keep_alive: Duration::from_secs(balancer.number("client_keep_alive.seconds")),
        drop_invalid_headers: balancer.is("routing.http.drop_invalid_header_fields.enabled"),
        preserve_host: balancer.is("routing.http.preserve_host_header.enabled"),
        forwarded_for: match balancer.attribute("routing.http.xff_header_processing.mode").as_str() {
            "preserve" => ForwardedFor::Preserve,
            "remove" => ForwardedFor::Remove,
            _ => ForwardedFor::Append,
        },
        client_port: balancer.is("routing.http.xff_client_port.enabled"),
        tls_headers,
        server_header: listener.is("routing.http.response.server.enabled"),
        response_headers: response_headers(listener),
        desync: match balancer.attribute("routing.http.desync_mitigation_mode").as_str() {
            "monitor" => DesyncMode::Monitor,
            "strictest" => DesyncMode::Strictest,
            _ => DesyncMode::Defensive,
        },
        access_log: None,
        delivered_requests: None,
        delivered_connections: None,
    }
}

/// Returns the headers that the listener adds. For example, `routing.http.response.x_frame_options.header_value` adds
/// `x-frame-options`.
fn response_headers(listener: &Listener) -> Vec<(HeaderName, HeaderValue)> {
    let headers = listener.attributes.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("routing.http.response.")?.strip_suffix(".header_value")?;
        Some((name.replace('_', "-").parse().ok()?, HeaderValue::from_str(value).ok()?))
    });
    headers.collect()
}

/// Returns the route of a listener.
pub(super) fn route(listener: &Listener, pools: &BTreeMap<String, TargetPool>, settings: Settings) -> Route {
    let action = |declared: &routing::Action| match declared {
        routing::Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
        routing::Action::FixedResponse(fixed) => Action::FixedResponse(fixed.clone()),
        routing::Action::Forward(forward) => {
            let shares = forward.target_groups.iter();
            let shares = shares.filter_map(|share| Some((pools.get(&share.target_group)?.clone(), share.weight)));
            let period = forward.sticky_seconds.filter(|_| forward.sticky);
            Action::Forward(Forward {
                pools: shares.collect(),
                sticky: period.map(|seconds| Duration::from_secs(seconds.into())),
            })
        }
    };
    let rules = listener.rules.iter().map(|(priority, rule)| Rule {
        priority: *priority,
        conditions: rule.conditions.iter().map(Into::into).collect(),
        action: action(&rule.action),
    });
    Route { rules: rules.collect(), default: action(&listener.default_action), settings }
}

/// Returns the TLS settings of an HTTPS listener.
pub(super) fn tls(region: &Region, balancer: &LoadBalancer, listener: &Listener) -> Option<Tls> {
    let policy = ssl_policy::find(&listener.tls.as_ref()?.policy)?;
    let certificates = listener.certificates().filter_map(|arn| region.acm.certificates.get(arn));
    let identities = certificates.map(|certificate| Identity {
        arn: certificate.arn.clone(),
        names: certificate.facts.names.clone(),
        chain: format!("{}\n{}", certificate.body, certificate.chain.as_deref().unwrap_or_default()),
        private_key: certificate.private_key.clone(),
    });
    Some(Tls {
        identities: identities.collect(),
        tls12: policy.tls12,
        tls13: policy.tls13,
        http2: balancer.is("routing.http2.enabled"),
    })
}
