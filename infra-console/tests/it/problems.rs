//! Pages of a stack whose state is missing, damaged, locked or out of reach: each says so, and what to do.

use crate::harness::{Serving, subject, text};
use async_trait::async_trait;
use infra_console::{CloudAccess, EngineSource, Proposal, Settings, Source};
use infra_core::{
    Config, Result as Declared, Stack,
    diagnostic::Diagnostic,
    engine::HistoryEntry,
    execute::Report,
    graph::ResourceGraph,
    random::Password,
    state::State,
    store::{FileStore, StateStore},
    urn::Pattern,
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};
use tempfile::TempDir;

const FORM: &str = "application/x-www-form-urlencoded";

/// Pages that show the state.
const PAGES: [&str; 2] = ["/", "/resources/urn:infra:dev::shop::infra:random:Password::password"];

fn program(stack: &Stack, _: &Config) -> Declared {
    stack.add("password", Password::of_length(20));
    Ok(())
}

fn source(directory: &TempDir) -> (Arc<EngineSource>, FileStore) {
    let store = FileStore::new(directory.path().join("state"));
    let subject = subject(directory.path(), "shop", "local");
    (Arc::new(EngineSource::new(subject, Arc::new(store.clone()), program)), store)
}

async fn serve(source: Arc<dyn Source>) -> Serving {
    Serving::start(source, Settings { port: Some(0), allow_changes: true }).await
}

#[tokio::test]
async fn a_stack_that_was_never_deployed_shows_its_declarations() {
    let directory = tempfile::tempdir().unwrap();
    let console = serve(source(&directory).0).await;
    let page = text(&console.page("/").await);
    assert!(page.contains("1 declared") && page.contains("stack local start"), "{page}");
    let page = text(&console.page("/runs").await);
    assert!(page.contains("stack up"), "{page}");
}

#[tokio::test]
async fn a_damaged_state_is_reported_with_the_command_that_repairs_it() {
    let directory = tempfile::tempdir().unwrap();
    let (source, store) = source(&directory);
    assert!(source.up().await.unwrap().is_success());
    let file = store.directory_of("shop", "dev").join("state.json");
    let state = fs::read_to_string(&file).unwrap();
    fs::write(&file, &state[..state.len() / 2]).unwrap();
    let console = serve(source).await;
    for path in PAGES {
        let problem = console.problem(path).await;
        assert!(problem.contains("state.json") && problem.contains("state restore"), "{path}: {problem}");
    }
    // Other pages do not need the state.
    assert!(console.page("/runs").await.contains("succeeded"));
}

#[tokio::test]
async fn a_locked_state_is_shown_and_a_plan_names_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let (source, store) = source(&directory);
    assert!(source.up().await.unwrap().is_success());
    let session = store.open("shop", "dev").await.unwrap();
    let console = serve(source).await;
    assert!(text(&console.page("/").await).contains("1 deployed"));
    let urn = console.json("/api/graph").await["resources"][0]["urn"].as_str().unwrap().to_owned();
    let plan = console.post("/plan", FORM, format!("csrf=&replace={urn}")).await.header("location").to_owned();
    console.post(&format!("{plan}/approve"), FORM, "csrf=").await;
    let page = text(&console.until(&plan, "The run failed").await);
    assert!(page.contains(&format!("process {}", std::process::id())), "{page}");
    session.close().await.unwrap();
}

/// A stack whose state is in a bucket that does not respond.
struct Unreachable(TempDir);

impl Unreachable {
    fn reason() -> Diagnostic {
        let failed = Diagnostic::error("the state in s3://states/team cannot be read").because("connection refused");
        failed.hint("check the network, and the credentials with `stack login-check`")
    }
}

#[async_trait]
impl Source for Unreachable {
    fn program(&self) -> &'static str {
        "shop"
    }

    fn stack(&self) -> &'static str {
        "dev"
    }

    fn target(&self) -> &'static str {
        "aws"
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        ResourceGraph::new(Vec::new(), BTreeMap::new()).map_err(|_| Self::reason())
    }

    async fn state(&self) -> Result<Option<State>, Diagnostic> {
        Err(Self::reason())
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        Err(Self::reason())
    }

    async fn preview(&self, _: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        Err(Self::reason())
    }

    async fn open_plan(&self, _: String) -> Result<Proposal, Diagnostic> {
        Err(Self::reason())
    }

    async fn apply(&self, _: String, _: Vec<Pattern>) -> Result<Report, Diagnostic> {
        Err(Self::reason())
    }

    fn cloud(&self) -> Option<CloudAccess> {
        None
    }
}

#[tokio::test]
async fn a_state_out_of_reach_is_reported_on_every_page_that_needs_it() {
    let console = serve(Arc::new(Unreachable(tempfile::tempdir().unwrap()))).await;
    let expected = "the state in s3://states/team cannot be read\nconnection refused\ncheck the network";
    for path in PAGES {
        let problem = console.problem(path).await;
        assert!(problem.starts_with("503\n") && problem.contains(expected), "{path}: {problem}");
    }
    let answer = console.post("/plan", FORM, "csrf=").await;
    assert!(text(&answer.text).contains("the state in s3://states/team cannot be read"), "{}", answer.text);
}
