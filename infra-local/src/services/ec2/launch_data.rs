//! Parameters of a launch, which RunInstances and launch templates share.

use std::net::Ipv4Addr;

use super::requested_addresses::{at_creation, private_address};
use crate::domain::ec2::check_user_data;
use crate::model::Tags;
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::launch_template::{LaunchData, NetworkInterface};
use crate::services::tags;
use crate::wire::{ApiError, Node, Outcome, Params};

/// Builds a table of parameter names at compile time, with an optional prefix.
macro_rules! names {
    ($prefix:literal) => {
        &[
            concat!($prefix, "ImageId"),
            concat!($prefix, "InstanceType"),
            concat!($prefix, "KeyName"),
            concat!($prefix, "SecurityGroupId.N"),
            concat!($prefix, "UserData"),
            concat!($prefix, "IamInstanceProfile.Arn"),
            concat!($prefix, "IamInstanceProfile.Name"),
            concat!($prefix, "MetadataOptions.HttpTokens"),
            concat!($prefix, "MetadataOptions.HttpEndpoint"),
            concat!($prefix, "MetadataOptions.HttpPutResponseHopLimit"),
            concat!($prefix, "MetadataOptions.InstanceMetadataTags"),
            concat!($prefix, "MetadataOptions.HttpProtocolIpv6"),
            concat!($prefix, "BlockDeviceMapping.N.DeviceName"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.VolumeSize"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.VolumeType"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.Iops"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.Throughput"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.Encrypted"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.DeleteOnTermination"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.SnapshotId"),
            concat!($prefix, "BlockDeviceMapping.N.Ebs.KmsKeyId"),
            concat!($prefix, "BlockDeviceMapping.N.NoDevice"),
            concat!($prefix, "NetworkInterface.N.DeviceIndex"),
            concat!($prefix, "NetworkInterface.N.AssociatePublicIpAddress"),
            concat!($prefix, "NetworkInterface.N.DeleteOnTermination"),
            concat!($prefix, "NetworkInterface.N.SecurityGroupId.N"),
            concat!($prefix, "NetworkInterface.N.NetworkInterfaceId"),
            concat!($prefix, "NetworkInterface.N.SubnetId"),
            concat!($prefix, "NetworkInterface.N.PrivateIpAddress"),
            concat!($prefix, "NetworkInterface.N.PrivateIpAddresses.N.PrivateIpAddress"),
            concat!($prefix, "NetworkInterface.N.PrivateIpAddresses.N.Primary"),
            concat!($prefix, "NetworkInterface.N.SecondaryPrivateIpAddressCount"),
            concat!($prefix, "NetworkInterface.N.Description"),
            concat!($prefix, "NetworkInterface.N.InterfaceType"),
            concat!($prefix, "NetworkInterface.N.NetworkCardIndex"),
            concat!($prefix, "DisableApiTermination"),
            concat!($prefix, "InstanceInitiatedShutdownBehavior"),
            concat!($prefix, "Monitoring.Enabled"),
            concat!($prefix, "EbsOptimized"),
            concat!($prefix, "CreditSpecification.CpuCredits"),
            concat!($prefix, "HibernationOptions.Configured"),
            concat!($prefix, "EnclaveOptions.Enabled"),
            concat!($prefix, "DisableApiStop"),
            concat!($prefix, "Placement.Tenancy"),
            concat!($prefix, "MaintenanceOptions.AutoRecovery"),
            concat!($prefix, "CapacityReservationSpecification.CapacityReservationPreference"),
            concat!($prefix, "Placement.AvailabilityZone"),
            concat!($prefix, "Placement.GroupName"),
            concat!($prefix, "TagSpecification.N.ResourceType"),
            concat!($prefix, "TagSpecification.N.Tag.N.Key"),
            concat!($prefix, "TagSpecification.N.Tag.N.Value"),
        ]
    };
}

/// The parameters in RunInstances.
pub(super) const IN_REQUEST: &[&str] = names!("");
/// The parameters in launch templates.
pub(super) const IN_TEMPLATE: &[&str] = names!("LaunchTemplateData.");

/// Parameters that are accepted only with these values, because some clients send them with every launch.
const GIVEN: &[(&str, &str)] = &[
    ("HibernationOptions.Configured", "false"),
    ("MetadataOptions.HttpProtocolIpv6", "disabled"),
    ("EnclaveOptions.Enabled", "false"),
    ("Placement.Tenancy", "default"),
    ("MaintenanceOptions.AutoRecovery", "default"),
    ("CapacityReservationSpecification.CapacityReservationPreference", "open"),
];

/// Parses the parameters. `SubnetId` and `PrivateIpAddress` exist in RunInstances only.
pub(super) fn parse(params: &Params) -> Outcome<LaunchData> {
    let profile = params.structure("IamInstanceProfile").unwrap_or_default();
    let metadata = params.structure("MetadataOptions").unwrap_or_default();
    let text = |params: &Params, name: &str| params.optional(name).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some((name, only)) =
        GIVEN.iter().find(|(name, only)| params.optional(name).is_some_and(|given| given != *only))
    {
        let message = format!("The local cloud honours {name} with the value '{only}' alone; leave it out, or use AWS");
        return Err(ApiError::new("UnsupportedParameter", message));
    }
    let mut data = LaunchData {
        image_id: text(params, "ImageId"),
        instance_type: text(params, "InstanceType"),
        key_name: text(params, "KeyName"),
        security_group_ids: params.texts("SecurityGroupId"),
        subnet_id: text(params, "SubnetId"),
        private_address: private_address(params)?,
        zone: params.structure("Placement").and_then(|placement| text(&placement, "AvailabilityZone")),
        placement_group: params.structure("Placement").and_then(|placement| text(&placement, "GroupName")),
        user_data: text(params, "UserData"),
        profile_arn: text(&profile, "Arn"),
        profile_name: text(&profile, "Name"),
        http_tokens: one_of(&metadata, "HttpTokens", &["optional", "required"])?,
        http_endpoint: one_of(&metadata, "HttpEndpoint", &["enabled", "disabled"])?,
        hop_limit: metadata.parsed("HttpPutResponseHopLimit")?,
        instance_metadata_tags: one_of(&metadata, "InstanceMetadataTags", &["enabled", "disabled"])?,
        block_devices: params.structures("BlockDeviceMapping").iter().map(block_device).collect::<Outcome<_>>()?,
        disable_api_termination: params.parsed("DisableApiTermination")?,
        disable_api_stop: params.parsed("DisableApiStop")?,
        shutdown_behavior: one_of(params, "InstanceInitiatedShutdownBehavior", &["stop", "terminate"])?,
        monitoring: params.structure("Monitoring").map(|monitoring| monitoring.flag("Enabled")).transpose()?,
        ebs_optimized: params.parsed("EbsOptimized")?,
        cpu_credits: one_of(
            &params.structure("CreditSpecification").unwrap_or_default(),
            "CpuCredits",
            &["standard", "unlimited"],
        )?,
        network_interfaces: network_interfaces(params)?,
        ..LaunchData::default()
    };
    if let Some(encoded) = &data.user_data {
        check_user_data(encoded)?;
    }
    for specification in params.structures("TagSpecification") {
        let tags = tags::parse(&specification, "Tag")?;
        match specification.required("ResourceType")? {
            "instance" => data.instance_tags.extend(tags),
            "volume" => data.volume_tags.extend(tags),
            "network-interface" => data.interface_tags.extend(tags),
            other => {
                return Err(ApiError::invalid(format!(
                    "'{other}' is not a valid taggable resource type for this operation."
                )));
            }
        }
    }
    Ok(data)
}

fn block_device(params: &Params) -> Outcome<BlockDevice> {
    let ebs = params.structure("Ebs").unwrap_or_default();
    Ok(BlockDevice {
        device_name: params.required("DeviceName")?.to_owned(),
        volume_id: String::new(),
        size_gib: ebs.parsed("VolumeSize")?,
        volume_type: one_of(&ebs, "VolumeType", &["standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"])?,
        iops: ebs.parsed("Iops")?,
        throughput: ebs.parsed("Throughput")?,
        encrypted: ebs.parsed("Encrypted")?,
        delete_on_termination: ebs.parsed("DeleteOnTermination")?,
        snapshot_id: ebs.optional("SnapshotId").map(str::to_owned),
        kms_key: ebs.optional("KmsKeyId").map(str::to_owned),
        no_device: params.optional("NoDevice").is_some(),
    })
}

fn network_interfaces(params: &Params) -> Outcome<Vec<NetworkInterface>> {
    let mut interfaces: Vec<NetworkInterface> = Vec::new();
    for structure in params.structures("NetworkInterface") {
        let interface = network_interface(&structure)?;
        if interfaces.iter().any(|other| other.device_index == interface.device_index) {
            return Err(ApiError::invalid("Each network interface requires a unique device index."));
        }
        interfaces.push(interface);
    }
    interfaces.sort_by_key(|interface| interface.device_index);
    Ok(interfaces)
}

fn network_interface(interface: &Params) -> Outcome<NetworkInterface> {
    for (name, only) in [("InterfaceType", "interface"), ("NetworkCardIndex", "0")] {
        if let Some(other) = interface.optional(name).filter(|given| *given != only) {
            let message = format!("Network interfaces of the local cloud have the {name} '{only}', not '{other}'");
            return Err(ApiError::new("UnsupportedParameter", message));
        }
    }
    let device_index = interface.parsed("DeviceIndex")?;
    let addresses = at_creation(interface)?;
    Ok(NetworkInterface {
        device_index: device_index
            .ok_or_else(|| ApiError::invalid("Each network interface requires a device index."))?,
        description: interface.optional("Description").map(str::to_owned),
        id: interface.optional("NetworkInterfaceId").map(str::to_owned),
        associate_public_ip: interface.parsed("AssociatePublicIpAddress")?,
        delete_on_termination: interface.parsed("DeleteOnTermination")?,
        security_group_ids: interface.texts("SecurityGroupId"),
        subnet_id: interface.optional("SubnetId").map(str::to_owned),
        private_address: addresses.primary,
        secondary: addresses.secondary,
    })
}

fn one_of(params: &Params, name: &str, allowed: &[&str]) -> Outcome<Option<String>> {
    match params.optional(name) {
        Some(value) if !allowed.contains(&value) => Err(ApiError::invalid(format!(
            "Invalid value '{value}' for {name}. Allowed values are {}.",
            allowed.join(", ")
        ))),
        value => Ok(value.map(str::to_owned)),
    }
}

/// The listed addresses of an interface, as a launch template contains them.
fn listed_addresses(interface: &NetworkInterface) -> Option<Node> {
    let listed = &interface.secondary.listed;
    let shown =
        |(address, primary): (&Ipv4Addr, bool)| Node::new().with("privateIpAddress", *address).with("primary", primary);
    let all = interface.private_address.iter().map(|it| (it, true)).chain(listed.iter().map(|it| (it, false)));
    (!listed.is_empty()).then(|| Node::items(all.map(shown)))
}

/// Renders the parameters as `launchTemplateData`.
pub(super) fn render(data: &LaunchData) -> Node {
    let profile = (data.profile_arn.is_some() || data.profile_name.is_some())
        .then(|| Node::new().maybe("arn", data.profile_arn.as_ref()).maybe("name", data.profile_name.as_ref()));
    let some_metadata = data.http_tokens.is_some()
        || data.http_endpoint.is_some()
        || data.hop_limit.is_some()
        || data.instance_metadata_tags.is_some();
    let metadata = some_metadata.then(|| {
        Node::new()
            .maybe("httpTokens", data.http_tokens.as_ref())
            .maybe("httpEndpoint", data.http_endpoint.as_ref())
            .maybe("httpPutResponseHopLimit", data.hop_limit)
            .maybe("instanceMetadataTags", data.instance_metadata_tags.as_ref())
    });
    let devices = (!data.block_devices.is_empty()).then(|| Node::items(data.block_devices.iter().map(render_device)));
    let interfaces = data.network_interfaces.iter().map(|interface| {
        Node::new()
            .with("deviceIndex", interface.device_index)
            .maybe("associatePublicIpAddress", interface.associate_public_ip)
            .maybe("deleteOnTermination", interface.delete_on_termination)
            .maybe("description", interface.description.as_ref())
            .maybe("networkInterfaceId", interface.id.as_ref())
            // The elements of this list are called `groupId`, not `item`.
            .with(
                "groupSet",
                interface.security_group_ids.iter().fold(Node::new(), |set, group| set.with("groupId", group)),
            )
            .maybe("subnetId", interface.subnet_id.as_ref())
            .maybe("privateIpAddress", interface.private_address)
            .maybe(
                "secondaryPrivateIpAddressCount",
                Some(u32::from(interface.secondary.count)).filter(|count| *count > 0),
            )
            .maybe("privateIpAddressesSet", listed_addresses(interface))
    });
    let tagged: [(&str, &Tags); 3] =
        [("instance", &data.instance_tags), ("volume", &data.volume_tags), ("network-interface", &data.interface_tags)];
    let specifications = tagged
        .into_iter()
        .filter(|(_, tags)| !tags.is_empty())
        .map(|(kind, tags)| Node::new().with("resourceType", kind).with("tagSet", tags::set(tags)));
    let placement =
        Node::new().maybe("availabilityZone", data.zone.as_ref()).maybe("groupName", data.placement_group.as_ref());
    Node::new()
        .maybe("ebsOptimized", data.ebs_optimized)
        .maybe("creditSpecification", data.cpu_credits.as_ref().map(|credits| Node::new().with("cpuCredits", credits)))
        .maybe("iamInstanceProfile", profile)
        .maybe("blockDeviceMappingSet", devices)
        .list("networkInterfaceSet", interfaces)
        .maybe("imageId", data.image_id.as_ref())
        .maybe("instanceType", data.instance_type.as_ref())
        .maybe("keyName", data.key_name.as_ref())
        .maybe("monitoring", data.monitoring.map(|enabled| Node::new().with("enabled", enabled)))
        .maybe("placement", (data.zone.is_some() || data.placement_group.is_some()).then_some(placement))
        .maybe("disableApiTermination", data.disable_api_termination)
        .maybe("disableApiStop", data.disable_api_stop)
        .maybe("instanceInitiatedShutdownBehavior", data.shutdown_behavior.as_ref())
        .maybe("userData", data.user_data.as_ref())
        .list("tagSpecificationSet", specifications)
        .list("securityGroupIdSet", &data.security_group_ids)
        .maybe("metadataOptions", metadata)
}

pub(super) fn render_device(device: &BlockDevice) -> Node {
    let ebs = Node::new()
        .maybe("volumeSize", device.size_gib)
        .maybe("volumeType", device.volume_type.as_ref())
        .maybe("iops", device.iops)
        .maybe("throughput", device.throughput)
        .maybe("encrypted", device.encrypted)
        .maybe("deleteOnTermination", device.delete_on_termination)
        .maybe("snapshotId", device.snapshot_id.as_ref())
        .maybe("kmsKeyId", device.kms_key.as_ref());
    let node = Node::new().with("deviceName", &device.device_name);
    if device.no_device { node.with("noDevice", "") } else { node.with("ebs", ebs) }
}
