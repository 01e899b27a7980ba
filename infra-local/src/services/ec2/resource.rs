//! Resources of EC2's operations, for authorisation.

use crate::access::{LAUNCHED, Resource, ec2_arn};
use crate::model::ec2::network_interface::NetworkInterface;
use crate::model::{ArnScope, Cloud};

pub(super) const ADDRESS: Resource = Resource::Named("AllocationId", "arn:aws:ec2:{region}:{account}:elastic-ip/{}");
pub(super) const DHCP_OPTIONS: Resource =
    Resource::Named("DhcpOptionsId", "arn:aws:ec2:{region}:{account}:dhcp-options/{}");
pub(super) const EGRESS_ONLY_GATEWAY: Resource =
    Resource::Named("EgressOnlyInternetGatewayId", "arn:aws:ec2:{region}:{account}:egress-only-internet-gateway/{}");
pub(super) const FLOW_LOGS: Resource = Resource::Named("FlowLogId.N", "arn:aws:ec2:{region}:{account}:vpc-flow-log/{}");
pub(super) const IMAGE: Resource = Resource::Named("ImageId", "arn:aws:ec2:{region}::image/{}");
pub(super) const INSTANCE: Resource = Resource::Named("InstanceId", "arn:aws:ec2:{region}:{account}:instance/{}");
pub(super) const INSTANCES: Resource = Resource::Named("InstanceId.N", "arn:aws:ec2:{region}:{account}:instance/{}");
pub(super) const INSTANCES_WITH_CREDITS: Resource =
    Resource::Named("InstanceCreditSpecification.N.InstanceId", "arn:aws:ec2:{region}:{account}:instance/{}");
pub(super) const INTERFACE_GROUPS: Resource =
    Resource::Named("SecurityGroupId.N", "arn:aws:ec2:{region}:{account}:security-group/{}");
pub(super) const INTERNET_GATEWAY: Resource =
    Resource::Named("InternetGatewayId", "arn:aws:ec2:{region}:{account}:internet-gateway/{}");
pub(super) const KEY_PAIR: Resource = Resource::Named("KeyName", "arn:aws:ec2:{region}:{account}:key-pair/{}");
pub(super) const LAUNCH_TEMPLATE: Resource =
    Resource::Named("LaunchTemplateId", "arn:aws:ec2:{region}:{account}:launch-template/{}");
pub(super) const MODIFIED_RULES: Resource =
    Resource::Named("SecurityGroupRule.N.SecurityGroupRuleId", "arn:aws:ec2:{region}:{account}:security-group-rule/{}");
pub(super) const NAT_GATEWAY: Resource =
    Resource::Named("NatGatewayId", "arn:aws:ec2:{region}:{account}:natgateway/{}");
pub(super) const NETWORK_ACL: Resource =
    Resource::Named("NetworkAclId", "arn:aws:ec2:{region}:{account}:network-acl/{}");
pub(super) const NETWORK_INTERFACE: Resource =
    Resource::Named("NetworkInterfaceId", "arn:aws:ec2:{region}:{account}:network-interface/{}");
pub(super) const PEERING: Resource =
    Resource::Named("VpcPeeringConnectionId", "arn:aws:ec2:{region}:{account}:vpc-peering-connection/{}");
pub(super) const PEER_VPC: Resource = Resource::Named("PeerVpcId", "arn:aws:ec2:{region}:{account}:vpc/{}");
pub(super) const PLACEMENT_GROUP: Resource =
    Resource::Named("GroupName", "arn:aws:ec2:{region}:{account}:placement-group/{}");
pub(super) const PREFIX_LIST: Resource =
    Resource::Named("PrefixListId", "arn:aws:ec2:{region}:{account}:prefix-list/{}");
pub(super) const ROUTE_TABLE: Resource =
    Resource::Named("RouteTableId", "arn:aws:ec2:{region}:{account}:route-table/{}");
pub(super) const SECURITY_GROUP: Resource =
    Resource::Named("GroupId", "arn:aws:ec2:{region}:{account}:security-group/{}");
pub(super) const SECURITY_GROUPS: Resource =
    Resource::Named("GroupId.N", "arn:aws:ec2:{region}:{account}:security-group/{}");
