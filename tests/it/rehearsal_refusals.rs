//! Programs that AWS refuses while they are applied, for reasons that a plan cannot know.

use infra_aws::{
    self as aws, Action, AutoScalingGroup, Bucket, Condition, DbInstance, DbParameterGroup, DbSubnetGroup, ElasticIp,
    Instance, InstanceProfile, InternetGateway, KeyPair, LaunchTemplate, Listener, ListenerRule, LoadBalancer,
    LogGroup, NatGateway, Region, Role, RolePolicy, Route, RouteTable, Rule, ScheduledAction, SecurityGroup, Subnet,
    SubnetOutputs, TargetGroup, TargetGroupAttachment, Vpc, VpcOutputs, VpcPeering,
};
use infra_core::{Input, Stack};

/// A program, and the error code with which AWS refuses it. After `|` stands a text of the handler, which finds the other
/// resource itself if that was created before the request.
pub(crate) struct Refusal {
    pub(crate) name: &'static str,
    pub(crate) program: fn(&Stack),
    pub(crate) code: &'static str,
}

const fn refusal(name: &'static str, code: &'static str, program: fn(&Stack)) -> Refusal {
    Refusal { name, program, code }
}

fn virginia(stack: &Stack) -> Region {
    aws::region(stack, "us-east-1")
}

fn vpc(stack: &Stack, name: &str) -> VpcOutputs {
    virginia(stack).add(name, Vpc::new("10.0.0.0/16"))
}

fn subnet(stack: &Stack, vpc: &VpcOutputs, name: &str, cidr: &str, zone: &str) -> SubnetOutputs {
    virginia(stack).add(name, Subnet::of(&vpc.id, cidr).in_zone(zone))
}

/// Declares a VPC with subnets in two zones.
fn network(stack: &Stack) -> (VpcOutputs, SubnetOutputs, SubnetOutputs) {
    let vpc = vpc(stack, "vpc");
    let first = subnet(stack, &vpc, "first", "10.0.0.0/24", "us-east-1a");
    let second = subnet(stack, &vpc, "second", "10.0.1.0/24", "us-east-1b");
    (vpc, first, second)
}

fn balancer(stack: &Stack) -> (VpcOutputs, aws::LoadBalancerOutputs) {
    let (vpc, first, second) = network(stack);
    let virginia = virginia(stack);
    let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
    let route = Route::to("0.0.0.0/0").by_internet_gateway(gateway.id);
    let routes = virginia.add("routes", RouteTable::of(&vpc.id).route(route));
    let virginia = virginia.with(infra_core::Options::new().depends_on(&routes.id));
    let group = virginia.add("access", SecurityGroup::in_vpc(&vpc.id));
    let subnets = infra_core::Output::list([first.id, second.id]);
    (vpc, virginia.add("balancer", LoadBalancer::application(subnets, [group.id])))
}

fn template(stack: &Stack) -> aws::LaunchTemplateOutputs {
    virginia(stack).add("template", LaunchTemplate::new("t3.micro"))
}

