//! Filters of DescribeInstances. Most of them compare elements of the response.
//!
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>.

use super::instance_description::render;
use super::{Located, never};
use crate::model::ec2::instance::Instance;
use crate::wire::filter::Field;

/// An instance with its region.
type It<'a> = Located<'a, Instance>;

/// Returns all filters of instances.
pub(super) fn fields<'a>() -> Vec<Field<It<'a>>> {
    let groups = [direct(), described(), of_interfaces(), of_addresses(), absent()];
    groups.into_iter().flatten().collect()
}

/// Filters of properties that need no description.
fn direct<'a>() -> Vec<Field<It<'a>>> {
    vec![
        ("instance-id", |it| vec![it.item.id.clone()]),
        ("reservation-id", |it| vec![it.item.reservation_id.clone()]),
        ("instance-state-name", |it| vec![it.item.state.name().to_owned()]),
        ("instance-state-code", |it| vec![it.item.state.code().to_string()]),
        ("instance-type", |it| vec![it.item.instance_type.clone()]),
        ("image-id", |it| vec![it.item.image_id.clone()]),
        ("key-name", |it| it.item.key_name.iter().cloned().collect()),
        ("client-token", |it| it.item.client_token.iter().cloned().collect()),
        ("vpc-id", |it| vec![it.item.vpc_id.clone()]),
        ("subnet-id", |it| vec![it.item.subnet_id.clone()]),
        ("availability-zone", |it| vec![it.item.zone.clone()]),
        ("private-ip-address", |it| vec![it.region.private_address(it.item.address).to_string()]),
        ("ip-address", |it| {
            it.region.public_address_of(it.item).map(|address| address.to_string()).into_iter().collect()
        }),
        ("private-dns-name", |it| vec![it.region.private_name(it.region.private_address(it.item.address))]),
        ("instance.group-id", |it| it.item.security_groups.clone()),
        ("network-interface.group-id", |it| it.item.security_groups.clone()),
        ("network-interface.network-interface-id", |it| vec![it.item.network_interface_id.clone()]),
        ("iam-instance-profile.name", |it| {
            it.item.instance_profile.iter().map(|profile| profile.name.clone()).collect()
        }),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("placement-group-name", |it| it.item.placement_group.iter().cloned().collect()),
        ("capacity-reservation-specification.capacity-reservation-preference", |_| vec!["open".to_owned()]),
        ("enclave-options.enabled", |_| vec!["false".to_owned()]),
        ("hibernation-options.configured", |_| vec!["false".to_owned()]),
        ("maintenance-options.auto-recovery", |_| vec!["default".to_owned()]),
        ("metadata-options.http-protocol-ipv4", |_| vec!["enabled".to_owned()]),
        ("operator.managed", |_| vec!["false".to_owned()]),
    ]
}

