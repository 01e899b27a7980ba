//! A minimal resource of each kind of infra-aws, to test all kinds on the local cloud and on other AWS-compatible servers.
//! It is a test program and not a model for stacks.
//!
//! ```text
//! cargo run --example every_kind -- up
//! cargo run --example every_kind -- --target aws --endpoint http://127.0.0.1:5000 --readiness control-plane up --yes
//! ```
//!
//! `config set everything true` adds the kinds that a plain mock server does not support:
//! - `CloudResource`: moto does not implement Cloud Control
//! - `MetricAlarm`: moto implements CloudWatch's older protocols, Query and JSON, while the SDK uses CBOR

use infra_aws::{
    self as aws, Action, AlarmMetric, AutoScalingGroup, AutoScalingGroupName, AvailabilityZones, BakedImage, Bucket,
    BucketObject, CallerIdentity, Certificate, CloudResource, Condition, DbCluster, DbClusterParameterGroup,
    DbInstance, DbParameterGroup, DbSubnetGroup, DefaultVpc, ElasticIp, ExistingVpc, Image, Instance, InstanceId,
    InstanceProfile, InternetGateway, KeyPair, LaunchTemplate, LifecycleHook, Listener, ListenerRule, LoadBalancer,
    LogGroup, Machine, MetricAlarm, NatGateway, Parameter, Region, Role, RolePolicy, Route, RouteTable, Rule,
    ScalingPolicy, ScheduledAction, SecurityGroup, SecurityGroupId, SecurityGroupRule, Subnet, SubnetId, TargetGroup,
    TargetGroupAttachment, Vpc, VpcId, VpcPeering,
};
use infra_cli::program;
use infra_core::{Config, Output, Result, Stack, output_json};
use std::process::ExitCode;

/// The content of the bucket object: a file that does not change, and its SHA-256.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE-MIT");
const SHA256: &str = "ffc46f7aaa8ab4a3dbef7584b5759cd052e50b7cb1b7cf39aa8bfcf9d3244aeb";

/// Declares one resource of each kind.
pub(crate) fn every_kind(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let ohio = aws::region(stack, "us-east-2");
    let network = network(&virginia, &ohio);
    let (host, group) = hosts(&virginia, &network);
    balancing(&virginia, &network, &host);
    databases(&virginia, &network, &config.get_or("postgres", "15".to_owned())?);
    rest(&virginia);
    if config.get_or("everything", false)? {
        virginia.add("busy", MetricAlarm::above(AlarmMetric::group_cpu(&group), 90.0));
        cloud_control(&virginia, &network);
    }
    stack.export("account", virginia.lookup(CallerIdentity).account);
    stack.export("other", ohio.lookup(DefaultVpc).vpc_id);
    Ok(())
}

/// The network of all other resources.
struct Network {
    vpc: Output<VpcId>,
    subnets: Output<Vec<SubnetId>>,
    access: Output<SecurityGroupId>,
}

fn network(virginia: &Region, ohio: &Region) -> Network {
    let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16").dns_hostnames());
    let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
    let zones = virginia.lookup(AvailabilityZones).names;
    let first = virginia.add("first", Subnet::of(&vpc.id, "10.0.0.0/24").in_zone(zones.index(0)).public());
    let second = virginia.add("second", Subnet::of(&vpc.id, "10.0.1.0/24").in_zone(zones.index(1)));
    let address = virginia.add("address", ElasticIp::new());
    let after = virginia.with(infra_core::Options::new().depends_on(&gateway.id));
    let nat = after.add("nat", NatGateway::public(&first.id, &address.id));
    let far = ohio.add("far", Vpc::new("10.1.0.0/16"));
    let peering = virginia.add("peering", VpcPeering::across(&vpc.id, ohio, &far.id));
    let out = RouteTable::of(&vpc.id).route(Route::to("0.0.0.0/0").by_internet_gateway(&gateway.id)).subnet(&first.id);
    virginia.add("out", out);
    let inner = RouteTable::of(&vpc.id)
        .route(Route::to("0.0.0.0/0").by_nat_gateway(&nat.id))
        .route(Route::to(&far.cidr).by_peering(&peering.id));
    virginia.add("inner", inner.subnet(&second.id));
    let access = virginia.add(
        "access",
        SecurityGroup { ingress: vec![Rule::tcp(80).from_anywhere()], ..SecurityGroup::in_vpc(&vpc.id) },
    );
    virginia.add("rule", SecurityGroupRule::ingress(&access.id, Rule::tcp(443).from_cidr("10.0.0.0/8")));
    let existing = virginia.lookup(ExistingVpc::with_id(&vpc.id));
    Network { vpc: existing.vpc_id, subnets: Output::list([first.id, second.id]), access: access.id }
}

