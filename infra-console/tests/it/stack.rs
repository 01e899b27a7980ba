//! Pages of a stack with an engine and a store in memory: graph, resources, plans and runs.

use crate::harness::{Serving, subject};
use infra_console::{EngineSource, Settings, Source as _};
use infra_core::{Config, Result as Declared, Stack, random::Password, store::MemoryStore};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// A stack whose program declares a password of this length; at 0, the program fails.
struct Secrets {
    _directory: tempfile::TempDir,
    source: Arc<EngineSource>,
    length: Arc<AtomicU32>,
}

impl Deref for Secrets {
    type Target = EngineSource;

    fn deref(&self) -> &EngineSource {
        &self.source
    }
}

impl Secrets {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let length = Arc::new(AtomicU32::new(20));
        let declared = length.clone();
        let program = move |stack: &Stack, _: &Config| -> Declared {
            let length = declared.load(Ordering::Relaxed);
            if length == 0 {
                return Err("the length is missing".into());
            }
            let password = stack.add("database/password", Password::of_length(length));
            stack.export("password", password.value);
            Ok(())
        };
        let subject = subject(directory.path(), "secrets", "local");
        let source = Arc::new(EngineSource::new(subject, Arc::new(MemoryStore::new()), program));
        Self { _directory: directory, source, length }
    }

    async fn deploy(&self) {
        assert!(self.up().await.unwrap().is_success());
    }

    async fn password(&self) -> String {
        self.engine().outputs().await.unwrap()["password"].as_str().unwrap().to_owned()
    }
}

const URN: &str = "urn:infra:dev::secrets::infra:random:Password::database/password";

async fn serve(stack: &Secrets, allow_changes: bool) -> Serving {
    Serving::start(stack.source.clone(), Settings { port: Some(0), allow_changes }).await
}

#[tokio::test]
async fn secrets_are_shown_after_a_recorded_request_only() {
    let stack = Secrets::new();
    stack.deploy().await;
    let (console, password) = (serve(&stack, false).await, stack.password().await);
    let urn = console.get("/api/graph").await.json()["resources"][0]["urn"].as_str().unwrap().to_owned();
    assert!(urn.ends_with("::database/password"), "{urn} is not like {URN}");
    for path in ["/", "/api/graph", "/api/overview", &format!("/resources/{urn}"), &format!("/api/resources/{urn}")] {
        let answer = console.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains(&password), "{path}");
    }
    let form = "application/x-www-form-urlencoded";
    let answer = console.post(&format!("/resources/{urn}"), form, "csrf=&part=outputs&path=value").await;
    assert!(answer.text.contains(&password), "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    let audit = std::fs::read_to_string(stack.directory().join("console-audit.jsonl")).unwrap();
    assert!(audit.contains("secret_shown") && audit.contains("database/password"), "{audit}");
    assert!(!audit.contains(&password));

    let answer = console.post(&format!("/resources/{urn}"), form, "csrf=&part=outputs&path=length").await;
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert_eq!(console.get("/resources/urn:infra:dev::secrets::x:y:Z::none").await.status, 404);
}

