//! Networks: ranges, routes, DHCP options, prefix lists and default networks.

use crate::testing::{ControlPlane, element};

/// Creates a VPC and returns its id.
fn vpc(plane: &mut ControlPlane) -> String {
    element(&plane.ec2("CreateVpc", "CidrBlock=10.0.0.0/16"), "vpcId").to_owned()
}

#[test]
fn secondary_ranges_hold_subnets() {
    let mut plane = ControlPlane::new();
    let vpc = vpc(&mut plane);
    let outside = format!("VpcId={vpc}&CidrBlock=10.1.0.0/24");
    assert!(plane.ec2_error("CreateSubnet", &outside).starts_with("InvalidSubnet.Range: "));
    let added = plane.ec2("AssociateVpcCidrBlock", &format!("VpcId={vpc}&CidrBlock=10.1.0.0/16"));
    assert_eq!(element(&added, "state"), "associating");
    let association = element(&added, "associationId").to_owned();
    let subnet = element(&plane.ec2("CreateSubnet", &outside), "subnetId").to_owned();
    let network = crate::domain::network::of(&plane.cloud);
    assert!(network.vpcs[&vpc].covers("10.1.0.5".parse().unwrap()), "packets are routed in the new range");
    let in_use = plane.ec2_error("DisassociateVpcCidrBlock", &format!("AssociationId={association}"));
    assert!(in_use.starts_with("InvalidCidrBlock.InUse: "), "{in_use}");
    let conflict = plane.ec2_error("AssociateVpcCidrBlock", &format!("VpcId={vpc}&CidrBlock=10.1.128.0/20"));
    assert!(conflict.starts_with("CidrConflict: "), "{conflict}");
    plane.ec2("DeleteSubnet", &format!("SubnetId={subnet}"));
    plane.ec2("DisassociateVpcCidrBlock", &format!("AssociationId={association}"));
    let primary = format!("AssociationId={}", vpc.replacen("vpc-", "vpc-cidr-assoc-", 1));
    let refused = plane.ec2_error("DisassociateVpcCidrBlock", &primary);
    assert!(refused.contains("It is the primary IPv4 CIDR block"), "{refused}");
}

#[test]
fn ipv6_ranges_are_recorded() {
    let mut plane = ControlPlane::new();
    let created = plane.ec2("CreateVpc", "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true");
    let vpc = element(&created, "vpcId").to_owned();
    let range = element(&created, "ipv6CidrBlock").to_owned();
    assert!(range.ends_with("::/56"), "{range}");
    let part = range.replace("::/56", "::/64");
    let form = format!("VpcId={vpc}&CidrBlock=10.0.0.0/24&Ipv6CidrBlock={part}");
    let subnet = element(&plane.ec2("CreateSubnet", &form), "subnetId").to_owned();
    plane.ec2("ModifySubnetAttribute", &format!("SubnetId={subnet}&AssignIpv6AddressOnCreation.Value=true"));
    let found = plane.ec2(
        "DescribeSubnets",
        &format!("Filter.1.Name=ipv6-cidr-block-association.ipv6-cidr-block&Filter.1.Value.1={part}"),
    );
    assert_eq!((element(&found, "subnetId"), element(&found, "assignIpv6AddressOnCreation")), (&*subnet, "true"));
    let gateway = plane.ec2("CreateEgressOnlyInternetGateway", &format!("VpcId={vpc}"));
    let gateway = element(&gateway, "egressOnlyInternetGatewayId").to_owned();
    let tables = plane.ec2("DescribeRouteTables", &format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}"));
    let table = element(&tables, "routeTableId").to_owned();
    let route = format!("RouteTableId={table}&EgressOnlyInternetGatewayId={gateway}");
    plane.ec2("CreateRoute", &format!("{route}&DestinationIpv6CidrBlock=::/0"));
    let ipv4 = plane.ec2_error("CreateRoute", &format!("{route}&DestinationCidrBlock=0.0.0.0/0"));
    assert!(ipv4.contains("IPv6 destination only"), "{ipv4}");
    let tables =
        plane.ec2("DescribeRouteTables", "Filter.1.Name=route.destination-ipv6-cidr-block&Filter.1.Value.1=::/0");
    assert!(tables.contains("<destinationIpv6CidrBlock>::/0</destinationIpv6CidrBlock>"), "{tables}");
    assert!(plane.ec2_error("DeleteVpc", &format!("VpcId={vpc}")).starts_with("DependencyViolation: "));
    plane.ec2("DeleteEgressOnlyInternetGateway", &format!("EgressOnlyInternetGatewayId={gateway}"));
}

