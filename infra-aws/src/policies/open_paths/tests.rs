//! Programs with open and closed paths.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    AutoScalingGroup, CloudResource, LaunchTemplate, Listener, LoadBalancer, Machine, Network, PostgresHost, Rule,
    SecurityGroup, SecurityGroupRule, Service, SubnetId, TargetGroup, VpcId,
};
use infra_core::{Config, Output, Result, Stack, diff::Action, output_json, testing};
use insta::assert_snapshot;

/// The rules on the path from clients to a database.
struct Rules {
    clients: Vec<Rule>,
    application: u16,
    single: Option<u16>,
    egress: Vec<Rule>,
    database: bool,
}

const OPEN: Rules = Rules { clients: Vec::new(), application: 8080, single: None, egress: Vec::new(), database: true };

fn program(rules: Rules) -> impl Fn(&Stack, &Config) -> Result {
    move |stack, _| {
        let virginia = crate::region(stack, "us-east-1");
        let vpc = VpcId::from("vpc-1");
        let subnets = vec![SubnetId::from("subnet-1"), SubnetId::from("subnet-2")];
        let open = vec![Rule::tcp(80).from_anywhere()];
        let ingress = if rules.clients.is_empty() { open } else { rules.clients.clone() };
        let front = virginia.add(
            "front",
            SecurityGroup { ingress, egress: rules.egress.clone(), ..SecurityGroup::in_vpc(vpc.clone()) },
        );
        let inner = vec![Rule::tcp(rules.application).from_group(&front.id)];
        let inside = SecurityGroup { ingress: inner, ..SecurityGroup::in_vpc(vpc.clone()) };
        let inside = virginia.add("inside", inside);
        if let Some(port) = rules.single {
            let rule = SecurityGroupRule::ingress(&inside.id, Rule::tcp(port).from_group(&front.id));
            virginia.add("single", rule);
        }
        let mut database = PostgresHost::new(&virginia, "database").database("tasks", "cloud", "secret");
        if rules.database {
            database = database.reachable_from(&virginia);
        }
        let machine = Machine::debian()
            .service(Service::prebuilt("tasks", "/bin/true").env("DATABASE_URL", database.declare()?.url).listen(8080));
        let template = LaunchTemplate { security_groups: vec![inside.id], machine, ..LaunchTemplate::new("t3.micro") };
        let template = virginia.add("application", template);
        let balancer = virginia.add("balancer", LoadBalancer::application(subnets.clone(), [front.id]));
        let targets = virginia.add("targets", TargetGroup::http(8080, vpc.clone()));
        virginia.add("listener", Listener::http(80, balancer.arn).forward(targets.arn.clone()));
        let group =
            AutoScalingGroup { targets: vec![targets.arn], ..AutoScalingGroup::from(template.version(), subnets) };
        virginia.add("group", group);
        Ok(())
    }
}

/// Returns the violations of a program whose resources do not exist yet.
fn violations(rules: Rules) -> String {
    violations_of(program(rules))
}

fn violations_of(program: impl Fn(&Stack, &Config) -> Result + Sync) -> String {
    let declared = testing::declare(&program).unwrap();
    let graph = declared.graph();
    let nodes: Vec<_> = graph
        .in_order()
        .map(|node| {
            let used: Vec<Urn> = graph.dependencies(&node.urn).into_iter().cloned().collect();
            (node, node.inputs.evaluate(&|_| None).unwrap(), used)
        })
        .collect();
    let all: Vec<_> = nodes
        .iter()
        .map(|(node, inputs, dependencies)| Declared {
            urn: &node.urn,
            region: node.region.as_deref(),
            action: Action::Create,
            inputs,
            dependencies,
        })
        .collect();
    let violations: Vec<String> = closed(&all).into_iter().map(|(_, violation)| format!("{violation:?}")).collect();
    violations.join("\n")
}

