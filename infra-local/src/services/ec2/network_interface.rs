//! Descriptions of network interfaces: of instances, NAT gateways, load balancers and databases, and unattached ones.

use std::net::Ipv4Addr;

use super::{Ec2Operation, never};
use crate::domain::ec2::network_interface::{self, NetworkInterface, Owner};
use crate::domain::ec2::unknown_network_interface;
use crate::model::ec2::gateway::{ElasticAddress, Holder};
use crate::model::ec2::instance::Instance;
use crate::model::ec2::network_interface as model;
use crate::model::{Cloud, Region, Tags, zone_id};
use crate::services::ec2::security_group::render_groups;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeNetworkInterfaces", describe, &[&["NetworkInterfaceId.N"], FILTERS, PAGES])
        .on_any()
        // Interfaces that services manage are always described.
        .ignoring(&[&["IncludeManagedResources"]])];

struct Shown<'a> {
    region: &'a Region,
    interface: NetworkInterface<'a>,
    tags: Tags,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NetworkInterfaceId");
    let all: Vec<Shown<'_>> = network_interface::all(region)
        .into_iter()
        .filter(|interface| !matches!(interface.owner, Owner::Endpoint(..)))
        .map(|interface| {
            let tags = region.ec2.network_interfaces.get(&interface.id).map(|held| held.tags.clone());
            Shown { region, interface, tags: tags.unwrap_or_default() }
        })
        .collect();
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|it| it.interface.id == **id)) {
        return Err(unknown_network_interface(missing));
    }
    let fields: &[Field<Shown<'_>>] = &[
        ("network-interface-id", |it| vec![it.interface.id.clone()]),
        ("attachment.instance-id", |it| it.instance().map(|instance| instance.id.clone()).into_iter().collect()),
        ("attachment.status", |it| it.is_attached().then(|| "attached".to_owned()).into_iter().collect()),
        ("attachment.attachment-id", |it| it.attachment().map(|held| held.id.clone()).into_iter().collect()),
        ("attachment.delete-on-termination", |it| {
            let deletes = it.attachment().map(|held| held.delete_on_termination.to_string());
            deletes.or_else(|| it.is_attached().then(|| "false".to_owned())).into_iter().collect()
        }),
        ("attachment.device-index", |it| {
            let index = it.attachment().map_or_else(|| u32::from(it.instance().is_none()), |held| held.device_index);
            it.is_attached().then(|| index.to_string()).into_iter().collect()
        }),
        ("association.public-ip", |it| it.interface.public.map(|ip| ip.to_string()).into_iter().collect()),
        ("group-id", |it| it.interface.groups.map_or_else(Vec::new, <[String]>::to_vec)),
        ("subnet-id", |it| vec![it.interface.subnet.id.clone()]),
        ("vpc-id", |it| vec![it.interface.subnet.vpc_id.clone()]),
        ("availability-zone", |it| vec![it.interface.subnet.zone.clone()]),
        ("private-ip-address", |it| vec![it.interface.private.to_string()]),
        ("private-dns-name", |it| it.private_name().into_iter().collect()),
        ("association.public-dns-name", |it| it.public_name().into_iter().collect()),
        ("addresses.private-ip-address", |it| {
            it.interface.addresses().map(|(private, _)| private.to_string()).collect()
        }),
        ("description", |it| vec![it.description()]),
        ("interface-type", |it| vec![it.kind().to_owned()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("requester-managed", |it| vec![it.is_managed().to_string()]),
        ("status", |it| vec![if it.is_attached() { "in-use" } else { "available" }.to_owned()]),
        ("source-dest-check", |it| vec![it.source_dest_check().to_string()]),
        ("association.allocation-id", |it| it.render().texts("association.allocationId")),
        ("association.association-id", |it| it.render().texts("association.associationId")),
        ("association.ip-owner-id", |it| it.render().texts("association.ipOwnerId")),
        ("addresses.association.owner-id", |it| it.render().texts("privateIpAddressesSet.association.ipOwnerId")),
        ("addresses.association.public-ip", |it| it.render().texts("privateIpAddressesSet.association.publicIp")),
        ("addresses.primary", |it| it.render().texts("privateIpAddressesSet.primary")),
        ("attachment.attach-time", |it| it.render().texts("attachment.attachTime")),
        ("attachment.instance-owner-id", |it| it.render().texts("attachment.instanceOwnerId")),
        ("availability-zone-id", |it| vec![zone_id(&it.interface.subnet.zone)]),
        ("ipv6-addresses.ipv6-address", never),
        ("mac-address", |it| it.render().texts("macAddress")),
        ("operator.managed", |_| vec!["false".to_owned()]),
        ("operator.principal", never),
        ("requester-id", |it| it.render().texts("requesterId")),
    ];
    let wanted = all.iter().filter(|it| ids.is_empty() || ids.contains(&it.interface.id));
    let found = Filters::parse(params)?.apply(wanted, fields, |interface| &interface.tags)?;
    let page = Page::of(found, params, |it| &it.interface.id)?;
    Ok(Node::new().list("networkInterfaceSet", page.items.into_iter().map(Shown::render)).maybe("nextToken", page.next))
}

impl Shown<'_> {
    fn instance(&self) -> Option<&Instance> {
        match self.interface.owner {
            Owner::Instance(instance) | Owner::Attached(instance, _) => Some(instance),
            _ => None,
        }
    }

    /// The name of its private address, which the API returns in VPCs that name their hosts.
    fn private_name(&self) -> Option<String> {
        private_name(self.region, &self.interface.subnet.vpc_id, self.interface.private)
    }

    fn public_name(&self) -> Option<String> {
        self.region.public_name(&self.interface.subnet.vpc_id, self.interface.public?)
    }

    fn is_attached(&self) -> bool {
        !matches!(self.interface.owner, Owner::Unattached(_))
    }

    /// Returns whether a service created it.
    fn is_managed(&self) -> bool {
        !matches!(self.interface.owner, Owner::Instance(_) | Owner::Attached(..) | Owner::Unattached(_))
    }

    fn attachment(&self) -> Option<&model::Attachment> {
        self.region.ec2.network_interfaces.get(&self.interface.id)?.attachment.as_ref()
    }

    fn source_dest_check(&self) -> bool {
        let held = self.region.ec2.network_interfaces.get(&self.interface.id);
        held.map_or(!matches!(self.interface.owner, Owner::NatGateway(_)), |held| held.source_dest_check)
    }

    fn description(&self) -> String {
        match self.interface.owner {
            Owner::Instance(_) | Owner::Attached(..) | Owner::Unattached(_) => {
                let held = self.region.ec2.network_interfaces.get(&self.interface.id);
                held.map_or_else(String::new, |held| held.description.clone())
            }
            Owner::NatGateway(gateway) => format!("Interface for NAT Gateway {}", gateway.id),
            Owner::LoadBalancer(balancer) => {
                let path = balancer.arn.split_once(":loadbalancer/").map_or(&*balancer.name, |(_, path)| path);
                format!("ELB {path}")
            }
            Owner::Database(_) | Owner::Endpoint(..) => "RDSNetworkInterface".to_owned(),
            Owner::VpcEndpoint(endpoint) => format!("VPC Endpoint Interface {}", endpoint.id),
        }
    }

    fn kind(&self) -> &'static str {
        match self.interface.owner {
            Owner::NatGateway(_) => "nat_gateway",
            Owner::VpcEndpoint(_) => "vpc_endpoint",
            _ => "interface",
        }
    }

    fn render(&self) -> Node {
        let node = match self.interface.owner {
            Owner::Instance(instance) => render_attached(self.region, instance),
            Owner::Attached(instance, interface) => return render_further(self.region, instance, interface),
            Owner::Unattached(interface) => return render_unattached(self.region, interface, "available"),
            _ => self.render_managed(),
        };
        let zone = &self.interface.subnet.zone;
        node.with("availabilityZone", zone)
            .with("availabilityZoneId", zone_id(zone))
            .with("requesterManaged", self.is_managed())
            .with("tagSet", tags::set(&self.tags))
    }

    /// An interface that a service created.
    fn render_managed(&self) -> Node {
        let interface = &self.interface;
        let gateway = match interface.owner {
            Owner::NatGateway(gateway) => Some(gateway),
            _ => None,
        };
        let (requester, created) = match interface.owner {
            Owner::LoadBalancer(balancer) => ("amazon-elb", Some(balancer.created)),
            Owner::Database(database) => ("amazon-rds", Some(database.created)),
            Owner::VpcEndpoint(endpoint) => ("amazon-aws", Some(endpoint.created)),
            _ => ("amazon-aws", gateway.map(|gateway| gateway.created)),
        };
        let association = interface.public.map(|address| {
            Node::new()
                .with("publicIp", address)
                .with("publicDnsName", self.public_name().unwrap_or_default())
                .with("ipOwnerId", if gateway.is_some() { self.region.account.as_str() } else { requester })
                .maybe("allocationId", gateway.and_then(|gateway| gateway.allocation_id.as_ref()))
                .maybe("associationId", gateway.and_then(|gateway| gateway.association_id.as_ref()))
        });
        let address = Node::new()
            .with("privateIpAddress", interface.private)
            .maybe("privateDnsName", self.private_name())
            .with("primary", true)
            .maybe("association", association.clone());
        let groups = interface.groups.unwrap_or_default();
        Node::new()
            .with("networkInterfaceId", &interface.id)
            .with("subnetId", &interface.subnet.id)
            .with("vpcId", &interface.subnet.vpc_id)
            .with("description", self.description())
            .with("ownerId", self.region.account)
            .with("requesterId", requester)
            .with("status", "in-use")
            .with("macAddress", mac_address(interface.private))
            .with("privateIpAddress", interface.private)
            .maybe("privateDnsName", self.private_name())
            .with("sourceDestCheck", gateway.is_none())
            .with("groupSet", render_groups(self.region, groups))
            .with(
                "attachment",
                Node::new()
                    .with("attachmentId", interface.id.replacen("eni-", "eni-attach-", 1))
                    .with("instanceOwnerId", requester)
                    .with("deviceIndex", 1)
                    .with("status", "attached")
                    .maybe("attachTime", created)
                    .with("deleteOnTermination", false),
            )
            .maybe("association", association)
            .list("privateIpAddressesSet", [address])
            .with("interfaceType", self.kind())
    }
}

