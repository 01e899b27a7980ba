//! Networks, end to end: program, engine, AWS SDK, local cloud, state.

use infra_aws::{
    self as aws, AutoScalingGroup, AvailabilityZones, Aws, CallerIdentity, DefaultVpc, ElasticIp, ExistingVpc,
    InternetGateway, LaunchTemplate, Listener, LoadBalancer, NatGateway, Route, RouteTable, Rule, SecurityGroup,
    SecurityGroupRule, Subnet, TargetGroup, Vpc, VpcPeering,
};
use infra_core::{
    Config, Engine, Result, Stack,
    engine::ImportRequest,
    store::{FileStore, MemoryStore},
};
use infra_local::{Fault, LocalCloud, Options, Requests};
use insta::assert_snapshot;
use std::collections::BTreeMap;
use tempfile::TempDir;
use tests::stable;

/// The differences between two versions of the network.
#[derive(Clone, Copy)]
struct Version {
    /// True to assign public addresses to hosts of the public subnet.
    public: bool,
    /// Port that is open to the other region.
    port: u16,
    /// True to resolve DNS names across the peering connection.
    names: bool,
    stage: &'static str,
    /// True to route the private subnet to the internet.
    nat: bool,
}

const FIRST: Version = Version { public: false, port: 5432, names: false, stage: "first", nat: true };
const SECOND: Version = Version { public: true, port: 5433, names: true, stage: "second", nat: false };

/// Declares a VPC with a public and a private subnet in Virginia, a VPC in Ohio, and a peering connection between them.
fn networks(version: Version) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let ohio = aws::region(stack, "us-east-2");
        let tags = BTreeMap::from([("stage".to_owned(), version.stage.to_owned())]);
        let zones = virginia.lookup(AvailabilityZones);

        let vpc = virginia.add("vpc", Vpc { tags: tags.clone(), ..Vpc::new("10.0.0.0/16").dns_hostnames() });
        let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
        let public = Subnet::of(&vpc.id, "10.0.0.0/24").in_zone(zones.names.index(0));
        let public = virginia.add("public", Subnet { map_public_ip: version.public, ..public });
        let private = virginia.add("private", Subnet::of(&vpc.id, "10.0.1.0/24").in_zone(zones.names.index(1)));
        let out = Route::to("0.0.0.0/0").by_internet_gateway(&gateway.id);
        virginia.add("public-routes", RouteTable::of(&vpc.id).route(out).subnet(&public.id));
        let address = virginia.add("address", ElasticIp { tags, ..ElasticIp::new() });

        let other = ohio.add("other", Vpc::new("10.1.0.0/16").dns_hostnames());
        let peering = VpcPeering { dns_resolution: version.names, ..VpcPeering::across(&vpc.id, &ohio, &other.id) };
        let peering = virginia.add("peering", peering);
        let mut routes = RouteTable::of(&vpc.id).subnet(&private.id);
        routes = routes.route(Route::to(&other.cidr).by_peering(&peering.id));
        if version.nat {
            let nat = NatGateway::public(&public.id, &address.id);
            let nat = virginia.with(infra_core::Options::new().depends_on(&gateway.id)).add("nat", nat);
            routes = routes.route(Route::to("0.0.0.0/0").by_nat_gateway(&nat.id));
            stack.export("nat", nat.public_ip);
        }
        virginia.add("private-routes", routes);
        let far = ohio.add("far", Subnet::of(&other.id, "10.1.0.0/24"));
        let back = Route::to(&vpc.cidr).by_peering(&peering.id);
        ohio.add("far-routes", RouteTable::of(&other.id).route(back).subnet(&far.id));

        let database = ohio.add("database", SecurityGroup::in_vpc(&other.id));
        let rule = Rule::tcp(version.port).from_cidr(&vpc.cidr).describe("the applications");
        let rule = ohio.add("database-rule", SecurityGroupRule::ingress(&database.id, rule));
        for (name, id) in [("vpc", vpc.id.cast()), ("other", other.id.cast()), ("gateway", gateway.id.cast())] {
            stack.export::<String>(name, id);
        }
        for (name, id) in [("public", public.id.cast()), ("address", address.id.cast()), ("rule", rule.id.cast())] {
            stack.export::<String>(name, id);
        }
        stack.export("peering", peering.id);
        stack.export("group", database.id);
        stack.export("ip", address.public_ip);
        stack.export("account", virginia.lookup(CallerIdentity).account);
        Ok(())
    }
}