#[test]
fn open_paths_cause_no_violations() {
    assert_eq!(violations(OPEN), "");
    assert_eq!(violations(Rules { application: 9090, single: Some(8080), ..OPEN }), "", "a separate rule resource");
    assert_eq!(violations(Rules { egress: vec![Rule::tcp(8000..=9000).to_anywhere()], ..OPEN }), "");
}

#[test]
fn closed_path_is_reported_with_a_remedy() {
    assert_snapshot!(violations(Rules { clients: vec![Rule::tcp(443).from_anywhere()], ..OPEN }), @r#"Violation { message: "clients cannot reach port 80 of `balancer`: no ingress rule of `front` allows it", about: Some(urn:infra:test::test::aws:elb:Listener::listener), property: None, remedy: Some("add `Rule::tcp(80).from_anywhere()` to the ingress of `front`") }"#);
    assert_snapshot!(violations(Rules { application: 9090, ..OPEN }), @r#"Violation { message: "`balancer` cannot reach port 8080 of `application`: no ingress rule of `inside` allows it", about: Some(urn:infra:test::test::aws:autoscaling:AutoScalingGroup::group), property: None, remedy: Some("add `Rule::tcp(8080).from_group(…)` with the id of `front` to the ingress of `inside`") }"#);
    assert_snapshot!(violations(Rules { egress: vec![Rule::tcp(443).to_anywhere()], ..OPEN }), @r#"Violation { message: "`balancer` cannot reach port 8080 of `application`: no egress rule of `front` allows it", about: Some(urn:infra:test::test::aws:autoscaling:AutoScalingGroup::group), property: None, remedy: Some("add `Rule::tcp(8080).to_anywhere()` to the egress of `front`") }"#);
    assert_snapshot!(violations(Rules { database: false, ..OPEN }), @r#"Violation { message: "`application` cannot reach port 5432 of `database/instance`: no ingress rule of `database/access` allows it", about: Some(urn:infra:test::test::aws:ec2:LaunchTemplate::application), property: None, remedy: Some("add `Rule::tcp(5432).from_group(…)` with the id of `inside` to the ingress of `database/access`") }"#);
}

/// A balancer, an application and its database in declared networks of two regions.
#[derive(Clone, Copy)]
struct Networks {
    has_internet: bool,
    is_peered: bool,
    /// The entry of the network ACL of the first subnet.
    acl: Option<&'static str>,
}

const CONNECTED: Networks = Networks { has_internet: true, is_peered: true, acl: None };

fn networks(declared: Networks) -> impl Fn(&Stack, &Config) -> Result {
    move |stack, _| {
        let (virginia, ohio) = (crate::region(stack, "us-east-1"), crate::region(stack, "us-east-2"));
        let mut here = Network::new(&virginia, "here", "10.1.0.0/16", 1)?;
        let mut there = Network::new(&ohio, "there", "10.2.0.0/16", 1)?;
        if declared.is_peered {
            here.peer_with(&mut there);
        }
        let (here, there) = (here.declare(), there.declare());
        let subnet = if declared.has_internet {
            here.subnets.index(0)
        } else {
            let inside = crate::Subnet::of(&here.vpc_id, "10.1.9.0/24");
            virginia.add("private", inside).id
        };
        if let Some(action) = declared.acl {
            let acl = CloudResource::new("AWS::EC2::NetworkAcl", output_json!({"VpcId": here.vpc_id.clone()}));
            let acl = virginia.add("acl", acl).identifier;
            let entry = |number: u16, action: &str, is_egress: bool| {
                CloudResource::new(
                    "AWS::EC2::NetworkAclEntry",
                    output_json!({"NetworkAclId": acl.clone(), "RuleNumber": number, "Protocol": "6", "RuleAction": action,
                        "Egress": is_egress, "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 0, "To": 65535}}),
                )
            };
            virginia.add("acl-in", entry(100, "allow", false));
            virginia.add("acl-out", entry(100, action, true));
            let properties = output_json!({"NetworkAclId": acl, "SubnetId": subnet.clone()});
            virginia.add("acl-of", CloudResource::new("AWS::EC2::SubnetNetworkAclAssociation", properties));
        }
        let open = SecurityGroup {
            ingress: vec![Rule::tcp(80).from_cidr("203.0.113.0/24")],
            ..SecurityGroup::in_vpc(here.vpc_id.clone())
        };
        let open = virginia.add("open", open);
        let inside = SecurityGroup {
            ingress: vec![Rule::tcp(8080).from_cidr(here.cidr.clone())],
            ..SecurityGroup::in_vpc(here.vpc_id.clone())
        };
        let inside = virginia.add("inside", inside);
        let database = PostgresHost::new(&ohio, "database")
            .database("tasks", "cloud", "secret")
            .network(there.vpc_id, there.subnets.index(0), there.cidr)
            .reachable_by("10.1.0.0/16");
        let machine = Machine::debian()
            .service(Service::prebuilt("tasks", "/bin/true").env("DATABASE_URL", database.declare()?.url).listen(8080));
        let template = LaunchTemplate { security_groups: vec![inside.id], machine, ..LaunchTemplate::new("t3.micro") };
        let template = virginia.add("application", template);
        let subnets = Output::list([subnet]);
        let balancer = virginia.add("balancer", LoadBalancer::application(subnets.clone(), [open.id]));
        let targets = virginia.add("targets", TargetGroup::http(8080, here.vpc_id));
        virginia.add("listener", Listener::http(80, balancer.arn).forward(targets.arn.clone()));
        let group =
            AutoScalingGroup { targets: vec![targets.arn], ..AutoScalingGroup::from(template.version(), subnets) };
        virginia.add("group", group);
        Ok(())
    }
}

#[test]
fn routes_peering_connections_and_acls_of_declared_networks_are_evaluated() {
    assert_snapshot!(violations_of(networks(CONNECTED)), @"");
    assert_snapshot!(violations_of(networks(Networks { acl: Some("allow"), ..CONNECTED })), @"");
    assert_snapshot!(violations_of(networks(Networks { acl: Some("deny"), ..CONNECTED })), @r#"
    Violation { message: "clients cannot reach port 80 of `balancer`: `acl`: the egress rule 100 denies TCP port 40000 with clients", about: Some(urn:infra:test::test::aws:elb:Listener::listener), property: None, remedy: Some("add an entry to `acl` that allows it; an ACL must also allow the replies, to the ports 1024-65535") }
    Violation { message: "`application` cannot reach port 5432 of `database/instance`: `acl`: the egress rule 100 denies TCP port 5432 with `database/instance`", about: Some(urn:infra:test::test::aws:ec2:LaunchTemplate::application), property: None, remedy: Some("add an entry to `acl` that allows it; an ACL must also allow the replies, to the ports 1024-65535") }
    "#);
    assert_snapshot!(violations_of(networks(Networks { is_peered: false, ..CONNECTED })), @r#"Violation { message: "`application` cannot reach port 5432 of `database/instance`: no route leads to its private address", about: Some(urn:infra:test::test::aws:ec2:LaunchTemplate::application), property: None, remedy: Some("peer the two networks: `Network::peer_with`, or a `VpcPeering` with routes in both directions") }"#);
    assert_snapshot!(violations_of(networks(Networks { has_internet: false, ..CONNECTED })), @r#"
    Violation { message: "clients cannot reach port 80 of `balancer`: the main route table of `here/vpc`: no route leads back to clients", about: Some(urn:infra:test::test::aws:elb:Listener::listener), property: None, remedy: Some("add a route to the main route table of `here/vpc`") }
    Violation { message: "`application` cannot reach port 5432 of `database/instance`: the main route table of `here/vpc`: no route leads to `database/instance`", about: Some(urn:infra:test::test::aws:ec2:LaunchTemplate::application), property: None, remedy: Some("add a route to the main route table of `here/vpc`") }
    "#);
}