fn private_name(region: &Region, vpc_id: &str, address: Ipv4Addr) -> Option<String> {
    let vpc = region.ec2.vpcs.get(vpc_id)?;
    vpc.names_hosts().then(|| region.private_name(address))
}

/// An interface that no instance has.
pub(super) fn render_unattached(region: &Region, interface: &model::NetworkInterface, status: &str) -> Node {
    let private = region.private_address(interface.address);
    let subnet = region.ec2.subnets.get(&interface.subnet_id);
    let name = subnet.and_then(|subnet| private_name(region, &subnet.vpc_id, private));
    let zone = subnet.map(|subnet| &subnet.zone);
    let association = elastic(region, interface);
    let address = Node::new()
        .with("privateIpAddress", private)
        .maybe("privateDnsName", name.clone())
        .with("primary", true)
        .maybe("association", association.clone());
    let secondary = secondary(region, interface);
    Node::new()
        .with("networkInterfaceId", &interface.id)
        .with("subnetId", &interface.subnet_id)
        .maybe("vpcId", subnet.map(|subnet| &subnet.vpc_id))
        .maybe("availabilityZone", zone)
        .maybe("availabilityZoneId", zone.map(|zone| zone_id(zone)))
        .with("description", &interface.description)
        .with("ownerId", region.account)
        .with("requesterManaged", false)
        .with("status", status)
        .with("macAddress", mac_address(private))
        .with("privateIpAddress", private)
        .maybe("privateDnsName", name)
        .with("sourceDestCheck", interface.source_dest_check)
        .with("groupSet", render_groups(region, &interface.groups))
        .maybe("association", association)
        .list("privateIpAddressesSet", std::iter::once(address).chain(secondary))
        .with("interfaceType", "interface")
        .with("tagSet", tags::set(&interface.tags))
}