#[tokio::test]
async fn approved_plans_are_applied_once() {
    let stack = Secrets::new();
    let (form, reading) = ("application/x-www-form-urlencoded", serve(&stack, false).await);
    let proposed = reading.post("/plan", form, "csrf=").await;
    assert_eq!(proposed.status, 303);
    let plan = proposed.header("location").to_owned();
    let page = reading.get(&plan).await.text;
    assert!(page.contains("1 to create") && page.contains("only reads"), "{page}");
    let refused = reading.post(&format!("{plan}/approve"), form, "csrf=").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("--allow-changes"), "{}", refused.text);
    assert!(stack.state().await.unwrap().is_none(), "nothing was applied");

    let console = serve(&stack, true).await;
    let plan = console.post("/plan", form, "csrf=").await.header("location").to_owned();
    assert_eq!(console.post(&format!("{plan}/approve"), form, "csrf=").await.status, 303);
    let page = console.until(&plan, "The plan has been applied").await;
    assert!(!page.contains("Approve and apply"), "{page}");
    assert_eq!(stack.state().await.unwrap().unwrap().resources.len(), 1);
    let again = console.post(&format!("{plan}/approve"), form, "csrf=").await;
    assert!(again.text.contains("has been approved already"), "{}", again.text);

    let runs = console.get("/api/runs").await.json();
    let run = &runs["runs"][0];
    assert_eq!((run["command"].as_str(), run["status"].as_str()), (Some("up"), Some("succeeded")));
    let page = console.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.text;
    assert!(page.contains("database/password") && page.contains("bar succeeded critical"), "{page}");
}

#[tokio::test]
async fn a_plan_that_is_outdated_is_not_applied() {
    let stack = Secrets::new();
    let (form, console) = ("application/x-www-form-urlencoded", serve(&stack, true).await);
    let plan = console.post("/plan", form, "csrf=").await.header("location").to_owned();
    stack.deploy().await;
    console.post(&format!("{plan}/approve"), form, "csrf=").await;
    let page = console.until(&plan, "The run failed").await;
    assert!(page.contains("the stack has changed since the plan was saved"), "{page}");
}

#[tokio::test]
async fn a_resource_is_replaced_by_a_plan_of_its_page() {
    let stack = Secrets::new();
    stack.deploy().await;
    let (form, console) = ("application/x-www-form-urlencoded", serve(&stack, true).await);
    let urn = console.get("/api/graph").await.json()["resources"][0]["urn"].as_str().unwrap().to_owned();
    let before = stack.password().await;
    let plan = console.post("/plan", form, format!("csrf=&replace={urn}")).await.header("location").to_owned();
    let page = console.get(&plan).await.text;
    assert!(page.contains("1 to replace"), "{page}");
    console.post(&format!("{plan}/approve"), form, "csrf=").await;
    console.until(&plan, "The plan has been applied").await;
    assert_ne!(stack.password().await, before);

    let runs = console.get("/api/runs").await.json();
    let ids: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    let page = console.get(&format!("/runs/compare?one={}&other={}", ids[1], ids[0])).await.text;
    assert!(page.contains("create, ") && page.contains("replace, "), "{page}");
    let compared = console.json(&format!("/api/comparison?one={}&other={}", ids[1], ids[0])).await;
    assert_eq!((&compared["one"]["id"], &compared["other"]["id"]), (&ids[1].into(), &ids[0].into()));
    let row = &compared["rows"][0];
    assert_eq!((row["one"]["action"].as_str(), row["other"]["action"].as_str()), (Some("create"), Some("replace")));
    let elapsed = |side: &str| row[side]["elapsed_ms"].as_i64().unwrap();
    assert_eq!(row["difference_ms"].as_i64().unwrap(), elapsed("other") - elapsed("one"));
    assert_eq!(console.get("/api/comparison?one=x&other=y").await.status, 404);
    assert_eq!(console.get("/api/comparison?one=x").await.status, 400);
    assert_eq!(console.get("/runs/compare?one=x&other=y").await.status, 404);
    assert_eq!(console.get("/runs/compare").await.status, 400);
}

#[tokio::test]
async fn a_program_that_fails_is_reported_beside_the_recorded_state() {
    let stack = Secrets::new();
    stack.deploy().await;
    stack.length.store(0, Ordering::Relaxed);
    let console = serve(&stack, false).await;
    let page = console.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("the length is missing"), "{}", page.text);
    assert!(page.text.contains("database/password") && page.text.contains("1 deployed"), "{}", page.text);
    let odd = console.get("/network").await;
    assert_eq!(odd.status, 503);
    assert!(odd.text.contains("stack local start"), "{}", odd.text);
}
