//! Interfaces of instances: secondary addresses, further interfaces and elastic addresses.

use crate::domain::network;
use crate::model::ec2::instance::InstanceState;
use crate::testing::{ControlPlane, element};

/// Creates a cloud with private addresses, and returns it with the id of a subnet of the default VPC in the zone `a`.
fn plane() -> (ControlPlane, String) {
    let mut plane = ControlPlane::new();
    plane.cloud.use_private_addresses();
    let found = plane.ec2("DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1a");
    let subnet = element(&found, "subnetId").to_owned();
    (plane, subnet)
}

fn interface(plane: &mut ControlPlane, subnet: &str, more: &str) -> String {
    let created = plane.ec2("CreateNetworkInterface", &format!("SubnetId={subnet}{more}"));
    element(&created, "networkInterfaceId").to_owned()
}

fn instance(plane: &mut ControlPlane, subnet: &str, more: &str) -> String {
    let image = element(&plane.ec2("DescribeImages", ""), "imageId").to_owned();
    let form = format!("ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1{more}");
    let launched = plane.ec2("RunInstances", &form.replace("SUBNET", subnet));
    let id = element(&launched, "instanceId").to_owned();
    let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
    region.ec2.instances.get_mut(&id).unwrap().state = InstanceState::Running;
    id
}

#[test]
fn secondary_addresses_are_assigned_and_released() {
    let (mut plane, subnet) = plane();
    let more = "&PrivateIpAddresses.1.PrivateIpAddress=172.31.0.40&PrivateIpAddresses.1.Primary=true\
                &PrivateIpAddresses.2.PrivateIpAddress=172.31.0.41";
    let id = interface(&mut plane, &subnet, more);
    let shown = plane.ec2("DescribeNetworkInterfaces", &format!("NetworkInterfaceId.1={id}"));
    assert!(shown.contains("<privateIpAddress>172.31.0.41</privateIpAddress>"), "{shown}");
    assert_eq!(element(&shown, "privateIpAddress"), "172.31.0.40");
    let assigned =
        plane.ec2("AssignPrivateIpAddresses", &format!("NetworkInterfaceId={id}&SecondaryPrivateIpAddressCount=2"));
    assert_eq!(assigned.matches("<privateIpAddress>").count(), 2, "{assigned}");
    let other = interface(&mut plane, &subnet, "");
    let taken = format!("NetworkInterfaceId={other}&PrivateIpAddress.1=172.31.0.41");
    let in_use = plane.ec2_error("AssignPrivateIpAddresses", &taken);
    assert!(in_use.starts_with("InvalidIPAddress.InUse: "), "{in_use}");
    plane.ec2("AssignPrivateIpAddresses", &format!("{taken}&AllowReassignment=true"));
    let lost = plane
        .ec2_error("UnassignPrivateIpAddresses", &format!("NetworkInterfaceId={id}&PrivateIpAddress.1=172.31.0.41"));
    assert!(lost.contains("are not assigned to interface"), "{lost}");
    plane.ec2("UnassignPrivateIpAddresses", &taken);
    plane.ec2("DeleteNetworkInterface", &format!("NetworkInterfaceId={other}"));
    plane.ec2("DeleteNetworkInterface", &format!("NetworkInterfaceId={id}"));
    let hosts = &plane.cloud.regions["us-east-1"].ec2.subnets.get(&subnet).unwrap().hosts;
    assert!(hosts.is_empty(), "addresses that no interface has: {hosts:?}");
}