pub(super) const SNAPSHOT: Resource = Resource::Named("SnapshotId", "arn:aws:ec2:{region}::snapshot/{}");
pub(super) const SUBNET: Resource = Resource::Named("SubnetId", "arn:aws:ec2:{region}:{account}:subnet/{}");
pub(super) const SNAPSHOT_INSTANCE: Resource =
    Resource::Named("InstanceSpecification.InstanceId", "arn:aws:ec2:{region}:{account}:instance/{}");
pub(super) const VOLUME: Resource = Resource::Named("VolumeId", "arn:aws:ec2:{region}:{account}:volume/{}");
pub(super) const VPC_ENDPOINT: Resource =
    Resource::Named("VpcEndpointId", "arn:aws:ec2:{region}:{account}:vpc-endpoint/{}");
pub(super) const VPC_ENDPOINTS: Resource =
    Resource::Named("VpcEndpointId.N", "arn:aws:ec2:{region}:{account}:vpc-endpoint/{}");
pub(super) const VPC: Resource = Resource::Named("VpcId", "arn:aws:ec2:{region}:{account}:vpc/{}");

pub(super) const NEW_ADDRESS: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:elastic-ip/*");
pub(super) const NEW_DHCP_OPTIONS: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:dhcp-options/*");
pub(super) const NEW_EGRESS_ONLY_GATEWAY: Resource =
    Resource::Created("arn:aws:ec2:{region}:{account}:egress-only-internet-gateway/*");
pub(super) const NEW_FLOW_LOG: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:vpc-flow-log/*");
pub(super) const NEW_IMAGE: Resource = Resource::Created("arn:aws:ec2:{region}::image/*");
pub(super) const NEW_INTERNET_GATEWAY: Resource =
    Resource::Created("arn:aws:ec2:{region}:{account}:internet-gateway/*");
pub(super) const NEW_LAUNCH_TEMPLATE: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:launch-template/*");
pub(super) const NEW_NAT_GATEWAY: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:natgateway/*");
pub(super) const NEW_NETWORK_ACL: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:network-acl/*");
pub(super) const NEW_NETWORK_INTERFACE: Resource =
    Resource::Created("arn:aws:ec2:{region}:{account}:network-interface/*");
pub(super) const NEW_PEERING: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:vpc-peering-connection/*");
pub(super) const NEW_PREFIX_LIST: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:prefix-list/*");
pub(super) const NEW_ROUTE_TABLE: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:route-table/*");
pub(super) const NEW_SECURITY_GROUP: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:security-group/*");
pub(super) const NEW_SNAPSHOT: Resource = Resource::Created("arn:aws:ec2:{region}::snapshot/*");
pub(super) const NEW_SUBNET: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:subnet/*");
pub(super) const NEW_VOLUME: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:volume/*");
pub(super) const NEW_VPC_ENDPOINT: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:vpc-endpoint/*");
pub(super) const NEW_VPC: Resource = Resource::Created("arn:aws:ec2:{region}:{account}:vpc/*");

pub(super) const ASSOCIATED_ADDRESS: Resource = Resource::Resolved("AssociationId", |cloud, region, association| {
    let mut addresses = cloud.regions.get(region)?.ec2.addresses.values();
    let address = addresses.find(|address| address.association.as_ref().is_some_and(|own| own.id == association))?;
    arn(cloud.scope(region), "elastic-ip", &address.allocation_id)
});
pub(super) const ASSOCIATED_ROUTE_TABLE: Resource =
    Resource::Resolved("AssociationId", |cloud, region, association| {
        let mut tables = cloud.regions.get(region)?.ec2.route_tables.values();
        let table = tables.find(|table| table.associations.iter().any(|own| own.id == association))?;
        arn(cloud.scope(region), "route-table", &table.id)
    });
/// The interface of an attachment.
pub(super) const ATTACHED_INTERFACE: Resource = Resource::Resolved("AttachmentId", |cloud, region, attachment| {
    let mut interfaces = cloud.regions.get(region)?.ec2.network_interfaces.values();
    let is_attached = |it: &&NetworkInterface| it.attachment.as_ref().is_some_and(|held| held.id == attachment);
    arn(cloud.scope(region), "network-interface", &interfaces.find(is_attached)?.id)
});
/// The instance of an attachment.
pub(super) const ATTACHED_INSTANCE: Resource = Resource::Resolved("AttachmentId", |cloud, region, attachment| {
    let interfaces = cloud.regions.get(region)?.ec2.network_interfaces.values();
    let mut attachments = interfaces.filter_map(|interface| interface.attachment.as_ref());
    arn(cloud.scope(region), "instance", &attachments.find(|held| held.id == attachment)?.instance_id)
});
/// The subnet of a network ACL's association.
pub(super) const ASSOCIATED_SUBNET: Resource = Resource::Resolved("AssociationId", |cloud, region, association| {
    let mut subnets = cloud.regions.get(region)?.ec2.subnets.values();
    arn(cloud.scope(region), "subnet", &subnets.find(|subnet| subnet.acl.id == association)?.id)
});
/// The subnet of an association with an IPv6 range.
pub(super) const SUBNET_OF_RANGE: Resource = Resource::Resolved("AssociationId", |cloud, region, association| {
    let mut subnets = cloud.regions.get(region)?.ec2.subnets.values();
    let found = subnets.find(|subnet| subnet.ipv6.as_ref().is_some_and(|range| range.id == association))?;
    arn(cloud.scope(region), "subnet", &found.id)
});
/// The instance of an association with an instance profile.
pub(super) const PROFILED_INSTANCE: Resource = Resource::Resolved("AssociationId", |cloud, region, association| {
    let mut instances = cloud.regions.get(region)?.ec2.instances.values();
    let found = instances.find(|it| it.profile_association_id() == association)?;
    arn(cloud.scope(region), "instance", &found.id)
});
pub(super) const KEY_PAIR_BY_ID: Resource = Resource::Resolved("KeyPairId", |cloud, region, id| {
    let mut pairs = cloud.regions.get(region)?.ec2.key_pairs.values();
    arn(cloud.scope(region), "key-pair", &pairs.find(|pair| pair.id == id)?.name)
});
pub(super) const NAMED_LAUNCH_TEMPLATE: Resource = Resource::Resolved("LaunchTemplateName", launch_template);
pub(super) const TAGGED: Resource = Resource::Resolved("ResourceId.N", |cloud, region, id| {
    let (prefix, _) = id.split_once('-')?;
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == prefix)?;
    arn(cloud.scope(region), kind, id)
});

/// Resources of an instance's launch.
pub(super) const LAUNCH: &[Resource] = &[LAUNCHED];

/// Resource types in ARNs, by the prefix of their ids.
const KINDS: &[(&str, &str)] = &[
    ("acl", "network-acl"),
    ("ami", "image"),
    ("dopt", "dhcp-options"),
    ("eigw", "egress-only-internet-gateway"),
    ("eipalloc", "elastic-ip"),
    ("fl", "vpc-flow-log"),
    ("eni", "network-interface"),
    ("i", "instance"),
    ("igw", "internet-gateway"),
    ("key", "key-pair"),
    ("lt", "launch-template"),
    ("nat", "natgateway"),
    ("pcx", "vpc-peering-connection"),
    ("pg", "placement-group"),
    ("pl", "prefix-list"),
    ("rtb", "route-table"),
    ("sg", "security-group"),
    ("sgr", "security-group-rule"),
    ("snap", "snapshot"),
    ("subnet", "subnet"),
    ("vol", "volume"),
    ("vpc", "vpc"),
    ("vpce", "vpc-endpoint"),
];

fn launch_template(cloud: &Cloud, region: &str, name: &str) -> Option<String> {
    let mut templates = cloud.regions.get(region)?.ec2.launch_templates.values();
    arn(cloud.scope(region), "launch-template", &templates.find(|template| template.name == name)?.id)
}

/// Returns the ARN of a resource. Images and snapshots can belong to other accounts, so their ARNs contain none.
#[allow(clippy::unnecessary_wraps)]
fn arn(scope: ArnScope<'_>, kind: &str, id: &str) -> Option<String> {
    Some(ec2_arn(scope, kind, id))
}
