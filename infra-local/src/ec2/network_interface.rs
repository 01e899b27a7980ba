//! Network interfaces: derived from the instances that have them.

use super::Ec2Operation;
use super::instance::render_groups;
use crate::cloud::Cloud;
use crate::model::instance::{Instance, InstanceState};
use crate::model::{ACCOUNT, Region, tags, zone_id};
use crate::wire::filter::Field;
use crate::wire::{ApiError, Call, FILTERS, Filters, Node, Operation, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeNetworkInterfaces", describe, &[&["NetworkInterfaceId.N"], FILTERS, PAGES])];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NetworkInterfaceId");
    let all: Vec<&Instance> =
        region.instances.values().filter(|instance| instance.state != InstanceState::Terminated).collect();
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|instance| instance.network_interface_id == **id)) {
        return Err(ApiError::new(
            "InvalidNetworkInterfaceID.NotFound",
            format!("The networkInterface ID '{missing}' does not exist"),
        ));
    }
    let wanted = all.into_iter().filter(|instance| ids.is_empty() || ids.contains(&instance.network_interface_id));
    let found = Filters::parse(params)?.apply(wanted, FIELDS, |instance| &instance.tags)?;
    let page = Page::of(found, params, |instance| &instance.network_interface_id)?;
    let nodes = page.items.into_iter().map(|instance| {
        render_attached(region, instance)
            .with("availabilityZone", &instance.zone)
            .with("availabilityZoneId", zone_id(&instance.zone))
            .with("requesterManaged", false)
            .with("tagSet", tags::set(&tags::Tags::new()))
    });
    Ok(Node::new().list("networkInterfaceSet", nodes).maybe("nextToken", page.next))
}

const FIELDS: &[Field<Instance>] = &[
    ("network-interface-id", |instance| vec![instance.network_interface_id.clone()]),
    ("attachment.instance-id", |instance| vec![instance.id.clone()]),
    ("group-id", |instance| instance.security_groups.clone()),
    ("subnet-id", |instance| vec![instance.subnet_id.clone()]),
    ("vpc-id", |instance| vec![instance.vpc_id.clone()]),
    ("availability-zone", |instance| vec![instance.zone.clone()]),
    ("private-ip-address", |instance| vec![instance.address.to_string()]),
    ("addresses.private-ip-address", |instance| vec![instance.address.to_string()]),
    ("status", |_| vec!["in-use".to_owned()]),
];

/// An interface as its instance shows it.
pub(super) fn render_attached(region: &Region, instance: &Instance) -> Node {
    let association = Node::new()
        .with("publicIp", instance.address)
        .with("publicDnsName", instance.address)
        .with("ipOwnerId", "amazon");
    let address = Node::new()
        .with("privateIpAddress", instance.address)
        .with("privateDnsName", instance.address)
        .with("primary", true)
        .with("association", association.clone());
    let [_, octet2, octet3, octet4] = instance.address.octets();
    Node::new()
        .with("networkInterfaceId", &instance.network_interface_id)
        .with("subnetId", &instance.subnet_id)
        .with("vpcId", &instance.vpc_id)
        .with("description", "")
        .with("ownerId", ACCOUNT)
        .with("status", "in-use")
        .with("macAddress", format!("02:00:7f:{octet2:02x}:{octet3:02x}:{octet4:02x}"))
        .with("privateIpAddress", instance.address)
        .with("privateDnsName", instance.address)
        .with("sourceDestCheck", true)
        .with("groupSet", render_groups(region, instance))
        .with(
            "attachment",
            Node::new()
                .with("attachmentId", instance.network_interface_id.replacen("eni-", "eni-attach-", 1))
                .with("instanceId", &instance.id)
                .with("instanceOwnerId", ACCOUNT)
                .with("deviceIndex", 0)
                .with("networkCardIndex", 0)
                .with("status", "attached")
                .with("attachTime", instance.launch_time)
                .with("deleteOnTermination", true),
        )
        .with("association", association)
        .list("privateIpAddressesSet", [address])
        .with("interfaceType", "interface")
}
