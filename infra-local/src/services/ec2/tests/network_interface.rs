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
