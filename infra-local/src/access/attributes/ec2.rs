//! Condition keys of the resources of EC2.
//!
//! Source: Service Authorization Reference, "Amazon EC2", the condition keys of its resource types.

use super::{Context, ec2_arn};
use crate::model::Region;
use crate::model::ec2::instance::Instance;
use crate::model::tags::Tags;

/// Adds the keys of a resource such as `instance/i-…`.
pub(super) fn describe(region: &Region, resource: &str, context: &mut Context) {
    let Some((kind, id)) = resource.split_once('/') else { return };
    if let Some(tags) = tags(region, kind, id) {
        context.set_tags("aws:ResourceTag", tags);
        context.set_tags("ec2:ResourceTag", tags);
    }
    let vpc = |id: &str| ec2_arn(region.scope(), "vpc", id);
    match kind {
        "instance" => {
            if let Some(instance) = region.ec2.instances.get(id) {
                describe_instance(instance, context);
            }
        }
        "subnet" => {
            if let Some(subnet) = region.ec2.subnets.get(id) {
                context.set("ec2:SubnetID", id);
                context.set("ec2:AvailabilityZone", &subnet.zone);
                context.set("ec2:Vpc", vpc(&subnet.vpc_id));
            }
        }
        "security-group" => {
            if let Some(group) = region.ec2.security_groups.get(id) {
                context.set("ec2:SecurityGroupID", id);
                context.set("ec2:Vpc", vpc(&group.vpc_id));
            }
        }
        "vpc" => {
            context.maybe("ec2:VpcID", region.ec2.vpcs.get(id).map(|_| id));
            context.maybe("ec2:Tenancy", region.ec2.vpcs.get(id).map(|_| "default"));
        }
        "network-interface" => {
            if let Some(interface) = region.ec2.network_interfaces.get(id) {
                context.set("ec2:NetworkInterfaceID", id);
                describe_place(region, &interface.subnet_id, context);
            }
        }
        "route-table" => {
            let table = region.ec2.route_tables.get(id);
            context.maybe("ec2:RouteTableID", table.map(|_| id));
            context.maybe("ec2:Vpc", table.map(|table| vpc(&table.vpc_id)));
        }
        "network-acl" => {
            let acl = region.ec2.network_acls.get(id);
            context.maybe("ec2:NetworkAclID", acl.map(|_| id));
            context.maybe("ec2:Vpc", acl.map(|acl| vpc(&acl.vpc_id)));
        }
        "image" => {
            if let Some(image) = region.ec2.images.get(id) {
                context.set("ec2:ImageID", id);
                context.set("ec2:ImageType", "machine");
                context.set("ec2:Owner", &image.owner);
                context.set("ec2:Public", image.public.to_string());
                context.set("ec2:RootDeviceType", "ebs");
            }
        }
        "key-pair" => {
            let pair = region.ec2.key_pairs.values().find(|pair| pair.name == id);
            context.maybe("ec2:KeyPairName", pair.map(|pair| pair.name.as_str()));
            context.maybe("ec2:KeyPairType", pair.map(|pair| pair.kind.as_str()));
        }
        "internet-gateway" => {
            context.maybe("ec2:InternetGatewayID", region.ec2.internet_gateways.get(id).map(|_| id));
        }
        _ => {}
    }
}

fn describe_instance(instance: &Instance, context: &mut Context) {
    context.set("ec2:InstanceID", &instance.id);
    context.set("ec2:InstanceType", &instance.instance_type);
    context.set("ec2:AvailabilityZone", &instance.zone);
    context.set("ec2:EbsOptimized", instance.ebs_optimized.to_string());
    context.set("ec2:RootDeviceType", "ebs");
    context.set("ec2:Tenancy", "default");
    context.set("ec2:InstanceMarketType", "on-demand");
    context.set("ec2:MetadataHttpTokens", &instance.metadata_options.http_tokens);
    context.set("ec2:MetadataHttpEndpoint", &instance.metadata_options.http_endpoint);
    context.set("ec2:MetadataHttpPutResponseHopLimit", instance.metadata_options.hop_limit.to_string());
    context.maybe("ec2:InstanceProfile", instance.instance_profile.as_ref().map(|profile| profile.arn.as_str()));
}

/// Adds the subnet and the VPC of an interface.
pub(in crate::access) fn describe_place(region: &Region, subnet: &str, context: &mut Context) {
    let Some(subnet) = region.ec2.subnets.get(subnet) else { return };
    context.set("ec2:Subnet", ec2_arn(region.scope(), "subnet", &subnet.id));
    context.set("ec2:Vpc", ec2_arn(region.scope(), "vpc", &subnet.vpc_id));
    context.set("ec2:AvailabilityZone", &subnet.zone);
}

fn tags<'a>(region: &'a Region, kind: &str, id: &str) -> Option<&'a Tags> {
    let resources = &region.ec2;
    match kind {
        "instance" => resources.instances.get(id).map(|it| &it.tags),
        "subnet" => resources.subnets.get(id).map(|it| &it.tags),
        "vpc" => resources.vpcs.get(id).map(|it| &it.tags),
        "security-group" => resources.security_groups.get(id).map(|it| &it.tags),
        "security-group-rule" => {
            resources.security_groups.values().find_map(|group| group.rules.get(id)).map(|it| &it.tags)
        }
        "network-interface" => resources.network_interfaces.get(id).map(|it| &it.tags),
        "network-acl" => resources.network_acls.get(id).map(|it| &it.tags),
        "route-table" => resources.route_tables.get(id).map(|it| &it.tags),
        "internet-gateway" => resources.internet_gateways.get(id).map(|it| &it.tags),
        "natgateway" => resources.nat_gateways.get(id).map(|it| &it.tags),
        "elastic-ip" => resources.addresses.get(id).map(|it| &it.tags),
        "image" => resources.images.get(id).map(|it| &it.tags),
        "snapshot" => resources.snapshots.get(id).map(|it| &it.tags),
        "launch-template" => resources.launch_templates.get(id).map(|it| &it.tags),
        "key-pair" => resources.key_pairs.values().find(|pair| pair.name == id).map(|it| &it.tags),
        "vpc-peering-connection" => resources.peerings.get(id).map(|it| &it.tags),
        _ => None,
    }
}