#[test]
fn subnet_attributes_are_modified_one_at_a_time() {
    let mut plane = ControlPlane::new();
    let subnet = element(&plane.ec2("DescribeSubnets", ""), "subnetId").to_owned();
    let both = format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=false&EnableDns64.Value=true");
    assert!(plane.ec2_error("ModifySubnetAttribute", &both).starts_with("InvalidParameterCombination: "));
    plane.ec2("ModifySubnetAttribute", &format!("SubnetId={subnet}&PrivateDnsHostnameTypeOnLaunch=resource-name"));
    let described = plane.ec2("DescribeSubnets", &format!("SubnetId.1={subnet}"));
    assert_eq!(element(&described, "hostnameType"), "resource-name");
    let without_range =
        plane.ec2_error("ModifySubnetAttribute", &format!("SubnetId={subnet}&AssignIpv6AddressOnCreation.Value=true"));
    assert!(without_range.contains("must have an IPv6 CIDR block"), "{without_range}");
}

#[test]
fn dhcp_options_are_associated_and_deleted() {
    let mut plane = ControlPlane::new();
    let vpc = vpc(&mut plane);
    let created = plane.ec2(
        "CreateDhcpOptions",
        "DhcpConfiguration.1.Key=domain-name&DhcpConfiguration.1.Value.1=example.com\
         &DhcpConfiguration.2.Key=ntp-servers&DhcpConfiguration.2.Value.1=10.0.0.4&DhcpConfiguration.2.Value.2=10.0.0.5",
    );
    let options = element(&created, "dhcpOptionsId").to_owned();
    plane.ec2("AssociateDhcpOptions", &format!("DhcpOptionsId={options}&VpcId={vpc}"));
    let found = plane.ec2("DescribeVpcs", &format!("Filter.1.Name=dhcp-options-id&Filter.1.Value.1={options}"));
    assert_eq!(element(&found, "vpcId"), vpc);
    let in_use = plane.ec2_error("DeleteDhcpOptions", &format!("DhcpOptionsId={options}"));
    let message = format!("The dhcpOptions '{options}' has dependencies and cannot be deleted.");
    assert_eq!(in_use, format!("DependencyViolation: {message}"));
    plane.ec2("AssociateDhcpOptions", &format!("DhcpOptionsId=default&VpcId={vpc}"));
    assert_eq!(element(&plane.ec2("DescribeVpcs", &format!("VpcId.1={vpc}")), "dhcpOptionsId"), "default");
    plane.ec2("DeleteDhcpOptions", &format!("DhcpOptionsId={options}"));
    let unknown = plane.ec2_error("CreateDhcpOptions", "DhcpConfiguration.1.Key=mtu&DhcpConfiguration.1.Value.1=9");
    assert!(unknown.contains("Unknown DHCP option"), "{unknown}");
    let gone = plane.ec2_error("DescribeDhcpOptions", &format!("DhcpOptionsId.1={options}"));
    assert_eq!(gone, format!("InvalidDhcpOptionID.NotFound: The dhcpOption ID '{options}' does not exist"));
}

