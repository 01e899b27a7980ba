//! Attributes of balancers, listeners and target groups: AWS's defaults and the supported values.

use std::collections::BTreeMap;

use crate::model::elbv2::{Listener, LoadBalancer, Protocol, TargetGroup, TargetType};

/// An attribute: its name, AWS's default, and the other values that are allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute(pub(crate) &'static str, pub(crate) &'static str, pub(crate) Allowed);

/// Allowed values of an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Allowed {
    /// A number between these bounds.
    Number(u64, u64),
    /// 0, or a number between these bounds.
    ZeroOr(u64, u64),
    /// `off`, or a number between these bounds.
    OffOr(u64, u64),
    /// `off`, or a number between these bounds, which is recorded and returned, and has no effect.
    OffOrWithoutEffect(u64, u64),
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Name of a cookie that the balancer does not use itself.
    Cookie,
    /// Name of a header.
    HeaderName,
    /// Value of a header.
    HeaderValue,
    /// One of these words, which is recorded and returned, and has no effect.
    WithoutEffect(&'static [&'static str]),
    /// Only the default; other values are refused.
    Default,
}

const SWITCH: Allowed = Allowed::Word(&["true", "false"]);
const INERT_SWITCH: Allowed = Allowed::WithoutEffect(&["true", "false"]);

pub(crate) const OF_LOAD_BALANCERS: &[Attribute] = &[
    Attribute("access_logs.s3.bucket", "", Allowed::Text),
    Attribute("access_logs.s3.enabled", "false", SWITCH),
    Attribute("access_logs.s3.prefix", "", Allowed::Text),
    Attribute("client_keep_alive.seconds", "3600", Allowed::Number(60, 604_800)),
    Attribute("connection_logs.s3.bucket", "", Allowed::Text),
    Attribute("connection_logs.s3.enabled", "false", SWITCH),
    Attribute("connection_logs.s3.prefix", "", Allowed::Text),
    Attribute("deletion_protection.enabled", "false", SWITCH),
    // The place of these logs can be prepared; only their delivery is refused.
    Attribute("health_check_logs.s3.bucket", "", Allowed::Text),
    Attribute("health_check_logs.s3.enabled", "false", Allowed::Default),
    Attribute("health_check_logs.s3.prefix", "", Allowed::Text),
    Attribute("idle_timeout.timeout_seconds", "60", Allowed::Number(1, 4000)),
    Attribute("load_balancing.cross_zone.enabled", "true", Allowed::Default),
    Attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        Allowed::Word(&["monitor", "defensive", "strictest"]),
    ),
    Attribute("routing.http.drop_invalid_header_fields.enabled", "false", SWITCH),
    Attribute("routing.http.preserve_host_header.enabled", "false", SWITCH),
    Attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", SWITCH),
    Attribute("routing.http.xff_client_port.enabled", "false", SWITCH),
    Attribute("routing.http.xff_header_processing.mode", "append", Allowed::Word(&["append", "preserve", "remove"])),
    Attribute("routing.http2.enabled", "true", SWITCH),
    Attribute("waf.fail_open.enabled", "false", INERT_SWITCH),
    Attribute("zonal_shift.config.enabled", "false", INERT_SWITCH),
];

/// Attributes of groups of instances and addresses behind application load balancers.
const OF_HTTP_GROUPS: &[Attribute] = &[
    Attribute("deregistration_delay.timeout_seconds", "300", Allowed::Number(0, 3600)),
    Attribute("load_balancing.algorithm.anomaly_mitigation", "off", Allowed::Default),
    Attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        Allowed::Word(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    Attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::Word(&["use_load_balancer_configuration", "true"]),
    ),
    Attribute("slow_start.duration_seconds", "0", Allowed::ZeroOr(30, 900)),
    Attribute("stickiness.app_cookie.cookie_name", "", Allowed::Cookie),
    Attribute("stickiness.app_cookie.duration_seconds", "86400", Allowed::Number(1, 604_800)),
    Attribute("stickiness.enabled", "false", SWITCH),
    Attribute("stickiness.lb_cookie.duration_seconds", "86400", Allowed::Number(1, 604_800)),
    Attribute("stickiness.type", "lb_cookie", Allowed::Word(&["lb_cookie", "app_cookie"])),
];

/// Number of targets of a group; the largest minimum of healthy ones.
const MOST_TARGETS: u64 = 1000;

/// Minimums of healthy targets. The name of a balancer leads to all its addresses, so no address fails over.
const HEALTH: &[Attribute] = &[
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Allowed::OffOrWithoutEffect(1, MOST_TARGETS),
    ),
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Allowed::OffOrWithoutEffect(1, 100),
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Allowed::Number(1, MOST_TARGETS),
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Allowed::OffOr(1, 100),
    ),
];

