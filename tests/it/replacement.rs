//! Replacements of network resources: the plan orders them so that AWS accepts every step, in a rehearsal and in a local
//! cloud.

use crate::rehearsal;
use infra_aws::{
    self as aws, DbSubnetGroup, ElasticIp, InternetGateway, LaunchTemplate, Listener, LoadBalancer, LogGroup,
    NatGateway, Role, RolePolicy, Route, RouteTable, Rule, SecurityGroup, SecurityGroupRule, Subnet, TargetGroup, Vpc,
    VpcPeering,
};
use infra_core::{
    Config, Engine, Options as Declaration, Output, Result, Stack,
    diff::Action,
    event::Events,
    plan::{ReplaceOrder, Selection},
    store::MemoryStore,
    urn::Pattern,
};
use infra_local::{LocalCloud, NetworkChoice, Options};
use infra_rehearsal::Deployment;
use tempfile::TempDir;
use tests::Project;

/// Declares a VPC with public and private subnets, a balancer, and a peering with another VPC.
fn network(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let net: u8 = config.get_or("net", 1_u8)?;
    let vpc = virginia.add("vpc", Vpc::new(format!("10.{net}.0.0/16")));
    let subnet = |name: &str, number: u8, zone: &str| {
        let subnet = Subnet::of(&vpc.id, format!("10.{net}.{number}.0/24")).in_zone(format!("us-east-1{zone}"));
        virginia.add(name, subnet)
    };
    let (first, second, private) = (subnet("first", 0, "a"), subnet("second", 1, "b"), subnet("private", 2, "a"));
    let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
    let to_internet = Route::to("0.0.0.0/0").by_internet_gateway(&gateway.id);
    let peer = virginia.add("peer", Vpc::new("10.99.0.0/16"));
    let peering = virginia.add("peering", VpcPeering::between(&vpc.id, &peer.id));
    let to_peer = Route::to(&peer.cidr).by_peering(&peering.id);
    let routes = RouteTable::of(&vpc.id).route(to_internet).route(to_peer).subnet(&first.id).subnet(&second.id);
    let routes = virginia.add("routes", routes);
    let after = virginia.with(Declaration::new().depends_on(&routes.id));
    let address = virginia.add("address", ElasticIp::new());
    let nat = after.add("nat", NatGateway::public(&first.id, &address.id));
    let by_nat = Route::to("0.0.0.0/0").by_nat_gateway(&nat.id);
    virginia.add("private-routes", RouteTable::of(&vpc.id).route(by_nat).subnet(&private.id));

    let access = virginia.add("access", SecurityGroup::in_vpc(&vpc.id));
    virginia.add("http", SecurityGroupRule::ingress(&access.id, Rule::tcp(80).from_anywhere()));
    let subnets = Output::list([first.id, second.id]);
    let balancer = after.add("balancer", LoadBalancer::application(subnets.clone(), [access.id]));
    let targets = virginia.add("targets", TargetGroup::http(80, &vpc.id));
    virginia.add("listener", Listener::http(18080, &balancer.arn).forward(&targets.arn));
    virginia.add("databases", DbSubnetGroup::of(subnets));
    Ok(())
}

/// Declares resources with names, of which no two exist.
fn named(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let role = virginia.add("role", Role::for_service("ec2.amazonaws.com"));
    let document =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
    virginia.add("policy", RolePolicy { name: Some("read".into()), ..RolePolicy::of(role.name, document) });
    virginia.add("template", LaunchTemplate { name: Some("web".into()), ..LaunchTemplate::new("t3.micro") });
    virginia.add("logs", LogGroup { name: Some("/web".into()), ..LogGroup::retention_days(7) });
    Ok(())
}

struct Fixture {
    cloud: LocalCloud,
    engine: Engine,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        let directory = TempDir::new().unwrap();
        let options = Options { time_scale: 100.0, network: NetworkChoice::Loopback, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
        Fixture { cloud, engine, _directory: directory }
    }
}