#[test]
fn further_interface_is_in_the_network_of_its_instance() {
    let (mut plane, subnet) = plane();
    let owner = instance(&mut plane, &subnet, "&SubnetId=SUBNET");
    let id = interface(&mut plane, &subnet, "&SecondaryPrivateIpAddressCount=1");
    let attach = format!("NetworkInterfaceId={id}&InstanceId={owner}");
    let index = plane.ec2_error("AttachNetworkInterface", &format!("{attach}&DeviceIndex=0"));
    assert!(index.contains("already has an interface attached at device index '0'"), "{index}");
    let attached = plane.ec2("AttachNetworkInterface", &format!("{attach}&DeviceIndex=1"));
    let attachment = element(&attached, "attachmentId").to_owned();
    let shown = plane.ec2("DescribeInstances", &format!("InstanceId.1={owner}"));
    assert_eq!(shown.matches("<deviceIndex>").count(), 2, "{shown}");
    let filter = "Filter.1.Name=attachment.device-index&Filter.1.Value.1=1";
    assert_eq!(element(&plane.ec2("DescribeNetworkInterfaces", filter), "networkInterfaceId"), id);

    let network = network::of(&plane.cloud);
    let (_, connected) = network.interface(&id).unwrap();
    let primary = plane.cloud.regions["us-east-1"].ec2.instances.get(&owner).unwrap().network_interface_id.clone();
    assert_eq!(connected.device, Some((primary, 1)));
    assert_eq!(connected.addresses().count(), 2);

    let in_use = plane.ec2_error("DeleteNetworkInterface", &format!("NetworkInterfaceId={id}"));
    assert!(in_use.contains("currently in use"), "{in_use}");
    plane.ec2("DetachNetworkInterface", &format!("AttachmentId={attachment}"));
    assert!(network::of(&plane.cloud).interface(&id).is_none(), "no instance has the interface");
}

#[test]
fn loopback_has_no_further_interfaces() {
    let mut plane = ControlPlane::new();
    let found = plane.ec2("DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1a");
    let subnet = element(&found, "subnetId").to_owned();
    let owner = instance(&mut plane, &subnet, "&SubnetId=SUBNET");
    let id = interface(&mut plane, &subnet, "");
    let form = format!("NetworkInterfaceId={id}&InstanceId={owner}&DeviceIndex=1");
    let refused = plane.ec2_error("AttachNetworkInterface", &form);
    assert!(refused.starts_with("UnsupportedOperation: ") && refused.contains("--network namespaces"), "{refused}");
    let form = format!("NetworkInterfaceId={id}&SecondaryPrivateIpAddressCount=1");
    let refused = plane.ec2_error("AssignPrivateIpAddresses", &form);
    assert!(refused.starts_with("UnsupportedParameter: "), "{refused}");
}

#[test]
fn elastic_address_follows_its_interface() {
    let (mut plane, subnet) = plane();
    let id = interface(&mut plane, &subnet, "");
    let allocated = plane.ec2("AllocateAddress", "Domain=vpc");
    let (allocation, public) = (element(&allocated, "allocationId"), element(&allocated, "publicIp"));
    plane.ec2("AssociateAddress", &format!("AllocationId={allocation}&NetworkInterfaceId={id}"));
    let shown = plane.ec2("DescribeAddresses", "");
    assert_eq!(element(&shown, "networkInterfaceId"), id);
    assert!(!shown.contains("<instanceId>"), "{shown}");
    let owner = instance(
        &mut plane,
        &subnet,
        &format!("&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={id}"),
    );
    let shown = plane.ec2("DescribeInstances", &format!("InstanceId.1={owner}"));
    assert_eq!(element(&shown, "ipAddress"), public, "the instance has the address of its interface");
    assert_eq!(element(&plane.ec2("DescribeAddresses", ""), "instanceId"), owner);
    plane.cloud.regions.get_mut("us-east-1").unwrap().detach_from_terminated(&owner);
    let shown = plane.ec2("DescribeAddresses", "");
    assert_eq!(element(&shown, "networkInterfaceId"), id, "the interface, which was kept, keeps its address");
    plane.ec2("DeleteNetworkInterface", &format!("NetworkInterfaceId={id}"));
    assert!(!plane.ec2("DescribeAddresses", "").contains("associationId"));
}

