//! Target groups.

use std::collections::BTreeMap;

use super::attributes::{self, ATTRIBUTES};
use super::limits::{self, TARGET_GROUPS};
use super::{
    PAGES, TAGS, arn, check_name, load_balancer, no_target_group, not_honoured, number, page, parse_tags, port,
    required, resource, target_group, validation,
};
use crate::domain::elbv2::Matcher;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::elbv2::{Check, Protocol, TargetGroup, TargetType};
use crate::model::ids::new_arn_suffix;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateTargetGroup",
        create,
        &[&["Name", "Protocol", "ProtocolVersion", "Port", "VpcId", "TargetType", "IpAddressType"], CHECK, TAGS],
    )
    .on(&[resource::NEW_TARGET_GROUP]),
    Operation::reads("DescribeTargetGroups", describe, &[&["LoadBalancerArn", "TargetGroupArns.N", "Names.N"], PAGES])
        .on_any(),
    Operation::writes("ModifyTargetGroup", modify, &[ARN, CHECK]).on(&[resource::TARGET_GROUP]),
    Operation::writes("DeleteTargetGroup", delete, &[ARN]).on(&[resource::TARGET_GROUP]),
    Operation::reads("DescribeTargetGroupAttributes", describe_attributes, &[ARN]).on_any(),
    Operation::writes("ModifyTargetGroupAttributes", modify_attributes, &[ARN, ATTRIBUTES])
        .on(&[resource::TARGET_GROUP]),
];

const ARN: &[&str] = &["TargetGroupArn"];
const CHECK: &[&str] = &[
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher.HttpCode",
];

/// Returns AWS's default health check for an HTTP target group with instances.
fn default_check() -> Check {
    Check {
        protocol: Protocol::Http,
        path: "/".to_owned(),
        port: "traffic-port".to_owned(),
        interval_seconds: 30,
        timeout_seconds: 5,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: "200".to_owned(),
    }
}

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(required(params, "Name")?, "Target group")?;
    for (parameter, only) in [("ProtocolVersion", "HTTP1"), ("IpAddressType", "ipv4")] {
        only_value(params, parameter, only)?;
    }
    let target_type = match params.optional("TargetType") {
        None | Some("instance") => TargetType::Instance,
        Some("ip") => TargetType::Ip,
        Some(other) => {
            return Err(not_honoured(format!(
                "The local cloud has targets of type 'instance' and 'ip', not '{other}'"
            )));
        }
    };
    required(params, "Protocol")?;
    let protocol = protocol(params, "Protocol")?.unwrap_or_default();
    let port = port(params, "Port")?.ok_or_else(|| validation("'Port' must be specified"))?;
    let vpc_id = required(params, "VpcId")?;
    let check = parse_check(params, default_check())?;
    let tags = parse_tags(params)?;

    let region = cloud.region_mut(call.region)?;
    if !region.ec2.vpcs.contains_key(vpc_id) {
        return Err(validation(format!("The VPC ID '{vpc_id}' is not found")));
    }
    let wanted = TargetGroup {
        arn: arn(call.region, &format!("targetgroup/{name}/{}", new_arn_suffix())),
        name: name.to_owned(),
        target_type,
        protocol,
        port,
        vpc_id: vpc_id.to_owned(),
        check,
        attributes: BTreeMap::new(),
        targets: Vec::new(),
        tags,
    };
    let existing = region.elbv2.target_groups.values().find(|group| group.name == name);
    if let Some(existing) = existing {
        let same = existing.protocol == wanted.protocol
            && existing.port == wanted.port
            && existing.target_type == wanted.target_type
            && existing.vpc_id == wanted.vpc_id
            && existing.check == wanted.check
            && existing.tags == wanted.tags;
        if !same {
            return Err(ApiError::new(
                "DuplicateTargetGroupName",
                format!("A target group with the same name '{name}' exists, but with different settings"),
            ));
        }
        return Ok(answer([existing], region));
    }
    limits::check(TARGET_GROUPS, region.elbv2.target_groups.len() + 1, "TooManyTargetGroups")?;
    let node = answer([&wanted], region);
    region.elbv2.target_groups.insert(wanted.arn.clone(), wanted);
    Ok(node)
}

/// Refuses all values except for the supported one.
fn only_value(params: &Params, parameter: &str, only: &str) -> Outcome<()> {
    match params.optional(parameter) {
        // Some clients send an empty value.
        Some(value) if !value.is_empty() && value != only => {
            Err(not_honoured(format!("The local cloud has {parameter} '{only}', not '{value}'")))
        }
        _ => Ok(()),
    }
}

fn protocol(params: &Params, parameter: &str) -> Outcome<Option<Protocol>> {
    match params.optional(parameter) {
        None => Ok(None),
        Some("HTTP") => Ok(Some(Protocol::Http)),
        Some("HTTPS") => Ok(Some(Protocol::Https)),
        Some(other) => Err(not_honoured(format!("The local cloud has {parameter} 'HTTP' and 'HTTPS', not '{other}'"))),
    }
}

