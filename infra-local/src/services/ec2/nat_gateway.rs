//! NAT gateways: the route to the internet for subnets that clients on the internet cannot reach.

use super::client_token::{earlier_result, remember};
use super::{Ec2Operation, TAG_SPECIFICATIONS, address, check_id, resource, subnet, tags_for};
use crate::model::Cloud;
use crate::model::ec2::gateway::{Association, Holder, NatGateway, NatState};
use crate::model::{Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateNatGateway",
        create,
        &[&["SubnetId", "AllocationId", "ConnectivityType", "ClientToken"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::SUBNET, resource::ADDRESS, resource::NEW_NAT_GATEWAY]),
    Operation::writes("DeleteNatGateway", delete, &[&["NatGatewayId"]]).on(&[resource::NAT_GATEWAY]),
    Operation::reads("DescribeNatGateways", describe, &[&["NatGatewayId.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default quota per zone.
const LIMIT: usize = 5;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "natgateway")?;
    let region = cloud.region_mut(call.region)?;
    if let Some(known) = earlier_result(region, call, "CreateNatGateway")? {
        let gateway = region.ec2.nat_gateways.get(&known).ok_or_else(|| not_found(&known))?;
        return Ok(answer(region, gateway, params));
    }
    let subnet = subnet::find(region, params.required("SubnetId")?)?;
    let (subnet_id, vpc_id, index, zone) =
        (subnet.id.clone(), subnet.vpc_id.clone(), subnet.index, subnet.zone.clone());
    let allocation_id = allocation(region, params)?;
    let in_zone = |gateway: &&NatGateway| region.ec2.subnets.get(&gateway.subnet_id).is_some_and(|it| it.zone == zone);
    if region.ec2.nat_gateways.values().filter(|gateway| !gateway.state.is_over()).filter(in_zone).count() >= LIMIT {
        return Err(ApiError::new(
            "NatGatewayLimitExceeded",
            format!("Performing this operation would exceed the limit of {LIMIT} NAT gateways"),
        ));
    }
    let id = crate::model::new_id("nat");
    let host = region.ec2.subnets.get_mut(&subnet_id).and_then(|subnet| subnet.take_host(&id));
    let host = host.ok_or_else(|| {
        ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            format!("There are not enough free addresses in subnet '{subnet_id}'"),
        )
    })?;
    let associated =
        allocation_id.as_ref().and_then(|allocation| region.ec2.addresses.get_mut(allocation)).map(|address| {
            let association =
                Association { id: new_id("eipassoc"), holder: Holder::NatGateway(id.clone()), secondary: None };
            address.association = Some(association.clone());
            (address.address, association.id)
        });
    let (public_ip, association_id) = associated.unzip();
    let gateway = NatGateway {
        network_interface_id: id.replacen("nat-", "eni-", 1),
        id: id.clone(),
        vpc_id,
        subnet_id,
        state: NatState::Pending,
        allocation_id,
        public_ip,
        association_id,
        private_ip: call.addresses.address(index, host),
        created: call.now,
        ended: None,
        tags,
    };
    let answer = answer(region, &gateway, params);
    remember(region, call, "CreateNatGateway", &id);
    region.ec2.nat_gateways.insert(id, gateway);
    Ok(answer)
}

/// Returns the elastic address, which a public gateway requires and a private one must not have.
fn allocation(region: &Region, params: &Params) -> Outcome<Option<String>> {
    let given = params.optional("AllocationId");
    match (params.optional("ConnectivityType").unwrap_or("public"), given) {
        ("public", Some(id)) => {
            let address = address::find(region, id)?;
            if address.association.is_some() {
                return Err(ApiError::new(
                    "Resource.AlreadyAssociated",
                    format!("Elastic IP address [{id}] is already associated"),
                ));
            }
            Ok(Some(id.to_owned()))
        }
        ("public", None) => Err(ApiError::new(
            "MissingParameter",
            "The request must include the AllocationId parameter. Add the required parameter and retry the request.",
        )),
        ("private", None) => Ok(None),
        ("private", Some(_)) => Err(ApiError::new(
            "InvalidParameter",
            "The AllocationId parameter is not supported for a NAT gateway with the connectivity type private.",
        )),
        (other, _) => Err(ApiError::invalid(format!("Value ({other}) for parameter connectivityType is invalid."))),
    }
}

/// Requests the deletion by the data plane. The deletion of a deleted gateway succeeds.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = call.input.required("NatGatewayId")?;
    check_id(id, "nat", "NatGatewayMalformed")?;
    let region = cloud.region_mut(call.region)?;
    let gateway = region.ec2.nat_gateways.get_mut(id).ok_or_else(|| not_found(id))?;
    match gateway.state {
        NatState::Pending | NatState::Available => gateway.state = NatState::Deleting,
        NatState::Failed(..) => gateway.state = NatState::Deleted,
        NatState::Deleting | NatState::Deleted => {}
    }
    Ok(Node::new().with("natGatewayId", id))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NatGatewayId");
    for id in &ids {
        check_id(id, "nat", "NatGatewayMalformed")?;
    }
    if let Some(missing) = ids.iter().find(|id| !region.ec2.nat_gateways.contains_key(*id)) {
        return Err(not_found(missing));
    }
    let wanted = region.ec2.nat_gateways.values().filter(|gateway| ids.is_empty() || ids.contains(&gateway.id));
    let gateways = Filters::parse(params)?.apply(wanted, FIELDS, |gateway| &gateway.tags)?;
    let page = Page::of(gateways, params, |gateway| &gateway.id)?;
    Ok(Node::new()
        .list("natGatewaySet", page.items.into_iter().map(|gateway| render(region, gateway)))
        .maybe("nextToken", page.next))
}

const FIELDS: &[Field<NatGateway>] = &[
    ("nat-gateway-id", |gateway| vec![gateway.id.clone()]),
    ("subnet-id", |gateway| vec![gateway.subnet_id.clone()]),
    ("vpc-id", |gateway| vec![gateway.vpc_id.clone()]),
    ("state", |gateway| vec![gateway.state.name().to_owned()]),
];

fn not_found(id: &str) -> ApiError {
    ApiError::new("NatGatewayNotFound", format!("The Nat Gateway {id} was not found"))
}

fn answer(region: &Region, gateway: &NatGateway, params: &Params) -> Node {
    Node::new().with("natGateway", render(region, gateway)).maybe("clientToken", params.optional("ClientToken"))
}

fn render(region: &Region, gateway: &NatGateway) -> Node {
    let address = Node::new()
        .maybe("allocationId", gateway.allocation_id.as_ref())
        .with("networkInterfaceId", &gateway.network_interface_id)
        .with("privateIp", region.private_address(gateway.private_ip))
        .maybe("publicIp", gateway.public_ip)
        .maybe("associationId", gateway.association_id.as_ref())
        .with("isPrimary", true)
        .with("status", if matches!(gateway.state, NatState::Failed(..)) { "failed" } else { "succeeded" });
    let node = Node::new()
        .with("natGatewayId", &gateway.id)
        .with("vpcId", &gateway.vpc_id)
        .with("subnetId", &gateway.subnet_id)
        .with("state", gateway.state.name())
        .with("connectivityType", if gateway.allocation_id.is_some() { "public" } else { "private" })
        .with("createTime", gateway.created)
        .list("natGatewayAddressSet", [address])
        .with("tagSet", tags::set(&gateway.tags));
    let node = match &gateway.state {
        NatState::Failed(code, message) => node.with("failureCode", code).with("failureMessage", message),
        _ => node,
    };
    node.maybe("deleteTime", gateway.ended)
}
