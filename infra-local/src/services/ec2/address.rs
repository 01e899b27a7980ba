//! Elastic IP addresses.

use std::net::Ipv4Addr;

use super::{
    Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, instance, network_interface_lifecycle, resource, subnet,
    tags_for,
};
use crate::domain::ec2::unknown_network_interface;
use crate::model::ec2::gateway::{Association, ElasticAddress, Holder};
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::ec2::vpc::ELASTIC_INDEX;
use crate::model::{Cloud, Region, Tags, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("AllocateAddress", allocate, &[&["Domain", "NetworkBorderGroup"], TAG_SPECIFICATIONS])
        .on(&[resource::NEW_ADDRESS]),
    Operation::writes("ReleaseAddress", release, &[&["AllocationId", "PublicIp", "NetworkBorderGroup"]])
        .on(&[resource::ADDRESS]),
    Operation::writes(
        "AssociateAddress",
        associate,
        &[&["AllocationId", "PublicIp", "InstanceId", "NetworkInterfaceId", "AllowReassociation", "PrivateIpAddress"]],
    )
    .on(&[resource::ADDRESS, resource::INSTANCE, resource::NETWORK_INTERFACE]),
    Operation::writes("DisassociateAddress", disassociate, &[&["AssociationId", "PublicIp"]])
        .on(&[resource::ASSOCIATED_ADDRESS]),
    Operation::reads("DescribeAddresses", describe, &[&["AllocationId.N", "PublicIp.N"], FILTERS]).on_any(),
    Operation::reads("DescribeAddressesAttribute", describe_attribute, &[&["AllocationId.N", "Attribute"], PAGES])
        .on_any(),
];

/// AWS's default quota per region.
const LIMIT: usize = 5;

fn allocate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let domain = params.optional("Domain").unwrap_or("vpc");
    if domain != "vpc" {
        return Err(ApiError::invalid(format!("Value ({domain}) for parameter domain is invalid.")));
    }
    if let Some(group) = params.optional("NetworkBorderGroup").filter(|group| *group != call.region) {
        return Err(ApiError::invalid(format!("Value ({group}) for parameter networkBorderGroup is invalid.")));
    }
    let tags = tags_for(params, "elastic-ip")?;
    if cloud.region(call.region)?.ec2.addresses.len() >= LIMIT {
        return Err(ApiError::new("AddressLimitExceeded", "The maximum number of addresses has been reached."));
    }
    let host = cloud.take_elastic_host().ok_or_else(|| {
        ApiError::new("InsufficientAddressCapacity", "All elastic addresses of the local cloud are allocated")
    })?;
    let address = ElasticAddress {
        allocation_id: new_id("eipalloc"),
        address: call.addresses.address(ELASTIC_INDEX, host),
        association: None,
        tags,
    };
    let answer = Node::new()
        .with("publicIp", address.address)
        .with("allocationId", &address.allocation_id)
        .with("publicIpv4Pool", "amazon")
        .with("networkBorderGroup", call.region)
        .with("domain", "vpc");
    cloud.region_mut(call.region)?.ec2.addresses.insert(address.allocation_id.clone(), address);
    Ok(answer)
}

fn release(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = &given(region, &call.input)?.allocation_id.clone();
    let address = find(region, id)?;
    if call.input.optional("NetworkBorderGroup").is_some_and(|group| group != call.region) {
        return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{}' not found.", address.address)));
    }
    if address.association.is_some() {
        return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {} is in use.", address.address)));
    }
    region.ec2.addresses.remove(id);
    Ok(Node::success())
}

fn associate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let allocation = given(region, params)?.allocation_id.clone();
    let holder = holder(region, params)?;
    let secondary = secondary_address(region, params, &holder)?;
    let is_wanted = |held: &Association| held.holder == holder && held.secondary == secondary;
    let may_move = params.parsed("AllowReassociation")?.unwrap_or(true);
    let address = find(region, &allocation)?;
    match &address.association {
        Some(current) if is_wanted(current) => return Ok(associated(&current.id)),
        Some(Association { holder: Holder::NatGateway(_), .. }) => return Err(managed()),
        Some(current) if !may_move => return Err(already_associated(&allocation, &current.id)),
        _ => {}
    }
    let others = region.ec2.addresses.values();
    let other = others.into_iter().find(|other| other.association.as_ref().is_some_and(is_wanted));
    if let Some(other) = other
        && let (false, Some(current)) = (may_move, &other.association)
    {
        return Err(already_associated(&other.allocation_id, &current.id));
    }
    region.disassociate(is_wanted);
    let association = Association { id: new_id("eipassoc"), holder, secondary };
    let answer = associated(&association.id);
    if let Some(address) = region.ec2.addresses.get_mut(&allocation) {
        address.association = Some(association);
    }
    Ok(answer)
}

