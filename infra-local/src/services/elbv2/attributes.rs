//! Attributes of load balancers, listeners and target groups.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};

use super::{not_honoured, required, validation};
use crate::model::elbv2::TargetGroup;
use crate::model::elbv2::attributes::{Allowed, Attribute, Attributed};
use crate::wire::{Node, Outcome, Params};

/// The parameters of attributes, for operation tables.
pub(super) const ATTRIBUTES: &[&str] = &["Attributes.N.Key", "Attributes.N.Value"];

/// Renders all attributes with their values.
pub(super) fn render(of: &impl Attributed) -> Node {
    let attributes = of.known().into_iter().map(|Attribute(key, ..)| {
        let value = of.attribute(key);
        Node::new().with("Key", key).with("Value", value)
    });
    Node::new().list("Attributes", attributes)
}

/// Returns the attributes that differ from AWS's defaults, after the request.
pub(super) fn changed(kind: &str, of: &impl Attributed, params: &Params) -> Outcome<BTreeMap<String, String>> {
    let entries = params.structures("Attributes");
    if entries.is_empty() {
        return Err(validation("At least one attribute must be specified"));
    }
    let known = of.known();
    let mut changed = of.changed().clone();
    for entry in entries {
        let key = required(&entry, "Key")?;
        let value = entry.optional("Value").unwrap_or_default();
        let Some(Attribute(_, default, allowed)) = known.iter().find(|Attribute(name, ..)| *name == key) else {
            return Err(not_honoured(format!("{kind} attribute key '{key}' is not recognized")));
        };
        check(key, value, default, *allowed)?;
        if value == *default {
            changed.remove(key);
        } else {
            changed.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(changed)
}

fn check(key: &str, value: &str, default: &str, allowed: Allowed) -> Outcome<()> {
    let must = |what: String| Err(not_honoured(format!("The value '{value}' of '{key}' must be {what}")));
    let within = |low, high| value.parse().is_ok_and(|number: u64| (low..=high).contains(&number));
    match allowed {
        Allowed::Number(low, high) if !within(low, high) => must(format!("a number from {low} to {high}")),
        Allowed::ZeroOr(low, high) if value != "0" && !within(low, high) => {
            must(format!("0 or a number from {low} to {high}"))
        }
        Allowed::OffOr(low, high) | Allowed::OffOrWithoutEffect(low, high) if value != "off" && !within(low, high) => {
            must(format!("'off' or a number from {low} to {high}"))
        }
        Allowed::Word(words) | Allowed::WithoutEffect(words) if !words.contains(&value) => {
            must(format!("one of: {}", words.join(", ")))
        }
        Allowed::Cookie if !is_cookie_name(value) => must("the name of a cookie, and not begin with AWSALB".to_owned()),
        Allowed::HeaderName if value.parse::<HeaderName>().is_err() => must("the name of a header".to_owned()),
        Allowed::HeaderValue if HeaderValue::from_str(value).is_err() => must("the value of a header".to_owned()),
        Allowed::WithoutEffect(_) | Allowed::OffOrWithoutEffect(..) if value != default => {
            tracing::info!(attribute = key, value, "accepted an attribute without effect");
            Ok(())
        }
        Allowed::Default if value != default => Err(not_honoured(format!(
            "The local cloud does not honour '{key}' with the value '{value}'; leave it at '{default}', or use AWS"
        ))),
        _ => Ok(()),
    }
}

/// Checks that the attributes of a target group are compatible with each other.
pub(super) fn check_together(group: &TargetGroup) -> Outcome<()> {
    if !group.protocol.is_http() {
        return Ok(());
    }
    if group.number("slow_start.duration_seconds") > 0
        && group.attribute("load_balancing.algorithm.type") != "round_robin"
    {
        return Err(not_honoured("Slow start is only there for target groups with the algorithm 'round_robin'"));
    }
    let named = !group.attribute("stickiness.app_cookie.cookie_name").is_empty();
    if group.is("stickiness.enabled") && group.attribute("stickiness.type") == "app_cookie" && !named {
        return Err(not_honoured(
            "'stickiness.app_cookie.cookie_name' must be specified for stickiness of the type 'app_cookie'",
        ));
    }
    Ok(())
}

fn is_cookie_name(name: &str) -> bool {
    let reserved = name.to_ascii_uppercase().starts_with("AWSALB");
    name.is_empty() || (!reserved && name.parse::<HeaderName>().is_ok())
}
