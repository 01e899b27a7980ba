//! `CloudResource`, end to end: resources by their CloudFormation type.

use infra_aws::{self as aws, Aws, CloudResource};
use infra_core::{
    Config, Engine, Output, Result, Stack, Target,
    engine::{EngineError, ImportRequest},
    execute::Report,
    output_json,
    random::Password,
    store::{FileStore, MemoryStore},
};
use infra_local::{Fault, LocalCloud, Options, Requests};
use insta::assert_snapshot;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;
use tests::stable;

/// The variable parts of the log group's declaration.
#[derive(Clone, Copy)]
struct Logs {
    name: &'static str,
    days: u32,
    replaces: bool,
}

const LOGS: Logs = Logs { name: "shop", days: 7, replaces: true };

fn logs(logs: Logs) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let group = CloudResource::new(
            "AWS::Logs::LogGroup",
            output_json!({
                "LogGroupName": logs.name,
                "RetentionInDays": logs.days,
                "Tags": [{"Key": "team", "Value": "shop"}, {"Key": "app", "Value": "till"}],
            }),
        );
        let group = if logs.replaces { group.replace_on(["LogGroupName"]) } else { group };
        let group = virginia.add("logs", group);
        let arn: Output<String> = group.properties.field("Arn");
        let password = stack.add("password", Password::of_length(24));
        let parameter = CloudResource::new(
            "AWS::SSM::Parameter",
            output_json!({"Name": "/shop/arn", "Type": "String", "Value": arn, "Description": "where it logs"}),
        );
        let parameter = virginia.add("parameter", parameter.replace_on(["Name", "Type"]));
        let secret = CloudResource::new(
            "AWS::SSM::Parameter",
            output_json!({"Name": "/shop/password", "Type": "String", "Value": password.value}),
        );
        virginia.add("secret", secret);
        stack.export("identifier", group.identifier);
        stack.export("logs-to", parameter.properties.field::<String>("Value"));
        Ok(())
    }
}

async fn start(directory: &Path) -> LocalCloud {
    LocalCloud::start(Options::new(directory)).await.unwrap()
}

fn succeeded(report: std::result::Result<Report, EngineError>) -> Report {
    let report = report.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    report
}

