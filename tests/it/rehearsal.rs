//! Rehearsals with the real handlers of AWS resources.

use crate::rehearsal_refusals::{REFUSALS, Refusal};
use infra_aws::{
    self as aws, CloudResource, ExistingVpc, Instance, InstanceProfile, Machine, Role, SecurityGroup, Subnet, Vpc,
};
use infra_core::{
    Config, Engine, Input, Output, Outputs, Resource, Result, Stack, event::Events, output_format, output_json,
    plan::Selection, provider::Provider, state::State, store::MemoryStore, testing::FakeCloud,
};
use infra_local::{LocalCloud, Options, install_schemas};
use infra_rehearsal::{Deployment, Neighbour, Proof, Rehearsal, Schemas, Script};
use insta::assert_snapshot;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tempfile::TempDir;

/// Returns a stack that was never deployed.
pub(crate) fn deployment(script: Script<'_>) -> Deployment<'_> {
    Deployment {
        program: "program".to_owned(),
        stack: "dev".to_owned(),
        target: "aws".to_owned(),
        account: None,
        script,
        config: BTreeMap::new(),
        policies: Vec::new(),
        recorded: None,
        neighbours: Vec::new(),
        schemas: Schemas::default(),
    }
}

fn engine() -> Engine {
    Engine::new("program", "dev", MemoryStore::new())
}

async fn rehearse(deployment: &Deployment<'_>) -> Rehearsal {
    infra_rehearsal::rehearse(deployment, Selection::default(), Events::ignored()).await.unwrap()
}

/// Returns the reports of a rehearsal as lines.
fn lines(rehearsal: &Rehearsal) -> String {
    // Steps that run at the same time fail in any order.
    let failures: BTreeSet<String> =
        rehearsal.failures.iter().map(|failure| format!("failure: {}", failure.summary)).collect();
    let limits = rehearsal.not_rehearsed.iter().map(|it| format!("not rehearsed: {}: {}", it.urn.name(), it.reason));
    let assumptions = rehearsal.steps.iter().flat_map(|step| step.assumes.iter().map(move |it| (step, it)));
    let assumptions: BTreeSet<String> =
        assumptions.map(|(step, it)| format!("{}: {} of {}", step.urn.name(), it.outputs, it.urn.name())).collect();
    let perpetual = rehearsal.perpetual.iter().map(|it| format!("perpetual: {}: {:?}", it.urn.name(), it.diff));
    failures.into_iter().chain(limits).chain(assumptions).chain(perpetual).collect::<Vec<_>>().join("\n")
}

fn network(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let vpc = virginia.add("vpc", Vpc::new(config.get_or("cidr", "10.0.0.0/16".to_owned())?));
    let subnet = virginia.add("subnet", Subnet::of(&vpc.id, "10.0.0.0/24"));
    virginia.add("group", SecurityGroup::in_vpc(&vpc.id));
    virginia.add("role", Role::for_service("ec2.amazonaws.com"));
    stack.export("subnet", subnet.id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_resources_are_recreated_with_their_ids_and_the_target_is_not_touched() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let engine = engine().target(tests::target(&cloud));
    assert!(engine.up(&network).await.unwrap().is_success());
    let (state, inventory) = (engine.state().await.unwrap(), cloud.inventory());
    let calls = cloud.calls_after(0, usize::MAX).len();

    let unchanged = Deployment { recorded: state.clone(), ..deployment(&network) };
    let rehearsal = rehearse(&unchanged).await;
    assert_eq!(lines(&rehearsal), "");
    assert_eq!((rehearsal.seeded, rehearsal.steps.len()), (4, 0));

    let changed = |stack: &Stack, config: &Config| {
        let virginia = aws::region(stack, "us-east-1");
        network(stack, config)?;
        virginia.add("other", Vpc::new("10.1.0.0/16"));
        Ok(())
    };
    let rehearsal = rehearse(&Deployment { script: &changed, ..unchanged }).await;
    assert_eq!(lines(&rehearsal), "");
    let steps: Vec<_> = rehearsal.steps.iter().map(|step| (step.urn.name(), step.calls.len())).collect();
    assert_eq!(steps.len(), 1, "{steps:?}");

    assert_eq!(engine.state().await.unwrap(), state);
    assert_eq!(cloud.inventory(), inventory);
    assert_eq!(cloud.calls_after(0, usize::MAX).len(), calls, "a rehearsal sends no request to the target");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_aws_refuses_while_they_are_executed_fail_in_the_rehearsal() {
    let mut wrong = Vec::new();
    for Refusal { name, program, code } in REFUSALS {
        let script = |stack: &Stack, _: &Config| -> Result {
            program(stack);
            Ok(())
        };
        let refused = deployment(&script);
        let rehearsal = infra_rehearsal::rehearse(&refused, Selection::default(), Events::ignored());
        match rehearsal.await {
            Ok(rehearsal) => {
                let failures: Vec<_> = rehearsal.failures.iter().map(ToString::to_string).collect();
                if !failures.iter().any(|failure| code.split('|').any(|code| failure.contains(code))) {
                    wrong.push(format!("{name}: {}", lines(&rehearsal)));
                }
            }
            Err(error) => wrong.push(format!("{name}: refused by the plan: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(REFUSALS.len() >= 30);
}

/// Declares a queue, whose type the local cloud does not have, and its dependents.
fn queue(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let delay: u32 = config.get_or("delay", 5_u32)?;
    let properties = output_json!({"QueueName": "jobs", "DelaySeconds": delay});
    let queue = virginia.add("queue", CloudResource::new("AWS::SQS::Queue", properties));
    let arn: Output<String> = queue.properties.field("Arn");
    let document = output_format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"{}"}}]}}"#,
        arn
    );
    let role = virginia.add("role", Role::for_service("ec2.amazonaws.com").policy("send", document));
    virginia.add("profile", InstanceProfile::for_role(role.name));
    let name: Output<String> = queue.properties.field("QueueName");
    virginia.add("name", aws::Parameter::plain(name));
    virginia.add("vpc", Vpc::new("10.0.0.0/16"));
    stack.export("url", queue.properties.field::<String>("QueueUrl"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_of_a_resource_that_cannot_be_rehearsed_have_synthesised_outputs() {
    let rehearsal = rehearse(&deployment(&queue)).await;
    assert!(rehearsal.is_success());
    assert_snapshot!(lines(&rehearsal), @r"
    not rehearsed: queue: the local cloud cannot execute cloudcontrolapi:CreateResource: Resource type AWS::SQS::Queue does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of AWS::CloudWatch::Alarm, AWS::Logs::LogGroup, AWS::SSM::Parameter, AWS::IAM::Role, AWS::EC2::SecurityGroup, AWS::EC2::Subnet, AWS::EC2::VPC
    name: synthesised outputs of queue
    role: synthesised outputs of queue
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_of_a_recorded_resource_that_cannot_be_rehearsed_have_its_outputs() {
    // The local cloud that the stack was deployed to records queues, and the scratch cloud does not.
    let directory = TempDir::new().unwrap();
    install_schemas(directory.path(), [("AWS::SQS::Queue", QUEUE)]).unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let state = deployed("dev", &cloud, Arc::new(MemoryStore::new()), &queue).await;
    cloud.shutdown().await;
    let changed = Deployment {
        recorded: Some(state),
        config: [("delay".to_owned(), "7".to_owned().into())].into(),
        ..deployment(&queue)
    };
    let rehearsal = rehearse(&changed).await;
    assert_snapshot!(without_ids(&lines(&rehearsal)), @r"
    not rehearsed: queue: it cannot be recreated: CreateResource: UnsupportedActionException: Resource type AWS::SQS::Queue does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of AWS::CloudWatch::Alarm, AWS::Logs::LogGroup, AWS::SSM::Parameter, AWS::IAM::Role, AWS::EC2::SecurityGroup, AWS::EC2::Subnet, AWS::EC2::VPC
    name: recorded outputs of queue
    role: recorded outputs of queue
    ");
    // A new dependent has the recorded ARN of the queue.
    let extended = |stack: &Stack, config: &Config| -> Result {
        queue(stack, config)?;
        let virginia = aws::region(stack, "us-east-1");
        let queue = virginia.add("queue-2", CloudResource::new("AWS::SQS::Queue", output_json!({"QueueName": "more"})));
        virginia.add("arn", aws::Parameter::plain(queue.properties.field::<String>("Arn")));
        Ok(())
    };
    let rehearsal = rehearse(&Deployment { script: &extended, ..changed }).await;
    assert_snapshot!(without_ids(&lines(&rehearsal)), @r"
    not rehearsed: queue: it cannot be recreated: CreateResource: UnsupportedActionException: Resource type AWS::SQS::Queue does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of AWS::CloudWatch::Alarm, AWS::Logs::LogGroup, AWS::SSM::Parameter, AWS::IAM::Role, AWS::EC2::SecurityGroup, AWS::EC2::Subnet, AWS::EC2::VPC
    not rehearsed: queue-2: the local cloud cannot execute cloudcontrolapi:CreateResource: Resource type AWS::SQS::Queue does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of AWS::CloudWatch::Alarm, AWS::Logs::LogGroup, AWS::SSM::Parameter, AWS::IAM::Role, AWS::EC2::SecurityGroup, AWS::EC2::Subnet, AWS::EC2::VPC
    arn: synthesised outputs of queue-2
    name: recorded outputs of queue
    role: recorded outputs of queue
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_only_synthesised_outputs_make_fail_are_not_rehearsed() {
    let script = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.add("network", CloudResource::new("AWS::Demo::Network", output_json!({})));
        let vpc: Output<aws::VpcId> = network.properties.field("VpcId");
        // The subnet does not exist in the scratch cloud either, so what uses it has a synthesised id.
        let subnet = virginia.add("subnet", Subnet::of(vpc, "10.0.0.0/24"));
        virginia.add("host", Instance { subnet: Some(subnet.id), ..Instance::new("t3.micro") });
        virginia.add("arn", aws::Parameter::plain(subnet.arn));
        // Its name is taken, whatever the outputs of the network are.
        let owner: Output<String> = network.properties.field("Owner");
        for name in ["first", "second"] {
            virginia.add(name, aws::Parameter { name: Some("/taken".into()), ..aws::Parameter::plain(&owner) });
        }
        // A failure of its own.
        let vpc = virginia.add("vpc", Vpc::new("10.1.0.0/16"));
        virginia.add("wrong", Subnet::of(&vpc.id, "10.0.0.0/24"));
        Ok(())
    };
    let rehearsal = rehearse(&deployment(&script)).await;
    assert_snapshot!(without_ids(&lines(&rehearsal)), @r"
    failure: CreateSubnet: InvalidSubnet.Range: The CIDR '10.0.0.0/24' is invalid.
    failure: PutParameter: ParameterAlreadyExists: The parameter already exists. To overwrite this value, set the overwrite option in the request to true.
    not rehearsed: network: the local cloud cannot execute cloudcontrolapi:CreateResource: Resource type AWS::Demo::Network does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of AWS::CloudWatch::Alarm, AWS::Logs::LogGroup, AWS::SSM::Parameter, AWS::IAM::Role, AWS::EC2::SecurityGroup, AWS::EC2::Subnet, AWS::EC2::VPC
    not rehearsed: host: it uses synthesised outputs of `subnet`: RunInstances: InvalidSubnetID.NotFound: The subnet ID 'subnet-ID' does not exist
    not rehearsed: subnet: it uses synthesised outputs of `network`: CreateSubnet: InvalidVpcID.NotFound: The vpc ID 'vpc-ID' does not exist
    arn: synthesised outputs of subnet
    first: synthesised outputs of network
    second: synthesised outputs of network
    ");
}

/// Schema of a queue, with the permissions of its handlers as CloudFormation lists them.
const QUEUE: &str = r#"{
    "typeName": "AWS::SQS::Queue",
    "properties": {
        "QueueName": {"type": "string"}, "DelaySeconds": {"type": "integer", "maximum": 900},
        "Arn": {"type": "string"}, "QueueUrl": {"type": "string"}
    },
    "additionalProperties": false,
    "readOnlyProperties": ["/properties/QueueUrl", "/properties/Arn"],
    "createOnlyProperties": ["/properties/QueueName"],
    "primaryIdentifier": ["/properties/QueueUrl"],
    "handlers": {
        "create": {"permissions": ["sqs:CreateQueue", "sqs:GetQueueUrl"]},
        "read": {"permissions": ["sqs:GetQueueAttributes"]},
        "update": {"permissions": ["sqs:SetQueueAttributes"]},
        "delete": {"permissions": ["sqs:DeleteQueue"]}
    }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_types_with_a_schema_are_rehearsed() {
    let script = |stack: &Stack, config: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let delay: u32 = config.get_or("delay", 5_u32)?;
        let properties = output_json!({"QueueName": "jobs", "DelaySeconds": delay});
        let queue = virginia.add("queue", CloudResource::new("AWS::SQS::Queue", properties));
        let arn: Output<String> = queue.properties.field("Arn");
        virginia.add("name", aws::Parameter::plain(arn));
        Ok(())
    };
    let known =
        || Deployment { schemas: Schemas::of_types([("AWS::SQS::Queue", QUEUE)]).unwrap(), ..deployment(&script) };
    let rehearsal = rehearse(&known()).await;
    assert_eq!((lines(&rehearsal), rehearsal.steps.len()), (String::new(), 2));
    let delay = |seconds: &str| [("delay".to_owned(), seconds.to_owned().into())].into();
    let refused = rehearse(&Deployment { config: delay("901"), ..known() }).await;
    assert!(lines(&refused).contains("901 is not less or equal to 900"), "{}", lines(&refused));

    let proven = infra_rehearsal::permissions(&known(), Proof::Executed).await.unwrap();
    assert_eq!((&proven.denied, &proven.unneeded, &proven.incomplete), (&Vec::new(), &Vec::new(), &Vec::new()));
    let actions: Vec<&String> = proven.permissions.statements.iter().flat_map(|it| &it.actions).collect();
    for action in ["sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes", "sqs:DeleteQueue"] {
        assert!(actions.iter().any(|known| *known == action), "{action} is missing in {actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_of_a_type_whose_handlers_are_not_known_is_incomplete() {
    let script = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        virginia.add("queue", CloudResource::new("AWS::SQS::Queue", output_json!({"QueueName": "jobs"})));
        Ok(())
    };
    let schema = QUEUE.replace("handlers", "title");
    let schemas = Schemas::of_types([("AWS::SQS::Queue", schema.as_str())]).unwrap();
    let proven = infra_rehearsal::permissions(&Deployment { schemas, ..deployment(&script) }, Proof::Evaluated).await;
    let incomplete = proven.unwrap().incomplete;
    assert_snapshot!(incomplete.join("\n"), @"Create: the actions that the handlers of AWS::SQS::Queue need are not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_contains_the_update_of_a_recorded_type_that_only_differs_in_a_text() {
    let script = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let properties = output_json!({"QueueName": "jobs", "Description": "Jobs"});
        virginia.add("queue", CloudResource::new("AWS::SQS::Queue", properties).replace_on(["QueueName"]));
        Ok(())
    };
    let schema = QUEUE.replace(r#""DelaySeconds": {"#, r#""Description": {"type": "string"}, "DelaySeconds": {"#);
    let schemas = Schemas::of_types([("AWS::SQS::Queue", schema.as_str())]).unwrap();
    let proven = infra_rehearsal::permissions(&Deployment { schemas, ..deployment(&script) }, Proof::Evaluated).await;
    let proven = proven.unwrap();
    assert_eq!((&proven.denied, &proven.unneeded, &proven.incomplete), (&Vec::new(), &Vec::new(), &Vec::new()));
    let mut actions = proven.permissions.statements.iter().flat_map(|it| &it.actions);
    assert!(actions.any(|action| action == "sqs:SetQueueAttributes"), "{:?}", proven.permissions.statements);
}

/// Replaces the identifiers of resources in a text, and removes those of requests.
fn without_ids(text: &str) -> String {
    let piece = |piece: &str| match piece.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(piece.len()) {
        digits @ 6.. => format!("ID{}", &piece[digits..]),
        _ => piece.to_owned(),
    };
    let line = |line: &str| {
        let line = line.split(" (request").next().unwrap_or_default();
        line.split('-').map(piece).collect::<Vec<_>>().join("-")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Deploys a program in a local cloud and returns its state.
async fn deployed(stack: &str, cloud: &LocalCloud, store: Arc<MemoryStore>, script: Script<'_>) -> State {
    let engine = Engine::with_store("program", stack, store).target(tests::target(cloud));
    let report = engine.up(script).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    engine.state().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_other_stacks_exist_in_the_rehearsal() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let store = Arc::new(MemoryStore::new());
    let shared = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let vpc =
            virginia.add("shared", Vpc { tags: [("tier".into(), "shared".into())].into(), ..Vpc::new("10.0.0.0/16") });
        virginia.add("role", Role { name: Some("web".into()), ..Role::for_service("ec2.amazonaws.com") });
        stack.export("vpc", vpc.id);
        Ok(())
    };
    let state = deployed("shared", &cloud, store.clone(), &shared).await;
    let neighbour = |same_target| Neighbour { state: state.clone(), same_target };
    let user = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let found = virginia.lookup(ExistingVpc::default().tagged("tier", "shared"));
        virginia.add("found", Subnet::of(&found.vpc_id, "10.0.1.0/24"));
        let vpc: Output<aws::VpcId> = stack.reference_output("program", "shared", "vpc");
        virginia.add("referenced", Subnet::of(vpc, "10.0.2.0/24"));
        Ok(())
    };
    let beside = Deployment { neighbours: vec![neighbour(true)], ..deployment(&user) };
    let rehearsal = rehearse(&beside).await;
    assert_eq!(lines(&rehearsal), "");
    assert_eq!((rehearsal.neighbours, rehearsal.steps.iter().filter(|step| step.succeeded).count()), (2, 4));

    // The names of both stacks collide, as they would on AWS.
    let colliding = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        virginia.add("role", Role { name: Some("web".into()), ..Role::for_service("ec2.amazonaws.com") });
        Ok(())
    };
    let rehearsal = rehearse(&Deployment { neighbours: vec![neighbour(true)], ..deployment(&colliding) }).await;
    assert!(lines(&rehearsal).contains("EntityAlreadyExists"), "{}", lines(&rehearsal));

    // Of a stack on another target, only the outputs are known.
    let rehearsal = rehearse(&Deployment { neighbours: vec![neighbour(false)], ..deployment(&user) }).await;
    let limits: Vec<_> = rehearsal.not_rehearsed.iter().map(|it| without_ids(&it.reason)).collect();
    assert_snapshot!(limits.join("\n"), @r"
    it uses `program-shared-vpc`, which the scratch cloud does not contain: CreateSubnet: InvalidVpcID.NotFound: The vpc ID 'vpc-ID' does not exist
    the scratch cloud does not contain the resource, so its recorded outputs were used
    only the target can answer the lookup
    it depends on such a lookup
    ");
    assert_eq!(rehearsal.failures.len(), 0);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_replace_those_that_only_the_target_has() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let store = Arc::new(MemoryStore::new());
    let foreign = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        virginia.add("vpc", Vpc { tags: [("tier".into(), "shared".into())].into(), ..Vpc::new("10.0.0.0/16") });
        Ok(())
    };
    deployed("foreign", &cloud, store.clone(), &foreign).await;
    let user = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let found = virginia.lookup(ExistingVpc::default().tagged("tier", "shared"));
        virginia.add("group", SecurityGroup::in_vpc(&found.vpc_id));
        virginia.add("name", aws::Parameter::plain(found.cidr));
        Ok(())
    };
    let recorded = deployed("dev", &cloud, store.clone(), &user).await;
    let rehearsal = rehearse(&Deployment { recorded: Some(recorded), ..deployment(&user) }).await;
    assert_snapshot!(without_ids(&lines(&rehearsal)), @r"
    not rehearsed: existing-vpc-us-east-1-ID: the scratch cloud does not contain the resource, so its recorded outputs were used
    not rehearsed: group: it cannot be recreated: CreateSecurityGroup: InvalidVpcID.NotFound: The vpc ID 'vpc-ID' does not exist
    ");

    let rehearsal = rehearse(&deployment(&user)).await;
    assert_snapshot!(without_ids(&lines(&rehearsal)), @r"
    not rehearsed: existing-vpc-us-east-1-ID: only the target can answer the lookup
    not rehearsed: group: it depends on such a lookup
    not rehearsed: name: it depends on such a lookup
    ");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_call_another_endpoint_are_not_called() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let target = tests::target(&cloud);
    let script = |stack: &Stack, _: &Config| -> Result {
        stack.provide("aws", || aws::provider_with_clients(aws::Aws::new(&target)));
        aws::region(stack, "us-east-1").add("vpc", Vpc::new("10.0.0.0/16"));
        Ok(())
    };
    let rehearsal = rehearse(&deployment(&script)).await;
    assert_eq!(rehearsal.not_rehearsed.len(), 1, "{}", lines(&rehearsal));
    assert!(rehearsal.not_rehearsed[0].reason.contains("has clients of its own"), "{}", lines(&rehearsal));
    assert_eq!(cloud.calls_after(0, usize::MAX).len(), 0);
    cloud.shutdown().await;
}

#[derive(Serialize, Deserialize, Resource)]
#[resource(type = "demo:disk:File")]
struct File {
    text: Input<String>,
}

#[derive(Clone, Serialize, Deserialize, Outputs)]
struct FileOutputs {
    id: Output<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn other_providers_are_not_called() {
    let disk = FakeCloud::new();
    let provider: Arc<dyn Provider> = Arc::new(disk.clone());
    let script = move |stack: &Stack, _: &Config| -> Result {
        let provider = provider.clone();
        stack.provide("demo", move || provider);
        let vpc = aws::region(stack, "us-east-1").add("vpc", Vpc::new("10.0.0.0/16"));
        stack.add("file", File { text: vpc.cidr });
        Ok(())
    };
    let rehearsal = rehearse(&deployment(&script)).await;
    assert_snapshot!(lines(&rehearsal), @"not rehearsed: file: the provider `demo` acts on another target and is not called");
    assert!(disk.resources().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_plane_of_a_cloud_is_restored_unless_objects_differ() {
    let directory = TempDir::new().unwrap();
    let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let up = async |script: Script<'_>| {
        let engine = engine().target(tests::target(&cloud));
        assert!(engine.up(script).await.unwrap().is_success());
    };
    up(&network).await;
    let (snapshot, inventory) = (cloud.snapshot(), cloud.inventory());
    up(&|stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1").add("other", Vpc::new("10.1.0.0/16"));
        Ok(())
    })
    .await;
    assert_ne!(cloud.inventory(), inventory);
    assert!(cloud.restore(&snapshot));
    assert_eq!(cloud.inventory(), inventory);
    up(&|stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1").add("files", aws::Bucket::default());
        Ok(())
    })
    .await;
    assert!(!cloud.restore(&snapshot));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_runs_are_completed_by_the_next_run() {
    let crashes = infra_rehearsal::with_crashes(&deployment(&network), Selection::default()).await.unwrap();
    assert_eq!(crashes.failures, Vec::<String>::new());
    assert_eq!(crashes.interrupted, 8, "four creates, before and after each");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_a_program_is_sufficient_and_minimal() {
    let script = |stack: &Stack, config: &Config| -> Result {
        network(stack, config)?;
        let virginia = aws::region(stack, "us-east-1");
        virginia.add("host", Instance { machine: Machine::debian(), ..Instance::new("t3.micro") });
        Ok(())
    };
    let proven = infra_rehearsal::permissions(&deployment(&script), Proof::Executed).await.unwrap();
    assert_eq!((&proven.denied, &proven.unneeded), (&Vec::new(), &Vec::new()));
    assert!(proven.runs_without_statement.is_some_and(|runs| runs > 2));
    let actions: Vec<&String> = proven.permissions.statements.iter().flat_map(|it| &it.actions).collect();
    for action in ["ec2:CreateVpc", "ec2:DeleteSubnet", "ec2:RunInstances", "iam:CreateRole", "ec2:CreateTags"] {
        assert!(actions.iter().any(|known| *known == action), "{action} is missing in {actions:?}");
    }
}