#[test]
fn prefix_lists_have_versions_and_permit_their_ranges() {
    let mut plane = ControlPlane::new();
    let created = plane.ec2(
        "CreateManagedPrefixList",
        "PrefixListName=offices&AddressFamily=IPv4&MaxEntries=3&Entry.1.Cidr=198.51.100.0/24&Entry.1.Description=one",
    );
    let list = element(&created, "prefixListId").to_owned();
    let groups = plane.ec2("DescribeSecurityGroups", "GroupName.1=default");
    let group = element(&groups, "groupId").to_owned();
    plane.ec2(
        "AuthorizeSecurityGroupIngress",
        &format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
             &IpPermissions.1.PrefixListIds.1.PrefixListId={list}"
        ),
    );
    let change = format!("PrefixListId={list}&AddEntry.1.Cidr=203.0.113.0/24");
    let stale = plane.ec2_error("ModifyManagedPrefixList", &format!("{change}&CurrentVersion=7"));
    assert!(stale.starts_with("PrefixListVersionMismatch: "), "{stale}");
    plane.ec2("ModifyManagedPrefixList", &format!("{change}&CurrentVersion=1"));
    let network = crate::domain::network::of(&plane.cloud);
    let ingress = network.vpcs.values().find_map(|vpc| Some(&vpc.groups.get(&group)?.ingress)).unwrap();
    let text = format!("{ingress:?}");
    assert_eq!(ingress.len(), 3, "one rule for the group itself, and one for each range: {text}");
    let earlier = plane.ec2("GetManagedPrefixListEntries", &format!("PrefixListId={list}&TargetVersion=1"));
    assert_eq!(earlier.matches("<cidr>").count(), 1);
    let found = plane
        .ec2("DescribeSecurityGroups", &format!("Filter.1.Name=ip-permission.prefix-list-id&Filter.1.Value.1={list}"));
    assert_eq!(element(&found, "groupId"), group);
    let in_use = plane.ec2_error("DeleteManagedPrefixList", &format!("PrefixListId={list}"));
    assert!(in_use.starts_with("PrefixListInUse: ") && in_use.contains(&group), "{in_use}");
    let services =
        plane.ec2("DescribePrefixLists", "Filter.1.Name=prefix-list-name&Filter.1.Value.1=com.amazonaws.us-east-1.s3");
    let aws =
        plane.ec2_error("DeleteManagedPrefixList", &format!("PrefixListId={}", element(&services, "prefixListId")));
    assert!(aws.starts_with("OperationNotPermitted: "), "{aws}");
}

#[test]
fn default_network_is_created_again() {
    let mut plane = ControlPlane::new();
    let exists = plane.ec2_error("CreateDefaultVpc", "");
    assert!(exists.starts_with("DefaultVpcAlreadyExists: "), "{exists}");
    let subnets = plane.ec2("DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1b");
    let subnet = element(&subnets, "subnetId").to_owned();
    let taken = plane.ec2_error("CreateDefaultSubnet", "AvailabilityZone=us-east-1b");
    let message = format!("'{subnet}' is already the default subnet in us-east-1b.");
    assert_eq!(taken, format!("DefaultSubnetAlreadyExistsInAvailabilityZone: {message}"));
    plane.ec2("DeleteSubnet", &format!("SubnetId={subnet}"));
    let again = plane.ec2("CreateDefaultSubnet", "AvailabilityZone=us-east-1b");
    assert_eq!((element(&again, "cidrBlock"), element(&again, "defaultForAz")), ("172.31.16.0/20", "true"));
}

#[test]
fn flow_logs_are_recorded_with_a_failed_delivery() {
    let mut plane = ControlPlane::new();
    let vpc = vpc(&mut plane);
    let form = format!("ResourceType=VPC&ResourceId.1={vpc}&TrafficType=ALL");
    let incomplete = plane.ec2_error("CreateFlowLogs", &form);
    assert_eq!(incomplete, "MissingParameter: The request must contain the parameter LogGroupName");
    let form = format!("{form}&LogDestinationType=s3&LogDestination=arn:aws:s3:::logs");
    let created = plane.ec2("CreateFlowLogs", &form);
    assert!(created.contains("<flowLogIdSet><member>fl-"), "{created}");
    assert!(plane.ec2_error("CreateFlowLogs", &form).starts_with("FlowLogAlreadyExists: "));
    let described = plane.ec2("DescribeFlowLogs", &format!("Filter.1.Name=resource-id&Filter.1.Value.1={vpc}"));
    assert_eq!((element(&described, "deliverLogsStatus"), element(&described, "flowLogStatus")), ("FAILED", "ACTIVE"));
    plane.ec2("DeleteFlowLogs", &format!("FlowLogId.1={}", element(&described, "flowLogId")));
    assert!(!plane.ec2("DescribeFlowLogs", "").contains("flowLogId>"));
}