/// The association of an interface, which is no instance's primary one, with an elastic address.
fn elastic(region: &Region, interface: &model::NetworkInterface) -> Option<Node> {
    let elastic = region.elastic_address_at(&Holder::NetworkInterface(interface.id.clone()))?;
    let vpc = &region.ec2.subnets.get(&interface.subnet_id)?.vpc_id;
    Some(render_elastic(region, vpc, elastic))
}

fn render_elastic(region: &Region, vpc: &str, elastic: &ElasticAddress) -> Node {
    Node::new()
        .with("publicIp", elastic.address)
        .with("publicDnsName", region.public_name(vpc, elastic.address).unwrap_or_default())
        .with("ipOwnerId", region.account)
        .with("allocationId", &elastic.allocation_id)
        .maybe("associationId", elastic.association.as_ref().map(|held| &held.id))
}

/// The secondary addresses of an interface, as its description lists them after the primary one.
fn secondary(region: &Region, interface: &model::NetworkInterface) -> Vec<Node> {
    let vpc = region.ec2.subnets.get(&interface.subnet_id).map(|subnet| &subnet.vpc_id);
    let addresses = interface.secondary.iter().map(|address| {
        let private = region.private_address(*address);
        let elastic = region.elastic_address_of_secondary(*address);
        Node::new()
            .with("privateIpAddress", private)
            .maybe("privateDnsName", vpc.and_then(|vpc| private_name(region, vpc, private)))
            .with("primary", false)
            .maybe("association", vpc.zip(elastic).map(|(vpc, elastic)| render_elastic(region, vpc, elastic)))
    });
    addresses.collect()
}