#[test]
fn instance_is_launched_with_several_interfaces() {
    let (mut plane, subnet) = plane();
    let existing = interface(&mut plane, &subnet, "");
    let interfaces = format!(
        "&NetworkInterface.1.DeviceIndex=1&NetworkInterface.1.SubnetId={subnet}&NetworkInterface.1.Description=second\
         &NetworkInterface.1.SecondaryPrivateIpAddressCount=2&NetworkInterface.1.DeleteOnTermination=false\
         &NetworkInterface.2.DeviceIndex=0&NetworkInterface.2.SubnetId={subnet}\
         &NetworkInterface.2.PrivateIpAddress=172.31.0.50\
         &NetworkInterface.3.DeviceIndex=2&NetworkInterface.3.NetworkInterfaceId={existing}\
         &InstanceType=t3.medium"
    );
    let owner = instance(&mut plane, &subnet, &interfaces);
    let region = &plane.cloud.regions["us-east-1"];
    let launched = region.ec2.instances.get(&owner).unwrap().clone();
    assert_eq!(region.private_address(launched.address).to_string(), "172.31.0.50");
    assert!(!launched.public_ip, "no interface of several gets a public address, although the subnet maps them");
    let further = region.secondary_interfaces_of(&owner);
    let second = further[0].0.clone();
    assert_eq!((second.description.as_str(), second.secondary.len()), ("second", 2));
    assert!(!second.groups.is_empty(), "the interface has the default group of the VPC");
    assert_eq!((further[1].0.id.as_str(), further[1].1.device_index), (existing.as_str(), 2));
    assert!(!further[1].1.delete_on_termination);
    let devices: Vec<_> =
        [&second.id, &existing].map(|id| network::of(&plane.cloud).interface(id).unwrap().1.device.clone()).into();
    let primary = &launched.network_interface_id;
    assert_eq!(devices, [Some((primary.clone(), 1)), Some((primary.clone(), 2))]);

    let data = plane.ec2("GetLaunchTemplateData", &format!("InstanceId={owner}"));
    assert_eq!(data.matches("<deviceIndex>").count(), 3, "{data}");
    plane.cloud.regions.get_mut("us-east-1").unwrap().detach_from_terminated(&owner);
    let shown = plane.ec2("DescribeNetworkInterfaces", "Filter.1.Name=status&Filter.1.Value.1=available");
    assert!(shown.contains(&second.id) && shown.contains(&existing), "{shown}");
    assert!(!shown.contains(primary.as_str()), "the primary interface is deleted with its instance: {shown}");
}

#[test]
fn launch_with_several_interfaces_is_checked() {
    let (mut plane, subnet) = plane();
    let found = plane.ec2("DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1b");
    let elsewhere = element(&found, "subnetId").to_owned();
    let existing = interface(&mut plane, &subnet, "");
    let image = element(&plane.ec2("DescribeImages", ""), "imageId").to_owned();
    let interface = |number: u32, index: u32, subnet: &str| {
        format!("&NetworkInterface.{number}.DeviceIndex={index}&NetworkInterface.{number}.SubnetId={subnet}")
    };
    let own = interface(1, 0, &subnet);
    let mut refused = |more: &str| {
        let form = format!("ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1{more}");
        plane.ec2_error("RunInstances", &form)
    };
    insta::assert_snapshot!(refused(&format!("{own}{}", interface(2, 0, &subnet))), @"InvalidParameterValue: Each network interface requires a unique device index.");
    insta::assert_snapshot!(refused(&interface(1, 1, &subnet)), @"InvalidParameterCombination: When specifying network interfaces, you must include a device at index 0.");
    insta::assert_snapshot!(refused(&format!("&NetworkInterface.1.SubnetId={subnet}")), @"InvalidParameterValue: Each network interface requires a device index.");
    insta::assert_snapshot!(refused(&format!("{own}{}{}", interface(2, 1, &subnet), interface(3, 2, &subnet))), @"AttachmentLimitExceeded: Interface count 3 exceeds the limit for t3.micro");
    insta::assert_snapshot!(
        refused(&format!("{own}{}&NetworkInterface.1.AssociatePublicIpAddress=true", interface(2, 1, &subnet))), @"InvalidParameterCombination: The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.");
    insta::assert_snapshot!(refused(&format!("{own}&NetworkInterface.1.SecondaryPrivateIpAddressCount=2")), @"PrivateIpAddressLimitExceeded: Number of private addresses will exceed limit: 3 of an interface, and an instance of the type t3.micro has at most 2");
    let apart = refused(&format!("{own}{}", interface(2, 1, &elsewhere)));
    assert!(apart.starts_with("InvalidParameterCombination: ") && apart.contains("same availability zone"), "{apart}");
    let twice = "&NetworkInterface.1.DeviceIndex=0&NetworkInterface.2.DeviceIndex=1\
                 &NetworkInterface.1.NetworkInterfaceId=ENI&NetworkInterface.2.NetworkInterfaceId=ENI";
    let twice = refused(&twice.replace("ENI", &existing));
    assert!(twice.starts_with("InvalidParameterCombination: ") && twice.contains("more than once"), "{twice}");
    insta::assert_snapshot!(refused(&format!("{own}&SubnetId={subnet}")), @"InvalidParameterCombination: Network interfaces and an instance-level subnet ID may not be specified on the same request");
    insta::assert_snapshot!(refused(&format!("{own}&SecurityGroupId.1=sg-1")), @"InvalidParameterCombination: Network interfaces and an instance-level security groups may not be specified on the same request");
}

