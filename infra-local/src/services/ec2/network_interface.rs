//! Network interfaces: derived from the instances and NAT gateways that have them.

use std::net::Ipv4Addr;

use super::Ec2Operation;
use crate::model::Cloud;
use crate::model::ec2::gateway::NatGateway;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::{ACCOUNT, Region, Tags, zone_id};
use crate::services::ec2::security_group::render_groups;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeNetworkInterfaces", describe, &[&["NetworkInterfaceId.N"], FILTERS, PAGES]).on_any()];

/// Owner of an interface.
enum Owner<'a> {
    Instance(&'a Instance),
    NatGateway(&'a NatGateway),
}

struct Interface<'a> {
    region: &'a Region,
    owner: Owner<'a>,
    tags: Tags,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NetworkInterfaceId");
    let all = interfaces(region);
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|interface| interface.id() == **id)) {
        return Err(ApiError::new(
            "InvalidNetworkInterfaceID.NotFound",
            format!("The networkInterface ID '{missing}' does not exist"),
        ));
    }
    let fields: &[Field<Interface<'_>>] = &[
        ("network-interface-id", |it| vec![it.id().to_owned()]),
        ("attachment.instance-id", |it| it.instance().map(|instance| instance.id.clone()).into_iter().collect()),
        ("attachment.status", |_| vec!["attached".to_owned()]),
        ("attachment.device-index", |it| vec![if it.instance().is_some() { "0" } else { "1" }.to_owned()]),
        ("association.public-ip", |it| it.public_address().map(|ip| ip.to_string()).into_iter().collect()),
        ("group-id", |it| it.instance().map_or_else(Vec::new, |instance| instance.security_groups.clone())),
        ("subnet-id", |it| vec![it.place().1.to_owned()]),
        ("vpc-id", |it| vec![it.place().0.to_owned()]),
        ("availability-zone", |it| vec![it.zone().to_owned()]),
        ("private-ip-address", |it| vec![it.address().to_string()]),
        ("addresses.private-ip-address", |it| vec![it.address().to_string()]),
        ("description", |it| vec![it.description()]),
        ("interface-type", |it| vec![it.kind().to_owned()]),
        ("owner-id", |_| vec![ACCOUNT.to_owned()]),
        ("requester-managed", |it| vec![it.instance().is_none().to_string()]),
        ("status", |_| vec!["in-use".to_owned()]),
    ];
    let wanted = all.iter().filter(|interface| ids.is_empty() || ids.iter().any(|id| id == interface.id()));
    let found = Filters::parse(params)?.apply(wanted, fields, |interface| &interface.tags)?;
    let page = Page::of(found, params, |interface| interface.id())?;
    Ok(Node::new()
        .list("networkInterfaceSet", page.items.into_iter().map(Interface::render))
        .maybe("nextToken", page.next))
}

fn interfaces(region: &Region) -> Vec<Interface<'_>> {
    let instances = region.ec2.instances.values().filter(|instance| instance.state != InstanceState::Terminated);
    let gateways = region.ec2.nat_gateways.values().filter(|gateway| !gateway.state.is_over());
    let owners = instances.map(Owner::Instance).chain(gateways.map(Owner::NatGateway));
    owners.map(|owner| Interface { region, owner, tags: Tags::new() }).collect()
}