/// Filters of elements of the description.
fn described<'a>() -> Vec<Field<It<'a>>> {
    vec![
        ("architecture", |it| at(it, "architecture")),
        ("availability-zone-id", |it| at(it, "placement.availabilityZoneId")),
        ("block-device-mapping.attach-time", |it| at(it, "blockDeviceMapping.ebs.attachTime")),
        ("block-device-mapping.delete-on-termination", |it| at(it, "blockDeviceMapping.ebs.deleteOnTermination")),
        ("block-device-mapping.device-name", |it| at(it, "blockDeviceMapping.deviceName")),
        ("block-device-mapping.status", |it| at(it, "blockDeviceMapping.ebs.status")),
        ("block-device-mapping.volume-id", |it| at(it, "blockDeviceMapping.ebs.volumeId")),
        ("current-instance-boot-mode", |it| at(it, "currentInstanceBootMode")),
        ("dns-name", |it| at(it, "dnsName")),
        ("ebs-optimized", |it| at(it, "ebsOptimized")),
        ("ena-support", |it| at(it, "enaSupport")),
        ("hypervisor", |it| at(it, "hypervisor")),
        ("iam-instance-profile.arn", |it| at(it, "iamInstanceProfile.arn")),
        ("iam-instance-profile.id", |it| at(it, "iamInstanceProfile.id")),
        ("instance.group-name", |it| at(it, "groupSet.groupName")),
        ("launch-index", |it| at(it, "amiLaunchIndex")),
        ("launch-time", |it| at(it, "launchTime")),
        ("metadata-options.http-endpoint", |it| at(it, "metadataOptions.httpEndpoint")),
        ("metadata-options.http-protocol-ipv6", |it| at(it, "metadataOptions.httpProtocolIpv6")),
        ("metadata-options.http-put-response-hop-limit", |it| at(it, "metadataOptions.httpPutResponseHopLimit")),
        ("metadata-options.http-tokens", |it| at(it, "metadataOptions.httpTokens")),
        ("metadata-options.instance-metadata-tags", |it| at(it, "metadataOptions.instanceMetadataTags")),
        ("metadata-options.state", |it| at(it, "metadataOptions.state")),
        ("monitoring-state", |it| at(it, "monitoring.state")),
        ("platform-details", |it| at(it, "platformDetails")),
        ("reason", |it| at(it, "reason")),
        ("root-device-name", |it| at(it, "rootDeviceName")),
        ("root-device-type", |it| at(it, "rootDeviceType")),
        ("source-dest-check", |it| at(it, "sourceDestCheck")),
        ("state-reason-code", |it| at(it, "stateReason.code")),
        ("state-reason-message", |it| at(it, "stateReason.message")),
        ("tenancy", |it| at(it, "placement.tenancy")),
        ("usage-operation", |it| at(it, "usageOperation")),
        ("usage-operation-update-time", |it| at(it, "launchTime")),
        ("virtualization-type", |it| at(it, "virtualizationType")),
    ]
}

/// Filters of the network interface.
fn of_interfaces<'a>() -> Vec<Field<It<'a>>> {
    vec![
        ("network-interface.attachment.attach-time", |it| interface(it, "attachment.attachTime")),
        ("network-interface.attachment.attachment-id", |it| interface(it, "attachment.attachmentId")),
        ("network-interface.attachment.delete-on-termination", |it| interface(it, "attachment.deleteOnTermination")),
        ("network-interface.attachment.device-index", |it| interface(it, "attachment.deviceIndex")),
        ("network-interface.attachment.instance-id", |it| interface(it, "attachment.instanceId")),
        ("network-interface.attachment.instance-owner-id", |it| interface(it, "attachment.instanceOwnerId")),
        ("network-interface.attachment.network-card-index", |it| interface(it, "attachment.networkCardIndex")),
        ("network-interface.attachment.status", |it| interface(it, "attachment.status")),
        ("network-interface.availability-zone", |it| vec![it.item.zone.clone()]),
        ("network-interface.description", |it| interface(it, "description")),
        ("network-interface.group-name", |it| interface(it, "groupSet.groupName")),
        ("network-interface.mac-address", |it| interface(it, "macAddress")),
        ("network-interface.operator.managed", |_| vec!["false".to_owned()]),
        ("network-interface.owner-id", |it| interface(it, "ownerId")),
        ("network-interface.private-dns-name", |it| interface(it, "privateDnsName")),
        ("network-interface.private-ip-address", |it| interface(it, "privateIpAddress")),
        ("network-interface.public-dns-name", |it| interface(it, "association.publicDnsName")),
        ("network-interface.requester-managed", |_| vec!["false".to_owned()]),
        ("network-interface.source-dest-check", |it| interface(it, "sourceDestCheck")),
        ("network-interface.status", |it| interface(it, "status")),
        ("network-interface.subnet-id", |it| interface(it, "subnetId")),
        ("network-interface.vpc-id", |it| interface(it, "vpcId")),
        ("network-interface.tag-key", |it| tags(it).map(|(key, _)| key.clone()).collect()),
        ("network-interface.tag-value", |it| tags(it).map(|(_, value)| value.clone()).collect()),
    ]
}