/// Returns the address that a request names by its allocation or by itself.
fn given<'a>(region: &'a Region, params: &Params) -> Outcome<&'a ElasticAddress> {
    match (params.optional("AllocationId"), params.optional("PublicIp")) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "You may specify public IP or allocation id, but not both in the same call",
        )),
        (None, Some(ip)) => {
            let mut all = region.ec2.addresses.values();
            all.find(|address| address.address.to_string() == ip)
                .ok_or_else(|| ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found.")))
        }
        _ => find(region, params.required("AllocationId")?),
    }
}

/// Returns the secondary address that a request names, in the cloud's range; `None` for the primary address.
fn secondary_address(region: &Region, params: &Params, holder: &Holder) -> Outcome<Option<Ipv4Addr>> {
    let Some(wanted) = params.optional("PrivateIpAddress") else { return Ok(None) };
    let (id, own, interface) = match holder {
        Holder::Instance(id) => {
            let instance = instance::find(region, id)?;
            (id, instance.address, &instance.network_interface_id)
        }
        Holder::NetworkInterface(id) | Holder::NatGateway(id) => {
            (id, network_interface_lifecycle::find(region, id)?.address, id)
        }
    };
    let is_wanted = |address: Ipv4Addr| region.private_address(address).to_string() == wanted;
    if is_wanted(own) {
        return Ok(None);
    }
    let secondary = region.ec2.network_interfaces.get(interface).into_iter().flat_map(|it| &it.secondary);
    let found = secondary.copied().find(|address| is_wanted(*address));
    found
        .map(Some)
        .ok_or_else(|| ApiError::invalid(format!("The private IP address '{wanted}' does not belong to '{id}'")))
}

/// Returns the holder with which a request associates an address: an instance, or an interface that is no instance's
/// primary one.
fn holder(region: &Region, params: &Params) -> Outcome<Holder> {
    let (holder, vpc_id) = match (params.optional("InstanceId"), params.optional("NetworkInterfaceId")) {
        (Some(id), None) => of_instance(instance::find(region, id)?)?,
        (None, Some(id)) => {
            check_id(id, "eni", "InvalidNetworkInterfaceId.Malformed")?;
            let mut all = region.ec2.instances.values();
            let primary = all.find(|it| it.network_interface_id == id && it.state != InstanceState::Terminated);
            match (primary, region.ec2.network_interfaces.get(id)) {
                (Some(instance), _) => of_instance(instance)?,
                (None, Some(interface)) => {
                    let subnet = subnet::find(region, &interface.subnet_id)?;
                    (Holder::NetworkInterface(id.to_owned()), &subnet.vpc_id)
                }
                (None, None) => return Err(unknown_network_interface(id)),
            }
        }
        (None, None) => return Err(ApiError::missing("InstanceId or NetworkInterfaceId")),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "You may specify either instanceId or networkInterfaceId, but not both in the same call",
            ));
        }
    };
    if region.internet_gateway_of(vpc_id).is_none() {
        let message = format!("Network {vpc_id} is not attached to any internet gateway");
        return Err(ApiError::new("Gateway.NotAttached", message));
    }
    Ok(holder)
}

/// Returns an instance as holder, with its VPC.
fn of_instance(instance: &Instance) -> Outcome<(Holder, &String)> {
    if matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
        return Ok((Holder::Instance(instance.id.clone()), &instance.vpc_id));
    }
    let (state, id) = (instance.state.name(), &instance.id);
    let message = format!("The {state} instance '{id}' is not in a valid state for this operation.");
    Err(ApiError::new("InvalidInstanceID", message))
}