/// Attributes of groups behind network load balancers. No balancer of the local cloud forwards to them.
const OF_NETWORK_GROUPS: &[Attribute] = &[
    Attribute("deregistration_delay.connection_termination.enabled", "false", SWITCH),
    Attribute("deregistration_delay.timeout_seconds", "300", Allowed::Number(0, 3600)),
    Attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::Word(&["use_load_balancer_configuration", "true", "false"]),
    ),
    Attribute("preserve_client_ip.enabled", "true", SWITCH),
    Attribute("proxy_protocol_v2.enabled", "false", SWITCH),
    Attribute("stickiness.enabled", "false", SWITCH),
    Attribute("stickiness.type", "source_ip", Allowed::Word(&["source_ip"])),
    Attribute("target_health_state.unhealthy.connection_termination.enabled", "true", SWITCH),
    Attribute("target_health_state.unhealthy.draining_interval_seconds", "0", Allowed::Number(0, 360_000)),
];

/// Attributes of groups behind gateway load balancers.
const OF_GATEWAY_GROUPS: &[Attribute] = &[
    Attribute("deregistration_delay.timeout_seconds", "300", Allowed::Number(0, 3600)),
    Attribute("stickiness.enabled", "false", SWITCH),
    Attribute(
        "stickiness.type",
        "source_ip_dest_ip_proto",
        Allowed::Word(&["source_ip_dest_ip_proto", "source_ip_dest_ip"]),
    ),
    Attribute("target_failover.on_deregistration", "no_rebalance", Allowed::Word(&["no_rebalance", "rebalance"])),
    Attribute("target_failover.on_unhealthy", "no_rebalance", Allowed::Word(&["no_rebalance", "rebalance"])),
];

/// Attributes of groups of functions.
const OF_FUNCTION_GROUPS: &[Attribute] = &[Attribute("lambda.multi_value_headers.enabled", "false", SWITCH)];

pub(crate) const OF_LISTENERS: &[Attribute] = &[
    Attribute("routing.http.response.access_control_allow_credentials.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.access_control_allow_headers.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.access_control_allow_methods.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.access_control_allow_origin.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.access_control_expose_headers.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.access_control_max_age.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.content_security_policy.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.server.enabled", "true", SWITCH),
    Attribute("routing.http.response.strict_transport_security.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.x_content_type_options.header_value", "", Allowed::HeaderValue),
    Attribute("routing.http.response.x_frame_options.header_value", "", Allowed::HeaderValue),
];

/// Attributes of HTTPS listeners only.
pub(crate) const OF_TLS_LISTENERS: &[Attribute] = &[
    Attribute(
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
        Allowed::HeaderName,
    ),
    Attribute("routing.http.request.x_amzn_tls_version.header_name", "X-Amzn-Tls-Version", Allowed::HeaderName),
];

/// A resource with attributes.
pub(crate) trait Attributed {
    /// Returns the attributes of the resource's type.
    fn known(&self) -> Vec<Attribute>;

    /// Returns the attributes that differ from their defaults.
    fn changed(&self) -> &BTreeMap<String, String>;

    /// Returns the value of an attribute, or its default; empty for an unknown attribute.
    fn attribute(&self, name: &str) -> String {
        let default = || self.known().iter().find(|known| known.0 == name).map_or("", |known| known.1);
        self.changed().get(name).map_or_else(default, String::as_str).to_owned()
    }

    /// Returns the value of a numeric attribute.
    fn number(&self, name: &str) -> u64 {
        self.attribute(name).parse().unwrap_or_default()
    }

    /// Returns the value of a boolean attribute.
    fn is(&self, name: &str) -> bool {
        self.attribute(name) == "true"
    }
}

impl Attributed for LoadBalancer {
    fn known(&self) -> Vec<Attribute> {
        OF_LOAD_BALANCERS.to_vec()
    }

    fn changed(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }
}

impl Attributed for TargetGroup {
    /// The attributes depend on the type and the protocol; see the type `TargetGroupAttribute` of AWS's API.
    fn known(&self) -> Vec<Attribute> {
        match (self.target_type, self.protocol) {
            (TargetType::Lambda, _) => OF_FUNCTION_GROUPS.to_vec(),
            (_, Protocol::Geneve) => OF_GATEWAY_GROUPS.to_vec(),
            (_, Protocol::Http | Protocol::Https) => [OF_HTTP_GROUPS, HEALTH].concat(),
            _ => [OF_NETWORK_GROUPS, HEALTH].concat(),
        }
    }

    fn changed(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }
}

impl Attributed for Listener {
    fn known(&self) -> Vec<Attribute> {
        let tls = self.tls.as_ref().map_or(&[][..], |_| OF_TLS_LISTENERS);
        [OF_LISTENERS, tls].concat()
    }

    fn changed(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }
}