fn hosts(region: &Region, network: &Network) -> (Output<InstanceId>, Output<AutoScalingGroupName>) {
    let role = region.add("role", Role::for_service("ec2.amazonaws.com"));
    let reads = output_json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
    });
    region.add("reads", RolePolicy::of(&role.name, reads.map(|policy| policy.to_string())));
    let profile = region.add("profile", InstanceProfile::for_role(role.name));
    let key = region.add("key", KeyPair::generated());
    let image = region.lookup(Image::debian(12));
    let host = region.add(
        "host",
        Instance {
            image: Some(image.id),
            subnet: Some(network.subnets.index(0)),
            security_groups: vec![network.access.clone()],
            key_name: Some(key.name),
            instance_profile: Some(profile.name),
            ..Instance::new("t3.micro")
        },
    );
    let machine = Machine::debian().file("/etc/motd", "one of each kind", "0644");
    let image = BakedImage { subnet: Some(network.subnets.index(0)), ..BakedImage::new("t3.micro", machine) };
    region.add("image", image);
    let template = LaunchTemplate { security_groups: vec![network.access.clone()], ..LaunchTemplate::new("t3.micro") };
    let template = region.add("template", template);
    let group =
        AutoScalingGroup { min: 0, max: 2, ..AutoScalingGroup::from(template.version(), network.subnets.clone()) };
    let group = region.add("group", group);
    region.add("hook", LifecycleHook::launching(&group.name));
    region.add("policy", ScalingPolicy::target_cpu(&group.name, 50.0));
    let nightly = ScheduledAction { min: Some(0), ..ScheduledAction::recurring(&group.name, "0 3 * * *") };
    region.add("nightly", nightly);
    (host.id, group.name)
}

fn balancing(region: &Region, network: &Network, host: &Output<InstanceId>) {
    let balancer = LoadBalancer::application(network.subnets.clone(), [network.access.clone()]);
    let balancer = region.add("balancer", balancer);
    let targets = region.add("targets", TargetGroup::http(80, network.vpc.clone()));
    region.add("target", TargetGroupAttachment::new(&targets.arn, host.cast::<String>()));
    let certificate = region.add("certificate", Certificate::self_signed(["every.example.org"]));
    let secure = Listener::https(443, &balancer.arn, certificate.arn).action(Action::fixed_response(404, "nothing"));
    let secure = region.add("secure", secure);
    let rule = ListenerRule::new(secure.arn, 10, [Condition::path(["/every/*"])], Action::forward(targets.arn));
    region.add("path", rule);
}

fn databases(region: &Region, network: &Network, major: &str) {
    let subnets = region.add("subnets", DbSubnetGroup::of(network.subnets.clone()));
    let parameters = DbParameterGroup::of_family(format!("postgres{major}"));
    let parameters = region.add("parameters", parameters.set("work_mem", 4096));
    let plain = DbInstance {
        version: Some(major.to_owned()),
        subnet_group: Some(subnets.name.clone()),
        security_groups: vec![network.access.clone()],
        parameter_group: Some(parameters.name),
        final_snapshot: false,
        ..DbInstance::postgres("db.t3.micro", "every", "cloud", "every-password")
    };
    let database = region.add("database", plain);
    let replica = DbInstance {
        security_groups: vec![network.access.clone()],
        final_snapshot: false,
        ..DbInstance::replica("db.t3.micro", database.id, "every", "cloud", "every-password")
    };
    region.add("replica", replica);
    let parameters = DbClusterParameterGroup::of_family(format!("aurora-postgresql{major}"));
    let parameters = region.add("cluster-parameters", parameters.set("work_mem", 4096));
    let cluster = DbCluster {
        instances: 1,
        version: Some(major.to_owned()),
        subnet_group: Some(subnets.name),
        security_groups: vec![network.access.clone()],
        cluster_parameter_group: Some(parameters.name),
        final_snapshot: false,
        ..DbCluster::aurora_postgresql("db.t4g.medium", "every", "cloud", "every-password")
    };
    region.add("cluster", cluster);
}

fn rest(region: &Region) {
    let bucket = region.add("bucket", Bucket { force_delete: true, ..Bucket::default() });
    let file = BucketObject { bucket: bucket.name, key: "every".into(), source: FILE.into(), sha256: SHA256.into() };
    region.add("file", file);
    region.add("secret", Parameter::secure("every-secret"));
    region.add("logs", LogGroup::retention_days(7));
}

fn cloud_control(region: &Region, network: &Network) {
    let group = output_json!({"GroupDescription": "every", "VpcId": network.vpc});
    let group = CloudResource::new("AWS::EC2::SecurityGroup", group).replace_on(["GroupDescription", "VpcId"]);
    region.add("any", group);
}

fn main() -> ExitCode {
    infra_cli::run([program("every-kind", every_kind)])
}