pub(crate) const REFUSALS: &[Refusal] = &[
    refusal("a subnet outside of its VPC", "InvalidSubnet.Range", |stack| {
        let vpc = vpc(stack, "vpc");
        virginia(stack).add("subnet", Subnet::of(&vpc.id, "10.1.0.0/24"));
    }),
    refusal("overlapping subnets", "InvalidSubnet.Conflict", |stack| {
        let vpc = vpc(stack, "vpc");
        subnet(stack, &vpc, "first", "10.0.0.0/24", "us-east-1a");
        subnet(stack, &vpc, "second", "10.0.0.128/25", "us-east-1b");
    }),
    refusal("a subnet in a zone of another region", "InvalidParameterValue", |stack| {
        let vpc = vpc(stack, "vpc");
        subnet(stack, &vpc, "subnet", "10.0.0.0/24", "eu-west-1a");
    }),
    refusal("two internet gateways for a VPC", "already has an internet gateway", |stack| {
        let vpc = vpc(stack, "vpc");
        virginia(stack).add("first", InternetGateway::of(&vpc.id));
        virginia(stack).add("second", InternetGateway::of(&vpc.id));
    }),
    refusal("a route to the gateway of another VPC", "InvalidParameterValue", |stack| {
        let (vpc, other) = (vpc(stack, "vpc"), virginia(stack).add("other", Vpc::new("10.1.0.0/16")));
        let gateway = virginia(stack).add("gateway", InternetGateway::of(&other.id));
        let route = Route::to("0.0.0.0/0").by_internet_gateway(gateway.id);
        virginia(stack).add("routes", RouteTable::of(&vpc.id).route(route));
    }),
    refusal("a route within the VPC's own range", "InvalidParameterValue", |stack| {
        let vpc = vpc(stack, "vpc");
        let gateway = virginia(stack).add("gateway", InternetGateway::of(&vpc.id));
        let route = Route::to("10.0.0.0/16").by_internet_gateway(gateway.id);
        virginia(stack).add("routes", RouteTable::of(&vpc.id).route(route));
    }),
    refusal("a route table with a subnet of another VPC", "InvalidParameterValue", |stack| {
        let (vpc, other) = (vpc(stack, "vpc"), virginia(stack).add("other", Vpc::new("10.1.0.0/16")));
        let subnet = subnet(stack, &vpc, "subnet", "10.0.0.0/24", "us-east-1a");
        virginia(stack).add("routes", RouteTable::of(&other.id).subnet(&subnet.id));
    }),
    refusal("a peering of overlapping VPCs", "overlapping CIDR", |stack| {
        let (vpc, other) = (vpc(stack, "vpc"), vpc(stack, "other"));
        virginia(stack).add("peering", VpcPeering::between(&vpc.id, &other.id));
    }),
    refusal("a public NAT gateway without a route to the internet", "has no Internet gateway attached", |stack| {
        let vpc = vpc(stack, "vpc");
        let subnet = subnet(stack, &vpc, "subnet", "10.0.0.0/24", "us-east-1a");
        let address = virginia(stack).add("address", ElasticIp::new());
        virginia(stack).add("nat", NatGateway::public(&subnet.id, &address.id));
    }),
    refusal("more Elastic IP addresses than the quota", "AddressLimitExceeded", |stack| {
        for number in 0..6 {
            virginia(stack).add(&format!("address-{number}"), ElasticIp::new());
        }
    }),
    refusal("two security groups with one name", "InvalidGroup.Duplicate|already", |stack| {
        let vpc = vpc(stack, "vpc");
        for name in ["first", "second"] {
            let group = SecurityGroup { name: Some("web".into()), ..SecurityGroup::in_vpc(&vpc.id) };
            virginia(stack).add(name, group);
        }
    }),
    refusal("a rule for a group of a VPC without a peering", "InvalidGroup.NotFound", |stack| {
        let (vpc, other) = (vpc(stack, "vpc"), virginia(stack).add("other", Vpc::new("10.1.0.0/16")));
        let foreign = virginia(stack).add("foreign", SecurityGroup::in_vpc(&other.id));
        let ingress = vec![Rule::tcp(80).from_group(&foreign.id)];
        virginia(stack).add("group", SecurityGroup { ingress, ..SecurityGroup::in_vpc(&vpc.id) });
    }),
    refusal("an instance with a group of another VPC", "InvalidParameter", |stack| {
        let (vpc, other) = (vpc(stack, "vpc"), virginia(stack).add("other", Vpc::new("10.1.0.0/16")));
        let subnet = subnet(stack, &vpc, "subnet", "10.0.0.0/24", "us-east-1a");
        let group = virginia(stack).add("group", SecurityGroup::in_vpc(&other.id));
        let instance = Instance::new("t3.micro");
        virginia(stack).add(
            "host",
            Instance { subnet: Some((&subnet.id).into()), security_groups: vec![(&group.id).into()], ..instance },
        );
    }),
    refusal("an instance type that does not exist", "InvalidParameterValue", |stack| {
        virginia(stack).add("host", Instance::new("t3.gigantic"));
    }),
    refusal("an instance with an unknown key pair", "InvalidKeyPair.NotFound", |stack| {
        let name: infra_core::Output<aws::KeyName> =
            infra_core::Output::from_expression(infra_core::value::lower("missing").expect("a text is an expression"));
        virginia(stack).add("host", Instance { key_name: Some(name), ..Instance::new("t3.micro") });
    }),
    refusal("two key pairs with one name", "InvalidKeyPair.Duplicate|already", |stack| {
        for name in ["first", "second"] {
            virginia(stack).add(name, KeyPair { name: Some("web".into()), ..KeyPair::generated() });
        }
    }),
    refusal(
        "two launch templates with one name",
        "InvalidLaunchTemplateName.AlreadyExistsException|already",
        |stack| {
            for name in ["first", "second"] {
                virginia(stack)
                    .add(name, LaunchTemplate { name: Some("web".into()), ..LaunchTemplate::new("t3.micro") });
            }
        },
    ),
    refusal("a load balancer in one zone", "InvalidConfigurationRequest", |stack| {
        let vpc = vpc(stack, "vpc");
        let first = subnet(stack, &vpc, "first", "10.0.0.0/24", "us-east-1a");
        let second = subnet(stack, &vpc, "second", "10.0.1.0/24", "us-east-1a");
        let group = virginia(stack).add("access", SecurityGroup::in_vpc(&vpc.id));
        let subnets = infra_core::Output::list([first.id, second.id]);
        virginia(stack).add("balancer", LoadBalancer::application(subnets, [group.id]));
    }),
    refusal("a load balancer without a route to the internet", "InvalidSubnet", |stack| {
        let (vpc, first, second) = network(stack);
        let group = virginia(stack).add("access", SecurityGroup::in_vpc(&vpc.id));
        let subnets = infra_core::Output::list([first.id, second.id]);
        virginia(stack).add("balancer", LoadBalancer::application(subnets, [group.id]));
    }),
    refusal("two target groups with one name", "DuplicateTargetGroupName|already", |stack| {
        let vpc = vpc(stack, "vpc");
        for (name, port) in [("first", 80), ("second", 81)] {
            virginia(stack).add(name, TargetGroup { name: Some("web".into()), ..TargetGroup::http(port, &vpc.id) });
        }
    }),
    refusal("two listeners on one port", "DuplicateListener|already", |stack| {
        let (vpc, balancer) = balancer(stack);
        let targets = virginia(stack).add("targets", TargetGroup::http(80, &vpc.id));
        virginia(stack).add("first", Listener::http(80, &balancer.arn).forward(&targets.arn));
        virginia(stack).add("second", Listener::http(80, &balancer.arn).forward(&targets.arn));
    }),
    refusal("two rules with one priority", "PriorityInUse|already", |stack| {
        let (vpc, balancer) = balancer(stack);
        let targets = virginia(stack).add("targets", TargetGroup::http(80, &vpc.id));
        let listener = virginia(stack).add("listener", Listener::http(80, &balancer.arn).forward(&targets.arn));
        for name in ["first", "second"] {
            let conditions = [Condition::path([format!("/{name}")])];
            let rule = ListenerRule::new(&listener.arn, 10, conditions, Action::forward(&targets.arn));
            virginia(stack).add(name, rule);
        }
    }),
    refusal("a target in another VPC", "InvalidTarget", |stack| {
        let vpc = vpc(stack, "vpc");
        let targets = virginia(stack).add("targets", TargetGroup::http(80, &vpc.id));
        let host = virginia(stack).add("host", Instance::new("t3.micro"));
        virginia(stack).add("attachment", TargetGroupAttachment::new(&targets.arn, host.id.cast::<String>()));
    }),
    refusal("a scheduled action in the past", "ValidationError", |stack| {
        let (_, first, second) = network(stack);
        let subnets = infra_core::Output::list([first.id, second.id]);
        let group = virginia(stack).add("group", AutoScalingGroup::from(template(stack).version(), subnets));
        let action = ScheduledAction { desired: Some(1), ..ScheduledAction::once(group.name, "2020-01-01T00:00:00Z") };
        virginia(stack).add("schedule", action);
    }),
    refusal("two roles with one name", "EntityAlreadyExists|already", |stack| {
        for name in ["first", "second"] {
            virginia(stack).add(name, Role { name: Some("web".into()), ..Role::for_service("ec2.amazonaws.com") });
        }
    }),
    refusal("an inline policy without a resource", "MalformedPolicyDocument", |stack| {
        let role = virginia(stack).add("role", Role::for_service("ec2.amazonaws.com"));
        let document = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}"#;
        virginia(stack).add("policy", RolePolicy::of(role.name, document));
    }),
    refusal("an instance profile of a missing role", "NoSuchEntity", |stack| {
        virginia(stack).add("profile", InstanceProfile::for_role("missing"));
    }),
    refusal("a database subnet group in one zone", "DBSubnetGroupDoesNotCoverEnoughAZs", |stack| {
        let vpc = vpc(stack, "vpc");
        let first = subnet(stack, &vpc, "first", "10.0.0.0/24", "us-east-1a");
        let second = subnet(stack, &vpc, "second", "10.0.1.0/24", "us-east-1a");
        virginia(stack).add("group", DbSubnetGroup::of(infra_core::Output::list([first.id, second.id])));
    }),
    refusal("a parameter that the database does not have", "InvalidParameterValue", |stack| {
        virginia(stack).add("parameters", DbParameterGroup::of_family("postgres15").set("no_such_parameter", 1));
    }),
    refusal("two databases with one name", "DBInstanceAlreadyExists|already", |stack| {
        for name in ["first", "second"] {
            let password: Input<String> = "correct-horse-battery".into();
            let database = DbInstance::postgres("db.t3.micro", "shop", "master", password);
            virginia(stack).add(name, DbInstance { name: Some("shop".into()), ..database });
        }
    }),
    refusal("two log groups with one name", "ResourceAlreadyExists|already", |stack| {
        for name in ["first", "second"] {
            virginia(stack).add(name, LogGroup { name: Some("web".into()), ..LogGroup::retention_days(7) });
        }
    }),
    refusal("a bucket with the name of another one", "already", |stack| {
        let ireland = aws::region(stack, "eu-west-1");
        for name in ["first", "second"] {
            ireland.add(name, Bucket { name: Some("the-same-bucket".into()), ..Bucket::default() });
        }
    }),
];
