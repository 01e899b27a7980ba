//! Launch template data of existing instances.

use super::{Ec2Operation, instance, launch_data, resource};
use crate::model::Cloud;
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::launch_template::{LaunchData, NetworkInterface};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("GetLaunchTemplateData", data, &[&["InstanceId"]]).on(&[resource::INSTANCE])];

/// Returns the data of a launch that results in another instance like the given one.
fn data(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let instance = instance::find(region, call.input.required("InstanceId")?)?;
    let devices = region.volumes_of(&instance.id).into_iter().map(|(volume, attachment)| {
        let settings = &volume.settings;
        let provisions = ["gp3", "io1", "io2"].contains(&settings.kind.as_str());
        BlockDevice {
            device_name: attachment.device.clone(),
            snapshot_id: volume.snapshot_id.clone(),
            size_gib: Some(settings.size_gib),
            volume_type: Some(settings.kind.clone()),
            iops: settings.iops.filter(|_| provisions),
            throughput: settings.throughput,
            encrypted: Some(volume.encrypted),
            kms_key: volume.kms_key.clone(),
            delete_on_termination: Some(attachment.delete_on_termination),
            ..BlockDevice::default()
        }
    });
    let options = &instance.metadata_options;
    let further = region.secondary_interfaces_of(&instance.id);
    let primary = NetworkInterface {
        // Of an instance with several interfaces, none can ask for a public address.
        associate_public_ip: further.is_empty().then_some(instance.public_ip),
        security_group_ids: instance.security_groups.clone(),
        subnet_id: Some(instance.subnet_id.clone()),
        ..NetworkInterface::default()
    };
    let further = further.into_iter().map(|(interface, attachment)| NetworkInterface {
        device_index: attachment.device_index,
        description: Some(interface.description.clone()),
        delete_on_termination: Some(attachment.delete_on_termination),
        security_group_ids: interface.groups.clone(),
        subnet_id: Some(interface.subnet_id.clone()),
        ..NetworkInterface::default()
    });
    let data = LaunchData {
        image_id: Some(instance.image_id.clone()),
        instance_type: Some(instance.instance_type.clone()),
        key_name: instance.key_name.clone(),
        zone: Some(instance.zone.clone()),
        placement_group: instance.placement_group.clone(),
        user_data: instance.user_data.clone(),
        profile_arn: instance.instance_profile.as_ref().map(|profile| profile.arn.clone()),
        http_tokens: Some(options.http_tokens.clone()),
        http_endpoint: Some(options.http_endpoint.clone()),
        hop_limit: Some(options.hop_limit),
        instance_metadata_tags: Some(options.instance_metadata_tags.clone()),
        block_devices: devices.collect(),
        disable_api_termination: Some(instance.disable_api_termination),
        disable_api_stop: Some(instance.disable_api_stop),
        shutdown_behavior: Some(if instance.shutdown_terminates { "terminate" } else { "stop" }.to_owned()),
        monitoring: Some(instance.monitoring),
        ebs_optimized: Some(instance.ebs_optimized),
        cpu_credits: instance.credits().map(str::to_owned),
        network_interfaces: std::iter::once(primary).chain(further).collect(),
        instance_tags: instance.tags.clone(),
        ..LaunchData::default()
    };
    Ok(Node::new().with("launchTemplateData", launch_data::render(&data)))
}
