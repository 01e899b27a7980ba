//! What the operations refuse and remember, without anything that runs.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use chrono::Utc;

use super::*;
use crate::cloud::Cloud;
use crate::data::address::AddressBlock;
use crate::wire::Call;
use crate::wire::operation::Run;
use crate::wire::xml;

struct World {
    cloud: Cloud,
    addresses: AddressBlock,
    directory: tempfile::TempDir,
    subnets: Vec<String>,
    vpc: String,
}

impl World {
    fn new() -> Self {
        let mut cloud = Cloud::default();
        cloud.add_missing_regions();
        let region = &cloud.regions["us-east-1"];
        let subnets = region.subnets.keys().cloned().collect();
        let vpc = region.vpcs.keys().next().unwrap().clone();
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        Self { cloud, addresses, directory, subnets, vpc }
    }

    /// The answer as XML, or the error's code and message.
    fn ask(&mut self, name: &str, form: &str) -> Result<String, String> {
        let params = Params::parse(form.as_bytes());
        let operation =
            OPERATIONS.iter().flat_map(|table| table.iter()).find(|operation| operation.name == name).unwrap();
        let call = Call {
            input: params.clone(),
            region: "us-east-1",
            access_key: "key",
            now: Utc::now(),
            addresses: &self.addresses,
            directory: self.directory.path(),
        };
        let checked = operation.check(&params, &[]);
        let answer = checked.and_then(|()| match operation.run {
            Run::Reads(run) => run(&self.cloud, &call),
            Run::Writes(run) => {
                let mut draft = self.cloud.clone();
                let answer = run(&mut draft, &call)?;
                self.cloud = draft;
                Ok(answer)
            }
        });
        let answer = answer.map_err(|error| format!("{}: {}", error.code, error.message))?;
        Ok(xml::query_answer("urn:n", name, "r", &answer))
    }

    fn balancer(&mut self, name: &str) -> String {
        let form = format!("Name={name}&Subnets.member.1={}&Subnets.member.2={}", self.subnets[0], self.subnets[1]);
        between(&self.ask("CreateLoadBalancer", &form).unwrap(), "LoadBalancerArn")
    }

    fn targets(&mut self, name: &str) -> String {
        let form = format!("Name={name}&Protocol=HTTP&Port=8080&VpcId={}", self.vpc);
        between(&self.ask("CreateTargetGroup", &form).unwrap(), "TargetGroupArn")
    }
}

fn between(text: &str, element: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{element}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

fn code(answer: Result<String, String>) -> String {
    answer.unwrap_err().split(':').next().unwrap().to_owned()
}

#[test]
fn a_balancer_has_an_address_until_it_is_deleted() {
    let mut world = World::new();
    let arn = world.balancer("web");
    assert_eq!(world.balancer("web"), arn);
    let shown = world.ask("DescribeLoadBalancers", "Names.member.1=web").unwrap();
    let address: std::net::Ipv4Addr = between(&shown, "DNSName").parse().unwrap();
    assert!(address.is_loopback());
    assert_eq!(between(&shown, "Code"), "provisioning");
    let held = |world: &World| {
        let subnets = world.cloud.regions["us-east-1"].subnets.values();
        subnets.map(|subnet| subnet.hosts.len()).sum::<usize>()
    };
    assert_eq!(held(&world), 1);
    world.ask("DeleteLoadBalancer", &format!("LoadBalancerArn={arn}")).unwrap();
    world.ask("DeleteLoadBalancer", &format!("LoadBalancerArn={arn}")).unwrap();
    assert_eq!(held(&world), 0);
    assert_eq!(code(world.ask("DescribeLoadBalancers", "Names.member.1=web")), "LoadBalancerNotFound");
}

#[test]
fn names_and_zones_have_their_rules() {
    let mut world = World::new();
    let subnets = format!("Subnets.member.1={}&Subnets.member.2={}", world.subnets[0], world.subnets[1]);
    let twice = format!("Subnets.member.1={0}&Subnets.member.2={0}", world.subnets[0]);
    for name in ["-a", "a-", "a_b", "internal-a", &"x".repeat(33)] {
        assert_eq!(
            code(world.ask("CreateLoadBalancer", &format!("Name={name}&{subnets}"))),
            "ValidationError",
            "{name}"
        );
    }
    assert_eq!(code(world.ask("CreateLoadBalancer", &format!("Name=a&{twice}"))), "InvalidConfigurationRequest");
    let network = format!("Name=a&Type=network&{subnets}");
    assert!(world.ask("CreateLoadBalancer", &network).unwrap_err().contains("not 'network'"));
    let pool = format!("Name=a&CustomerOwnedIpv4Pool=p&{subnets}");
    assert_eq!(code(world.ask("CreateLoadBalancer", &pool)), "UnsupportedParameter");
}

#[test]
fn a_listener_holds_its_target_group_and_a_taken_port_is_named() {
    let mut world = World::new();
    let (balancer, targets) = (world.balancer("web"), world.targets("app"));
    let shown = world.ask("DescribeLoadBalancers", "").unwrap();
    let address = between(&shown, "DNSName");
    let taken = TcpListener::bind((address.as_str(), 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let form = format!(
        "LoadBalancerArn={balancer}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={targets}"
    );
    let refused = world.ask("CreateListener", &form).unwrap_err();
    assert!(refused.contains(&format!("{address}:{port}")), "{refused}");
    drop(taken);
    let listener = between(&world.ask("CreateListener", &form).unwrap(), "ListenerArn");
    assert_eq!(code(world.ask("CreateListener", &form)), "DuplicateListener");
    assert_eq!(code(world.ask("DeleteTargetGroup", &format!("TargetGroupArn={targets}"))), "ResourceInUse");
    world.ask("DeleteListener", &format!("ListenerArn={listener}")).unwrap();
    world.ask("DeleteTargetGroup", &format!("TargetGroupArn={targets}")).unwrap();
    assert_eq!(code(world.ask("DeleteListener", &format!("ListenerArn={listener}"))), "ListenerNotFound");
}

#[test]
fn attributes_are_honoured_or_refused_and_shown_with_their_defaults() {
    let mut world = World::new();
    let arn = world.targets("app");
    let change = |key: &str, value: &str| {
        format!("TargetGroupArn={arn}&Attributes.member.1.Key={key}&Attributes.member.1.Value={value}")
    };
    let delay = "deregistration_delay.timeout_seconds";
    world.ask("ModifyTargetGroupAttributes", &change(delay, "5")).unwrap();
    for (key, value) in [(delay, "3601"), ("stickiness.enabled", "true"), ("no.such", "1")] {
        assert_eq!(
            code(world.ask("ModifyTargetGroupAttributes", &change(key, value))),
            "InvalidConfigurationRequest",
            "{key}"
        );
    }
    world.ask("ModifyTargetGroupAttributes", &change("stickiness.enabled", "false")).unwrap();
    let shown = world.ask("DescribeTargetGroupAttributes", &format!("TargetGroupArn={arn}")).unwrap();
    assert!(shown.contains(&format!("<Key>{delay}</Key><Value>5</Value>")), "{shown}");
    assert!(shown.contains("<Key>load_balancing.algorithm.type</Key><Value>round_robin</Value>"), "{shown}");
}
