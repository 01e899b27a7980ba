//! Tests of the derived network and its paths.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::*;
use crate::model::cidr::Cidr;
use crate::model::faults::{self, NetworkSymptom};

fn cidr(text: &str) -> Cidr {
    Cidr::parse(text).unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn tcp(port: u16, peer: Peer) -> Permission {
    Permission { traffic: Traffic::Tcp(port, port), peer }
}

fn all(range: &str) -> Permission {
    Permission { traffic: Traffic::All, peer: Peer::Range(cidr(range)) }
}

/// A VPC with a public subnet, `10.N.1.0/24`, and a private one, `10.N.2.0/24`. The group `open` permits everything.
fn vpc(number: u8) -> Vpc {
    let subnet = |part: u8, routes: &[(&str, Target)]| Subnet {
        range: cidr(&format!("10.{number}.{part}.0/24")),
        zone: "us-east-1a".to_owned(),
        route_table: format!("rtb-{number}-{part}"),
        routes: routes.iter().map(|(range, target)| (cidr(range), target.clone())).collect(),
        acl: format!("acl-{number}-{part}"),
    };
    let open = SecurityGroup {
        members: BTreeSet::new(),
        ingress: BTreeSet::from([all("0.0.0.0/0")]),
        egress: BTreeSet::from([all("0.0.0.0/0")]),
    };
    Vpc {
        range: cidr(&format!("10.{number}.0.0/16")),
        more_ranges: Vec::new(),
        domain: "ec2.internal".to_owned(),
        has_resolver: true,
        internet_gateway: Some(format!("igw-{number}")),
        subnets: BTreeMap::from([
            ("public".to_owned(), subnet(1, &[("0.0.0.0/0", Target::Internet)])),
            ("private".to_owned(), subnet(2, &[])),
        ]),
        interfaces: BTreeMap::new(),
        groups: BTreeMap::from([("open".to_owned(), open)]),
        acls: [1, 2].map(|part| (format!("acl-{number}-{part}"), NetworkAcl::open())).into(),
    }
}

/// Additions to a VPC.
trait Building {
    /// Adds an interface with these addresses and this group.
    fn with(self, id: &str, address: &str, public: Option<&str>, group: &str) -> Self;
    fn group(&mut self, id: &str) -> &mut SecurityGroup;
    fn route(&mut self, subnet: &str, range: &str, target: Target);
}

impl Building for Vpc {
    fn with(mut self, id: &str, address: &str, public: Option<&str>, group: &str) -> Vpc {
        let address = ip(address);
        let subnet = self.subnets.iter().find(|(_, subnet)| subnet.range.covers(address)).unwrap().0.clone();
        let group_name = group.to_owned();
        self.groups.entry(group_name.clone()).or_default().members.insert(address);
        let interface = Interface {
            owner: id.replace("eni", "i"),
            subnet,
            address,
            secondary: BTreeMap::new(),
            device: None,
            forwards: false,
            public: public.map(ip),
            groups: Some(BTreeSet::from([group_name])),
            translates: false,
        };
        self.interfaces.insert(id.to_owned(), interface);
        self
    }

    fn group(&mut self, id: &str) -> &mut SecurityGroup {
        self.groups.entry(id.to_owned()).or_default()
    }

    fn route(&mut self, subnet: &str, range: &str, target: Target) {
        self.subnets.get_mut(subnet).unwrap().routes.insert(cidr(range), target);
    }
}

fn network<const N: usize>(vpcs: [Vpc; N]) -> Network {
    let vpcs = vpcs.into_iter().enumerate().map(|(number, vpc)| (format!("vpc-{number}"), vpc));
    Network { vpcs: vpcs.collect(), ..Network::default() }
}

/// The path as text: a line per hop, and the component that blocks.
fn told(network: &Network, from: End<'_>, to: &str, port: u16) -> String {
    let path = network.path(Flow::new(from, ip(to), Traffic::Tcp(port, port)));
    let hops = path.hops.iter().map(|hop| format!("{}: {}\n", hop.component, hop.action));
    let end = path.blocked.map(|blocked| format!("BLOCKED by {}: {}", blocked.component, blocked.reason));
    hops.collect::<String>() + &end.unwrap_or_else(|| "open".to_owned())
}

#[test]
fn neighbours_need_a_rule_and_no_route() {
    let mut vpc = vpc(0).with("eni-a", "10.0.2.4", None, "app").with("eni-b", "10.0.2.5", None, "db");
    vpc.group("app").egress.insert(all("0.0.0.0/0"));
    vpc.group("db").ingress.insert(tcp(5432, Peer::Group("app".to_owned())));
    let network = network([vpc]);
    insta::assert_snapshot!(told(&network, End::Interface("eni-a"), "10.0.2.5", 5432), @"
    eni-a: 10.0.2.4 of i-a
    app: an egress rule permits TCP port 5432 with 10.0.2.5
    db: an ingress rule permits TCP port 5432 with 10.0.2.4
    eni-b: 10.0.2.5 of i-b
    open
    ");
    insta::assert_snapshot!(told(&network, End::Interface("eni-a"), "10.0.2.5", 22), @"
    eni-a: 10.0.2.4 of i-a
    app: an egress rule permits TCP port 22 with 10.0.2.5
    BLOCKED by db: no ingress rule permits TCP port 22 with 10.0.2.4
    ");
    insta::assert_snapshot!(told(&network, End::Interface("eni-b"), "10.0.2.4", 80), @"
    eni-b: 10.0.2.5 of i-b
    BLOCKED by db: no egress rule permits TCP port 80 with 10.0.2.4
    ");
    insta::assert_snapshot!(told(&network, End::Interface("eni-a"), "10.0.2.99", 80), @"
    eni-a: 10.0.2.4 of i-a
    app: an egress rule permits TCP port 80 with 10.0.2.99
    BLOCKED by vpc-0: no interface has the address 10.0.2.99
    ");
}

#[test]
fn clients_outside_reach_public_addresses_by_the_internet_gateway() {
    let mut vpc = vpc(0).with("eni-web", "10.0.1.4", Some("127.9.1.4"), "web").with(
        "eni-hidden",
        "10.0.2.4",
        Some("127.9.2.4"),
        "open",
    );
    vpc.group("web").ingress.insert(tcp(80, Peer::Range(Cidr::EVERYWHERE)));
    let mut network = network([vpc]);
    insta::assert_snapshot!(told(&network, End::Outside, "127.9.1.4", 80), @"
    internet: a client at 192.0.2.1
    igw-0: translates 127.9.1.4 to 10.0.1.4
    web: an ingress rule permits TCP port 80 with 192.0.2.1
    eni-web: 10.0.1.4 of i-web
    open
    ");
    assert!(!network.reaches(End::Outside, ip("127.9.1.4"), 22));
    assert!(!network.reaches(End::Outside, ip("10.0.1.4"), 80), "a private address is not reached from outside");
    let hidden = told(&network, End::Outside, "127.9.2.4", 80);
    assert!(hidden.ends_with("BLOCKED by rtb-0-2: no route leads back to 192.0.2.1"), "{hidden}");
    network.vpcs.get_mut("vpc-0").unwrap().internet_gateway = None;
    assert!(!network.reaches(End::Outside, ip("127.9.1.4"), 80));
}

#[test]
fn a_nat_gateway_leads_out_and_not_in() {
    let mut vpc = vpc(0)
        .with("eni-nat", "10.0.1.9", Some("127.9.255.1"), "open")
        .with("eni-app", "10.0.2.4", None, "open")
        .with("eni-web", "10.0.1.4", Some("127.9.1.4"), "web");
    vpc.group("web").ingress.insert(tcp(80, Peer::Range(cidr("127.9.255.1/32"))));
    let nat = vpc.interfaces.get_mut("eni-nat").unwrap();
    (nat.translates, nat.groups) = (true, None);
    let mut network = network([vpc]);
    let reaches = |network: &Network| {
        [ENDPOINTS, ip("127.9.1.4")]
            .map(|to| network.reaches(End::Interface("eni-app"), to, if to == ENDPOINTS { 443 } else { 80 }))
    };
    assert_eq!(reaches(&network), [false; 2], "there is no route");
    network.vpcs.get_mut("vpc-0").unwrap().route("private", "0.0.0.0/0", Target::Nat("eni-nat".to_owned()));
    assert_eq!(reaches(&network), [true; 2], "the source is the gateway's public address");
    assert!(!network.reaches(End::Outside, ip("127.9.255.1"), 80));
    network.vpcs.get_mut("vpc-0").unwrap().subnets.get_mut("public").unwrap().routes.clear();
    assert_eq!(reaches(&network), [false; 2], "the gateway's own subnet is not public");
}

#[test]
fn an_instance_forwards_what_its_groups_admit_without_its_source_destination_check() {
    let mut vpc =
        vpc(0).with("eni-nat", "10.0.1.9", Some("127.9.255.1"), "nat").with("eni-app", "10.0.2.4", None, "open");
    let private = Peer::Range(cidr("10.0.2.0/24"));
    vpc.group("nat").ingress.insert(tcp(443, private));
    vpc.group("nat").egress.insert(all("0.0.0.0/0"));
    vpc.route("private", "0.0.0.0/0", Target::Interface("eni-nat".to_owned()));
    let mut network = network([vpc]);
    let app = End::Interface("eni-app");
    let checked = told(&network, app, "192.0.2.2", 443);
    assert!(
        checked.ends_with("BLOCKED by eni-nat: its source/destination check drops packets to 192.0.2.2"),
        "{checked}"
    );
    let vpc = network.vpcs.get_mut("vpc-0").unwrap();
    vpc.interfaces.get_mut("eni-nat").unwrap().forwards = true;
    assert!(network.reaches(app, ENDPOINTS, 443));
    assert!(!network.reaches(app, ENDPOINTS, 80), "its groups do not admit the port");
    let vpc = network.vpcs.get_mut("vpc-0").unwrap();
    vpc.route("public", "0.0.0.0/0", Target::Interface("eni-nat".to_owned()));
    let circle = told(&network, app, "192.0.2.2", 443);
    assert!(circle.ends_with("BLOCKED by rtb-0-1: the route 0.0.0.0/0 leads back to eni-nat"), "{circle}");
    network.vpcs.get_mut("vpc-0").unwrap().interfaces.remove("eni-nat");
    assert!(!network.reaches(app, ENDPOINTS, 443));
}

#[test]
fn a_peering_connection_needs_routes_in_both_directions() {
    let mut here = vpc(0).with("eni-app", "10.0.2.4", None, "open");
    let there = vpc(1).with("eni-db", "10.1.2.4", None, "open");
    let pcx = || Target::Peering("pcx-1".to_owned());
    here.route("private", "10.1.0.0/16", pcx());
    let mut network = network([here, there]);
    network.peerings.insert("pcx-1".to_owned(), ["vpc-0".to_owned(), "vpc-1".to_owned()]);
    let blocked = told(&network, End::Interface("eni-app"), "10.1.2.4", 5432);
    assert!(blocked.ends_with("BLOCKED by rtb-1-2: no route leads back to 10.0.2.4"), "{blocked}");
    network.vpcs.get_mut("vpc-1").unwrap().route("private", "10.0.0.0/16", pcx());
    assert!(network.reaches(End::Interface("eni-app"), ip("10.1.2.4"), 5432));
    network.vpcs.get_mut("vpc-0").unwrap().route("private", "10.1.2.0/24", Target::Blackhole("nat-1".to_owned()));
    assert!(!network.reaches(End::Interface("eni-app"), ip("10.1.2.4"), 5432), "a longer prefix leads elsewhere");
}

#[test]
fn network_acls_judge_replies_and_only_between_subnets() {
    let mut vpc = vpc(0)
        .with("eni-a", "10.0.1.4", None, "open")
        .with("eni-b", "10.0.2.4", None, "open")
        .with("eni-c", "10.0.2.5", None, "open");
    let entry = |allow, low, high| AclEntry { allow, traffic: Traffic::Tcp(low, high), range: Cidr::EVERYWHERE };
    let acl = NetworkAcl {
        ingress: BTreeMap::from([(100, entry(true, 80, 80))]),
        egress: BTreeMap::from([(90, entry(false, 1024, 2000)), (100, entry(true, 1024, u16::MAX))]),
    };
    vpc.acls.insert("acl-0-2".to_owned(), acl);
    let network = network([vpc]);
    assert!(network.reaches(End::Interface("eni-a"), ip("10.0.2.4"), 80));
    assert!(!network.reaches(End::Interface("eni-a"), ip("10.0.2.4"), 81));
    assert!(network.reaches(End::Interface("eni-c"), ip("10.0.2.4"), 81), "within a subnet, no ACL is asked");
    let to_reserved =
        Flow { from: End::Interface("eni-a"), to: ip("10.0.2.4"), traffic: Traffic::Tcp(80, 80), reply_port: 1500 };
    assert!(!network.path(to_reserved).is_open(), "replies to this port are denied");
    let mut network = network;
    let echo = |kind: u8| AclEntry { allow: true, traffic: Traffic::Icmp(Some(kind), None), range: Cidr::EVERYWHERE };
    let ping = Flow::new(End::Interface("eni-a"), ip("10.0.2.4"), Traffic::Icmp(Some(8), Some(0)));
    for (reply, open) in [(8, false), (0, true)] {
        let acl =
            NetworkAcl { ingress: BTreeMap::from([(100, echo(8))]), egress: BTreeMap::from([(100, echo(reply))]) };
        network.vpcs.get_mut("vpc-0").unwrap().acls.insert("acl-0-2".to_owned(), acl);
        assert_eq!(network.path(ping).is_open(), open, "the type of the reply is 0");
    }
}

fn partition(one: &[&str], other: &[&str]) -> Fault {
    let side = |ids: &[&str]| Side {
        name: if ids.is_empty() { "internet".to_owned() } else { ids.join("+") },
        outside: if ids.is_empty() { BTreeSet::from([CLIENTS, ENDPOINTS]) } else { BTreeSet::new() },
        interfaces: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    Fault { symptom: NetworkSymptom::Partition, sides: [side(one), side(other)] }
}

#[test]
fn a_partition_blocks_paths_in_both_directions_and_through_gateways() {
    let mut vpc = vpc(0)
        .with("eni-nat", "10.0.1.9", Some("127.9.255.1"), "open")
        .with("eni-app", "10.0.2.4", None, "open")
        .with("eni-web", "10.0.1.4", Some("127.9.1.4"), "open");
    let nat = vpc.interfaces.get_mut("eni-nat").unwrap();
    (nat.translates, nat.groups) = (true, None);
    vpc.route("private", "0.0.0.0/0", Target::Nat("eni-nat".to_owned()));
    let mut network = network([vpc]);
    network.faults = vec![partition(&["eni-app"], &["eni-web"])];
    insta::assert_snapshot!(told(&network, End::Interface("eni-web"), "10.0.2.4", 80), @"
    eni-web: 10.0.1.4 of i-web
    open: an egress rule permits TCP port 80 with 10.0.2.4
    BLOCKED by partition: an injected fault drops the packets between eni-app and eni-web: `stack local fault clear` clears it
    ");
    let paths = |network: &Network| {
        let app = End::Interface("eni-app");
        [
            network.reaches(app, ip("10.0.1.4"), 80),
            network.reaches(app, ip("127.9.1.4"), 80),
            network.reaches(app, ENDPOINTS, 443),
            network.reaches(End::Outside, ip("127.9.1.4"), 80),
        ]
    };
    assert_eq!(paths(&network), [false, false, true, true]);
    network.faults = vec![partition(&["eni-web"], &["eni-nat"])];
    assert_eq!(paths(&network), [true, false, true, true]);
    network.faults = vec![partition(&["eni-nat", "eni-web"], &["eni-app"])];
    assert_eq!(paths(&network), [false, false, false, true]);
    network.faults = vec![partition(&[], &["eni-app", "eni-web"])];
    assert_eq!(paths(&network), [true, true, false, false]);
    network.faults[0].symptom = NetworkSymptom::PacketLoss(99);
    assert_eq!(paths(&network), [true; 4], "some packets arrive");
    network.faults[0].symptom = NetworkSymptom::PacketLoss(100);
    assert_eq!(paths(&network), [true, true, false, false]);
}

#[test]
fn a_fault_of_a_zone_affects_the_interfaces_that_are_in_it() {
    let mut plane = crate::testing::ControlPlane::new();
    let image = plane.query(crate::services::ec2::OPERATIONS, "DescribeImages", "").unwrap();
    let (_, image) = image.split_once("<imageId>").unwrap();
    let image = image.split('<').next().unwrap().to_owned();
    let mut launch = |zone: &str| {
        let form = format!(
            "ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&Placement.AvailabilityZone=us-east-1{zone}"
        );
        plane.query(crate::services::ec2::OPERATIONS, "RunInstances", &form).unwrap();
        let instances = plane.cloud.regions["us-east-1"].ec2.instances.values();
        let newest = instances.filter(|it| it.zone == format!("us-east-1{zone}")).max_by_key(|it| it.address).unwrap();
        (newest.id.clone(), newest.network_interface_id.clone(), plane.cloud.clone())
    };
    let (one, one_interface, mut cloud) = launch("a");
    let zone = |name: &str| faults::Side::Zone(name.to_owned());
    let resource = faults::Side::Resource { id: one, name: "one".to_owned() };
    let between = |one: &faults::Side, other: &faults::Side| faults::NetworkFault {
        number: 0,
        symptom: NetworkSymptom::Latency(200),
        between: [one.clone(), other.clone()],
    };
    let faults = vec![
        between(&zone("us-east-1b"), &faults::Side::Internet),
        between(&zone("us-east-1a"), &resource),
        between(&resource, &zone("us-east-1b")),
    ];
    let derived = |cloud: &mut crate::model::Cloud| {
        cloud.faults.network = faults.clone();
        of(cloud).faults.into_iter().map(|fault| fault.sides.map(|side| side.interfaces)).collect::<Vec<_>>()
    };
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    let own = set(&[&one_interface]);
    assert_eq!(derived(&mut cloud), [[set(&[]), set(&[])], [set(&[]), own.clone()], [own.clone(), set(&[])]]);
    let (_, beside, _) = launch("a");
    let (_, elsewhere, mut cloud) = launch("b");
    let expected = [[set(&[&elsewhere]), set(&[])], [set(&[&beside]), own.clone()], [own, set(&[&elsewhere])]];
    assert_eq!(derived(&mut cloud), expected, "instances that were launched later are affected, too");
}

#[test]
fn a_new_cloud_has_the_default_networks() {
    let mut cloud = crate::model::Cloud::default();
    cloud.complete();
    let network = of(&cloud);
    assert_eq!(network.vpcs.len(), 2);
    for vpc in network.vpcs.values() {
        assert_eq!((vpc.range, vpc.subnets.len()), (cidr("172.31.0.0/16"), 3));
        assert!(vpc.subnets.values().all(|subnet| subnet.route(CLIENTS).unwrap().1 == &Target::Internet));
    }
    let text = serde_json::to_string(&network).unwrap();
    assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), network);
}

#[test]
fn the_resolver_is_reached_without_rules_unless_the_vpc_has_none() {
    let mut vpc = vpc(0).with("eni-a", "10.0.2.5", None, "closed");
    for has_resolver in [true, false] {
        vpc.has_resolver = has_resolver;
        let network = network([vpc.clone()]);
        for (to, traffic) in [("10.0.0.2", Traffic::Udp(53, 53)), ("169.254.169.253", Traffic::Tcp(53, 53))] {
            let path = network.path(Flow::new(End::Interface("eni-a"), ip(to), traffic));
            assert_eq!(path.is_open(), has_resolver, "{to}: {:?}", path.blocked);
            let closed = network.path(Flow::new(End::Interface("eni-a"), ip(to), Traffic::Tcp(54, 54)));
            assert!(!closed.is_open(), "{to}");
        }
    }
}
