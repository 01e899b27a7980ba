//! Modules of `stack bindings`, end to end: the generated types are deployed to the local cloud, which records them.

#![deny(warnings)]

#[rustfmt::skip]
mod generated;

use generated::{dynamodb, sqs};
use infra_aws as aws;
use infra_core::{
    Config, Engine, Output, Result, Stack,
    event::Events,
    execute::Report,
    output_json,
    plan::Selection,
    store::{FileStore, MemoryStore},
};
use infra_local::{LocalCloud, Options, install_schemas};
use infra_rehearsal::{Deployment, Schemas};
use insta::assert_snapshot;
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;
use tests::stable;

/// Starts a cloud with the schemas of the generated types.
async fn start(directory: &Path) -> LocalCloud {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra-bindings/tests/schemas");
    let read = |name: &str| fs::read_to_string(schemas.join(name)).unwrap();
    let texts = [
        ("AWS::SQS::Queue", read("aws-sqs-queue.json")),
        ("AWS::DynamoDB::Table", read("aws-dynamodb-table.json")),
        ("Shop::Store::Shelf", read("shop-store-shelf.json")),
    ];
    fs::create_dir_all(directory).unwrap();
    install_schemas(directory, texts.iter().map(|(name, text)| (*name, text.as_str()))).unwrap();
    LocalCloud::start(Options::new(directory)).await.unwrap()
}

/// The variable parts of the program.
#[derive(Clone, Copy)]
struct Shop {
    queue: &'static str,
    delay: i64,
    code: &'static str,
}

const SHOP: Shop = Shop { queue: "jobs", delay: 5, code: "hunter2" };

fn shop(shop: Shop) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let dead = virginia.add("dead", sqs::Queue::default());
        let jobs = virginia.add(
            "jobs",
            sqs::Queue {
                queue_name: Some(shop.queue.into()),
                delay_seconds: Some(shop.delay.into()),
                redrive_policy: Some(output_json!({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})),
                tags: vec![sqs::queue::Tag::new("team", "shop")],
                ..sqs::Queue::default()
            },
        );
        // A resource of another type may have the same name.
        let table = virginia.add(
            "jobs",
            dynamodb::Table {
                table_name: Some("jobs".into()),
                billing_mode: Some(dynamodb::table::BillingMode::PayPerRequest.into()),
                attribute_definitions: vec![dynamodb::table::AttributeDefinition::new("id", "S")],
                ..dynamodb::Table::new(vec![dynamodb::table::KeySchema::new("id", dynamodb::table::KeyType::Hash)])
            },
        );
        let shelf = virginia.add(
            "shelf",
            generated::shop_store::Shelf {
                code: Some(shop.code.into()),
                // A change of the queue's delay must not replace the shelf.
                shelf_name: Some("a".into()),
                aisles: Some(Output::list([jobs.arn.clone(), table.arn.clone()])),
                ..generated::shop_store::Shelf::new(generated::shop_store::shelf::Kind::ClosedByGlass, vec![])
            },
        );
        stack.export("url", jobs.queue_url);
        stack.export("table", table.table_name);
        stack.export("delay", jobs.properties.field::<i64>("DelaySeconds"));
        stack.export("volume", shelf.dimensions_volume);
        Ok(())
    }
}

fn succeeded(report: std::result::Result<Report, infra_core::engine::EngineError>) -> Report {
    let report = report.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    report
}

/// Returns the text of all files below a directory.
fn text_of(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| {
        if path.is_dir() { text_of(&path) } else { String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned() }
    });
    texts.collect()
}