impl Interface<'_> {
    fn id(&self) -> &str {
        match self.owner {
            Owner::Instance(instance) => &instance.network_interface_id,
            Owner::NatGateway(gateway) => &gateway.network_interface_id,
        }
    }

    fn instance(&self) -> Option<&Instance> {
        match self.owner {
            Owner::Instance(instance) => Some(instance),
            Owner::NatGateway(_) => None,
        }
    }

    /// Its VPC and its subnet.
    fn place(&self) -> (&str, &str) {
        match self.owner {
            Owner::Instance(instance) => (&instance.vpc_id, &instance.subnet_id),
            Owner::NatGateway(gateway) => (&gateway.vpc_id, &gateway.subnet_id),
        }
    }

    fn zone(&self) -> &str {
        self.region.ec2.subnets.get(self.place().1).map_or("", |subnet| &subnet.zone)
    }

    fn address(&self) -> Ipv4Addr {
        match self.owner {
            Owner::Instance(instance) => instance.address,
            Owner::NatGateway(gateway) => gateway.private_ip,
        }
    }

    fn public_address(&self) -> Option<Ipv4Addr> {
        match self.owner {
            Owner::Instance(instance) => self.region.public_address_of(instance),
            Owner::NatGateway(gateway) => gateway.public_ip,
        }
    }

    fn description(&self) -> String {
        match self.owner {
            Owner::Instance(_) => String::new(),
            Owner::NatGateway(gateway) => format!("Interface for NAT Gateway {}", gateway.id),
        }
    }

    fn kind(&self) -> &'static str {
        match self.owner {
            Owner::Instance(_) => "interface",
            Owner::NatGateway(_) => "nat_gateway",
        }
    }

    fn render(&self) -> Node {
        let node = match self.owner {
            Owner::Instance(instance) => render_attached(self.region, instance),
            Owner::NatGateway(gateway) => render_nat(gateway, self.description()),
        };
        node.with("availabilityZone", self.zone())
            .with("availabilityZoneId", zone_id(self.zone()))
            .with("requesterManaged", self.instance().is_none())
            .with("tagSet", tags::set(&self.tags))
    }
}

/// An interface as its instance shows it.
pub(super) fn render_attached(region: &Region, instance: &Instance) -> Node {
    let named = region.ec2.vpcs.get(&instance.vpc_id).is_some_and(|vpc| vpc.dns_hostnames);
    let elastic = region.elastic_address_of(&instance.id);
    let association = region.public_address_of(instance).map(|address| {
        Node::new()
            .with("publicIp", address)
            .with("publicDnsName", if named { address.to_string() } else { String::new() })
            .with("ipOwnerId", if elastic.is_some() { ACCOUNT } else { "amazon" })
            .maybe("allocationId", elastic.map(|elastic| &elastic.allocation_id))
            .maybe("associationId", elastic.and_then(|elastic| elastic.association.as_ref()).map(|held| &held.id))
    });
    let address = Node::new()
        .with("privateIpAddress", instance.address)
        .with("privateDnsName", instance.address)
        .with("primary", true)
        .maybe("association", association.clone());
    Node::new()
        .with("networkInterfaceId", &instance.network_interface_id)
        .with("subnetId", &instance.subnet_id)
        .with("vpcId", &instance.vpc_id)
        .with("description", "")
        .with("ownerId", ACCOUNT)
        .with("status", "in-use")
        .with("macAddress", mac_address(instance.address))
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
        .maybe("association", association)
        .list("privateIpAddressesSet", [address])
        .with("interfaceType", "interface")
}

fn render_nat(gateway: &NatGateway, description: String) -> Node {
    let association = gateway.public_ip.map(|address| {
        Node::new()
            .with("publicIp", address)
            .with("ipOwnerId", ACCOUNT)
            .maybe("allocationId", gateway.allocation_id.as_ref())
            .maybe("associationId", gateway.association_id.as_ref())
    });
    let address = Node::new()
        .with("privateIpAddress", gateway.private_ip)
        .with("primary", true)
        .maybe("association", association.clone());
    Node::new()
        .with("networkInterfaceId", &gateway.network_interface_id)
        .with("subnetId", &gateway.subnet_id)
        .with("vpcId", &gateway.vpc_id)
        .with("description", description)
        .with("ownerId", ACCOUNT)
        .with("status", "in-use")
        .with("macAddress", mac_address(gateway.private_ip))
        .with("privateIpAddress", gateway.private_ip)
        .with("sourceDestCheck", false)
        .list("groupSet", Vec::<Node>::new())
        .with(
            "attachment",
            Node::new()
                .with("attachmentId", gateway.network_interface_id.replacen("eni-", "eni-attach-", 1))
                .with("instanceOwnerId", "amazon-aws")
                .with("deviceIndex", 1)
                .with("status", "attached")
                .with("attachTime", gateway.created)
                .with("deleteOnTermination", false),
        )
        .maybe("association", association)
        .list("privateIpAddressesSet", [address])
        .with("interfaceType", "nat_gateway")
}

fn mac_address(address: Ipv4Addr) -> String {
    let [_, octet2, octet3, octet4] = address.octets();
    format!("02:00:7f:{octet2:02x}:{octet3:02x}:{octet4:02x}")
}
