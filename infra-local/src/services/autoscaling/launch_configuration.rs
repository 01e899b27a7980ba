//! Launch configurations. AWS offers them to the accounts that used them before 2023, and recommends launch templates.
//!
//! Source: Amazon EC2 Auto Scaling API reference, `CreateLaunchConfiguration`, `LaunchConfiguration`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{PAGES, page, required, resource, switch, validation};
use crate::domain::ec2::launch_template;
use crate::model::autoscaling::Group;
use crate::model::autoscaling::launch_configuration::{LaunchConfiguration, PREFIX};
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::instance_type::InstanceType;
use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, NetworkInterface, TemplateVersion};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateLaunchConfiguration", create, &[NAME, CONFIGURATION])
        .on(&[resource::CONFIGURATION])
        .needing(resource::PASSES_CONFIGURED_ROLE),
    Operation::reads("DescribeLaunchConfigurations", describe, &[&["LaunchConfigurationNames.N"], PAGES]).on_any(),
    Operation::writes("DeleteLaunchConfiguration", delete, &[NAME]).on(&[resource::CONFIGURATION]),
];

const NAME: &[&str] = &["LaunchConfigurationName"];

const CONFIGURATION: &[&str] = &[
    "ImageId",
    "InstanceType",
    "KeyName",
    "SecurityGroups.N",
    "UserData",
    "IamInstanceProfile",
    "EbsOptimized",
    "InstanceMonitoring.Enabled",
    "AssociatePublicIpAddress",
    "MetadataOptions.HttpTokens",
    "MetadataOptions.HttpEndpoint",
    "MetadataOptions.HttpPutResponseHopLimit",
    "BlockDeviceMappings.N.DeviceName",
    "BlockDeviceMappings.N.NoDevice",
    "BlockDeviceMappings.N.Ebs.SnapshotId",
    "BlockDeviceMappings.N.Ebs.VolumeSize",
    "BlockDeviceMappings.N.Ebs.VolumeType",
    "BlockDeviceMappings.N.Ebs.DeleteOnTermination",
    "BlockDeviceMappings.N.Ebs.Iops",
    "BlockDeviceMappings.N.Ebs.Throughput",
    "BlockDeviceMappings.N.Ebs.Encrypted",
];

/// AWS's default quota.
pub(super) const LIMIT: usize = 200;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "LaunchConfigurationName")?.to_owned();
    let region = cloud.region_mut(call.region)?;
    if region.autoscaling.launch_configurations.contains_key(&name) {
        let message = format!(
            "Launch Configuration by this name already exists - A launch configuration already exists with the name {name}"
        );
        return Err(ApiError::new("AlreadyExists", message));
    }
    if region.autoscaling.launch_configurations.len() >= LIMIT {
        let message = format!("The maximum number of launch configurations is {LIMIT}");
        return Err(ApiError::new("LimitExceeded", message));
    }
    let data = data(region, params)?;
    let version = TemplateVersion { description: None, created: call.now, data };
    let template = LaunchTemplate {
        id: format!("{PREFIX}{name}"),
        name: name.clone(),
        created: call.now,
        default_version: 1,
        latest_version: 1,
        versions: BTreeMap::from([(1, version)]),
        tags: BTreeMap::new(),
    };
    let own = format!("launchConfiguration:{}:launchConfigurationName/{name}", Uuid::new_v4());
    let arn = call.scope().arn("autoscaling", own);
    region.autoscaling.launch_configurations.insert(name, LaunchConfiguration { arn, template });
    Ok(Node::new())
}