struct Fixture {
    /// Deleted after the cloud, which runs in it.
    _directory: TempDir,
    cloud: LocalCloud,
    engine: Engine,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
        let store = FileStore::new(directory.path().join("state"));
        let engine = Engine::new("program", "dev", store).target(tests::target(&cloud));
        Self { _directory: directory, cloud, engine }
    }

    /// Applies a version, and asserts that a preview with refresh shows no changes.
    async fn up(&self, version: Version) {
        let report = self.engine.up(&networks(version)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = self.engine.preview(&networks(version)).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    }

    async fn output(&self, name: &str) -> String {
        self.engine.outputs().await.unwrap()[name].as_str().unwrap().to_owned()
    }

    async fn counts(&self, region: &str) -> BTreeMap<String, usize> {
        self.cloud.status().await.regions[region].counts.clone()
    }
}

#[tokio::test]
async fn network_is_created_updated_in_place_and_deleted() {
    let fixture = Fixture::new().await;
    let before = (fixture.counts("us-east-1").await, fixture.counts("us-east-2").await);
    fixture.up(FIRST).await;
    assert_eq!(fixture.output("nat").await, fixture.output("ip").await);
    assert_eq!(fixture.output("account").await, "000000000000");

    let plan = fixture.engine.preview(&networks(SECOND)).await.unwrap().to_string();
    assert_snapshot!(stable(&plan), @r#"
    ~ update Vpc vpc [us-east-1]
        ~ tags.stage: "first" => "second"
    ~ update Subnet public [us-east-1]
        ~ map_public_ip: false => true
    ~ update ElasticIp address [us-east-1]
        ~ tags.stage: "first" => "second"
    ~ update VpcPeering peering [us-east-1]
        ~ dns_resolution: false => true
    ~ update RouteTable private-routes [us-east-1]
        - routes[1]: {"destination":"0.0.0.0/0","nat_gateway":"nat-<id>"}
    ~ update SecurityGroupRule database-rule [us-east-2]
        ~ rule.from_port: 5432 => 5433
        ~ rule.to_port: 5432 => 5433
    - delete NatGateway nat [us-east-1]
    7 same, 6 update, 1 delete
    account = "000000000000"
    address = "eipalloc-<id>"
    gateway = "igw-<id>"
    group = "sg-<id>"
    ip = "127.x.x.x"
    other = "vpc-<id>"
    peering = "pcx-<id>"
    public = "subnet-<id>"
    rule = "sgr-<id>"
    vpc = "vpc-<id>"
    "#);
    fixture.up(SECOND).await;
    let ec2 = Aws::new(&tests::target(&fixture.cloud)).ec2("us-east-2").await;
    let rules = ec2.describe_security_group_rules().security_group_rule_ids(fixture.output("rule").await);
    let rules = rules.send().await.unwrap().security_group_rules.unwrap_or_default();
    assert_eq!(rules[0].from_port(), Some(5433));

    assert!(fixture.engine.destroy(&networks(SECOND)).await.unwrap().is_success());
    assert_eq!(fixture.engine.state().await.unwrap().unwrap().live_count(), 0);
    assert_eq!((fixture.counts("us-east-1").await, fixture.counts("us-east-2").await), before);
    fixture.cloud.shutdown().await;
}

#[tokio::test]
async fn drift_is_reported_and_reverted() {
    let fixture = Fixture::new().await;
    fixture.up(FIRST).await;
    let aws = Aws::new(&tests::target(&fixture.cloud));
    let (here, there) = (aws.ec2("us-east-1").await, aws.ec2("us-east-2").await);
    let vpc = fixture.output("other").await;
    let tables = there.describe_route_tables().send().await.unwrap().route_tables.unwrap_or_default();
    let table = tables.iter().find(|table| table.vpc_id() == Some(&vpc) && table.routes().len() == 2).unwrap();
    let table_id = table.route_table_id().unwrap();
    there.delete_route().route_table_id(table_id).destination_cidr_block("10.0.0.0/16").send().await.unwrap();
    let association = table.associations()[0].route_table_association_id().unwrap();
    there.disassociate_route_table().association_id(association).send().await.unwrap();
    let group = fixture.output("group").await;
    let foreign =
        there.authorize_security_group_ingress().group_id(&group).ip_protocol("tcp").from_port(22).to_port(22);
    foreign.cidr_ip("0.0.0.0/0").send().await.unwrap();
    let rule = fixture.output("rule").await;
    there.revoke_security_group_ingress().group_id(&group).security_group_rule_ids(rule).send().await.unwrap();
    let address = fixture.output("address").await;
    let shown = here.describe_addresses().allocation_ids(&address).send().await.unwrap();
    let mut tag = shown.addresses()[0].tags().iter().find(|tag| tag.key() == Some("stage")).unwrap().clone();
    tag.value = Some("changed".to_owned());
    here.create_tags().resources(address).tags(tag).send().await.unwrap();

    let plan = fixture.engine.preview(&networks(FIRST)).refresh_first(true).await.unwrap().to_string();
    assert_snapshot!(stable(&plan), @r#"
    ~ update ElasticIp address [us-east-1]
        ~ tags.stage: "changed" => "first"
    ~ update RouteTable far-routes [us-east-2]
        ~ routes: [] => [{"destination":"10.0.0.0/16","peering":"pcx-<id>"}]
        ~ subnets: [] => ["subnet-<id>"]
    ~ update SecurityGroup database [us-east-2]
        ~ ingress: [{"cidr":"0.0.0.0/0","from_port":22,"protocol":"tcp","to_port":22}] => []
    + create SecurityGroupRule database-rule [us-east-2]
          direction: "ingress"
          group: "sg-<id>"
          rule: {"cidr":"10.0.0.0/16","description":"the applicati…"from_port":5432,"protocol":"tcp","to_port":5432}
    10 same, 1 create, 3 update
    account = "000000000000"
    address = "eipalloc-<id>"
    gateway = "igw-<id>"
    group = "sg-<id>"
    ip = "127.x.x.x"
    nat = "127.x.x.x"
    other = "vpc-<id>"
    peering = "pcx-<id>"
    public = "subnet-<id>"
    rule = (known after apply)
    vpc = "vpc-<id>"
    "#);
    let report = fixture.engine.up(&networks(FIRST)).refresh_first(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    fixture.up(FIRST).await;
    assert!(fixture.engine.destroy(&networks(FIRST)).await.unwrap().is_success());
    fixture.cloud.shutdown().await;
}

#[tokio::test]
async fn printed_code_declares_the_imported_network() {
    let fixture = Fixture::new().await;
    fixture.up(SECOND).await;
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(tests::target(&fixture.cloud));
    let request = |kind: &str, name: &str, id: String, region: &str| ImportRequest {
        kind: kind.into(),
        name: name.into(),
        id,
        region: Some(region.into()),
    };
    let requests = [
        request("aws:ec2:Vpc", "vpc", fixture.output("vpc").await, "us-east-1"),
        request("aws:ec2:InternetGateway", "gateway", fixture.output("gateway").await, "us-east-1"),
        request("aws:ec2:Subnet", "public", fixture.output("public").await, "us-east-1"),
        request("aws:ec2:ElasticIp", "address", fixture.output("address").await, "us-east-1"),
        request("aws:ec2:VpcPeering", "peering", fixture.output("peering").await, "us-east-1"),
        request("aws:ec2:SecurityGroupRule", "rule", fixture.output("rule").await, "us-east-2"),
    ];
    let adopted = importer.import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    assert_snapshot!(stable(&declarations.join("\n")), @r#"
    aws::region(stack, "us-east-1").add("vpc", Vpc {
        cidr: "10.0.0.0/16".into(),
        dns_support: true,
        dns_hostnames: true,
        tags: [
            ("stage".into(), "second".into()),
        ].into(),
    });
    aws::region(stack, "us-east-1").add("gateway", InternetGateway {
        vpc_id: VpcId::from("vpc-<id>").into(),
        tags: Default::default(),
    });
    aws::region(stack, "us-east-1").add("public", Subnet {
        vpc_id: VpcId::from("vpc-<id>").into(),
        cidr: "10.0.0.0/24".into(),
        availability_zone: Some("us-east-1a".into()),
        map_public_ip: true,
        tags: Default::default(),
    });
    aws::region(stack, "us-east-1").add("address", ElasticIp {
        instance: None,
        tags: [
            ("stage".into(), "second".into()),
        ].into(),
    });
    aws::region(stack, "us-east-1").add("peering", VpcPeering {
        vpc_id: VpcId::from("vpc-<id>").into(),
        peer_vpc_id: VpcId::from("vpc-<id>").into(),
        peer_region: Some("us-east-2".into()),
        accept: true,
        dns_resolution: true,
        tags: Default::default(),
    });
    aws::region(stack, "us-east-2").add("rule", SecurityGroupRule {
        group: SecurityGroupId::from("sg-<id>").into(),
        direction: Direction::Ingress,
        rule: Rule {
            protocol: "tcp".into(),
            from_port: Some(5433),
            to_port: Some(5433),
            cidr: Some("10.0.0.0/16".into()),
            group: None,
            itself: Default::default(),
            description: Some("the applications".into()),
        },
        tags: Default::default(),
    });
    "#);
    fixture.cloud.shutdown().await;
}

#[tokio::test]
async fn route_table_and_nat_gateway_are_imported_by_id() {
    let fixture = Fixture::new().await;
    fixture.up(FIRST).await;
    let ec2 = Aws::new(&tests::target(&fixture.cloud)).ec2("us-east-1").await;
    let nat = ec2.describe_nat_gateways().send().await.unwrap().nat_gateways.unwrap_or_default();
    let nat = nat[0].nat_gateway_id().unwrap().to_owned();
    let tables = ec2.describe_route_tables().send().await.unwrap().route_tables.unwrap_or_default();
    let mut tables = tables.iter();
    let table = tables.find(|table| table.routes().iter().any(|route| route.nat_gateway_id() == Some(&nat)));
    let table = table.unwrap().route_table_id().unwrap().to_owned();
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(tests::target(&fixture.cloud));
    let request = |kind: &str, name: &str, id: String| ImportRequest {
        kind: kind.into(),
        name: name.into(),
        id,
        region: Some("us-east-1".into()),
    };
    let requests = [request("aws:ec2:NatGateway", "nat", nat), request("aws:ec2:RouteTable", "routes", table)];
    let adopted = importer.import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    assert_snapshot!(stable(&declarations.join("\n")), @r#"
    aws::region(stack, "us-east-1").add("nat", NatGateway {
        subnet: SubnetId::from("subnet-<id>").into(),
        address: Some(AllocationId::from("eipalloc-<id>").into()),
        tags: Default::default(),
    });
    aws::region(stack, "us-east-1").add("routes", RouteTable {
        vpc_id: VpcId::from("vpc-<id>").into(),
        routes: vec![
            Route {
                destination: "0.0.0.0/0".into(),
                internet_gateway: Default::default(),
                nat_gateway: Some(NatGatewayId::from("nat-<id>").into()),
                peering: Default::default(),
                instance: Default::default(),
                network_interface: Default::default(),
            },
            Route {
                destination: "10.1.0.0/16".into(),
                internet_gateway: Default::default(),
                nat_gateway: Default::default(),
                peering: Some(VpcPeeringId::from("pcx-<id>").into()),
                instance: Default::default(),
                network_interface: Default::default(),
            },
        ],
        subnets: vec![SubnetId::from("subnet-<id>").into()],
        tags: Default::default(),
    });
    "#);
    fixture.cloud.shutdown().await;
}

#[tokio::test]
async fn existing_vpc_is_found_by_its_tags() {
    let fixture = Fixture::new().await;
    fixture.up(FIRST).await;
    let finder = |stage: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let virginia = aws::region(stack, "us-east-1");
            stack.export("vpc", virginia.lookup(ExistingVpc::default().tagged("stage", stage)).vpc_id);
            Ok(())
        }
    };
    let engine = Engine::new("finder", "dev", MemoryStore::new()).target(tests::target(&fixture.cloud));
    assert!(engine.up(&finder("first")).await.unwrap().is_success());
    assert_eq!(engine.outputs().await.unwrap()["vpc"].as_str(), Some(fixture.output("vpc").await.as_str()));
    let refused = engine.preview(&finder("last")).await.unwrap_err();
    assert_snapshot!(stable(&refused.to_string()), @"
    error: no VPC in us-east-1 matches the lookup
      at: urn:infra:dev::finder::aws:ec2:ExistingVpc::existing-vpc-us-east-1-1da2a3
      hint: check the id, the tags and the region
    ");
    fixture.cloud.shutdown().await;
}

#[tokio::test]
async fn peering_of_vpcs_with_overlapping_addresses_is_refused_with_the_reason() {
    let fixture = Fixture::new().await;
    let program = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let one = virginia.add("one", Vpc::new("10.0.0.0/16"));
        let two = virginia.add("two", Vpc::new("10.0.0.0/20"));
        virginia.add("peering", VpcPeering::between(&one.id, &two.id));
        Ok(())
    };
    let report = fixture.engine.up(&program).await.unwrap();
    let failures: Vec<String> = report.failures.iter().map(|failure| stable(&format!("{failure:?}"))).collect();
    assert!(failures.len() == 1 && failures[0].contains("overlapping CIDR"), "{failures:?}");
    assert!(fixture.engine.destroy(&program).await.unwrap().is_success());
    assert_eq!(fixture.counts("us-east-1").await["vpcs"], 0);
    fixture.cloud.shutdown().await;
}

/// Declares a load balancer that forwards requests to a port that the security group of the instances does not allow.
fn closed(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let network = virginia.lookup(DefaultVpc);
    let in_vpc = || SecurityGroup::in_vpc(network.vpc_id.clone());
    let front = SecurityGroup { ingress: vec![Rule::tcp(8080).from_anywhere()], ..in_vpc() };
    let front = virginia.add("front", front).id;
    let inside = SecurityGroup { ingress: vec![Rule::tcp(9090).from_group(&front)], ..in_vpc() };
    let inside = virginia.add("inside", inside).id;
    let template = LaunchTemplate { security_groups: vec![inside], ..LaunchTemplate::new("t3.micro") };
    let template = virginia.add("application", template);
    let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets.clone(), [front]));
    let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id.clone()));
    virginia.add("listener", Listener::http(8080, balancer.arn).forward(targets.arn.clone()));
    let group = AutoScalingGroup::from(template.version(), network.subnets.clone());
    virginia.add("group", AutoScalingGroup { targets: vec![targets.arn], ..group });
    Ok(())
}

