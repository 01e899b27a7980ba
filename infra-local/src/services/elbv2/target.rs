//! Targets and their health.

use std::net::Ipv4Addr;

use super::limits::{self, TARGETS_PER_GROUP};
use super::{no_target_group, port, required, resource, target_group, validation};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::cidr::Cidr;
use crate::model::ec2::instance::InstanceState;
use crate::model::elbv2::{Health, Target, TargetGroup, TargetType};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("RegisterTargets", register, &[TARGETS]).on(&[resource::TARGET_GROUP]),
    Operation::writes("DeregisterTargets", deregister, &[TARGETS]).on(&[resource::TARGET_GROUP]),
    Operation::reads("DescribeTargetHealth", describe, &[TARGETS]).on_any(),
];

const TARGETS: &[&str] = &["TargetGroupArn", "Targets.N.Id", "Targets.N.Port", "Targets.N.AvailabilityZone"];

/// A target in a request.
struct Requested {
    id: String,
    port: Option<u16>,
    /// Zone of an address; requests are distributed over the targets of all zones.
    zone: Option<String>,
}

fn register(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let targets = parse(&call.input)?;
    if targets.is_empty() {
        return Err(validation("At least one target must be specified"));
    }
    let arn = required(&call.input, "TargetGroupArn")?;
    let group = target_group(region, arn)?;
    for target in &targets {
        match group.target_type {
            TargetType::Instance => check_instance(region, &target.id, &group.vpc_id)?,
            TargetType::Ip => check_address(region, &target.id, &group.vpc_id)?,
            TargetType::Lambda => {
                return Err(invalid(&format!("The local cloud has no Lambda functions: '{}' is none", target.id)));
            }
            TargetType::Alb => {
                super::load_balancer(region, &target.id)?;
            }
        }
        check_zone(region, group.target_type, target)?;
    }
    let group = find(region, arn)?;
    for Requested { id, port, zone } in targets {
        let port = port.unwrap_or(group.port);
        group.register(&id, port);
        if let Some(target) = group.targets.iter_mut().find(|target| target.id == id && target.port == port) {
            target.zone = zone.or(target.zone.take());
        }
    }
    limits::check(TARGETS_PER_GROUP, group.targets.len(), "TooManyTargets")?;
    Ok(Node::new())
}

/// Checks the zone of a target: addresses may have one, or `all` outside of the VPC; see the type `TargetDescription` of
/// AWS's API.
fn check_zone(region: &Region, target_type: TargetType, target: &Requested) -> Outcome<()> {
    let Some(zone) = &target.zone else { return Ok(()) };
    if target_type != TargetType::Ip {
        return Err(validation(format!(
            "You cannot specify an Availability Zone for targets of type '{}'",
            target_type.as_str()
        )));
    }
    if zone == "all" || region.zone_names().any(|known| known == *zone) {
        return Ok(());
    }
    Err(validation(format!("The Availability Zone '{zone}' is not valid")))
}

fn check_instance(region: &Region, id: &str, vpc_id: &str) -> Outcome<()> {
    let instance = region.ec2.instances.get(id).filter(|instance| instance.vpc_id == vpc_id);
    let Some(instance) = instance else {
        return Err(invalid(&format!("The following targets are not in the target group VPC or do not exist: '{id}'")));
    };
    if instance.state == InstanceState::Running {
        return Ok(());
    }
    Err(invalid(&format!("The following targets are not in a running state and cannot be registered: '{id}'")))
}

/// Ranges outside of the VPC that may contain targets: those of RFC 1918 and RFC 6598.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/// Refuses addresses that no target has. On the loopback interface, everything that the cloud runs has a loopback address.
fn check_address(region: &Region, id: &str, vpc_id: &str) -> Outcome<()> {
    let Ok(address) = id.parse::<Ipv4Addr>() else {
        return Err(validation(format!("The IP address '{id}' is not a valid IPv4 address")));
    };
    if !region.private_addresses {
        if address.is_loopback() {
            return Ok(());
        }
        return Err(invalid(&format!(
            "The IP address '{id}' cannot be a target: everything that the local cloud runs has an address in 127.0.0.0/8"
        )));
    }
    let vpc = region.ec2.vpcs.get(vpc_id).map(|vpc| vpc.cidr.as_str());
    let mut ranges = PRIVATE.into_iter().chain(vpc).filter_map(Cidr::parse);
    if ranges.any(|range| range.covers(address)) {
        return Ok(());
    }
    Err(invalid(&format!(
        "The IP address '{id}' cannot be a target: it is neither in the VPC {vpc_id} nor in {}",
        PRIVATE.join(", ")
    )))
}

fn deregister(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let targets = parse(&call.input)?;
    if targets.is_empty() {
        return Err(validation("At least one target must be specified"));
    }
    let group = find(cloud.region_mut(call.region)?, required(&call.input, "TargetGroupArn")?)?;
    for target in targets {
        group.deregister(&target.id, target.port);
    }
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let group = target_group(region, required(&call.input, "TargetGroupArn")?)?;
    let requested = parse(&call.input)?;
    let mut shown = Vec::new();
    if requested.is_empty() {
        shown.extend(group.targets.iter().map(|target| render(target, group)));
    }
    for Requested { id, port, zone } in requested {
        let port = port.unwrap_or(group.port);
        let found = group.targets.iter().find(|target| target.id == id && target.port == port);
        match found {
            Some(target) => shown.push(render(target, group)),
            None if region.ec2.instances.contains_key(&id) || group.target_type != TargetType::Instance => {
                shown.push(render(&not_registered(id, port, zone), group))
            }
            None => return Err(invalid(&format!("The instance ID '{id}' is not valid"))),
        }
    }
    Ok(Node::new().list("TargetHealthDescriptions", shown))
}

fn not_registered(id: String, port: u16, zone: Option<String>) -> Target {
    let health = Health {
        state: "unused".to_owned(),
        reason: Some("Target.NotRegistered".to_owned()),
        description: Some("Target is not registered to the target group".to_owned()),
    };
    Target { id, port, zone, draining: false, drained: true, health }
}

fn render(target: &Target, group: &TargetGroup) -> Node {
    let checked = match group.check.port.as_str() {
        "traffic-port" => target.port.to_string(),
        fixed => fixed.to_owned(),
    };
    let shown = Node::new().with("Id", &target.id).with("Port", target.port);
    let shown = shown.maybe("AvailabilityZone", target.zone.as_ref());
    let health = Node::new()
        .with("State", &target.health.state)
        .maybe("Reason", target.health.reason.as_ref())
        .maybe("Description", target.health.description.as_ref());
    Node::new().with("Target", shown).with("HealthCheckPort", checked).with("TargetHealth", health)
}

fn parse(params: &Params) -> Outcome<Vec<Requested>> {
    let targets = params.structures("Targets").into_iter().map(|target| {
        let id = required(&target, "Id")?.to_owned();
        let zone = target.optional("AvailabilityZone").filter(|zone| !zone.is_empty()).map(str::to_owned);
        Ok(Requested { id, port: port(&target, "Port")?, zone })
    });
    targets.collect()
}

fn find<'a>(region: &'a mut Region, arn: &str) -> Outcome<&'a mut TargetGroup> {
    region.elbv2.target_groups.get_mut(arn).ok_or_else(|| no_target_group(arn))
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidTarget", message)
}