fn data(region: &Region, params: &Params) -> Outcome<LaunchData> {
    let text = |name: &str| params.optional(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let (Some(image), Some(kind)) = (text("ImageId"), text("InstanceType")) else {
        return Err(validation(
            "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.",
        ));
    };
    InstanceType::named(&kind).map_err(|error| validation(error.message))?;
    let groups = params.texts("SecurityGroups");
    if let Some(unknown) = groups.iter().find(|id| !region.ec2.security_groups.contains_key(id)) {
        return Err(validation(format!("The security group '{unknown}' does not exist")));
    }
    if let Some(unknown) = text("KeyName").filter(|name| !region.ec2.key_pairs.values().any(|pair| pair.name == *name))
    {
        return Err(validation(format!("The key pair '{unknown}' does not exist")));
    }
    let profile = text("IamInstanceProfile");
    let (profile_arn, profile_name) = match profile {
        Some(arn) if arn.starts_with("arn:") => (Some(arn), None),
        name => (None, name),
    };
    let public_ip = switch(params, "AssociatePublicIpAddress")?;
    let metadata = params.structure("MetadataOptions").unwrap_or_default();
    let metadata_text = |name: &str| metadata.optional(name).map(str::to_owned);
    let monitoring = params.structure("InstanceMonitoring").unwrap_or_default();
    Ok(LaunchData {
        image_id: Some(image),
        instance_type: Some(kind),
        key_name: text("KeyName"),
        user_data: text("UserData"),
        profile_arn,
        profile_name,
        ebs_optimized: switch(params, "EbsOptimized")?,
        monitoring: switch(&monitoring, "Enabled")?,
        http_tokens: metadata_text("HttpTokens"),
        http_endpoint: metadata_text("HttpEndpoint"),
        hop_limit: metadata.parsed("HttpPutResponseHopLimit").map_err(|error| validation(error.message))?,
        block_devices: params.structures("BlockDeviceMappings").iter().map(block_device).collect::<Outcome<_>>()?,
        // Only an interface of the launch can ask for a public address, and it has the groups then.
        security_group_ids: if public_ip.is_some() { Vec::new() } else { groups.clone() },
        network_interfaces: Vec::from_iter(public_ip.map(|is_public| NetworkInterface {
            associate_public_ip: Some(is_public),
            security_group_ids: groups,
            ..NetworkInterface::default()
        })),
        ..LaunchData::default()
    })
}

fn block_device(params: &Params) -> Outcome<BlockDevice> {
    let ebs = params.structure("Ebs").unwrap_or_default();
    let invalid = |error: ApiError| validation(error.message);
    Ok(BlockDevice {
        device_name: required(params, "DeviceName")?.to_owned(),
        no_device: switch(params, "NoDevice")?.unwrap_or(false),
        snapshot_id: ebs.optional("SnapshotId").map(str::to_owned),
        size_gib: ebs.parsed("VolumeSize").map_err(invalid)?,
        volume_type: ebs.optional("VolumeType").map(str::to_owned),
        iops: ebs.parsed("Iops").map_err(invalid)?,
        throughput: ebs.parsed("Throughput").map_err(invalid)?,
        encrypted: switch(&ebs, "Encrypted")?,
        delete_on_termination: switch(&ebs, "DeleteOnTermination")?,
        ..BlockDevice::default()
    })
}

/// Selects a launch configuration for a group.
pub(super) fn apply(group: &mut Group, region: &Region, params: &Params) -> Outcome<()> {
    let Some(name) = params.optional("LaunchConfigurationName").filter(|name| !name.is_empty()) else { return Ok(()) };
    if params.structure("LaunchTemplate").is_some() || params.structure("MixedInstancesPolicy").is_some() {
        return Err(validation(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ));
    }
    let found = region.autoscaling.launch_configurations.get(name);
    let found = found.ok_or_else(|| {
        validation(format!("Launch configuration name not found - Launch configuration {name} not found"))
    })?;
    group.template = found.reference();
    group.mixed = None;
    launch_template::resolve(region, &group.template).map_err(|error| validation(error.message))?;
    Ok(())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let names = call.input.texts("LaunchConfigurationNames");
    let all = cloud.region(call.region)?.autoscaling.launch_configurations.values();
    let wanted = all.filter(|found| names.is_empty() || names.iter().any(|name| name == found.name())).collect();
    let page = page(wanted, &call.input, |found: &&LaunchConfiguration| found.name())?;
    let shown = page.items.into_iter().filter_map(render);
    Ok(Node::new().list("LaunchConfigurations", shown).maybe("NextToken", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = required(&call.input, "LaunchConfigurationName")?;
    let autoscaling = &mut cloud.region_mut(call.region)?.autoscaling;
    let found = autoscaling.launch_configurations.get(name).ok_or_else(|| {
        validation(format!("Launch configuration name not found - Launch configuration {name} not found"))
    })?;
    let id = Some(&found.template.id);
    if let Some(group) = autoscaling.groups.values().find(|group| group.template.id.as_ref() == id) {
        let message = format!(
            "Cannot delete launch configuration {name} because it is attached to AutoScalingGroup {}",
            group.name
        );
        return Err(ApiError::new("ResourceInUse", message));
    }
    autoscaling.launch_configurations.remove(name);
    Ok(Node::new())
}

fn render(found: &LaunchConfiguration) -> Option<Node> {
    let data = found.data()?;
    let interface = data.primary_interface();
    let groups = interface.map_or(&data.security_group_ids, |interface| &interface.security_group_ids);
    let has_metadata = data.http_tokens.is_some() || data.http_endpoint.is_some() || data.hop_limit.is_some();
    let metadata = has_metadata.then(|| {
        Node::new()
            .maybe("HttpTokens", data.http_tokens.as_ref())
            .maybe("HttpEndpoint", data.http_endpoint.as_ref())
            .maybe("HttpPutResponseHopLimit", data.hop_limit)
    });
    Some(
        Node::new()
            .with("LaunchConfigurationName", found.name())
            .with("LaunchConfigurationARN", &found.arn)
            .with("ImageId", data.image_id.as_deref().unwrap_or_default())
            .with("KeyName", data.key_name.as_deref().unwrap_or_default())
            .list("SecurityGroups", groups)
            .list("ClassicLinkVPCSecurityGroups", Vec::<Node>::new())
            .with("UserData", data.user_data.as_deref().unwrap_or_default())
            .with("InstanceType", data.instance_type.as_deref().unwrap_or_default())
            .with("KernelId", "")
            .with("RamdiskId", "")
            .list("BlockDeviceMappings", data.block_devices.iter().map(render_device))
            .with("InstanceMonitoring", Node::new().with("Enabled", data.monitoring.unwrap_or(true)))
            .maybe("IamInstanceProfile", data.profile_arn.as_ref().or(data.profile_name.as_ref()))
            .with("CreatedTime", found.template.created)
            .with("EbsOptimized", data.ebs_optimized.unwrap_or(false))
            .maybe("AssociatePublicIpAddress", interface.and_then(|interface| interface.associate_public_ip))
            .maybe("MetadataOptions", metadata),
    )
}

fn render_device(device: &BlockDevice) -> Node {
    let ebs = Node::new()
        .maybe("SnapshotId", device.snapshot_id.as_ref())
        .maybe("VolumeSize", device.size_gib)
        .maybe("VolumeType", device.volume_type.as_ref())
        .maybe("DeleteOnTermination", device.delete_on_termination)
        .maybe("Iops", device.iops)
        .maybe("Throughput", device.throughput)
        .maybe("Encrypted", device.encrypted);
    Node::new()
        .with("DeviceName", &device.device_name)
        .maybe("NoDevice", device.no_device.then_some(true))
        .maybe("Ebs", (!device.no_device).then_some(ebs))
}
