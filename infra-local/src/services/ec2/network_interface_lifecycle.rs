//! Creation, changes and deletion of network interfaces.

use super::client_token::{earlier_result, remember};
use super::network_interface::render_unattached;
use super::requested_addresses;
use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, instance, not_honoured, resource, subnet, tags_for};
use crate::domain::ec2::network_interface::all;
use crate::domain::ec2::security_group::check_security_groups;
use crate::domain::ec2::{interface_address, unknown_network_interface};
use crate::model::ec2::network_interface::NetworkInterface;
use crate::model::{Cloud, Region, new_id};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateNetworkInterface",
        create,
        &[
            &["SubnetId", "Description", "PrivateIpAddress", "SecurityGroupId.N", "ClientToken", "InterfaceType"],
            requested_addresses::AT_CREATION,
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::SUBNET, resource::INTERFACE_GROUPS, resource::NEW_NETWORK_INTERFACE]),
    Operation::writes("DeleteNetworkInterface", delete, &[&["NetworkInterfaceId"]]).on(&[resource::NETWORK_INTERFACE]),
    Operation::writes(
        "ModifyNetworkInterfaceAttribute",
        modify,
        &[&[
            "NetworkInterfaceId",
            "Description.Value",
            "SourceDestCheck.Value",
            "SecurityGroupId.N",
            "Attachment.AttachmentId",
            "Attachment.DeleteOnTermination",
        ]],
    )
    .on(&[resource::NETWORK_INTERFACE, resource::INTERFACE_GROUPS]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "network-interface")?;
    let region = cloud.region_mut(call.region)?;
    let answer = |region: &Region, interface: &NetworkInterface| {
        let shown = render_unattached(region, interface, "pending");
        Node::new().with("networkInterface", shown).maybe("clientToken", params.optional("ClientToken"))
    };
    if let Some(known) = earlier_result(region, call, "CreateNetworkInterface")? {
        return Ok(answer(region, find(region, &known)?));
    }
    let subnet = subnet::find(region, params.required("SubnetId")?)?;
    let (subnet_id, vpc_id) = (subnet.id.clone(), subnet.vpc_id.clone());
    let mut groups = params.texts("SecurityGroupId");
    check_security_groups(region, &mut groups, &vpc_id)?;
    if let Some(other) = params.optional("InterfaceType").filter(|kind| *kind != "interface") {
        return Err(not_honoured(format!(
            "Network interfaces of the local cloud have the InterfaceType 'interface', not '{other}'"
        )));
    }
    let wanted = requested_addresses::at_creation(params)?;
    let id = new_id("eni");
    let address = interface_address::take_address(region, &subnet_id, wanted.primary, &id, call.addresses)?;
    let address = address.ok_or_else(|| interface_address::no_free_address(&subnet_id))?;
    let description = params.optional("Description").unwrap_or_default().to_owned();
    let mut interface =
        NetworkInterface { description, groups, tags, ..NetworkInterface::new(id, &subnet_id, address) };
    interface_address::take_secondary_addresses(region, &mut interface, &wanted.secondary, call.addresses)?;
    let answer = answer(region, &interface);
    remember(region, call, "CreateNetworkInterface", &interface.id);
    region.ec2.network_interfaces.insert(interface.id.clone(), interface);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("NetworkInterfaceId")?;
    if is_managed(region, id) || find(region, id)?.attachment.is_some() {
        return Err(ApiError::invalid(format!("Network interface '{id}' is currently in use.")));
    }
    region.remove_network_interface(id);
    Ok(Node::success())
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("NetworkInterfaceId")?;
    if is_managed(region, id) {
        let message = "You do not have permission to access the specified resource: a service created the interface.";
        return Err(ApiError::new("AuthFailure", message));
    }
    let mut interface = find(region, id)?.clone();
    let description = params.optional("Description.Value");
    let source_dest_check: Option<bool> = params.parsed("SourceDestCheck.Value")?;
    let mut groups = params.texts("SecurityGroupId");
    let attachment = params.structure("Attachment");
    let given = [description.is_some(), source_dest_check.is_some(), !groups.is_empty(), attachment.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => return Err(ApiError::missing("Description, SourceDestCheck, Groups or Attachment")),
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified; one attribute is modified at a time",
            ));
        }
    }
    if let Some(text) = description {
        text.clone_into(&mut interface.description);
    }
    if let Some(check) = source_dest_check {
        interface.source_dest_check = check;
    }
    if let Some(changes) = attachment {
        let wanted = changes.required("AttachmentId")?;
        let delete = changes.parsed("DeleteOnTermination")?;
        let delete = delete.ok_or_else(|| ApiError::missing("attachment.deleteOnTermination"))?;
        let held = interface.attachment.as_mut().filter(|held| held.id == wanted).ok_or_else(|| {
            let message = format!("The attachment '{wanted}' of the interface '{id}' does not exist.");
            ApiError::new("InvalidAttachmentID.NotFound", message)
        })?;
        held.delete_on_termination = delete;
    }
    if !groups.is_empty() {
        let vpc_id = subnet::find(region, &interface.subnet_id)?.vpc_id.clone();
        check_security_groups(region, &mut groups, &vpc_id)?;
        match &interface.attachment {
            Some(attachment) if attachment.device_index == 0 => {
                instance::find_mut(region, &attachment.instance_id)?.security_groups = groups;
            }
            _ => interface.groups = groups,
        }
    }
    region.ec2.network_interfaces.insert(interface.id.clone(), interface);
    Ok(Node::success())
}

/// The interface of an instance, or of none, with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a NetworkInterface> {
    check_id(id, "eni", "InvalidNetworkInterfaceId.Malformed")?;
    region.ec2.network_interfaces.get(id).ok_or_else(|| unknown_network_interface(id))
}

/// Returns whether a service created the interface.
fn is_managed(region: &Region, id: &str) -> bool {
    !region.ec2.network_interfaces.contains_key(id) && all(region).iter().any(|interface| interface.id == id)
}