/// Returns `current` with the changes of the request.
fn parse_check(params: &Params, current: Check) -> Outcome<Check> {
    let protocol = protocol(params, "HealthCheckProtocol")?.unwrap_or(current.protocol);
    only_value(params, "HealthCheckEnabled", "true")?;
    let checked_port = port(params, "HealthCheckPort");
    let port = match params.optional("HealthCheckPort") {
        None => current.port,
        Some("traffic-port") => "traffic-port".to_owned(),
        Some(number) => {
            checked_port?;
            number.to_owned()
        }
    };
    let path = match params.optional("HealthCheckPath") {
        None => current.path,
        Some(path) if path.starts_with('/') && path.len() <= 1024 && path.parse::<hyper::Uri>().is_ok() => {
            path.to_owned()
        }
        Some(path) => {
            return Err(validation(format!(
                "Health check path '{path}' must begin with '/', be at most 1024 characters long and be a valid path"
            )));
        }
    };
    let matcher = params.optional("Matcher.HttpCode").map_or(current.matcher, str::to_owned);
    matcher.parse::<Matcher>().map_err(|error| validation(format!("Health check matcher {error}")))?;
    let check = Check {
        protocol,
        path,
        port,
        interval_seconds: number(params, "HealthCheckIntervalSeconds", 5, 300)?.unwrap_or(current.interval_seconds),
        timeout_seconds: number(params, "HealthCheckTimeoutSeconds", 2, 120)?.unwrap_or(current.timeout_seconds),
        healthy_threshold: number(params, "HealthyThresholdCount", 2, 10)?.unwrap_or(current.healthy_threshold),
        unhealthy_threshold: number(params, "UnhealthyThresholdCount", 2, 10)?.unwrap_or(current.unhealthy_threshold),
        matcher,
    };
    if check.timeout_seconds >= check.interval_seconds {
        return Err(validation(format!(
            "Health check interval '{}' must be greater than the timeout '{}'",
            check.interval_seconds, check.timeout_seconds
        )));
    }
    Ok(check)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (arns, names) = (params.texts("TargetGroupArns"), params.texts("Names"));
    for arn in &arns {
        target_group(region, arn)?;
    }
    let all = region.elbv2.target_groups.values();
    if let Some(missing) = names.iter().find(|name| !all.clone().any(|group| group.name == **name)) {
        return Err(ApiError::new("TargetGroupNotFound", format!("One or more target groups not found: '{missing}'")));
    }
    let balancer = params.optional("LoadBalancerArn");
    if let Some(arn) = balancer {
        load_balancer(region, arn)?;
    }
    let wanted = all.filter(|group| {
        let named = (arns.is_empty() && names.is_empty()) || arns.contains(&group.arn) || names.contains(&group.name);
        let led_to =
            balancer.is_none_or(|arn| region.balancers_of(&group.arn).iter().any(|balancer| balancer.arn == arn));
        named && led_to
    });
    let page = page(wanted.collect(), params, |group| &group.arn)?;
    Ok(answer(page.items, region).maybe("NextMarker", page.next))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let arn = required(params, "TargetGroupArn")?;
    let region = cloud.region_mut(call.region)?;
    let group = find(region, arn)?;
    group.check = parse_check(params, group.check.clone())?;
    Ok(answer([target_group(region, arn)?], region))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "TargetGroupArn")?;
    let region = cloud.region_mut(call.region)?;
    if !arn.contains(":targetgroup/") {
        return Err(validation(format!("'{arn}' is not a valid target group ARN")));
    }
    if !region.balancers_of(arn).is_empty() {
        return Err(ApiError::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    region.elbv2.target_groups.remove(arn);
    Ok(Node::new())
}

fn describe_attributes(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "TargetGroupArn")?;
    let group = target_group(cloud.region(call.region)?, arn)?;
    Ok(attributes::render(group))
}

fn modify_attributes(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "TargetGroupArn")?;
    let group = find(cloud.region_mut(call.region)?, arn)?;
    group.attributes = attributes::changed(group, &call.input)?;
    attributes::check_together(group)?;
    Ok(attributes::render(group))
}

fn find<'a>(region: &'a mut Region, arn: &str) -> Outcome<&'a mut TargetGroup> {
    region.elbv2.target_groups.get_mut(arn).ok_or_else(|| no_target_group(arn))
}

fn answer<'a>(groups: impl IntoIterator<Item = &'a TargetGroup>, region: &Region) -> Node {
    Node::new().list("TargetGroups", groups.into_iter().map(|group| render(group, region)))
}

fn render(group: &TargetGroup, region: &Region) -> Node {
    let check = &group.check;
    Node::new()
        .with("TargetGroupArn", &group.arn)
        .with("TargetGroupName", &group.name)
        .with("Protocol", group.protocol.as_str())
        .with("Port", group.port)
        .with("VpcId", &group.vpc_id)
        .with("HealthCheckProtocol", check.protocol.as_str())
        .with("HealthCheckPort", &check.port)
        .with("HealthCheckEnabled", true)
        .with("HealthCheckIntervalSeconds", check.interval_seconds)
        .with("HealthCheckTimeoutSeconds", check.timeout_seconds)
        .with("HealthyThresholdCount", check.healthy_threshold)
        .with("UnhealthyThresholdCount", check.unhealthy_threshold)
        .with("HealthCheckPath", &check.path)
        .with("Matcher", Node::new().with("HttpCode", &check.matcher))
        .list("LoadBalancerArns", region.balancers_of(&group.arn).into_iter().map(|balancer| &balancer.arn))
        .with("TargetType", group.target_type.as_str())
        .with("ProtocolVersion", "HTTP1")
        .with("IpAddressType", "ipv4")
}