#[tokio::test]
async fn generated_types_are_created_updated_replaced_and_destroyed() {
    let directory = TempDir::new().unwrap();
    let cloud = start(&directory.path().join("cloud")).await;
    let target = tests::target(&cloud);
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(target.clone());
    let output = async |name: &str| engine.outputs().await.unwrap()[name].to_json();

    succeeded(engine.up(&shop(SHOP)).await);
    let host = "https://sqs.us-east-1.amazonaws.com/000000000000";
    assert_eq!(output("url").await, format!("{host}/jobs"));
    assert_eq!((output("table").await, output("delay").await), ("jobs".into(), 5.into()));
    assert!(!engine.preview(&shop(SHOP)).await.unwrap().has_changes());
    let refreshed = succeeded(engine.refresh(&shop(SHOP)).await);
    assert!(refreshed.drift.is_empty(), "{:?}", refreshed.drift);
    let recorded: Vec<String> =
        cloud.status().await.regions["us-east-1"].recorded.iter().map(|it| it.type_name.clone()).collect();
    assert_eq!(recorded, ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SQS::Queue", "Shop::Store::Shelf"]);

    // The ARN is known after an update, so nothing that uses it changes.
    let slower = Shop { delay: 9, ..SHOP };
    assert_snapshot!(stable(&engine.preview(&shop(slower)).await.unwrap().to_string()), @r#"
    ~ update Queue jobs [us-east-1]
        ~ properties.DelaySeconds: 5 => 9
    3 same, 1 update
    delay = (known after apply)
    table = "jobs"
    url = "https://sqs.us-east-1.amazonaws.com/000000000000/jobs"
    volume = 0
    "#);
    succeeded(engine.up(&shop(slower)).await);
    assert_eq!(output("delay").await, 9);

    let secret = Shop { code: "hunter3", ..slower };
    assert_snapshot!(stable(&engine.preview(&shop(secret)).await.unwrap().to_string()), @r#"
    ~ update Shelf shelf [us-east-1]
        ~ secrets: [secret] => [secret]
    3 same, 1 update
    delay = 9
    table = "jobs"
    url = "https://sqs.us-east-1.amazonaws.com/000000000000/jobs"
    volume = (known after apply)
    "#);
    succeeded(engine.up(&shop(secret)).await);
    let state = text_of(&directory.path().join("state"));
    assert!(state.contains("$secret") && !state.contains("hunter"));

    let renamed = Shop { queue: "work", ..secret };
    assert_snapshot!(stable(&engine.preview(&shop(renamed)).await.unwrap().to_string()), @r#"
    +/- replace Queue jobs [us-east-1]
        ~ properties.QueueName: "jobs" => "work"  (forces replacement)
    ~ update Shelf shelf [us-east-1]
        ~ properties.Aisles[0]: "arn:aws:sqs:us-east-1:000000000000:queue/jobs" => (known after apply)
    2 same, 1 update, 1 replace
    delay = (known after apply)
    table = "jobs"
    url = (known after apply)
    volume = (known after apply)
    "#);
    succeeded(engine.up(&shop(renamed)).await);
    assert_eq!(output("url").await, format!("{host}/work"));
    let report = engine.up(&shop(Shop { delay: 901, ..renamed })).await.unwrap();
    let reason = report.failures[0].summary.split(" (request").next().unwrap();
    assert_snapshot!(reason, @"UpdateResource: ValidationException: Model validation failed (#/DelaySeconds: 901 is not less or equal to 900)");

    succeeded(engine.destroy(&shop(SHOP)).await);
    assert_eq!(cloud.status().await.regions["us-east-1"].recorded, []);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_types_are_rehearsed_by_the_schemas_of_a_local_cloud() {
    let directory = TempDir::new().unwrap();
    let cloud = start(directory.path()).await;
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    succeeded(engine.up(&shop(SHOP)).await);
    let renamed = shop(Shop { queue: "work", ..SHOP });
    let deployment = Deployment {
        account: None,
        program: "program".to_owned(),
        stack: "dev".to_owned(),
        target: "local".to_owned(),
        script: &renamed,
        config: BTreeMap::new(),
        policies: Vec::new(),
        recorded: engine.state().await.unwrap(),
        neighbours: Vec::new(),
        schemas: Schemas::of_cloud(directory.path()),
    };
    let rehearse = |deployment| async move {
        infra_rehearsal::rehearse(&deployment, Selection::default(), Events::ignored()).await.unwrap()
    };
    let rehearsal = rehearse(deployment.clone()).await;
    assert!(rehearsal.is_success() && rehearsal.not_rehearsed.is_empty(), "{rehearsal:?}");
    let steps: Vec<_> = rehearsal.steps.iter().map(|step| step.urn.name()).collect();
    assert_eq!((rehearsal.seeded, steps), (4, vec!["jobs", "shelf", "jobs"]));
    let unknown = rehearse(Deployment { schemas: Schemas::default(), ..deployment }).await;
    assert_eq!((unknown.seeded, unknown.not_rehearsed.is_empty()), (0, false));
    cloud.shutdown().await;
}

#[tokio::test]
async fn resource_that_no_program_declares_any_more_is_deleted() {
    let directory = TempDir::new().unwrap();
    let cloud = start(directory.path()).await;
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    succeeded(engine.up(&shop(SHOP)).await);
    let empty = |stack: &Stack, _: &Config| -> Result {
        let _ = aws::region(stack, "us-east-1");
        Ok(())
    };
    succeeded(engine.up(&empty).await);
    assert_eq!(cloud.status().await.regions["us-east-1"].recorded, []);
    cloud.shutdown().await;
}