#[test]
fn elastic_address_leads_to_a_secondary_address() {
    let (mut plane, subnet) = plane();
    let id = interface(&mut plane, &subnet, "&PrivateIpAddresses.1.PrivateIpAddress=172.31.0.41");
    let other = interface(&mut plane, &subnet, "");
    let mut allocate = || {
        let allocated = plane.ec2("AllocateAddress", "Domain=vpc");
        (element(&allocated, "allocationId").to_owned(), element(&allocated, "publicIp").to_owned())
    };
    let (primary, secondary) = (allocate(), allocate());
    plane.ec2("AssociateAddress", &format!("AllocationId={}&NetworkInterfaceId={id}", primary.0));
    let form = format!("AllocationId={}&NetworkInterfaceId={id}&PrivateIpAddress=172.31.0.41", secondary.0);
    let associated = plane.ec2("AssociateAddress", &form);
    assert_eq!(plane.ec2("AssociateAddress", &form), associated, "the association exists already");
    let strange = form.replace("0.41", "0.99");
    assert!(plane.ec2_error("AssociateAddress", &strange).contains("does not belong to"));
    let shown = plane.ec2("DescribeAddresses", &format!("AllocationId.1={}", secondary.0));
    assert_eq!(element(&shown, "privateIpAddress"), "172.31.0.41");
    let shown = plane.ec2("DescribeNetworkInterfaces", &format!("NetworkInterfaceId.1={id}"));
    assert!(shown.contains(&primary.1) && shown.contains(&secondary.1), "{shown}");

    let owner = instance(&mut plane, &subnet, "&SubnetId=SUBNET");
    plane.ec2("AttachNetworkInterface", &format!("NetworkInterfaceId={id}&InstanceId={owner}&DeviceIndex=1"));
    let network = network::of(&plane.cloud);
    let translated = |network: &network::Network| -> Vec<String> {
        let (_, interface) = network.interface(&id).unwrap();
        interface.translations().map(|(private, public)| format!("{private} {public}")).collect()
    };
    assert_eq!(translated(&network).len(), 2);
    assert!(translated(&network).contains(&format!("172.31.0.41 {}", secondary.1)));
    assert_eq!(network.holder_of(secondary.1.parse().unwrap()).map(|(_, holder, _)| holder), Some(id.as_str()));

    // The elastic address moves with its private one, and is disassociated with it.
    let moved = format!("NetworkInterfaceId={other}&PrivateIpAddress.1=172.31.0.41");
    plane.ec2("AssignPrivateIpAddresses", &format!("{moved}&AllowReassignment=true"));
    let shown = plane.ec2("DescribeAddresses", &format!("AllocationId.1={}", secondary.0));
    assert_eq!(element(&shown, "networkInterfaceId"), other);
    plane.ec2("UnassignPrivateIpAddresses", &moved);
    let shown = plane.ec2("DescribeAddresses", &format!("AllocationId.1={}", secondary.0));
    assert!(!shown.contains("associationId"), "{shown}");
    let shown = plane.ec2("DescribeAddresses", &format!("AllocationId.1={}", primary.0));
    assert_eq!(element(&shown, "networkInterfaceId"), id);
}
