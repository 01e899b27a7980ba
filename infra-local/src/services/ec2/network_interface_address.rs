//! Private addresses of network interfaces.

use std::net::Ipv4Addr;

use super::network_interface_lifecycle::find;
use super::requested_addresses::{check, count, parse};
use super::{Ec2Operation, instance, resource};
use crate::domain::ec2::interface_address;
use crate::domain::ec2::launch_interfaces::check_address_limit;
use crate::model::Cloud;
use crate::model::ec2::gateway::Holder;
use crate::model::ec2::instance_type::InstanceType;
use crate::model::ec2::secondary_addresses::SecondaryAddresses;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "AssignPrivateIpAddresses",
        assign,
        &[&["NetworkInterfaceId", "PrivateIpAddress.N", "SecondaryPrivateIpAddressCount", "AllowReassignment"]],
    )
    .on(&[resource::NETWORK_INTERFACE]),
    Operation::writes("UnassignPrivateIpAddresses", unassign, &[&["NetworkInterfaceId", "PrivateIpAddress.N"]])
        .on(&[resource::NETWORK_INTERFACE]),
];

/// Assigns secondary addresses to an interface.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssignPrivateIpAddresses.html>
fn assign(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let mut interface = find(region, params.required("NetworkInterfaceId")?)?.clone();
    let listed = params.texts("PrivateIpAddress").iter().map(|text| parse(text)).collect::<Outcome<Vec<_>>>()?;
    let wanted = SecondaryAddresses { listed, count: count(params)? };
    check(&wanted)?;
    if let Some(attachment) = &interface.attachment {
        let kind = InstanceType::named(&instance::find(region, &attachment.instance_id)?.instance_type)?;
        let held =
            |address: &&Ipv4Addr| interface.secondary.iter().any(|own| region.private_address(*own) == **address);
        let listed = wanted.listed.len() - wanted.listed.iter().filter(held).count();
        check_address_limit(kind, 1 + interface.secondary.len() + listed + usize::from(wanted.count))?;
    }
    if wanted.is_empty() {
        return Err(ApiError::missing("privateIpAddresses or secondaryPrivateIpAddressCount"));
    }
    if params.flag("AllowReassignment")? {
        let others = region.ec2.network_interfaces.values().filter(|other| other.id != interface.id);
        let held = |address: &Ipv4Addr| wanted.listed.contains(&region.private_address(*address));
        let moved: Vec<(String, Ipv4Addr)> = others
            .flat_map(|other| other.secondary.iter().filter(|address| held(address)).map(|it| (other.id.clone(), *it)))
            .collect();
        let holder = Holder::of(&interface);
        for (owner, address) in moved {
            interface_address::release_secondary_address(region, &owner, address);
            // An elastic address moves with its private one.
            region.move_address_of_secondary(address, &holder);
        }
    }
    let before = interface.secondary.len();
    interface_address::take_secondary_addresses(region, &mut interface, &wanted, call.addresses)?;
    let assigned = interface.secondary[before..].iter().map(|address| region.private_address(*address));
    let assigned: Vec<Node> = assigned.map(|address| Node::new().with("privateIpAddress", address)).collect();
    let answer = Node::success().with("networkInterfaceId", &interface.id);
    region.ec2.network_interfaces.insert(interface.id.clone(), interface);
    Ok(answer.list("assignedPrivateIpAddressesSet", assigned))
}

/// Removes secondary addresses from an interface.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UnassignPrivateIpAddresses.html>
fn unassign(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let interface = find(region, params.required("NetworkInterfaceId")?)?;
    let (id, secondary) = (interface.id.clone(), interface.secondary.clone());
    let texts = params.texts("PrivateIpAddress");
    if texts.is_empty() {
        return Err(ApiError::missing("privateIpAddresses"));
    }
    for text in texts {
        let wanted = parse(&text)?;
        let held = secondary.iter().find(|address| region.private_address(**address) == wanted);
        let held = *held.ok_or_else(|| {
            ApiError::invalid(format!("Some of the specified addresses are not assigned to interface {id}"))
        })?;
        interface_address::release_secondary_address(region, &id, held);
        region.disassociate(|association| association.secondary == Some(held));
    }
    Ok(Node::success())
}
