//! Tests of the records of a zone.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use super::*;
use crate::services::{ec2, elbv2};
use crate::testing::{ControlPlane, element};

/// Two peered VPCs in us-east-1 with an instance each: `10.0.0.0/16`, which names its hosts, and `10.1.0.0/16`. The first
/// one has an internal balancer in two subnets.
struct World {
    plane: ControlPlane,
    vpcs: [String; 2],
    subnets: Vec<String>,
    peering: String,
}

impl World {
    fn new() -> World {
        let mut plane = ControlPlane::new();
        plane.cloud.use_private_addresses();
        let mut world =
            World { plane, vpcs: [String::new(), String::new()], subnets: Vec::new(), peering: String::new() };
        for number in 0..2 {
            let vpc = world.ec2("CreateVpc", &format!("CidrBlock=10.{number}.0.0%2F16"));
            let vpc = element(&vpc, "vpcId").to_owned();
            for (zone, part) in [("a", 1), ("b", 2)] {
                let range = format!("10.{number}.{part}.0%2F24");
                let subnet = world
                    .ec2("CreateSubnet", &format!("VpcId={vpc}&CidrBlock={range}&AvailabilityZone=us-east-1{zone}"));
                world.subnets.push(element(&subnet, "subnetId").to_owned());
            }
            world.set(&vpc, "EnableDnsHostnames", true);
            world.vpcs[number] = vpc;
        }
        for position in [0, 2] {
            world.launch(position);
        }
        let [ours, theirs] = world.vpcs.clone();
        let peering = world.ec2("CreateVpcPeeringConnection", &format!("VpcId={ours}&PeerVpcId={theirs}"));
        world.peering = element(&peering, "vpcPeeringConnectionId").to_owned();
        let peering = world.peering.clone();
        world.plane.cloud.change_peering(&peering, |peering| peering.state = PeeringState::Active);
        world
    }

    fn ec2(&mut self, action: &str, form: &str) -> String {
        self.plane.query(ec2::OPERATIONS, action, form).unwrap()
    }

    fn set(&mut self, vpc: &str, attribute: &str, value: bool) {
        self.ec2("ModifyVpcAttribute", &format!("VpcId={vpc}&{attribute}.Value={value}"));
    }

    fn launch(&mut self, subnet: usize) {
        let images = self.ec2("DescribeImages", "");
        let form = format!(
            "ImageId={}&InstanceType=t3.micro&MinCount=1&MaxCount=1&NetworkInterface.1.DeviceIndex=0\
             &NetworkInterface.1.SubnetId={}&NetworkInterface.1.AssociatePublicIpAddress=true",
            element(&images, "imageId"),
            self.subnets[subnet]
        );
        self.ec2("RunInstances", &form);
    }

    fn zone(&self, vpc: usize) -> Zone {
        Zone::of(&self.plane.cloud, &self.vpcs[vpc])
    }

    /// The records, a line for each. The number of the cloud's address range differs between runs.
    fn records(&self, vpc: usize) -> String {
        let zone = self.zone(vpc);
        let mut text = String::new();
        for (name, addresses) in &zone.addresses {
            let addresses: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
            writeln!(text, "{name} A {}", addresses.join(" ")).unwrap();
        }
        for (address, name) in &zone.names {
            writeln!(text, "{address} PTR {name}").unwrap();
        }
        let block = regex_lite::Regex::new(r"127([.-])[1-9]\d*([.-])").unwrap();
        block.replace_all(&text, "127${1}N${2}").into_owned()
    }
}

