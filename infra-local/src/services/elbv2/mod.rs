//! Elastic Load Balancing (version 2015-12-01): application load balancers, one file per kind.

mod action;
mod attributes;
mod condition;
mod health_check;
mod limits;
mod listener;
mod listener_attribute;
mod listener_certificate;
mod load_balancer;
mod load_balancer_settings;
mod log_bucket;
mod resource;
#[cfg(test)]
mod round_trip;
mod rule;
pub(crate) mod ssl_policy;
mod tags;
mod target;
mod target_group;
#[cfg(test)]
mod tests;

use crate::model::elbv2::routing::Action;
use crate::model::elbv2::{Listener, LoadBalancer, ProtocolVersion, TargetGroup, TargetType};
use crate::model::{ArnScope, Region, Tags};
use crate::services::Operation;
use crate::services::tags as common_tags;
use crate::wire::{ApiError, Node, Outcome, Page, Params};

/// The operations, by kind.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] = &[
    load_balancer::OPERATIONS,
    load_balancer_settings::OPERATIONS,
    target_group::OPERATIONS,
    target::OPERATIONS,
    listener::OPERATIONS,
    listener_attribute::OPERATIONS,
    listener_certificate::OPERATIONS,
    rule::OPERATIONS,
    ssl_policy::OPERATIONS,
    limits::OPERATIONS,
    tags::OPERATIONS,
];

const PAGES: &[&str] = &["Marker", "PageSize"];
const TAGS: &[&str] = &["Tags.N.Key", "Tags.N.Value"];

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn not_honoured(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidConfigurationRequest", message)
}

/// Returns the error of a Describe operation for ARNs and names that do not exist. Its message names none of them, as on
/// AWS: `One or more listeners not found`.
fn not_all_found(code: &'static str, kind: &str) -> ApiError {
    ApiError::new(code, format!("One or more {kind} not found"))
}

/// Returns the parameter of a new resource: `A listener protocol must be specified`.
fn specified<'a>(params: &'a Params, name: &str, what: &str) -> Outcome<&'a str> {
    params.required(name).map_err(|_| validation(format!("{what} must be specified")))
}

/// Returns a required parameter.
fn required<'a>(params: &'a Params, name: &str) -> Outcome<&'a str> {
    params.required(name).map_err(|_| validation(format!("'{name}' must be specified")))
}

/// Returns a number within AWS's bounds.
fn number(params: &Params, name: &str, low: u32, high: u32) -> Outcome<Option<u32>> {
    let Some(text) = params.optional(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
        _ => Err(validation(format!("{name} '{text}' must be a number from {low} to {high}"))),
    }
}

fn port(params: &Params, name: &str) -> Outcome<Option<u16>> {
    Ok(number(params, name, 1, 65535)?.map(|port| port as u16))
}

/// Checks a name: up to 32 letters, digits and hyphens, with no hyphen at the ends.
fn check_name<'a>(name: &'a str, what: &str) -> Outcome<&'a str> {
    if name.len() > 32 {
        return Err(validation(format!("{what} name '{name}' cannot be longer than '32' characters")));
    }
    if !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-') {
        return Err(validation(format!(
            "{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(validation(format!("{what} name '{name}' cannot begin or end with '-'")));
    }
    Ok(name)
}

fn parse_tags(params: &Params) -> Outcome<Tags> {
    let keys: Vec<_> = params.structures("Tags").iter().map(|tag| tag.optional("Key").map(str::to_owned)).collect();
    if (1..keys.len()).any(|index| keys[..index].contains(&keys[index])) {
        return Err(ApiError::new("DuplicateTagKeys", "A tag key was specified more than once"));
    }
    common_tags::parse(params, "Tags").map_err(tag_error)
}

fn tag_error(error: ApiError) -> ApiError {
    match error.code.as_ref() {
        "TagLimitExceeded" => ApiError::new("TooManyTags", error.message),
        _ => validation(error.message),
    }
}

fn arn(scope: ArnScope<'_>, resource: &str) -> String {
    scope.arn("elasticloadbalancing", resource)
}

fn page<T>(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
    let size = number(params, "PageSize", 1, 400)?.map(|size| size as usize);
    Page::cut(items, size, params.optional("Marker"), key).map_err(|_| validation("The Marker is not valid"))
}

fn load_balancer<'a>(region: &'a Region, arn: &str) -> Outcome<&'a LoadBalancer> {
    region.elbv2.load_balancers.get(arn).ok_or_else(|| no_load_balancer(arn))
}

fn no_load_balancer(arn: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancer '{arn}' not found"))
}

fn target_group<'a>(region: &'a Region, arn: &str) -> Outcome<&'a TargetGroup> {
    region.elbv2.target_groups.get(arn).ok_or_else(|| no_target_group(arn))
}

fn no_target_group(arn: &str) -> ApiError {
    ApiError::new("TargetGroupNotFound", format!("Target group '{arn}' not found"))
}

fn listener<'a>(region: &'a Region, arn: &str) -> Outcome<&'a Listener> {
    region.elbv2.listeners.get(arn).ok_or_else(|| no_listener(arn))
}

fn no_listener(arn: &str) -> ApiError {
    ApiError::new("ListenerNotFound", format!("Listener '{arn}' not found"))
}

fn no_rule(arn: &str) -> ApiError {
    ApiError::new("RuleNotFound", format!("Rule '{arn}' not found"))
}

/// Checks that a listener of an application load balancer forwards to a group of this type and protocol.
fn check_protocol(group: &TargetGroup, listener: &Listener) -> Outcome<()> {
    if group.target_type == TargetType::Lambda {
        return Err(not_honoured(format!(
            "The local cloud has no Lambda functions for the target group '{}'",
            group.arn
        )));
    }
    if !group.protocol.is_http() {
        return Err(ApiError::new(
            "IncompatibleProtocols",
            format!(
                "The target group '{}' with the protocol '{}' cannot be used with load balancers of type 'application'",
                group.arn,
                group.protocol.as_str()
            ),
        ));
    }
    if group.version != ProtocolVersion::Http1 && listener.tls.is_none() {
        let version = group.version.as_str();
        return Err(ApiError::new(
            "InvalidLoadBalancerAction",
            format!(
                "Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'"
            ),
        ));
    }
    Ok(())
}

/// Checks that each target group of a listener's action serves one balancer, in the same VPC.
fn check_associations(region: &Region, listener: &Listener, action: &Action) -> Outcome<()> {
    let balancer = &listener.balancer;
    let vpc = &load_balancer(region, balancer)?.vpc_id;
    for arn in action.target_groups() {
        if region.balancers_of(arn).iter().any(|other| other.arn != *balancer) {
            return Err(ApiError::new(
                "TargetGroupAssociationLimit",
                format!("The following target groups cannot be associated with more than one load balancer: {arn}"),
            ));
        }
        check_protocol(target_group(region, arn)?, listener)?;
        if target_group(region, arn)?.vpc_id != *vpc {
            return Err(not_honoured(format!(
                "The following target groups are not in the VPC '{vpc}' of the load balancer: {arn}"
            )));
        }
    }
    Ok(())
}
