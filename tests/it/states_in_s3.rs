//! States in the local cloud's S3, and in another S3 implementation.
//!
//! `INFRA_S3_ENDPOINT=http://127.0.0.1:5000 cargo test --package tests states_in_s3` runs the same test on another server;
//! `tests/peers/run` does so with moto.

use crate::skip::skip;
use infra_core::{
    Config, Engine, Result, Stack, Target,
    random::Password,
    store::{ObjectStateStore, StateStore, StoreError, Unlock, rotate},
    target::Credentials,
};
use infra_local::{LocalCloud, Options};
use tempfile::TempDir;

#[tokio::test]
async fn local_cloud_stores_states() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    store_states(tests::target(&cloud)).await;
}

#[tokio::test]
async fn other_server_stores_states() {
    match std::env::var("INFRA_S3_ENDPOINT") {
        Ok(endpoint) => store_states(Target::local(endpoint, Credentials::new("test", "test"))).await,
        Err(_) => skip("INFRA_S3_ENDPOINT names no server"),
    }
}

fn program(length: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        for name in ["first", "second", "third"] {
            let password = stack.add(name, Password::of_length(length));
            stack.export(name, password.value);
        }
        Ok(())
    }
}

async fn store_states(target: Target) {
    let target = Target { name: "aws".into(), ..target };
    let bucket = format!("states-{}", std::process::id());
    let created = infra_aws::Aws::new(&target).s3("us-east-1").await.create_bucket().bucket(&bucket).send().await;
    created.unwrap();
    let (objects, prefix) =
        infra_aws::objects::open_with_target(&target, &format!("s3://{bucket}/team/infra")).await.unwrap();
    assert_eq!(prefix, "team/infra");
    let missing = infra_aws::objects::open_with_target(&target, "s3://no-such-bucket/team").await.unwrap().0;
    let error = ObjectStateStore::new(missing, "team").peek("program", "dev").await.unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");

    let store = ObjectStateStore::new(objects, &prefix).unlocked_by(Unlock::default().passphrase("a rather long one"));

    let engine = Engine::new("program", "dev", store.clone());
    assert!(engine.state().await.unwrap().is_none());
    assert!(engine.up(&program(12)).await.unwrap().is_success());
    assert!(!engine.preview(&program(12)).await.unwrap().has_changes());
    assert!(engine.up(&program(16)).await.unwrap().is_success());
    let outputs = engine.outputs().await.unwrap();
    assert_eq!(outputs["first"].as_str().map(str::len), Some(16));
    assert_eq!(engine.history().await.unwrap().len(), 2);

    // The holder of the stack excludes other runs, and the error names it.
    let session = store.open("program", "dev").await.unwrap();
    let refused = store.open("program", "dev").await.map(drop).unwrap_err();
    let holder = format!("process {}", std::process::id());
    assert!(matches!(refused, StoreError::Locked { .. }) && refused.to_string().contains(&holder), "{refused}");
    session.close().await.unwrap();

    // After a rotation of the key, all secrets can still be read.
    let rotation = rotate(&store).await.unwrap();
    assert_eq!((rotation.stacks, rotation.finished), (1, false));
    assert_eq!(engine.outputs().await.unwrap(), outputs);
    assert!(!engine.preview(&program(16)).await.unwrap().has_changes());

    assert!(engine.destroy(&program(16)).await.unwrap().is_success());
    assert!(engine.state().await.unwrap().unwrap().resources.is_empty());
}
