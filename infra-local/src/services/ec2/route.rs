//! Routes of route tables.

use super::{Ec2Operation, check_id, resource, route_table, vpc};
use crate::domain::ec2::network_interface::{self as interfaces, Owner};
use crate::domain::ec2::unknown_network_interface;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::cidr::Cidr;
use crate::model::ec2::gateway::NatState;
use crate::model::ec2::route_table::{Route, RouteTable, RouteTarget};
use crate::model::ec2::vpc::Vpc;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateRoute", create, &[ROUTE, TARGET]).on(&[resource::ROUTE_TABLE]),
    Operation::writes("ReplaceRoute", replace, &[ROUTE, TARGET]).on(&[resource::ROUTE_TABLE]),
    Operation::writes("DeleteRoute", delete, &[ROUTE]).on(&[resource::ROUTE_TABLE]),
];

const ROUTE: &[&str] = &["RouteTableId", "DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"];
const TARGET: &[&str] = &[
    "GatewayId",
    "NatGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "EgressOnlyInternetGatewayId",
];

/// AWS's default quota of routes per table, without the local route.
const LIMIT: usize = 50;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let (table, destination) = table_and_destination(region, &call.input)?;
    let target = target(region, table, &call.input)?;
    let vpc = region.ec2.vpcs.get(&table.vpc_id);
    let range = Cidr::parse(&destination);
    if vpc.is_some_and(|vpc| range.is_some_and(|range| vpc.ranges().any(|local| local.contains(range)))) {
        return Err(ApiError::invalid(format!(
            "The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance."
        )));
    }
    if matches!(target, RouteTarget::EgressOnly(_)) && !destination.contains(':') {
        return Err(ApiError::invalid(
            "An egress-only internet gateway is the target of routes with an IPv6 destination only.",
        ));
    }
    if let Some(existing) = table.routes.iter().find(|route| route.destination == destination) {
        // As on AWS, creating an identical route succeeds, and one with another target fails.
        if existing.target == target {
            return Ok(Node::success());
        }
        return Err(ApiError::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    if table.routes.len() >= LIMIT {
        return Err(ApiError::new(
            "RouteLimitExceeded",
            format!("The maximum number of routes has been reached for route table '{}'.", table.id),
        ));
    }
    let id = table.id.clone();
    route_table::find_mut(region, &id)?.routes.push(Route { destination, target });
    Ok(Node::success())
}

fn replace(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let (table, destination) = table_and_destination(region, &call.input)?;
    let target = target(region, table, &call.input)?;
    let id = table.id.clone();
    let routes = &mut route_table::find_mut(region, &id)?.routes;
    let route = routes.iter_mut().find(|route| route.destination == destination);
    let route = route.ok_or_else(|| {
        ApiError::invalid(format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        ))
    })?;
    route.target = target;
    Ok(Node::success())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let (table, destination) = table_and_destination(region, &call.input)?;
    let id = table.id.clone();
    let is_local = |vpc: &Vpc| {
        vpc.ranges().any(|range| range.to_string() == destination) || vpc.ipv6.iter().any(|own| own.cidr == destination)
    };
    if region.ec2.vpcs.get(&table.vpc_id).is_some_and(is_local) {
        return Err(ApiError::invalid(format!("cannot remove local route {destination} in route table {id}")));
    }
    let routes = &mut route_table::find_mut(region, &id)?.routes;
    let before = routes.len();
    routes.retain(|route| route.destination != destination);
    if routes.len() == before {
        return Err(ApiError::new(
            "InvalidRoute.NotFound",
            format!("no route with destination-{}-block {destination} in route table {id}", kind_of(&destination)),
        ));
    }
    Ok(Node::success())
}

/// Returns the table and the destination of a request.
fn table_and_destination<'a>(region: &'a Region, params: &Params) -> Outcome<(&'a RouteTable, String)> {
    let table = route_table::find(region, params.required("RouteTableId")?)?;
    let (ipv6, list) = (params.optional("DestinationIpv6CidrBlock"), params.optional("DestinationPrefixListId"));
    let destination = match (params.optional("DestinationCidrBlock"), ipv6, list) {
        (None, Some(range), None) => super::ranges::ipv6_cidr(range)?,
        (None, None, Some(id)) => super::prefix_list::find(region, id)?.id,
        (Some(_), None, None) => vpc::parse_cidr(params, "DestinationCidrBlock")?.to_string(),
        (None, None, None) => {
            return Err(ApiError::missing("destinationCidrBlock, destinationIpv6CidrBlock or destinationPrefixListId"));
        }
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, \
                 destinationPrefixListId",
            ));
        }
    };
    Ok((table, destination))
}

/// Returns the kind of a destination, as AWS's messages name it.
fn kind_of(destination: &str) -> &'static str {
    match destination {
        list if list.starts_with("pl-") => "prefix-list",
        range if range.contains(':') => "ipv6-cidr",
        _ => "cidr",
    }
}

