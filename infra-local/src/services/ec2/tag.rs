//! Tags of all EC2 resources with an id.

use super::{Ec2Operation, resource};
use crate::model::Cloud;
use crate::model::{Region, Tags};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateTags", create, &[&["ResourceId.N", "Tag.N.Key", "Tag.N.Value"]]).on(&[resource::TAGGED]),
    Operation::writes("DeleteTags", delete, &[&["ResourceId.N", "Tag.N.Key", "Tag.N.Value"]]).on(&[resource::TAGGED]),
    Operation::reads("DescribeTags", describe, &[FILTERS, PAGES]).on_any(),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = tags::parse(&call.input, "Tag")?;
    change(cloud, call, |tags| {
        tags.extend(added.clone());
        tags::check(tags)
    })
}

/// Deletes tags. A tag that is given with a value is deleted only if it has that value; without any tags in the
/// request, all are deleted.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let unwanted = call.input.structures("Tag");
    change(cloud, call, |tags| {
        if unwanted.is_empty() {
            tags.clear();
        }
        for tag in &unwanted {
            let key = tag.required("Key")?;
            let value = tag.optional("Value");
            if tags.get(key).is_some_and(|current| value.is_none_or(|value| value == current)) {
                tags.remove(key);
            }
        }
        Ok(())
    })
}

fn change(
    cloud: &mut Cloud,
    call: &Call<'_, Params>,
    mut change: impl FnMut(&mut Tags) -> Outcome<()>,
) -> Outcome<Node> {
    let ids = call.input.texts("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("ResourceId"));
    }
    let region = cloud.region_mut(call.region)?;
    for id in ids {
        change(tags_mut(region, &id)?)?;
    }
    Ok(Node::success())
}

fn tags_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut Tags> {
    let prefix = id.split_once('-').map_or("", |(prefix, _)| prefix);
    let (found, code) = match prefix {
        "i" => (region.ec2.instances.get_mut(id).map(|it| &mut it.tags), "InvalidInstanceID.NotFound"),
        "vol" => (region.ec2.volumes.get_mut(id).map(|it| &mut it.tags), "InvalidVolume.NotFound"),
        "sg" => (region.ec2.security_groups.get_mut(id).map(|it| &mut it.tags), "InvalidGroup.NotFound"),
        "sgr" => (
            region.ec2.security_groups.values_mut().find_map(|group| group.rules.get_mut(id)).map(|it| &mut it.tags),
            "InvalidSecurityGroupRuleId.NotFound",
        ),
        "ami" => (region.ec2.images.get_mut(id).map(|it| &mut it.tags), "InvalidAMIID.NotFound"),
        "snap" => (region.ec2.snapshots.get_mut(id).map(|it| &mut it.tags), "InvalidSnapshot.NotFound"),
        "lt" => (region.ec2.launch_templates.get_mut(id).map(|it| &mut it.tags), "InvalidLaunchTemplateId.NotFound"),
        "key" => (region.ec2.key_pairs.get_mut(id).map(|it| &mut it.tags), "InvalidKeyPair.NotFound"),
        "vpc" => (region.ec2.vpcs.get_mut(id).map(|it| &mut it.tags), "InvalidVpcID.NotFound"),
        "subnet" => (region.ec2.subnets.get_mut(id).map(|it| &mut it.tags), "InvalidSubnetID.NotFound"),
        "igw" => (region.ec2.internet_gateways.get_mut(id).map(|it| &mut it.tags), "InvalidInternetGatewayID.NotFound"),
        "eigw" => (region.ec2.egress_only_gateways.get_mut(id).map(|it| &mut it.tags), "InvalidGatewayID.NotFound"),
        "rtb" => (region.ec2.route_tables.get_mut(id).map(|it| &mut it.tags), "InvalidRouteTableID.NotFound"),
        "nat" => (region.ec2.nat_gateways.get_mut(id).map(|it| &mut it.tags), "NatGatewayNotFound"),
        "eipalloc" => (region.ec2.addresses.get_mut(id).map(|it| &mut it.tags), "InvalidAllocationID.NotFound"),
        "pcx" => (region.ec2.peerings.get_mut(id).map(|it| &mut it.tags), "InvalidVpcPeeringConnectionID.NotFound"),
        "acl" => (region.ec2.network_acls.get_mut(id).map(|it| &mut it.tags), "InvalidNetworkAclID.NotFound"),
        "eni" => {
            (region.ec2.network_interfaces.get_mut(id).map(|it| &mut it.tags), "InvalidNetworkInterfaceID.NotFound")
        }
        "dopt" if region.ec2.dhcp_options == id => {
            (Some(&mut region.ec2.dhcp_options_tags), "InvalidDhcpOptionID.NotFound")
        }
        "dopt" => (region.ec2.dhcp_option_sets.get_mut(id).map(|it| &mut it.tags), "InvalidDhcpOptionID.NotFound"),
        "pl" => (region.ec2.prefix_lists.get_mut(id).map(|it| &mut it.tags), "InvalidPrefixListID.NotFound"),
        "vpce" => (region.ec2.vpc_endpoints.get_mut(id).map(|it| &mut it.tags), "InvalidVpcEndpointId.NotFound"),
        "fl" => (region.ec2.flow_logs.get_mut(id).map(|it| &mut it.tags), "InvalidFlowLogId.NotFound"),
        "pg" => {
            let mut groups = region.ec2.placement_groups.values_mut();
            (groups.find(|it| it.id == id).map(|it| &mut it.tags), "InvalidPlacementGroup.Unknown")
        }
        _ => (None, "InvalidID"),
    };
    found.ok_or_else(|| ApiError::new(code, format!("The ID '{id}' is not valid or does not exist")))
}

