//! Target groups.

use std::collections::BTreeMap;

use super::attributes::{self, ATTRIBUTES};
use super::health_check::{self, CHECK, Checked};
use super::limits::{self, TARGET_GROUPS};
use super::{
    PAGES, TAGS, arn, check_name, load_balancer, no_target_group, not_all_found, not_honoured, page, parse_tags, port,
    required, resource, specified, target_group, validation,
};
use crate::model::elbv2::{Protocol, ProtocolVersion, TargetGroup, TargetType};
use crate::model::ids::new_arn_suffix;
use crate::model::{Cloud, Region};
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
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(required(params, "Name")?, "Target group")?;
    check_ip_address_type(params)?;
    let target_type = target_type(params)?;
    let protocol = protocol(params, target_type)?;
    let version = version(params, protocol)?;
    let is_function = target_type == TargetType::Lambda;
    let port = match port(params, "Port")? {
        Some(_) if is_function => return Err(not_of_functions("port")),
        Some(port) if protocol == Protocol::Geneve && port != GENEVE_PORT => {
            return Err(validation(format!(
                "Port '{port}' must be {GENEVE_PORT} for target groups with the GENEVE protocol"
            )));
        }
        Some(port) => port,
        None if is_function => 0,
        None => return Err(validation("A port must be specified")),
    };
    let vpc_id = match params.optional("VpcId").filter(|id| !id.is_empty()) {
        Some(_) if is_function => return Err(not_of_functions("VPC")),
        None if is_function => "",
        _ => specified(params, "VpcId", "A VPC ID")?,
    };
    let check = health_check::parse(params, Checked { target_type, protocol, version }, None)?;
    let tags = parse_tags(params)?;

    let region = cloud.region_mut(call.region)?;
    if !is_function && !region.ec2.vpcs.contains_key(vpc_id) {
        return Err(validation(format!("The VPC ID '{vpc_id}' is not found")));
    }
    let wanted = TargetGroup {
        arn: arn(call.scope(), &format!("targetgroup/{name}/{}", new_arn_suffix())),
        name: name.to_owned(),
        target_type,
        protocol,
        port,
        vpc_id: vpc_id.to_owned(),
        version,
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
            && existing.version == wanted.version
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

/// Port of GENEVE, the only one of groups with this protocol.
const GENEVE_PORT: u16 = 6081;

fn check_ip_address_type(params: &Params) -> Outcome<()> {
    match params.optional("IpAddressType") {
        // Some clients send an empty value.
        None | Some("" | "ipv4") => Ok(()),
        Some("ipv6") => Err(not_honoured("The local cloud has targets with IPv4 addresses, not with 'ipv6' ones")),
        Some(other) => Err(validation(format!("IP address type '{other}' must be one of 'ipv4, ipv6'"))),
    }
}

fn target_type(params: &Params) -> Outcome<TargetType> {
    let all = [TargetType::Instance, TargetType::Ip, TargetType::Lambda, TargetType::Alb];
    let name = params.optional("TargetType").unwrap_or("instance");
    let found = all.into_iter().find(|target_type| target_type.as_str() == name);
    found.ok_or_else(|| validation(format!("Target type '{name}' must be one of 'instance, ip, lambda, alb'")))
}

/// Returns the protocol of a new group. Functions have none, and balancers are targets by TCP.
fn protocol(params: &Params, target_type: TargetType) -> Outcome<Protocol> {
    if target_type == TargetType::Lambda {
        return match params.optional("Protocol") {
            Some(_) => Err(not_of_functions("protocol")),
            None => Ok(Protocol::default()),
        };
    }
    let name = specified(params, "Protocol", "A protocol")?;
    let protocol = Protocol::parse(name).ok_or_else(|| {
        validation(format!(
            "Protocol '{name}' must be one of 'GENEVE, HTTP, HTTPS, QUIC, TCP, TCP_QUIC, TCP_UDP, TLS, UDP'"
        ))
    })?;
    if target_type == TargetType::Alb && protocol != Protocol::Tcp {
        return Err(validation(format!(
            "Protocol '{name}' is not supported with the target type 'alb', which needs 'TCP'"
        )));
    }
    Ok(protocol)
}

fn version(params: &Params, protocol: Protocol) -> Outcome<ProtocolVersion> {
    let all = [ProtocolVersion::Http1, ProtocolVersion::Http2, ProtocolVersion::Grpc];
    // Some clients send an empty value.
    let Some(name) = params.optional("ProtocolVersion").filter(|name| !name.is_empty()) else {
        return Ok(ProtocolVersion::default());
    };
    if !protocol.is_http() {
        return Err(validation(format!(
            "You cannot specify a protocol version with the protocol '{}'",
            protocol.as_str()
        )));
    }
    let found = all.into_iter().find(|version| version.as_str() == name);
    found.ok_or_else(|| validation(format!("Protocol version '{name}' must be one of 'HTTP1, HTTP2, GRPC'")))
}

fn not_of_functions(what: &str) -> ApiError {
    validation(format!("A {what} cannot be specified for target groups with target type 'lambda'"))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (arns, names) = (params.texts("TargetGroupArns"), params.texts("Names"));
    let all = region.elbv2.target_groups.values();
    let is_known = |name: &String| all.clone().any(|group| group.name == *name);
    if !names.iter().all(is_known) || arns.iter().any(|arn| target_group(region, arn).is_err()) {
        return Err(not_all_found("TargetGroupNotFound", "target groups"));
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
    let checked = Checked { target_type: group.target_type, protocol: group.protocol, version: group.version };
    group.check = health_check::parse(params, checked, Some(group.check.clone()))?;
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
    group.attributes = attributes::changed("Target group", group, &call.input)?;
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
    let shown = Node::new().with("TargetGroupArn", &group.arn).with("TargetGroupName", &group.name);
    let shown = match group.target_type {
        TargetType::Lambda => shown,
        _ => shown.with("Protocol", group.protocol.as_str()).with("Port", group.port).with("VpcId", &group.vpc_id),
    };
    let version = group.protocol.is_http() && group.target_type != TargetType::Lambda;
    health_check::render(shown, &group.check, group.version)
        .list("LoadBalancerArns", region.balancers_of(&group.arn).into_iter().map(|balancer| &balancer.arn))
        .with("TargetType", group.target_type.as_str())
        .maybe("ProtocolVersion", version.then(|| group.version.as_str()))
        .with("IpAddressType", "ipv4")
}