/// Filters of the addresses of the network interface.
fn of_addresses<'a>() -> Vec<Field<It<'a>>> {
    vec![
        ("network-interface.addresses.association.allocation-id", |it| address(it, "association.allocationId")),
        ("network-interface.addresses.association.association-id", |it| address(it, "association.associationId")),
        ("network-interface.addresses.association.ip-owner-id", |it| address(it, "association.ipOwnerId")),
        ("network-interface.addresses.association.public-dns-name", |it| address(it, "association.publicDnsName")),
        ("network-interface.addresses.association.public-ip", |it| address(it, "association.publicIp")),
        ("network-interface.addresses.primary", |it| address(it, "primary")),
        ("network-interface.addresses.private-dns-name", |it| address(it, "privateDnsName")),
        ("network-interface.addresses.private-ip-address", |it| address(it, "privateIpAddress")),
        ("network-interface.association.allocation-id", |it| interface(it, "association.allocationId")),
        ("network-interface.association.association-id", |it| interface(it, "association.associationId")),
        ("network-interface.association.ip-owner-id", |it| interface(it, "association.ipOwnerId")),
        ("network-interface.association.public-dns-name", |it| interface(it, "association.publicDnsName")),
        ("network-interface.association.public-ip", |it| interface(it, "association.publicIp")),
    ]
}

/// Filters of properties that no instance of the local cloud has.
fn absent<'a>() -> Vec<Field<It<'a>>> {
    let names = [
        "affinity",
        "boot-mode",
        "capacity-reservation-id",
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id",
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn",
        "host-id",
        "instance-lifecycle",
        "ipv6-address",
        "kernel-id",
        "network-interface.addresses.association.carrier-ip",
        "network-interface.addresses.association.customer-owned-ip",
        "network-interface.association.carrier-ip",
        "network-interface.association.customer-owned-ip",
        "network-interface.deny-all-igw-traffic",
        "network-interface.ipv4-prefixes.ipv4-prefix",
        "network-interface.ipv6-address",
        "network-interface.ipv6-addresses.ipv6-address",
        "network-interface.ipv6-addresses.is-primary-ipv6",
        "network-interface.ipv6-native",
        "network-interface.ipv6-prefixes.ipv6-prefix",
        "network-interface.operator.principal",
        "network-interface.outpost-arn",
        "network-interface.requester-id",
        "network-performance-options.bandwidth-weighting",
        "operator.principal",
        "outpost-arn",
        "placement-partition-number",
        "platform",
        "private-dns-name-options.enable-resource-name-dns-a-record",
        "private-dns-name-options.enable-resource-name-dns-aaaa-record",
        "private-dns-name-options.hostname-type",
        "product-code",
        "product-code.type",
        "ramdisk-id",
        "requester-id",
        "spot-instance-request-id",
        "tpm-support",
    ];
    names.into_iter().map(|name| (name, never as fn(&It<'a>) -> Vec<String>)).collect()
}

/// Returns the texts at a path of the instance's description.
fn at(it: &It<'_>, path: &str) -> Vec<String> {
    render(it.region, it.item).texts(path)
}

fn interface(it: &It<'_>, path: &str) -> Vec<String> {
    at(it, &format!("networkInterfaceSet.{path}"))
}

fn address(it: &It<'_>, path: &str) -> Vec<String> {
    interface(it, &format!("privateIpAddressesSet.{path}"))
}

/// Returns the tags of the network interface.
fn tags<'a>(it: &It<'a>) -> impl Iterator<Item = (&'a String, &'a String)> + use<'a> {
    let region = it.region;
    region.ec2.network_interfaces.get(&it.item.network_interface_id).into_iter().flat_map(|held| &held.tags)
}
