//! Descriptions of instances.

use super::network_interface::render_interfaces_of;
use super::security_group::render_groups;
use crate::model::ec2::image::ROOT_DEVICE;
use crate::model::ec2::instance::{Instance, InstanceState, MetadataOptions};
use crate::model::ec2::volume::{Volume, VolumeAttachment};
use crate::model::{Region, zone_id};
use crate::services::tags;
use crate::wire::Node;

/// Renders instances of one reservation.
pub(super) fn render_reservation(region: &Region, instances: &[&Instance]) -> Node {
    Node::new()
        .with("reservationId", instances.first().map_or("", |instance| &instance.reservation_id))
        .with("ownerId", region.account)
        .list("groupSet", Vec::<Node>::new())
        .list("instancesSet", instances.iter().map(|instance| render(region, instance)))
}

/// Renders a state with its code.
pub(super) fn render_state(state: InstanceState) -> Node {
    Node::new().with("code", state.code()).with("name", state.name())
}

/// Renders an instance.
pub(super) fn render(region: &Region, instance: &Instance) -> Node {
    // The address of a terminated instance is released.
    let has_address = instance.state != InstanceState::Terminated;
    let private = has_address.then(|| region.private_address(instance.address));
    let public = region.public_address_of(instance);
    let private_name = private.map(|address| region.private_name(address)).unwrap_or_default();
    let public_name = public.and_then(|address| region.public_name(&instance.vpc_id, address)).unwrap_or_default();
    let interface = region.ec2.network_interfaces.get(&instance.network_interface_id);
    let reason = instance.reason.as_ref();
    let devices = region.volumes_of(&instance.id).into_iter().map(render_device);
    let monitoring = if instance.monitoring { "enabled" } else { "disabled" };
    Node::new()
        .with("instanceId", &instance.id)
        .with("imageId", &instance.image_id)
        .with("instanceState", render_state(instance.state))
        .with("privateDnsName", private_name)
        .with("dnsName", public_name)
        .with("reason", reason.map_or("", |reason| &reason.message))
        .maybe("keyName", instance.key_name.as_ref())
        .with("amiLaunchIndex", instance.launch_index)
        .list("productCodes", Vec::<Node>::new())
        .with("instanceType", &instance.instance_type)
        .with("launchTime", instance.launch_time)
        .with(
            "placement",
            Node::new()
                .with("availabilityZone", &instance.zone)
                .with("availabilityZoneId", zone_id(&instance.zone))
                .with("groupName", instance.placement_group.as_deref().unwrap_or_default())
                .with("tenancy", "default"),
        )
        .with("monitoring", Node::new().with("state", monitoring))
        .maybe("subnetId", has_address.then_some(&instance.subnet_id))
        .maybe("vpcId", has_address.then_some(&instance.vpc_id))
        .maybe("privateIpAddress", private)
        .maybe("ipAddress", public)
        .with("sourceDestCheck", interface.is_none_or(|interface| interface.source_dest_check))
        .with(
            "groupSet",
            if has_address { render_groups(region, &instance.security_groups) } else { Node::Items(Vec::new()) },
        )
        .maybe(
            "stateReason",
            reason.map(|reason| Node::new().with("code", &reason.code).with("message", &reason.message)),
        )
        .with("architecture", "x86_64")
        .with("rootDeviceType", "ebs")
        .with("rootDeviceName", ROOT_DEVICE)
        .list("blockDeviceMapping", devices)
        .with("virtualizationType", "hvm")
        .with("clientToken", instance.client_token.as_deref().unwrap_or(""))
        .with("tagSet", tags::set(&instance.tags))
        .with("hypervisor", "xen")
        .list("networkInterfaceSet", if has_address { render_interfaces_of(region, instance) } else { Vec::new() })
        .maybe(
            "iamInstanceProfile",
            instance
                .instance_profile
                .as_ref()
                .map(|profile| Node::new().with("arn", &profile.arn).with("id", &profile.id)),
        )
        .with("ebsOptimized", instance.ebs_optimized)
        .with("enaSupport", true)
        .with("metadataOptions", render_options(&instance.metadata_options))
        .with("platformDetails", "Linux/UNIX")
        .with("usageOperation", "RunInstances")
        .with("currentInstanceBootMode", "uefi")
}

/// Renders an attached volume.
pub(super) fn render_device((volume, attachment): (&Volume, &VolumeAttachment)) -> Node {
    Node::new().with("deviceName", &attachment.device).with(
        "ebs",
        Node::new()
            .with("volumeId", &volume.id)
            .with("status", "attached")
            .with("attachTime", attachment.attached)
            .with("deleteOnTermination", attachment.delete_on_termination),
    )
}

/// Renders options of the instance metadata service.
pub(super) fn render_options(options: &MetadataOptions) -> Node {
    Node::new()
        .with("state", "applied")
        .with("httpTokens", &options.http_tokens)
        .with("httpPutResponseHopLimit", options.hop_limit)
        .with("httpEndpoint", &options.http_endpoint)
        .with("httpProtocolIpv6", "disabled")
        .with("instanceMetadataTags", &options.instance_metadata_tags)
}