#[tokio::test]
async fn resources_are_declared_by_their_cloudformation_type() {
    let directory = TempDir::new().unwrap();
    let cloud = start(&directory.path().join("cloud")).await;
    let target = tests::target(&cloud);
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(target.clone());
    let output = async |name: &str| engine.outputs().await.unwrap()[name].as_str().unwrap().to_owned();

    succeeded(engine.up(&logs(LOGS)).await);
    assert_eq!(output("identifier").await, "shop");
    assert_eq!(output("logs-to").await, "arn:aws:logs:us-east-1:000000000000:log-group:shop:*");
    assert!(!engine.preview(&logs(LOGS)).await.unwrap().has_changes());
    let refreshed = succeeded(engine.refresh(&logs(LOGS)).await);
    assert!(refreshed.drift.is_empty(), "{:?}", refreshed.drift);

    // The parameter contains the password; no local file contains it unencrypted.
    let ssm = Aws::new(&target).ssm("us-east-1").await;
    let password = ssm.get_parameter().name("/shop/password").send().await.unwrap().parameter.unwrap().value.unwrap();
    for file in walk(&directory.path().join("state")) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(!text.contains(&password), "{}", file.display());
    }

    let longer = Logs { days: 14, ..LOGS };
    assert_snapshot!(stable(&engine.preview(&logs(longer)).await.unwrap().to_string()), @r#"
    ~ update Resource logs [us-east-1]
        ~ properties.RetentionInDays: 7 => 14
    ~ update Resource parameter [us-east-1]
        ~ properties.Value: "arn:aws:logs:us-east-1:000000000000:log-group:shop:*" => (known after apply)
    2 same, 2 update
    identifier = "shop"
    logs-to = (known after apply)
    "#);
    succeeded(engine.up(&logs(longer)).await);
    let client = Aws::new(&target).logs("us-east-1").await;
    let groups = client.describe_log_groups().send().await.unwrap().log_groups.unwrap();
    assert_eq!(groups[0].retention_in_days(), Some(14));

    // A change outside of the engine is reported as drift and reverted.
    client.put_retention_policy().log_group_name("shop").retention_in_days(3).send().await.unwrap();
    let drift = succeeded(engine.refresh(&logs(longer)).await).drift;
    assert_snapshot!(serde_json::to_string(&drift[0].diff).unwrap(), @r#"[{"path":"properties.RetentionInDays","old":14,"new":3,"replaces":false}]"#);
    succeeded(engine.up(&logs(longer)).await);
    let groups = client.describe_log_groups().send().await.unwrap().log_groups.unwrap();
    assert_eq!(groups[0].retention_in_days(), Some(14));

    // A new name needs a new group, which the program must declare.
    let unaware = Logs { name: "store", replaces: false, ..longer };
    let report = engine.up(&logs(unaware)).await.unwrap();
    assert!(report.failures[0].summary.starts_with("UpdateResource: NotUpdatableException"), "{}", report.failures[0]);
    assert_snapshot!(report.failures[0].hint.as_deref().unwrap(), @r#"a change replaces the resource: declare it with `.replace_on(["LogGroupName"])`"#);
    succeeded(engine.up(&logs(Logs { replaces: true, ..unaware })).await);
    assert_eq!(output("logs-to").await, "arn:aws:logs:us-east-1:000000000000:log-group:store:*");
    let groups = client.describe_log_groups().send().await.unwrap().log_groups.unwrap();
    let names: Vec<_> = groups.iter().filter_map(|group| group.log_group_name()).collect();
    assert_eq!(names, ["store"]);

    succeeded(engine.destroy(&logs(LOGS)).await);
    assert_eq!(client.describe_log_groups().send().await.unwrap().log_groups.unwrap(), []);
    cloud.shutdown().await;
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// Declares network resources without names, which no declared property identifies.
fn network(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let vpc = CloudResource::new("AWS::EC2::VPC", output_json!({"CidrBlock": "10.5.0.0/16"}));
    let vpc = virginia.add("vpc", vpc.replace_on(["CidrBlock"]));
    let group = CloudResource::new(
        "AWS::EC2::SecurityGroup",
        output_json!({
            "GroupDescription": "web",
            "VpcId": vpc.identifier,
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}],
        }),
    );
    virginia.add("access", group.replace_on(["GroupDescription", "VpcId"]));
    Ok(())
}

/// Returns the number of VPCs besides the default one.
async fn vpcs(target: &Target) -> usize {
    let ec2 = Aws::new(target).ec2("us-east-1").await;
    ec2.describe_vpcs().send().await.unwrap().vpcs().len() - 1
}

#[tokio::test]
async fn create_with_a_lost_response_creates_no_second_resource() {
    let directory = TempDir::new().unwrap();
    let cloud = start(directory.path()).await;
    let target = tests::target(&cloud);
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
    for operation in ["cloudcontrolapi:CreateResource", "cloudcontrolapi:GetResourceRequestStatus"] {
        let requests = Requests { operation: operation.to_owned(), ..Requests::default() };
        cloud.inject(&Fault::DropAnswers(requests)).unwrap();
        let report = engine.up(&network).await.unwrap();
        assert!(!report.is_success(), "{operation}");
        cloud.inject(&Fault::Clear).unwrap();
        assert_eq!(vpcs(&target).await, 1, "{operation}");
        succeeded(engine.up(&network).await);
        assert_eq!(vpcs(&target).await, 1, "{operation}");
        assert!(!engine.preview(&network).await.unwrap().has_changes());
        succeeded(engine.destroy(&network).await);
        assert_eq!(vpcs(&target).await, 0, "{operation}");
    }
    cloud.shutdown().await;
}

#[tokio::test]
async fn existing_resource_is_imported() {
    let directory = TempDir::new().unwrap();
    let cloud = start(directory.path()).await;
    let target = tests::target(&cloud);
    let engine = Engine::new("importer", "dev", MemoryStore::new()).target(target.clone());
    let client = Aws::new(&target).logs("us-east-1").await;
    client.create_log_group().log_group_name("shop").send().await.unwrap();
    client.put_retention_policy().log_group_name("shop").retention_in_days(7).send().await.unwrap();

    let program = |stack: &Stack, _: &Config| -> Result {
        let properties = json!({"LogGroupName": "shop", "RetentionInDays": 7});
        let group = CloudResource::new("AWS::Logs::LogGroup", properties).replace_on(["LogGroupName"]);
        aws::region(stack, "us-east-1").with(infra_core::Options::new().protect(false)).add("logs", group);
        Ok(())
    };
    let report = engine.up(&program).await.unwrap();
    assert_snapshot!(stable(&report.failures[0].to_string()), @"
    error: CreateResource: AlreadyExists: Resource of type 'AWS::Logs::LogGroup' with identifier 'shop' already exists.
      at: urn:infra:dev::importer::aws:cloudcontrol:Resource::logs
      hint: choose another name, delete the existing resource, or import it: `import aws:cloudcontrol:Resource NAME 'AWS::Logs::LogGroup|shop'`
    ");
    let request = |id: &str| ImportRequest {
        kind: "aws:cloudcontrol:Resource".into(),
        name: "logs".into(),
        id: id.into(),
        region: Some("us-east-1".into()),
    };
    let refused = async |id: &str| engine.import(&program, &[request(id)]).await.unwrap_err().to_string();
    assert_snapshot!(refused("shop").await, @"
    error: `shop` contains no type
      at: urn:infra:dev::importer::aws:cloudcontrol:Resource::logs
      hint: write the type and the identifier: `AWS::SQS::Queue|IDENTIFIER`
    ");
    assert_snapshot!(refused("AWS::Logs::LogGroup|other").await, @"
    error: there is no aws:cloudcontrol:Resource with the id `AWS::Logs::LogGroup|other` in us-east-1
      at: urn:infra:dev::importer::aws:cloudcontrol:Resource::logs
      hint: check the id and the region
    ");
    let adopted = engine.import(&program, &[request("AWS::Logs::LogGroup|shop")]).await.unwrap();
    assert_snapshot!(adopted[0].declaration, @r#"
    aws::region(stack, "us-east-1").add("logs", CloudResource {
        type_name: "AWS::Logs::LogGroup".into(),
        properties: infra_core::output_json!({
            "Arn": "arn:aws:logs:us-east-1:000000000000:log-group:shop:*",
            "LogGroupClass": "STANDARD",
            "LogGroupName": "shop",
            "RetentionInDays": 7,
        }),
        secrets: None,
        replace_on: vec![],
    });
    "#);
    // Properties that AWS sets need not be declared; omitting them is no change.
    succeeded(engine.up(&program).await);
    assert!(!engine.preview(&program).await.unwrap().has_changes());
    succeeded(engine.destroy(&program).await);
    assert_eq!(client.describe_log_groups().send().await.unwrap().log_groups.unwrap(), []);
    cloud.shutdown().await;
}