/// An interface of an instance that is not the primary one.
fn render_further(region: &Region, instance: &Instance, interface: &model::NetworkInterface) -> Node {
    let node = render_unattached(region, interface, "in-use");
    let Some(attachment) = &interface.attachment else { return node };
    node.with(
        "attachment",
        Node::new()
            .with("attachmentId", &attachment.id)
            .with("instanceId", &instance.id)
            .with("instanceOwnerId", region.account)
            .with("deviceIndex", attachment.device_index)
            .with("networkCardIndex", 0)
            .with("status", "attached")
            .maybe("attachTime", attachment.attached)
            .with("deleteOnTermination", attachment.delete_on_termination),
    )
}

/// All interfaces of an instance, as its description lists them.
pub(super) fn render_interfaces_of(region: &Region, instance: &Instance) -> Vec<Node> {
    let further = region.secondary_interfaces_of(&instance.id);
    let further = further.into_iter().map(|(interface, _)| render_further(region, instance, interface));
    std::iter::once(render_attached(region, instance)).chain(further).collect()
}

/// The primary interface of an instance.
fn render_attached(region: &Region, instance: &Instance) -> Node {
    let private = region.private_address(instance.address);
    let private_name = private_name(region, &instance.vpc_id, private);
    let elastic = region.elastic_address_of(&instance.id);
    let interface = region.ec2.network_interfaces.get(&instance.network_interface_id);
    let attachment = interface.and_then(|interface| interface.attachment.as_ref());
    let association = region.public_address_of(instance).map(|address| {
        Node::new()
            .with("publicIp", address)
            .with("publicDnsName", region.public_name(&instance.vpc_id, address).unwrap_or_default())
            .with("ipOwnerId", if elastic.is_some() { region.account.as_str() } else { "amazon" })
            .maybe("allocationId", elastic.map(|elastic| &elastic.allocation_id))
            .maybe("associationId", elastic.and_then(|elastic| elastic.association.as_ref()).map(|held| &held.id))
    });
    let address = Node::new()
        .with("privateIpAddress", private)
        .maybe("privateDnsName", private_name.as_ref())
        .with("primary", true)
        .maybe("association", association.clone());
    let secondary = interface.map(|interface| secondary(region, interface)).unwrap_or_default();
    Node::new()
        .with("networkInterfaceId", &instance.network_interface_id)
        .with("subnetId", &instance.subnet_id)
        .with("vpcId", &instance.vpc_id)
        .with("description", interface.map_or("", |interface| &interface.description))
        .with("ownerId", region.account)
        .with("status", "in-use")
        .with("macAddress", mac_address(private))
        .with("privateIpAddress", private)
        .maybe("privateDnsName", private_name)
        .with("sourceDestCheck", interface.is_none_or(|interface| interface.source_dest_check))
        .with("groupSet", render_groups(region, &instance.security_groups))
        .with(
            "attachment",
            Node::new()
                .maybe("attachmentId", attachment.map(|attachment| &attachment.id))
                .with("instanceId", &instance.id)
                .with("instanceOwnerId", region.account)
                .with("deviceIndex", 0)
                .with("networkCardIndex", 0)
                .with("status", "attached")
                .with("attachTime", instance.launch_time)
                .with("deleteOnTermination", attachment.is_none_or(|attachment| attachment.delete_on_termination)),
        )
        .maybe("association", association)
        .list("privateIpAddressesSet", std::iter::once(address).chain(secondary))
        .with("interfaceType", "interface")
}

fn mac_address(address: Ipv4Addr) -> String {
    let [octet1, octet2, octet3, octet4] = address.octets();
    format!("02:00:{octet1:02x}:{octet2:02x}:{octet3:02x}:{octet4:02x}")
}