fn replacing(name: &str) -> Selection {
    Selection { replace: vec![Pattern::from(name.to_owned())], ..Selection::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacement_of_a_vpc_succeeds_in_a_rehearsal_and_in_the_local_cloud() {
    let Fixture { cloud, engine, _directory } = Fixture::new().await;
    let report = engine.up(&network).continue_on_error(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);

    let engine = engine.config([("net", "2")]);
    let plan = engine.preview(&network).await.unwrap();
    let step = |name: &str| plan.steps.iter().find(|step| step.urn.name() == name).unwrap();
    for name in ["vpc", "first", "gateway", "routes", "access", "balancer", "targets", "databases", "peering"] {
        let step = step(name);
        let order = (step.action, step.order);
        assert_eq!(order, (Action::Replace, Some(ReplaceOrder::CreateBeforeDelete)), "{name}: {plan}");
    }
    // The address belongs to one gateway, so the previous one is deleted first.
    assert_eq!(step("nat").order, Some(ReplaceOrder::DeleteBeforeCreate), "{plan}");
    assert_eq!(step("balancer").note.as_deref(), Some("follows the `vpc_id` of Subnet first"), "{plan}");
    assert_eq!(step("address").action, Action::Same, "{plan}");

    let config = [("net".to_owned(), "2".to_owned().into())].into();
    let changed = Deployment {
        recorded: engine.state().await.unwrap(),
        config,
        target: "local".to_owned(),
        ..rehearsal::deployment(&network)
    };
    let rehearsal = infra_rehearsal::rehearse(&changed, Selection::default(), Events::ignored()).await.unwrap();
    assert!(rehearsal.is_success() && rehearsal.not_rehearsed.is_empty(), "{rehearsal:?}");

    let report = engine.up(&network).continue_on_error(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let plan = engine.preview(&network).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    assert!(engine.refresh(&network).await.unwrap().drift.is_empty());
    assert!(engine.destroy(&network).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_which_no_two_exist_are_deleted_before_their_replacement() {
    let Fixture { cloud, engine, _directory } = Fixture::new().await;
    let small = |stack: &Stack, config: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
        let zone: String = config.get_or("zone", "us-east-1a".to_owned())?;
        virginia.add("subnet", Subnet::of(&vpc.id, "10.0.0.0/24").in_zone(zone));
        virginia.add("gateway", InternetGateway::of(&vpc.id));
        let peer = virginia.add("peer", Vpc::new("10.1.0.0/16"));
        virginia.add("peering", VpcPeering::between(&vpc.id, &peer.id));
        let access = virginia.add("access", SecurityGroup::in_vpc(&vpc.id));
        virginia.add("http", SecurityGroupRule::ingress(&access.id, Rule::tcp(80).from_anywhere()));
        named(stack, config)
    };
    assert!(engine.up(&small).await.unwrap().is_success());
    let moved = engine.clone().config([("zone", "us-east-1b")]);
    let report = moved.up(&small).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    for name in ["subnet", "gateway", "peering", "http", "policy", "template", "logs"] {
        let plan = moved.preview(&small).select(replacing(name)).await.unwrap();
        let step = plan.steps.iter().find(|step| step.urn.name() == name).unwrap();
        assert_eq!(step.order, Some(ReplaceOrder::DeleteBeforeCreate), "{name}");
        let report = moved.up(&small).select(replacing(name)).await.unwrap();
        assert!(report.is_success(), "{name}: {:?}", report.failures);
        // The resource exists afterwards: the deletion of the previous one has not deleted the new one.
        assert!(moved.refresh(&small).await.unwrap().drift.is_empty(), "{name}");
    }
    assert!(moved.destroy(&small).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[test]
fn vpc_of_the_default_program_is_replaced_in_a_rehearsal_and_in_the_local_cloud() {
    let project = Project::new();
    project.run(&["up"]).expect(0);
    let replace = ["--replace", "network/vpc"];
    project.run(&[&["rehearse"][..], &replace].concat()).expect(0);
    project.run(&[&["up", "--yes"][..], &replace].concat()).expect(0);
    project.run(&["preview", "--expect-no-changes"]).expect(0);
}