/// Returns the only target of a request. It exists and can be reached from the table's VPC.
fn target(region: &Region, table: &RouteTable, params: &Params) -> Outcome<RouteTarget> {
    let given = |name| params.optional(name).filter(|id: &&str| !id.is_empty());
    let all: Vec<_> = TARGET.iter().filter_map(|name| Some((*name, given(name)?))).collect();
    match all.as_slice() {
        [("GatewayId", id)] => internet_gateway(region, table, id),
        [("NatGatewayId", id)] => nat_gateway(region, table, id),
        [("VpcPeeringConnectionId", id)] => peering(region, table, id),
        [("NetworkInterfaceId", id)] => network_interface(region, table, id),
        [("InstanceId", id)] => instance(region, table, id),
        [(_, id)] => egress_only_gateway(region, table, id),
        [] => Err(ApiError::missing("gatewayId, natGatewayId, networkInterfaceId or vpcPeeringConnectionId")),
        _ => Err(ApiError::new(
            "InvalidParameterCombination",
            "The request must contain exactly one of gatewayId, natGatewayId, vpcPeeringConnectionId, \
             networkInterfaceId, instanceId, egressOnlyInternetGatewayId",
        )),
    }
}

fn internet_gateway(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    if id == "local" {
        return Err(super::not_honoured("The local cloud routes the VPC's own range only, which needs no route"));
    }
    let gateway = region.ec2.internet_gateways.get(id);
    let gateway = gateway
        .ok_or_else(|| ApiError::new("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist")))?;
    if gateway.vpc_id.as_ref() != Some(&table.vpc_id) {
        return Err(different_networks(table, "network gateway", id));
    }
    Ok(RouteTarget::InternetGateway(id.to_owned()))
}

fn nat_gateway(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    check_id(id, "nat", "InvalidNatGatewayID.Malformed")?;
    // As on AWS, a gateway that is not available yet does not exist for routes.
    let gateway = region.ec2.nat_gateways.get(id).filter(|gateway| gateway.state == NatState::Available);
    let gateway = gateway.ok_or_else(|| {
        ApiError::new("InvalidNatGatewayID.NotFound", format!("The natGateway ID '{id}' does not exist"))
    })?;
    if gateway.vpc_id != table.vpc_id {
        return Err(different_networks(table, "NAT gateway", id));
    }
    Ok(RouteTarget::NatGateway(id.to_owned()))
}

fn egress_only_gateway(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    if super::egress_only_gateway::find(region, id)?.vpc_id != table.vpc_id {
        return Err(different_networks(table, "egress-only internet gateway", id));
    }
    Ok(RouteTarget::EgressOnly(id.to_owned()))
}

fn peering(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    check_id(id, "pcx", "InvalidVpcPeeringConnectionId.Malformed")?;
    let peering = region.ec2.peerings.get(id).filter(|peering| !peering.state.is_over());
    let peering = peering.ok_or_else(|| super::peering::not_found(id))?;
    let here = |side: &crate::model::ec2::peering::Side| side.region == region.name && side.vpc_id == table.vpc_id;
    if !here(&peering.requester) && !here(&peering.accepter) {
        return Err(different_networks(table, "peering connection", id));
    }
    Ok(RouteTarget::Peering(id.to_owned()))
}

/// Returns an interface as the target. Its instance forwards packets only without the interface's source/destination check.
fn network_interface(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    check_id(id, "eni", "InvalidNetworkInterfaceId.Malformed")?;
    let all = interfaces::all(region);
    let found = all.iter().find(|interface| interface.id == id);
    let found = found.ok_or_else(|| unknown_network_interface(id))?;
    if found.subnet.vpc_id != table.vpc_id {
        return Err(different_networks(table, "interface", id));
    }
    if !matches!(found.owner, Owner::Instance(_) | Owner::Attached(..) | Owner::Unattached(_)) {
        let message = format!("The local cloud routes packets to interfaces of instances only, and not to {id}");
        return Err(super::not_honoured(message));
    }
    Ok(RouteTarget::NetworkInterface(id.to_owned()))
}

/// Returns the only interface of an instance as the target.
fn instance(region: &Region, table: &RouteTable, id: &str) -> Outcome<RouteTarget> {
    let instance = super::instance::find(region, id)?;
    let held = region.ec2.network_interfaces.values().filter_map(|interface| interface.attachment.as_ref());
    let mut further = held.filter(|held| held.instance_id == id && held.device_index > 0);
    if further.next().is_some() {
        let message = format!(
            "There are multiple interfaces attached to instance '{id}'. Please specify an interface ID for the operation \
             instead."
        );
        return Err(ApiError::new("InvalidInstanceID", message));
    }
    network_interface(region, table, &instance.network_interface_id)
}

fn different_networks(table: &RouteTable, kind: &str, id: &str) -> ApiError {
    ApiError::invalid(format!("route table {} and {kind} {id} belong to different networks", table.id))
}