#[test]
fn placement_groups_with_instances_are_kept() {
    let mut plane = ControlPlane::new();
    plane.ec2("CreatePlacementGroup", "GroupName=g&Strategy=partition&PartitionCount=3");
    let image = element(&plane.ec2("DescribeImages", ""), "imageId").to_owned();
    let launch = format!("ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&Placement.GroupName=");
    let run = plane.ec2("RunInstances", &format!("{launch}g"));
    assert_eq!(element(&run, "groupName"), "g");
    let unknown = plane.ec2_error("RunInstances", &format!("{launch}h"));
    assert!(unknown.starts_with("InvalidPlacementGroup.Unknown: "), "{unknown}");
    let in_use = plane.ec2_error("DeletePlacementGroup", "GroupName=g");
    assert_eq!(in_use, "InvalidPlacementGroup.InUse: The placement group 'g' is in use and may not be deleted.");
    plane.ec2("TerminateInstances", &format!("InstanceId.1={}", element(&run, "instanceId")));
    plane.ec2("DeletePlacementGroup", "GroupName=g");
}

#[test]
fn endpoints_have_routes_or_interfaces() {
    let mut plane = ControlPlane::new();
    let vpc = element(&plane.ec2("DescribeVpcs", ""), "vpcId").to_owned();
    let table = element(&plane.ec2("DescribeRouteTables", ""), "routeTableId").to_owned();
    let of = |service: &str| format!("VpcId={vpc}&ServiceName=com.amazonaws.us-east-1.{service}");
    let gateway = format!("{}&RouteTableId.1={table}", of("s3"));
    let created = plane.ec2("CreateVpcEndpoint", &gateway);
    let id = element(&created, "vpcEndpointId").to_owned();
    let tables = plane.ec2("DescribeRouteTables", &format!("RouteTableId.1={table}"));
    assert!(tables.contains(&format!("<gatewayId>{id}</gatewayId>")), "{tables}");
    let again = plane.ec2_error("CreateVpcEndpoint", &gateway);
    assert!(again.starts_with("RouteAlreadyExists: "), "{again}");
    let unknown = plane.ec2_error("CreateVpcEndpoint", &of("nothing"));
    let message = "The Vpc Endpoint Service 'com.amazonaws.us-east-1.nothing' does not exist";
    assert_eq!(unknown, format!("InvalidServiceName: {message}"));
    let subnet = element(&plane.ec2("DescribeSubnets", ""), "subnetId").to_owned();
    let group = element(&plane.ec2("DescribeSecurityGroups", ""), "groupId").to_owned();
    let interface = format!("{}&VpcEndpointType=Interface&SubnetId.1={subnet}&SecurityGroupId.1={group}", of("ssm"));
    let created = plane.ec2("CreateVpcEndpoint", &interface);
    let id = element(&created, "vpcEndpointId").to_owned();
    let found = plane.ec2("DescribeNetworkInterfaces", "Filter.1.Name=interface-type&Filter.1.Value.1=vpc_endpoint");
    assert_eq!(element(&found, "description"), format!("VPC Endpoint Interface {id}"));
    assert!(plane.ec2_error("DeleteSubnet", &format!("SubnetId={subnet}")).starts_with("DependencyViolation: "));
    plane.ec2("ModifyVpcEndpoint", &format!("VpcEndpointId={id}&RemoveSubnetId.1={subnet}"));
    plane.ec2("DeleteSubnet", &format!("SubnetId={subnet}"));
    let deleted = plane.ec2("DeleteVpcEndpoints", &format!("VpcEndpointId.1={id}&VpcEndpointId.2=vpce-00000000"));
    assert_eq!(element(&deleted, "resourceId"), "vpce-00000000");
    let services = plane.ec2("DescribeVpcEndpointServices", "Filter.1.Name=service-type&Filter.1.Value.1=Gateway");
    assert_eq!(services.matches("<serviceId>").count(), 2, "{services}");
}

#[test]
fn elastic_addresses_are_named_by_themselves() {
    let mut plane = ControlPlane::new();
    let ip = element(&plane.ec2("AllocateAddress", "Domain=vpc"), "publicIp").to_owned();
    let unused = plane.ec2_error("DisassociateAddress", &format!("PublicIp={ip}"));
    assert!(unused.starts_with("InvalidAssociationID.NotFound: "), "{unused}");
    let both = plane.ec2_error("ReleaseAddress", &format!("PublicIp={ip}&AllocationId=eipalloc-00000000"));
    assert!(both.starts_with("InvalidParameterCombination: "), "{both}");
    plane.ec2("ReleaseAddress", &format!("PublicIp={ip}"));
    let gone = plane.ec2_error("ReleaseAddress", &format!("PublicIp={ip}"));
    assert_eq!(gone, format!("InvalidAddress.NotFound: Address '{ip}' not found."));
}