#[test]
fn names_of_hosts_lead_to_private_addresses_in_their_vpc() {
    let world = World::new();
    insta::assert_snapshot!(world.records(0), @r"
    ec2-127-N-6-4.compute-1.amazonaws.com A 10.0.1.4
    ec2-127-N-8-4.compute-1.amazonaws.com A 127.N.8.4
    instance-data.ec2.internal A 169.254.169.254
    ip-10-0-1-4.ec2.internal A 10.0.1.4
    localhost A 127.0.0.1
    10.0.1.4 PTR ip-10-0-1-4.ec2.internal
    127.0.0.1 PTR localhost
    127.N.6.4 PTR ec2-127-N-6-4.compute-1.amazonaws.com
    127.N.8.4 PTR ec2-127-N-8-4.compute-1.amazonaws.com
    169.254.169.254 PTR instance-data.ec2.internal
    ");
}

#[test]
fn a_peered_vpc_gets_public_addresses_unless_the_connection_permits_private_ones() {
    let mut world = World::new();
    let of_other = |world: &World| -> Vec<Ipv4Addr> {
        let zone = world.zone(0);
        let public = zone.addresses.iter().filter(|(name, _)| name.starts_with("ec2-"));
        public.flat_map(|(_, addresses)| addresses.clone()).collect()
    };
    let own = Ipv4Addr::new(10, 0, 1, 4);
    let seen = of_other(&world);
    assert!(seen.contains(&own) && seen.iter().any(|address| address.octets()[0] == 127), "{seen:?}");
    let form = format!(
        "VpcPeeringConnectionId={}&AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc=true",
        world.peering
    );
    world.ec2("ModifyVpcPeeringConnectionOptions", &form);
    assert_eq!(of_other(&world), [own, Ipv4Addr::new(10, 1, 1, 4)]);
    let pointer = world.zone(0).answer("4.1.1.10.in-addr.arpa", Question::Name);
    assert_eq!(pointer, Answer::Name("ip-10-1-1-4.ec2.internal".to_owned()));
    // The other side permits nothing.
    let theirs = world.zone(1);
    assert!(theirs.addresses.values().flatten().all(|address| *address != own));
}

#[test]
fn a_vpc_without_host_names_has_none_for_its_hosts() {
    let mut world = World::new();
    let vpc = world.vpcs[0].clone();
    for attribute in ["EnableDnsHostnames", "EnableDnsSupport"] {
        world.set(&vpc, attribute, false);
        let zone = world.zone(0);
        assert_eq!(zone.answer("ip-10-0-1-4.ec2.internal", Question::Addresses), Answer::NoName, "{attribute}");
        assert!(zone.addresses.values().flatten().all(|address| address.octets()[0] != 10), "{attribute}");
        world.set(&vpc, attribute, true);
    }
    let found = world.zone(0).answer("IP-10-0-1-4.EC2.internal.", Question::Addresses);
    assert_eq!(found, Answer::Addresses(vec![Ipv4Addr::new(10, 0, 1, 4)]));
}

#[test]
fn an_internal_balancer_has_the_private_addresses_of_all_its_interfaces() {
    let mut world = World::new();
    let form =
        format!("Name=lb&Scheme=internal&Subnets.member.1={}&Subnets.member.2={}", world.subnets[0], world.subnets[1]);
    let created = world.plane.query(elbv2::OPERATIONS, "CreateLoadBalancer", &form).unwrap();
    let name = element(&created, "DNSName").to_owned();
    assert!(name.starts_with("internal-lb-") && name.ends_with(".us-east-1.elb.amazonaws.com"), "{name}");
    let Answer::Addresses(addresses) = world.zone(0).answer(&name, Question::Addresses) else { panic!("{name}") };
    let interfaces = world.ec2("DescribeNetworkInterfaces", "Filter.1.Name=requester-managed&Filter.1.Value.1=true");
    assert_eq!(addresses.len(), 2);
    assert!(addresses.iter().all(|address| interfaces.contains(&address.to_string())), "{addresses:?}");
    // Its names are public, as on AWS.
    assert_eq!(world.zone(1).answer(&name, Question::Addresses), Answer::Addresses(addresses));
}

#[test]
fn the_api_returns_names_that_the_zone_knows() {
    let mut world = World::new();
    for action in ["DescribeInstances", "DescribeNetworkInterfaces"] {
        let vpc = world.vpcs[0].clone();
        let shown = world.ec2(action, &format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}"));
        let public = if action == "DescribeInstances" { "dnsName" } else { "publicDnsName" };
        for name in ["privateDnsName", public].map(|name| element(&shown, name)) {
            let answer = world.zone(0).answer(name, Question::Addresses);
            assert_eq!(answer, Answer::Addresses(vec![Ipv4Addr::new(10, 0, 1, 4)]), "{action}: {name}");
        }
        for filter in [("private-dns-name", "privateDnsName"), ("dns-name", "dnsName")] {
            if action == "DescribeInstances" {
                let name = element(&shown, filter.1).to_owned();
                let found = world.ec2(action, &format!("Filter.1.Name={}&Filter.1.Value.1={name}", filter.0));
                assert_eq!(element(&found, filter.1), name);
            }
        }
    }
}

#[test]
fn endpoints_of_known_services_and_buckets_have_one_address() {
    let zone = Zone::default();
    let endpoints = [
        "ec2.us-east-1.amazonaws.com",
        "IAM.amazonaws.com.",
        "s3.amazonaws.com",
        "s3.eu-west-1.amazonaws.com",
        "s3.dualstack.eu-west-1.amazonaws.com",
        "a.bucket.s3.eu-west-1.amazonaws.com",
        "bucket.s3.amazonaws.com",
    ];
    for name in endpoints {
        assert_eq!(zone.answer(name, Question::Addresses), Answer::Addresses(vec![ENDPOINTS]), "{name}");
        assert_eq!(zone.answer(name, Question::Other), Answer::NoRecord, "{name}");
    }
    for name in
        ["sqs.us-east-1.amazonaws.com", "ec2.mars-1.amazonaws.com", ".s3.amazonaws.com", "example.com", "aws.com"]
    {
        assert_eq!(zone.answer(name, Question::Addresses), Answer::NoName, "{name}");
    }
    for name in ["", "com", "amazonaws.com", "us-east-1.amazonaws.com"] {
        assert_eq!(zone.answer(name, Question::Addresses), Answer::NoRecord, "{name}");
    }
}

#[test]
fn services_inside_of_the_cloud_know_their_names() {
    for name in ["s3.us-east-1.amazonaws.com", "iam.amazonaws.com"] {
        assert!(is_service_endpoint(name) && !is_metadata_service(name), "{name}");
    }
    for name in ["instance-data", "instance-data.ec2.internal", "instance-data.eu-west-1.compute.internal"] {
        assert!(is_metadata_service(name) && !is_service_endpoint(name), "{name}");
    }
    for name in ["bucket.s3.amazonaws.com", "evil.example", "instance-data.evil.example", "amazonaws.com", ""] {
        assert!(!is_metadata_service(name) && !is_service_endpoint(name), "{name}");
    }
}
