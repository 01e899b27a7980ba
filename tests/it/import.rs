//! What exists already in the cloud is taken over, and the Rust that is printed declares it.

use infra_aws::{self as aws, DefaultVpc, Parameter, Rule, SecurityGroup};
use infra_core::{Config, Engine, Result, Stack, Target, engine::ImportRequest, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use insta::assert_snapshot;
use tempfile::TempDir;
use tests::stable;

fn first(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let network = virginia.lookup(DefaultVpc);
    let ingress = vec![Rule::tcp(443).from_anywhere()];
    let web = SecurityGroup { name: Some("web".into()), ingress, ..SecurityGroup::in_vpc(network.vpc_id) };
    stack.export("web", virginia.add("web", web).id);
    let parameter = Parameter { name: Some("/web/key".into()), ..Parameter::secure("hunter2") };
    stack.export("key", virginia.add("key", parameter).name);
    Ok(())
}

#[tokio::test]
async fn what_exists_is_declared_by_what_is_printed() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let engine =
        |program: &str| Engine::new(program, "dev", MemoryStore::new()).target(Target::local(cloud.endpoint()));
    let maker = engine("maker");
    assert!(maker.up(&first).await.unwrap().is_success());
    let web = maker.outputs().await.unwrap()["web"].as_str().unwrap().to_owned();

    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let request = |kind: &str, name: &str, id: &str| ImportRequest {
        kind: kind.into(),
        name: name.into(),
        id: id.into(),
        region: Some("us-east-1".into()),
    };
    let taker = engine("taker");
    let absent = [request("aws:ec2:SecurityGroup", "ghost", "sg-00000000000000000")];
    assert_snapshot!(taker.import(&region, &absent).await.unwrap_err(), @"
    error: there is no aws:ec2:SecurityGroup with the id `sg-00000000000000000` in us-east-1
      at: urn:infra:dev::taker::aws:ec2:SecurityGroup::ghost
      hint: look the id and the region up at the provider
    ");
    let requests = [request("aws:ec2:SecurityGroup", "web", &web), request("aws:ssm:Parameter", "key", "/web/key")];
    let adopted = taker.import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    assert_snapshot!(stable(&declarations.join("\n")), @r#"
    scope.add("web", SecurityGroup {
        name: Some("web".into()),
        description: "Managed by infra".into(),
        vpc_id: "vpc-<id>".into(),
        ingress: vec![
            Rule {
                protocol: "tcp".into(),
                from_port: Some(443),
                to_port: Some(443),
                cidr: Some("0.0.0.0/0".into()),
                group: None,
                itself: Default::default(),
                description: None,
            },
        ],
        egress: vec![],
        tags: Default::default(),
    });
    scope.add("key", Parameter {
        name: Some("/web/key".into()),
        value: "[secret]".into(),
        secure: true,
    });
    "#);
    // The same declarations change nothing.
    let plan = taker.preview(&first).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
}
