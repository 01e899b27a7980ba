//! Changes of a balancer: attributes, security groups, subnets, IP address type.

use super::attributes::{self, ATTRIBUTES};
use super::load_balancer::{
    SUBNETS, check_ip_address_type, parse_security_groups, parse_subnets, take_interface, zones,
};
use super::{load_balancer, log_bucket, no_load_balancer, not_honoured, required, resource, validation};
use crate::domain::elbv2::logs::{LogKind, LogPlace};
use crate::model::elbv2::LoadBalancer;
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation, State};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads("DescribeLoadBalancerAttributes", describe, &[ARN]).on_any(),
    Operation::performs("ModifyLoadBalancerAttributes", modify, &[ARN, ATTRIBUTES]).on(&[resource::LOAD_BALANCER]),
    Operation::writes("SetSecurityGroups", set_security_groups, &[ARN, &["SecurityGroups.N"]])
        .on(&[resource::LOAD_BALANCER]),
    Operation::writes("SetIpAddressType", set_ip_address_type, &[ARN, &["IpAddressType"]])
        .on(&[resource::LOAD_BALANCER]),
    Operation::writes("SetSubnets", set_subnets, &[ARN, &["IpAddressType"], SUBNETS]).on(&[resource::LOAD_BALANCER]),
];

const ARN: &[&str] = &["LoadBalancerArn"];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "LoadBalancerArn")?;
    let balancer = load_balancer(cloud.region(call.region)?, arn)?;
    Ok(attributes::render(balancer))
}

fn modify(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let change = |cloud: &mut Cloud| -> Outcome<(Node, Vec<LogPlace>)> {
        let balancer = find(cloud.region_mut(call.region)?, &call.input)?;
        balancer.attributes = attributes::changed("Load balancer", balancer, &call.input)?;
        let places = [LogKind::Access, LogKind::Connection];
        let places = places.into_iter().filter_map(|kind| LogPlace::of(balancer, call.scope(), kind));
        Ok((attributes::render(balancer), places.collect()))
    };
    let (_, places) = state.dry_run(change)?;
    for place in places {
        log_bucket::prepare(state, &place)?;
    }
    state.write(|cloud| Ok(change(cloud)?.0))
}

fn set_security_groups(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    if params.texts("SecurityGroups").is_empty() {
        return Err(validation("At least one security group must be specified"));
    }
    let vpc_id = find(region, params)?.vpc_id.clone();
    let groups = parse_security_groups(region, params, &vpc_id)?;
    let balancer = find(region, params)?;
    balancer.security_groups = groups;
    Ok(Node::new().list("SecurityGroupIds", &balancer.security_groups))
}

fn set_ip_address_type(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    required(&call.input, "IpAddressType")?;
    check_ip_address_type(&call.input)?;
    find(cloud.region_mut(call.region)?, &call.input)?;
    Ok(Node::new().with("IpAddressType", "ipv4"))
}

fn set_subnets(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    check_ip_address_type(params)?;
    let region = cloud.region_mut(call.region)?;
    find(region, params)?;
    let subnets = parse_subnets(region, params)?;
    let balancer = find(region, params)?;
    let (arn, vpc_id, address) = (balancer.arn.clone(), balancer.vpc_id.clone(), balancer.address);
    balancer.subnets.clone_from(&subnets);
    if region.ec2.subnets.get(&subnets[0]).is_some_and(|subnet| subnet.vpc_id != vpc_id) {
        return Err(not_honoured(format!("The subnets must belong to VPC '{vpc_id}'")));
    }
    for subnet in &subnets {
        take_interface(region, &arn, subnet)?;
    }
    // The address, and with it the DNS name, never changes: the balancer keeps it even if it leaves the subnet.
    let kept = region.subnet_of_address(address).map(|subnet| subnet.id.clone());
    for subnet in region.ec2.subnets.values_mut() {
        if !subnets.contains(&subnet.id) && Some(&subnet.id) != kept.as_ref() {
            subnet.release_hosts(&arn);
        }
    }
    Ok(Node::new().with("AvailabilityZones", zones(&subnets, region)).with("IpAddressType", "ipv4"))
}

fn find<'a>(region: &'a mut Region, params: &Params) -> Outcome<&'a mut LoadBalancer> {
    let arn = required(params, "LoadBalancerArn")?;
    region.elbv2.load_balancers.get_mut(arn).ok_or_else(|| no_load_balancer(arn))
}