struct Tagged<'a> {
    id: String,
    kind: &'static str,
    key: &'a str,
    value: &'a str,
    /// Sort key, which pages need.
    position: String,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let fields: &[Field<Tagged<'_>>] = &[
        ("resource-id", |tag| vec![tag.id.clone()]),
        ("resource-type", |tag| vec![tag.kind.to_owned()]),
        ("key", |tag| vec![tag.key.to_owned()]),
        ("value", |tag| vec![tag.value.to_owned()]),
    ];
    let found = Filters::parse(&call.input)?.apply_untagged(all_tags(region).into_iter(), fields)?;
    let page = Page::of(found, &call.input, |tag| &tag.position)?;
    let nodes = page.items.into_iter().map(|tag| {
        Node::new()
            .with("resourceId", tag.id)
            .with("resourceType", tag.kind)
            .with("key", tag.key)
            .with("value", tag.value)
    });
    Ok(Node::new().list("tagSet", nodes).maybe("nextToken", page.next))
}

fn all_tags(region: &Region) -> Vec<Tagged<'_>> {
    let mut owners: Vec<(&str, &'static str, &Tags)> = Vec::new();
    owners.extend(region.ec2.instances.values().map(|it| (it.id.as_str(), "instance", &it.tags)));
    owners.extend(region.ec2.security_groups.values().map(|it| (it.id.as_str(), "security-group", &it.tags)));
    for group in region.ec2.security_groups.values() {
        owners.extend(group.rules.iter().map(|(id, rule)| (id.as_str(), "security-group-rule", &rule.tags)));
    }
    owners.extend(region.ec2.images.values().map(|it| (it.id.as_str(), "image", &it.tags)));
    owners.extend(region.ec2.volumes.values().map(|it| (it.id.as_str(), "volume", &it.tags)));
    owners.extend(region.ec2.snapshots.values().map(|it| (it.id.as_str(), "snapshot", &it.tags)));
    owners.extend(region.ec2.launch_templates.values().map(|it| (it.id.as_str(), "launch-template", &it.tags)));
    owners.extend(region.ec2.key_pairs.values().map(|it| (it.id.as_str(), "key-pair", &it.tags)));
    owners.extend(region.ec2.vpcs.values().map(|it| (it.id.as_str(), "vpc", &it.tags)));
    owners.extend(region.ec2.subnets.values().map(|it| (it.id.as_str(), "subnet", &it.tags)));
    owners.extend(region.ec2.internet_gateways.values().map(|it| (it.id.as_str(), "internet-gateway", &it.tags)));
    let egress_only = region.ec2.egress_only_gateways.values();
    owners.extend(egress_only.map(|it| (it.id.as_str(), "egress-only-internet-gateway", &it.tags)));
    owners.extend(region.ec2.route_tables.values().map(|it| (it.id.as_str(), "route-table", &it.tags)));
    owners.extend(region.ec2.nat_gateways.values().map(|it| (it.id.as_str(), "natgateway", &it.tags)));
    owners.extend(region.ec2.addresses.values().map(|it| (it.allocation_id.as_str(), "elastic-ip", &it.tags)));
    owners.extend(region.ec2.peerings.values().map(|it| (it.id.as_str(), "vpc-peering-connection", &it.tags)));
    owners.extend(region.ec2.network_acls.values().map(|it| (it.id.as_str(), "network-acl", &it.tags)));
    let interfaces = region.ec2.network_interfaces.values();
    owners.extend(interfaces.map(|it| (it.id.as_str(), "network-interface", &it.tags)));
    owners.extend(region.ec2.dhcp_option_sets.values().map(|it| (it.id.as_str(), "dhcp-options", &it.tags)));
    owners.extend(region.ec2.prefix_lists.values().map(|it| (it.id.as_str(), "prefix-list", &it.tags)));
    owners.extend(region.ec2.vpc_endpoints.values().map(|it| (it.id.as_str(), "vpc-endpoint", &it.tags)));
    owners.extend(region.ec2.flow_logs.values().map(|it| (it.id.as_str(), "vpc-flow-log", &it.tags)));
    owners.extend(region.ec2.placement_groups.values().map(|it| (it.id.as_str(), "placement-group", &it.tags)));
    owners.push((&region.ec2.dhcp_options, "dhcp-options", &region.ec2.dhcp_options_tags));
    let all = owners.into_iter().flat_map(|(id, kind, tags)| {
        tags.iter().map(move |(key, value)| Tagged {
            id: id.to_owned(),
            kind,
            key,
            value,
            position: format!("{id}/{key}"),
        })
    });
    all.collect()
}
