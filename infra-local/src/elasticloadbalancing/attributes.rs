//! Attributes of balancers and target groups: AWS's defaults, and which of them may be changed here.

use std::collections::BTreeMap;

use super::{not_honoured, required, validation};
use crate::wire::{Node, Outcome, Params};

/// The parameters of attributes, for operation tables.
pub(super) const ATTRIBUTES: &[&str] = &["Attributes.N.Key", "Attributes.N.Value"];

/// An attribute: its name, AWS's default, and what may be said here.
pub(super) struct Attribute(&'static str, &'static str, Allowed);

enum Allowed {
    /// Honoured between these bounds.
    Number(u64, u64),
    /// Honoured when it is one of these.
    Word(&'static [&'static str]),
    /// Not honoured: only the default is accepted.
    Default,
}

const SWITCH: Allowed = Allowed::Word(&["true", "false"]);

pub(super) const OF_LOAD_BALANCERS: &[Attribute] = &[
    Attribute("access_logs.s3.bucket", "", Allowed::Default),
    Attribute("access_logs.s3.enabled", "false", Allowed::Default),
    Attribute("access_logs.s3.prefix", "", Allowed::Default),
    Attribute("client_keep_alive.seconds", "3600", Allowed::Default),
    Attribute("connection_logs.s3.bucket", "", Allowed::Default),
    Attribute("connection_logs.s3.enabled", "false", Allowed::Default),
    Attribute("connection_logs.s3.prefix", "", Allowed::Default),
    Attribute("deletion_protection.enabled", "false", SWITCH),
    Attribute("idle_timeout.timeout_seconds", "60", Allowed::Number(1, 4000)),
    Attribute("load_balancing.cross_zone.enabled", "true", Allowed::Default),
    Attribute("routing.http.desync_mitigation_mode", "defensive", Allowed::Default),
    Attribute("routing.http.drop_invalid_header_fields.enabled", "false", Allowed::Default),
    Attribute("routing.http.preserve_host_header.enabled", "false", Allowed::Default),
    Attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Allowed::Default),
    Attribute("routing.http.xff_client_port.enabled", "false", Allowed::Default),
    Attribute("routing.http.xff_header_processing.mode", "append", Allowed::Default),
    Attribute("routing.http2.enabled", "true", Allowed::Default),
    Attribute("waf.fail_open.enabled", "false", Allowed::Default),
    Attribute("zonal_shift.config.enabled", "false", Allowed::Default),
];

pub(super) const OF_TARGET_GROUPS: &[Attribute] = &[
    Attribute("deregistration_delay.timeout_seconds", "300", Allowed::Number(0, 3600)),
    Attribute("load_balancing.algorithm.anomaly_mitigation", "off", Allowed::Default),
    Attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        Allowed::Word(&["round_robin", "least_outstanding_requests"]),
    ),
    Attribute("load_balancing.cross_zone.enabled", "use_load_balancer_configuration", Allowed::Default),
    Attribute("slow_start.duration_seconds", "0", Allowed::Default),
    Attribute("stickiness.app_cookie.cookie_name", "", Allowed::Default),
    Attribute("stickiness.app_cookie.duration_seconds", "86400", Allowed::Default),
    Attribute("stickiness.enabled", "false", Allowed::Default),
    Attribute("stickiness.lb_cookie.duration_seconds", "86400", Allowed::Default),
    Attribute("stickiness.type", "lb_cookie", Allowed::Default),
    Attribute("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Allowed::Default),
    Attribute("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Allowed::Default),
    Attribute("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", Allowed::Default),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Allowed::Default,
    ),
];

/// Every attribute with its value, as the Describe operations show them.
pub(super) fn render(known: &[Attribute], changed: &BTreeMap<String, String>) -> Node {
    let attributes = known.iter().map(|Attribute(key, default, _)| {
        let value = changed.get(*key).map_or(*default, String::as_str);
        Node::new().with("Key", *key).with("Value", value)
    });
    Node::new().list("Attributes", attributes)
}

/// Takes over the attributes of a request.
pub(super) fn modify(params: &Params, known: &[Attribute], changed: &mut BTreeMap<String, String>) -> Outcome<()> {
    let entries = params.structures("Attributes");
    if entries.is_empty() {
        return Err(validation("At least one attribute must be specified"));
    }
    for entry in entries {
        let key = required(&entry, "Key")?;
        let value = entry.optional("Value").unwrap_or_default();
        let Some(Attribute(_, default, allowed)) = known.iter().find(|Attribute(name, ..)| *name == key) else {
            return Err(not_honoured(format!("Attribute key '{key}' is not recognized")));
        };
        match allowed {
            Allowed::Number(low, high) => {
                if !value.parse().is_ok_and(|number: u64| (*low..=*high).contains(&number)) {
                    return Err(not_honoured(format!(
                        "The value '{value}' of '{key}' must be a number from {low} to {high}"
                    )));
                }
            }
            Allowed::Word(words) => {
                if !words.contains(&value) {
                    return Err(not_honoured(format!(
                        "The value '{value}' of '{key}' must be one of: {}",
                        words.join(", ")
                    )));
                }
            }
            Allowed::Default => {
                if value != *default {
                    return Err(not_honoured(format!(
                        "The local cloud does not honour '{key}' with the value '{value}'; leave it at '{default}', or use AWS"
                    )));
                }
            }
        }
        if value == *default {
            changed.remove(key);
        } else {
            changed.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(())
}