#[tokio::test]
async fn preview_warns_of_a_closed_path() {
    let fixture = Fixture::new().await;
    let plan = fixture.engine.preview(&closed).await.unwrap();
    let warnings: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n"), @"
    warning: `balancer` cannot reach port 8080 of `application`: no ingress rule of `inside` allows it
      at: urn:infra:dev::program::aws:autoscaling:AutoScalingGroup::group
      why: the policy `open-paths` requires it
      hint: add `Rule::tcp(8080).from_group(…)` with the id of `front` to the ingress of `inside`
    ");
    fixture.cloud.shutdown().await;
}

/// Recovery finds every resource whose create lost its response.
#[tokio::test]
async fn lost_responses_cause_no_duplicates() {
    let fixture = Fixture::new().await;
    let operations = [
        "CreateVpc",
        "CreateSubnet",
        "CreateInternetGateway",
        "AttachInternetGateway",
        "AllocateAddress",
        "CreateNatGateway",
        "CreateRouteTable",
        "CreateRoute",
        "AssociateRouteTable",
        "CreateVpcPeeringConnection",
        "AcceptVpcPeeringConnection",
        "AuthorizeSecurityGroupIngress",
    ];
    for operation in operations {
        let requests = Requests { operation: format!("ec2:{operation}"), count: Some(1), ..Requests::default() };
        fixture.cloud.inject(&Fault::DropAnswers(requests)).unwrap();
    }
    let directory = TempDir::new().unwrap();
    let target = tests::target(&fixture.cloud);
    let engine = Engine::new("program", "lossy", FileStore::new(directory.path())).target(target);
    let mut runs = 1;
    while !engine.up(&networks(FIRST)).await.unwrap().is_success() {
        runs += 1;
        assert!(runs < 20, "the runs do not converge");
    }
    assert_eq!(fixture.cloud.status().await.faults, [""; 0], "every response was lost once");
    let (here, there) = (fixture.counts("us-east-1").await, fixture.counts("us-east-2").await);
    let created = |counts: &BTreeMap<String, usize>| {
        ["vpcs", "subnets", "internet_gateways", "addresses", "nat_gateways", "route_tables", "peerings"]
            .map(|kind| counts[kind])
    };
    assert_eq!(created(&here), [1, 2, 1, 1, 1, 2, 1]);
    assert_eq!(created(&there), [1, 1, 0, 0, 0, 1, 1]);
    assert!(!engine.preview(&networks(FIRST)).refresh_first(true).await.unwrap().has_changes());
    assert!(engine.destroy(&networks(FIRST)).await.unwrap().is_success());
    assert_eq!(created(&fixture.counts("us-east-1").await), [0; 7]);
    assert_eq!(created(&fixture.counts("us-east-2").await), [0; 7]);
    fixture.cloud.shutdown().await;
}
