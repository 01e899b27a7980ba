//! Import of existing resources: the printed Rust code declares them without changes.

use infra_aws::{
    self as aws, Bucket, DefaultVpc, Image, Instance, InstanceProfile, KeyPair, Parameter, Role, RolePolicy, Rule,
    SecurityGroup,
};
use infra_core::{Config, Engine, Input, Result, Stack, engine::ImportRequest, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use insta::assert_snapshot;
use std::collections::BTreeMap;
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
async fn printed_code_declares_the_imported_resources() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let engine = |program: &str| Engine::new(program, "dev", MemoryStore::new()).target(tests::target(&cloud));
    let owner = engine("owner");
    assert!(owner.up(&first).await.unwrap().is_success());
    let web = owner.outputs().await.unwrap()["web"].as_str().unwrap().to_owned();

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
    let importer = engine("importer");
    let kinds = importer.resource_kinds(&region);
    assert!(kinds.iter().any(|kind| kind.token == "aws:ec2:SecurityGroup"), "the provider lists its types");
    let absent = [request("aws:ec2:SecurityGroup", "ghost", "sg-00000000000000000")];
    assert_snapshot!(importer.import(&region, &absent).await.unwrap_err(), @"
    error: there is no aws:ec2:SecurityGroup with the id `sg-00000000000000000` in us-east-1
      at: urn:infra:dev::importer::aws:ec2:SecurityGroup::ghost
      hint: check the id and the region
    ");
    let requests = [request("aws:ec2:SecurityGroup", "web", &web), request("aws:ssm:Parameter", "key", "/web/key")];
    let adopted = importer.import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    assert_snapshot!(stable(&declarations.join("\n")), @r#"
    aws::region(stack, "us-east-1").add("web", SecurityGroup {
        name: Some("web".into()),
        description: "Managed by infra".into(),
        vpc_id: VpcId::from("vpc-<id>").into(),
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
    aws::region(stack, "us-east-1").add("key", Parameter {
        name: Some("/web/key".into()),
        value: "[secret]".into(),
        secure: true,
        tags: Default::default(),
    });
    "#);
    // The same declarations change nothing.
    let plan = importer.preview(&first).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
}

/// Declares a role with an instance profile, a parameter, a bucket, a key pair and an instance. All have the tag `owner`,
/// which is updated in place.
fn of_every_kind(owner: &'static str) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let tags = || BTreeMap::from([("owner".to_owned(), owner.to_owned())]);
        let role = Role { name: Some("worker".into()), tags: tags(), ..Role::for_service("ec2.amazonaws.com") };
        let role = virginia.add("role", role.managed("arn:aws:iam::aws:policy/ReadOnlyAccess"));
        let profile =
            InstanceProfile { name: Some("worker".into()), tags: tags(), ..InstanceProfile::for_role(role.name) };
        let profile = virginia.add("profile", profile);
        let parameter = Parameter { name: Some("/own".into()), tags: tags(), ..Parameter::plain("value") };
        virginia.add("parameter", parameter);
        virginia.add("bucket", Bucket { name: Some("own-bucket".into()), tags: tags(), ..Bucket::default() });
        let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtwGcWB2gCgPhk me";
        let key = KeyPair { name: Some("own".into()), tags: tags(), ..KeyPair::imported(public) };
        let key = virginia.add("key", key);
        let network = virginia.lookup(DefaultVpc);
        let image = virginia.lookup(Image::debian(12));
        let firewall = SecurityGroup { name: Some("own".into()), ..SecurityGroup::in_vpc(network.vpc_id) };
        let firewall = virginia.add("firewall", firewall);
        let instance = virginia.add(
            "instance",
            Instance {
                image: Some(image.id),
                subnet: Some(network.subnets.index(0)),
                security_groups: vec![firewall.id.clone()],
                key_name: Some(key.name),
                instance_profile: Some(profile.name),
                tags: tags(),
                ..Instance::new("t3.micro")
            },
        );
        stack.export("key", key.id);
        stack.export("firewall", firewall.id);
        stack.export("instance", instance.id);
        Ok(())
    }
}

#[tokio::test]
async fn imported_resources_match_their_declarations_and_their_tags_are_updated_in_place() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let engine = |program: &str| Engine::new(program, "dev", MemoryStore::new()).target(tests::target(&cloud));
    let owner = engine("owner");
    assert!(owner.up(&of_every_kind("me")).await.unwrap().is_success());
    assert!(!owner.preview(&of_every_kind("me")).await.unwrap().has_changes());

    let outputs = owner.outputs().await.unwrap();
    let output = |name: &str| outputs[name].as_str().unwrap().to_owned();
    let (key, instance, firewall) = (output("key"), output("instance"), output("firewall"));
    let request = |(kind, name, id): (&str, &str, &str)| ImportRequest {
        kind: kind.into(),
        name: name.into(),
        id: id.into(),
        region: Some("us-east-1".into()),
    };
    let requests = [
        ("aws:iam:Role", "role", "worker"),
        ("aws:iam:InstanceProfile", "profile", "worker"),
        ("aws:ssm:Parameter", "parameter", "/own"),
        ("aws:s3:Bucket", "bucket", "own-bucket"),
        ("aws:ec2:KeyPair", "key", &key),
        ("aws:ec2:SecurityGroup", "firewall", &firewall),
        ("aws:ec2:Instance", "instance", &instance),
    ];
    let importer = engine("importer");
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    importer.import(&region, &requests.map(request)).await.unwrap();
    let plan = importer.preview(&of_every_kind("me")).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");

    // Tags are updated in place, and a refresh of the first stack reads them.
    let report = importer.up(&of_every_kind("you")).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert_eq!(importer.outputs().await.unwrap()["instance"].as_str().unwrap(), instance);
    let drift = owner.refresh(&of_every_kind("you")).await.unwrap();
    assert!(drift.is_success(), "{:?}", drift.failures);
    let plan = owner.preview(&of_every_kind("you")).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
}

/// Declares a policy separately from its role.
fn policy(action: &'static str, with_role: bool) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let mut name = Input::from("guest");
        if with_role {
            name = virginia
                .add("role", Role { name: Some("guest".into()), ..Role::for_service("ec2.amazonaws.com") })
                .name;
        }
        let document = format!(r#"{{"Statement":[{{"Action":"{action}","Effect":"Allow","Resource":"*"}}]}}"#);
        virginia.add("policy", RolePolicy { name: Some("own".into()), ..RolePolicy::of(name, document) });
        Ok(())
    }
}

#[tokio::test]
async fn role_and_its_policies_can_be_declared_separately() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let engine = |program: &str| Engine::new(program, "dev", MemoryStore::new()).target(tests::target(&cloud));
    let owner = engine("owner");
    for action in ["s3:*", "ec2:*"] {
        let report = owner.up(&policy(action, true)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert!(owner.refresh(&policy(action, true)).await.unwrap().is_success());
        let plan = owner.preview(&policy(action, true)).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    }
    let importer = engine("importer");
    let refused = importer.up(&policy("s3:*", false)).await.unwrap();
    assert!(refused.failures[0].to_string().contains("already has another policy `own`"), "{:?}", refused.failures);
    let request = ImportRequest {
        kind: "aws:iam:RolePolicy".into(),
        name: "policy".into(),
        id: "guest:own".into(),
        region: Some("us-east-1".into()),
    };
    importer.import(&policy("ec2:*", false), &[request]).await.unwrap();
    let plan = importer.preview(&policy("ec2:*", false)).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    assert!(owner.destroy(&policy("ec2:*", true)).await.unwrap().is_success());
    assert!(cloud.status().await.is_empty());
}
