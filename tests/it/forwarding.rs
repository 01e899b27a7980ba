//! Instances that forward packets, routes to them, and the tag `Name`.

use infra_aws::{self as aws, Aws, Instance, InternetGateway, NetworkInterfaceId, Route, RouteTable, Subnet, Vpc};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Differences between two versions of the network.
#[derive(Clone, Copy)]
struct Version {
    /// Source/destination check of the first router.
    check: Option<bool>,
    /// Target of the default route.
    to: To,
}

#[derive(Clone, Copy)]
enum To {
    First,
    Second,
    /// The interface with this id.
    Interface(&'static str),
}

/// Declares a subnet with two routers, and one that is routed to one of them.
fn routers(version: Version) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let tags = BTreeMap::from([("Name".to_owned(), "backbone".to_owned())]);
        let vpc = virginia.add("vpc", Vpc { tags, ..Vpc::new("10.0.0.0/16") });
        virginia.add("gateway", InternetGateway::of(&vpc.id));
        let outer = virginia.add("outer", Subnet::of(&vpc.id, "10.0.0.0/24"));
        let inner = virginia.add("inner", Subnet::of(&vpc.id, "10.0.1.0/24"));
        let router =
            |check| Instance { subnet: Some(outer.id.clone()), source_dest_check: check, ..Instance::new("t3.micro") };
        let first = virginia.add("first", router(version.check));
        let second = virginia.add("second", router(Some(false)));
        let route = Route::to("0.0.0.0/0");
        let route = match version.to {
            To::First => route.by_instance(&first.id),
            To::Second => route.by_instance(&second.id),
            To::Interface(id) => route.by_network_interface(NetworkInterfaceId::from(id)),
        };
        virginia.add("routes", RouteTable::of(&vpc.id).route(route).subnet(&inner.id));
        stack.export("vpc", vpc.id);
        stack.export("first", first.id);
        stack.export("second", second.id);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_instances_and_their_routes_change_in_place() {
    let directory = TempDir::new().unwrap();
    let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let engine = Engine::new("routers", "dev", MemoryStore::new()).target(tests::target(&cloud));
    let up = async |version: Version| {
        let report = engine.up(&routers(version)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = engine.preview(&routers(version)).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    };
    let output = async |name: &str| engine.outputs().await.unwrap()[name].as_str().unwrap().to_owned();
    let ec2 = Aws::new(&tests::target(&cloud)).ec2("us-east-1").await;
    let described = async |id: &str| {
        let found = ec2.describe_instances().instance_ids(id).send().await.unwrap();
        found.reservations()[0].instances()[0].clone()
    };
    let target = async || {
        let tables = ec2.describe_route_tables().send().await.unwrap();
        let mut routes = tables.route_tables().iter().flat_map(|table| table.routes().to_vec());
        let route = routes.find(|route| route.instance_id().is_some()).unwrap();
        (route.instance_id().unwrap().to_owned(), route.network_interface_id().unwrap().to_owned())
    };

    up(Version { check: None, to: To::First }).await;
    let (first, second) = (output("first").await, output("second").await);
    assert_eq!(described(&first).await.source_dest_check(), Some(true));
    assert_eq!(described(&second).await.source_dest_check(), Some(false));
    assert_eq!(target().await.0, first);

    up(Version { check: Some(false), to: To::Second }).await;
    assert_eq!(described(&first).await.source_dest_check(), Some(false));
    assert_eq!(target().await.0, second);
    let interface = described(&first).await.network_interfaces()[0].network_interface_id().unwrap().to_owned();
    up(Version { check: Some(true), to: To::Interface(interface.leak()) }).await;
    assert_eq!(described(&first).await.source_dest_check(), Some(true));
    assert_eq!(target().await.0, first);
    up(Version { check: None, to: To::First }).await;
    assert_eq!((output("first").await, output("second").await), (first.clone(), second), "nothing was replaced");

    // A declared tag `Name` takes the place of the declaration's name.
    let vpc = ec2.describe_vpcs().vpc_ids(output("vpc").await).send().await.unwrap();
    let names = vpc.vpcs()[0].tags().iter().filter(|tag| tag.key() == Some("Name"));
    assert_eq!(names.map(|tag| tag.value().unwrap()).collect::<Vec<_>>(), ["backbone"]);
    let reserved = |stack: &Stack, _: &Config| -> Result {
        let tags = BTreeMap::from([("infra:urn".to_owned(), "x".to_owned())]);
        aws::region(stack, "us-east-1").add("vpc", Vpc { tags, ..Vpc::new("10.0.0.0/16") });
        Ok(())
    };
    let other = Engine::new("other", "dev", MemoryStore::new()).target(tests::target(&cloud));
    let refused = other.preview(&reserved).await.unwrap_err().to_string();
    assert!(refused.contains("`infra:urn` is reserved"), "{refused}");

    let destroyed = engine.destroy(&routers(Version { check: None, to: To::First })).await.unwrap();
    assert!(destroyed.is_success(), "{:?}", destroyed.failures);
    cloud.shutdown().await;
}
