//! Attachments of network interfaces to instances, beside the primary interfaces that instances are launched with.

use super::network_interface_lifecycle::find;
use super::{Ec2Operation, check_id, instance, not_honoured, resource, subnet};
use crate::domain::ec2::launch_interfaces::{check_address_limit, too_many_interfaces};
use crate::domain::ec2::network_interface::all;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::ec2::instance_type::InstanceType;
use crate::model::ec2::network_interface::{Attachment, NetworkInterface};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "AttachNetworkInterface",
        attach,
        &[&["NetworkInterfaceId", "InstanceId", "DeviceIndex", "NetworkCardIndex"]],
    )
    .on(&[resource::INSTANCE, resource::NETWORK_INTERFACE]),
    Operation::writes("DetachNetworkInterface", detach, &[&["AttachmentId"]])
        .on(&[resource::ATTACHED_INSTANCE, resource::ATTACHED_INTERFACE])
        // The operating system of an instance does not hold its interface, so that each detachment succeeds at once.
        .ignoring(&[&["Force"]]),
];

/// Attaches an interface to an instance that runs or is stopped.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachNetworkInterface.html>
fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let device_index: u32 = params.parsed("DeviceIndex")?.ok_or_else(|| ApiError::missing("deviceIndex"))?;
    let interface = find(region, params.required("NetworkInterfaceId")?)?.clone();
    let instance = instance::find(region, params.required("InstanceId")?)?;
    if interface.attachment.is_some() {
        let message = format!("Interface: [{}] in use.", interface.id);
        return Err(ApiError::new("InvalidNetworkInterface.InUse", message));
    }
    if let Some(card) = params.optional("NetworkCardIndex").filter(|card| *card != "0") {
        let message = format!("The instance type '{}' has no network card with index {card}", instance.instance_type);
        return Err(ApiError::invalid(message));
    }
    check(region, instance, &interface, device_index)?;
    let attached = Some(call.now);
    let attachment = Attachment { device_index, attached, ..Attachment::new(&instance.id, false) };
    let answer = Node::new().with("attachmentId", &attachment.id).with("networkCardIndex", 0);
    let interface = NetworkInterface { attachment: Some(attachment), ..interface };
    region.ec2.network_interfaces.insert(interface.id.clone(), interface);
    Ok(answer)
}

fn check(region: &Region, instance: &Instance, interface: &NetworkInterface, device_index: u32) -> Outcome<()> {
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
        let message = format!("Instance '{}' is not 'running' or 'stopped'.", instance.id);
        return Err(ApiError::new("IncorrectState", message));
    }
    let others = region.secondary_interfaces_of(&instance.id);
    if device_index == 0 || others.iter().any(|(_, held)| held.device_index == device_index) {
        let message =
            format!("Instance '{}' already has an interface attached at device index '{device_index}'.", instance.id);
        return Err(ApiError::invalid(message));
    }
    let kind = InstanceType::named(&instance.instance_type)?;
    let count = others.len() + 2;
    if count > kind.interface_limits().0 {
        return Err(too_many_interfaces(kind, count));
    }
    check_address_limit(kind, 1 + interface.secondary.len())?;
    let subnet = subnet::find(region, &interface.subnet_id)?;
    if subnet.zone != instance.zone {
        let message = format!(
            "You may not attach a network interface to an instance if they are not in the same availability zone: {} is in \
             {}, and {} is in {}",
            interface.id, subnet.zone, instance.id, instance.zone
        );
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    if !region.private_addresses {
        return Err(not_honoured(format!(
            "This local cloud connects instances over the loopback interface, so {} can have no second interface: start \
             the cloud with `--network namespaces`, or use AWS",
            instance.id
        )));
    }
    if subnet.vpc_id != instance.vpc_id {
        return Err(not_honoured(format!(
            "The local cloud attaches interfaces of an instance's own VPC, and {} is in {}, not in {}: use an interface of \
             this VPC, or AWS",
            interface.id, subnet.vpc_id, instance.vpc_id
        )));
    }
    Ok(())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id =
        check_id(call.input.required("AttachmentId")?, "eni-attach", "InvalidNetworkInterfaceAttachmentId.Malformed")?;
    let is_wanted = |interface: &&NetworkInterface| interface.attachment.as_ref().is_some_and(|held| held.id == id);
    let found = region.ec2.network_interfaces.values().find(is_wanted).cloned();
    if let Some(mut interface) = found {
        if interface.attachment.take().is_some_and(|held| held.device_index == 0) {
            let message = "The network interface at device index 0 cannot be detached.";
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        region.ec2.network_interfaces.insert(interface.id.clone(), interface);
        return Ok(Node::success());
    }
    if all(region).iter().any(|interface| interface.id.replacen("eni-", "eni-attach-", 1) == id) {
        let message = format!("You are not allowed to manage '{id}' attachments: a service created its interface");
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    Err(ApiError::new("InvalidAttachmentID.NotFound", format!("The attachment '{id}' does not exist.")))
}
