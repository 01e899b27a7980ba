//! A security group, end to end: program, engine, AWS SDK, local cloud, state.

use infra_aws::{self as aws, DefaultVpc, KeyPair, Rule, SecurityGroup, policies};
use infra_core::{Config, Engine, Result, Stack, policy::Enforcement, store::FileStore};
use infra_local::{LocalCloud, Options};
use insta::assert_snapshot;
use std::collections::BTreeMap;
use tempfile::TempDir;
use tests::stable;

/// Declares a security group, and optionally another one that refers to it.
fn access(port: u16, description: &'static str, admin: bool) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        let web = virginia.add(
            "web",
            SecurityGroup {
                description: description.into(),
                ingress: vec![Rule::tcp(port).from_anywhere()],
                ..SecurityGroup::in_vpc(network.vpc_id.clone())
            },
        );
        if admin {
            virginia.add(
                "admin",
                SecurityGroup {
                    ingress: vec![Rule::tcp(22).from_group(&web.id)],
                    ..SecurityGroup::in_vpc(network.vpc_id)
                },
            );
        }
        stack.export("web", web.id);
        Ok(())
    }
}

#[tokio::test]
async fn security_group_is_created_updated_replaced_and_deleted() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(tests::target(&cloud));
    let plan = async |port, description, admin| {
        stable(&engine.preview(&access(port, description, admin)).await.unwrap().to_string())
    };
    let up = async |port, description, admin| {
        let report = engine.up(&access(port, description, admin)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert!(!engine.preview(&access(port, description, admin)).await.unwrap().has_changes());
        engine.outputs().await.unwrap()["web"].as_str().unwrap().to_owned()
    };

    let first = plan(80, "web", true).await;
    assert_snapshot!(first, @r#"
    > read DefaultVpc default-vpc-us-east-1 [us-east-1]
    + create SecurityGroup web [us-east-1]
          description: "web"
          egress: []
          ingress: [{"cidr":"0.0.0.0/0","from_port":80,"protocol":"tcp","to_port":80}]
          vpc_id: "vpc-<id>"
    + create SecurityGroup admin [us-east-1]
          description: "Managed by infra"
          egress: []
          ingress: [{"from_port":22,"group":(known after apply),"protocol":"tcp","to_port":22}]
          vpc_id: "vpc-<id>"
    1 read, 2 create
    web = (known after apply)
    "#);
    let id = up(80, "web", true).await;
    assert!(id.starts_with("sg-"), "{id}");

    let changed = plan(443, "web", true).await;
    assert_snapshot!(changed, @r#"
    ~ update SecurityGroup web [us-east-1]
        ~ ingress[0].from_port: 80 => 443
        ~ ingress[0].to_port: 80 => 443
    1 same, 1 update
    web = "sg-<id>"
    "#);
    assert_eq!(up(443, "web", true).await, id, "a rule is updated in place");

    assert!(engine.refresh(&access(443, "web", true)).await.unwrap().is_success());
    assert!(!engine.preview(&access(443, "web", true)).await.unwrap().has_changes(), "a refresh reports no drift");

    let replaced = plan(443, "shop", true).await;
    assert_snapshot!(replaced, @r#"
    +/- replace SecurityGroup web [us-east-1]
        ~ description: "web" => "shop"  (forces replacement)
    ~ update SecurityGroup admin [us-east-1]
        ~ ingress[0].group: "sg-<id>" => (known after apply)
    1 update, 1 replace
    web = (known after apply)
    "#);
    assert_ne!(up(443, "shop", true).await, id, "a change of the description replaces the group");

    let removed = plan(443, "shop", false).await;
    assert_snapshot!(removed, @r#"
    - delete SecurityGroup admin [us-east-1]
    1 same, 1 delete
    web = "sg-<id>"
    "#);
    up(443, "shop", false).await;

    assert!(engine.destroy(&access(443, "shop", true)).await.unwrap().is_success());
    assert_eq!(engine.state().await.unwrap().unwrap().live_count(), 0);
    assert_eq!(
        cloud.status().await.regions["us-east-1"].counts["security_groups"],
        0,
        "only the default group is left"
    );
    cloud.shutdown().await;
}

/// Declares a security group and a key pair with user-defined tags.
fn tagged(tags: &'static [(&'static str, &'static str)]) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let tags: BTreeMap<String, String> =
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        stack.policy(policies::required_tags(Enforcement::Mandatory, ["team"]));
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        virginia.add("door", SecurityGroup { tags: tags.clone(), ..SecurityGroup::in_vpc(network.vpc_id) });
        virginia.add("key", KeyPair { tags, ..KeyPair::generated() });
        Ok(())
    }
}

#[tokio::test]
async fn required_tags_are_updated_in_place_and_read_back() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(tests::target(&cloud));
    let up = async |tags| {
        let report = engine.up(&tagged(tags)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert!(!engine.preview(&tagged(tags)).refresh_first(true).await.unwrap().has_changes());
    };
    let refused = engine.preview(&tagged(&[("owner", "storage")])).await.unwrap_err();
    assert_snapshot!(refused, @r#"
    error: `tags`: the tag `team` is missing
      at: urn:infra:dev::program::aws:ec2:SecurityGroup::door
      why: the policy `required-tags` requires it
      hint: add it: `tags: [("team".into(), …)].into()`
    error: `tags`: the tag `team` is missing
      at: urn:infra:dev::program::aws:ec2:KeyPair::key
      why: the policy `required-tags` requires it
      hint: add it: `tags: [("team".into(), …)].into()`
    "#);
    up(&[("team", "storage"), ("stage", "beta")]).await;
    let next = &[("team", "search")];
    let plan = engine.preview(&tagged(next)).await.unwrap().to_string();
    assert_snapshot!(stable(&plan), @r#"
    ~ update SecurityGroup door [us-east-1]
        - tags.stage: "beta"
        ~ tags.team: "storage" => "search"
    ~ update KeyPair key [us-east-1]
        - tags.stage: "beta"
        ~ tags.team: "storage" => "search"
    2 update
    "#);
    up(next).await;
    let ec2 = infra_aws::Aws::new(&tests::target(&cloud)).ec2("us-east-1").await;
    let groups = ec2.describe_security_groups().send().await.unwrap().security_groups.unwrap_or_default();
    let mut own = Vec::new();
    for group in &groups {
        let tags = group.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        own.extend(tags.filter(|(key, _)| ["team", "stage"].contains(key)));
    }
    assert_eq!(own, [("team", "search")]);
    assert!(engine.destroy(&tagged(next)).await.unwrap().is_success());
}