fn disassociate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let by_address = match (call.input.optional("AssociationId"), call.input.optional("PublicIp")) {
        (None, Some(_)) => {
            let address = given(region, &call.input)?;
            let current = address.association.as_ref().map(|current| current.id.clone());
            Some(current.ok_or_else(|| {
                let message = format!("Address {} is not associated", address.address);
                ApiError::new("InvalidAssociationID.NotFound", message)
            })?)
        }
        _ => None,
    };
    let id = by_address.as_deref().map_or_else(|| call.input.required("AssociationId"), Ok)?;
    let id = check_id(id, "eipassoc", "InvalidAssociationID.Malformed")?;
    let mut addresses = region.ec2.addresses.values_mut();
    let found = addresses.find(|address| address.association.as_ref().is_some_and(|current| current.id == id));
    let address = found.ok_or_else(|| {
        ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })?;
    if let Some(Association { holder: Holder::NatGateway(_), .. }) = address.association {
        return Err(managed());
    }
    address.association = None;
    Ok(Node::success())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (ids, ips) = (params.texts("AllocationId"), params.texts("PublicIp"));
    for id in &ids {
        find(region, id)?;
    }
    let shown = |address: &ElasticAddress| address.address.to_string();
    if let Some(missing) = ips.iter().find(|ip| !region.ec2.addresses.values().any(|address| shown(address) == **ip)) {
        return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{missing}' not found.")));
    }
    let fields: &[Field<Located<'_, ElasticAddress>>] = &[
        ("allocation-id", |it| vec![it.item.allocation_id.clone()]),
        ("association-id", |it| it.item.association.iter().map(|current| current.id.clone()).collect()),
        ("domain", |_| vec!["vpc".to_owned()]),
        ("instance-id", |it| associated_instance(it.region, it.item).map(str::to_owned).into_iter().collect()),
        ("network-interface-id", |it| interface(it.region, it.item).map(|(id, _)| id).into_iter().collect()),
        ("private-ip-address", |it| interface(it.region, it.item).map(|(_, ip)| ip).into_iter().collect()),
        ("public-ip", |it| vec![it.item.address.to_string()]),
        ("network-interface-owner-id", |it| {
            interface(it.region, it.item).map(|_| it.region.account.to_string()).into_iter().collect()
        }),
        ("network-border-group", |it| vec![it.region.name.clone()]),
    ];
    let all = region.ec2.addresses.values().filter(|address| ids.is_empty() || ids.contains(&address.allocation_id));
    let all = all.filter(|address| ips.is_empty() || ips.contains(&shown(address)));
    let all: Vec<_> = all.map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(all.iter(), fields, |it| &it.item.tags)?;
    Ok(Node::new().list("addressesSet", found.into_iter().map(|it| render(region, it.item))))
}

/// Returns the only attribute: the reverse name, which no address of the local cloud has.
fn describe_attribute(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    match params.optional("Attribute") {
        None | Some("domain-name") => {}
        Some(other) => {
            return Err(ApiError::invalid(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    }
    let ids = params.texts("AllocationId");
    let all = ids.iter().map(|id| find(region, id)).collect::<Outcome<Vec<_>>>()?;
    let page = Page::of(all, params, |address| &address.allocation_id)?;
    let nodes = page
        .items
        .into_iter()
        .map(|address| Node::new().with("publicIp", address.address).with("allocationId", &address.allocation_id));
    Ok(Node::new().list("addressSet", nodes).maybe("nextToken", page.next))
}

/// Returns the address with this allocation id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a ElasticAddress> {
    check_id(id, "eipalloc", "InvalidAllocationID.Malformed")?;
    region.ec2.addresses.get(id).ok_or_else(|| {
        ApiError::new("InvalidAllocationID.NotFound", format!("The allocation ID '{id}' does not exist"))
    })
}

fn already_associated(allocation: &str, association: &str) -> ApiError {
    ApiError::new(
        "Resource.AlreadyAssociated",
        format!("resource {allocation} is already associated with associate-id {association}"),
    )
}

/// Returns AWS's error for the address of a NAT gateway.
fn managed() -> ApiError {
    ApiError::new("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
}

fn associated(id: &str) -> Node {
    Node::success().with("associationId", id)
}

fn associated_instance<'a>(region: &'a Region, address: &'a ElasticAddress) -> Option<&'a str> {
    match &address.association.as_ref()?.holder {
        Holder::Instance(id) => Some(id),
        Holder::NetworkInterface(id) => {
            let attachment = region.ec2.network_interfaces.get(id)?.attachment.as_ref();
            attachment.map(|attachment| attachment.instance_id.as_str())
        }
        Holder::NatGateway(_) => None,
    }
}

/// Returns the network interface with which an address is associated, and the private address.
fn interface(region: &Region, address: &ElasticAddress) -> Option<(String, String)> {
    let association = address.association.as_ref()?;
    let (id, primary) = match &association.holder {
        Holder::Instance(id) => {
            let instance = region.ec2.instances.get(id)?;
            (&instance.network_interface_id, instance.address)
        }
        Holder::NetworkInterface(id) => (id, region.ec2.network_interfaces.get(id)?.address),
        Holder::NatGateway(id) => {
            let gateway = region.ec2.nat_gateways.get(id)?;
            (&gateway.network_interface_id, gateway.private_ip)
        }
    };
    let private = region.private_address(association.secondary.unwrap_or(primary));
    Some((id.clone(), private.to_string()))
}

fn render(region: &Region, address: &ElasticAddress) -> Node {
    let (interface, private_ip) = interface(region, address).unzip();
    let tags: &Tags = &address.tags;
    Node::new()
        .with("publicIp", address.address)
        .with("allocationId", &address.allocation_id)
        .maybe("associationId", address.association.as_ref().map(|current| &current.id))
        .with("domain", "vpc")
        .maybe("instanceId", associated_instance(region, address))
        .maybe("networkInterfaceId", interface.as_ref())
        .maybe("networkInterfaceOwnerId", interface.as_ref().map(|_| region.account))
        .maybe("privateIpAddress", private_ip)
        .with("publicIpv4Pool", "amazon")
        .with("networkBorderGroup", &region.name)
        .with("tagSet", tags::set(tags))
}
