//! Serves the console of a stack with many resources in memory, while a recorded run sends events. For measurements of
//! `tests/peers/console-speed`.
//!
//! Usage: `large RESOURCES EVENTS-PER-SECOND`. Prints the address and the token of programs.

use async_trait::async_trait;
use infra_console::{CloudAccess, Console, Proposal, Settings, Source};
use infra_core::{
    Config, Engine, Input, Output, Outputs, Resource, Result as Declared, Stack,
    diagnostic::Diagnostic,
    diff::Action,
    engine::{EngineError, HistoryEntry},
    event::{Event, VERSION},
    execute::Report,
    graph::ResourceGraph,
    state::State,
    store::MemoryStore,
    testing::FakeCloud,
    urn::{Pattern, Urn},
};
use infra_records::{Recorder, Subject};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{env, error::Error, path::Path, sync::Arc, time::Duration};

/// Number of resources in a component; each but the first uses its predecessor.
const COMPONENT: usize = 50;

#[derive(Serialize, Deserialize, Resource)]
#[resource(type = "demo:compute:Server")]
struct Server {
    size: u32,
    upstream: Option<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize, Outputs)]
struct ServerOutputs {
    address: Output<String>,
}

struct Large {
    engine: Engine,
    cloud: FakeCloud,
    directory: tempfile::TempDir,
    resources: usize,
}

impl Large {
    fn program(&self) -> impl Fn(&Stack, &Config) -> Declared + Send + Sync + use<> {
        let (cloud, resources) = (self.cloud.clone(), self.resources);
        move |stack, _| {
            let provider = cloud.clone();
            stack.provide("demo", move || Arc::new(provider));
            let mut upstream = None;
            for number in 0..resources {
                if number % COMPONENT == 0 {
                    upstream = None;
                }
                let name = format!("component-{}/server-{}", number / COMPONENT, number % COMPONENT);
                let server = stack.add(&name, Server { size: 1, upstream: upstream.take() });
                upstream = Some(Input::from(server.address));
            }
            Ok(())
        }
    }
}

fn first(error: &EngineError) -> Diagnostic {
    error.diagnostics().swap_remove(0)
}

#[async_trait]
impl Source for Large {
    fn program(&self) -> &'static str {
        "large"
    }

    fn stack(&self) -> &'static str {
        "dev"
    }

    fn target(&self) -> &'static str {
        "local"
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        self.engine.declared(&self.program()).map_err(|error| first(&error))
    }

    async fn state(&self) -> Result<Option<State>, Diagnostic> {
        self.engine.state().await.map_err(|error| first(&error))
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        self.engine.history().await.map_err(|error| first(&error))
    }

    async fn preview(&self, _: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        let program = self.program();
        let (plan, saved) = self.engine.preview_to_save(&program).await.map_err(|error| first(&error))?;
        Ok(Proposal { plan, saved })
    }

    async fn open_plan(&self, _: String) -> Result<Proposal, Diagnostic> {
        Err(Diagnostic::error("plans of files are not part of the measurement"))
    }

    async fn apply(&self, _: String, _: Vec<Pattern>) -> Result<Report, Diagnostic> {
        Err(Diagnostic::error("the stack of the measurement does not change"))
    }

    fn cloud(&self) -> Option<CloudAccess> {
        None
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (resources, rate) = (number(1_000)?, number(100)?);
    let cloud = FakeCloud::new().outputs("demo:compute:Server", |_, id| json!({ "address": id }));
    let engine = Engine::new("large", "dev", MemoryStore::new());
    let source = Arc::new(Large { engine, cloud, directory: tempfile::tempdir()?, resources });
    let program = source.program();
    source.engine.up(&program).await.map_err(|error| format!("{error:?}"))?;

    let console = Console::bind(source.clone(), Settings { port: Some(0), allow_changes: false }).await?;
    println!("{}", json!({ "address": console.address(), "token": console.token() }));
    let urns: Vec<Urn> =
        source.state().await.ok().flatten().into_iter().flat_map(|state| state.resources.into_keys()).collect();
    let recorder = Recorder::new(Subject {
        directory: source.directory.path().into(),
        program: "large".into(),
        stack: "dev".into(),
        target: "local".into(),
    });
    let events = recorder.events(|_| {});
    tokio::spawn(async move {
        events.send(Event::RunStarted {
            version: VERSION,
            command: "up".into(),
            program: "large".into(),
            stack: "dev".into(),
        });
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(1));
        for number in 0_usize.. {
            ticks.tick().await;
            let urn = urns[number / 2 % urns.len()].clone();
            events.send(if number % 2 == 0 {
                Event::StepStarted { urn, action: Action::Update }
            } else {
                Event::StepFinished { urn, action: Action::Update, id: None, elapsed_ms: 10 }
            });
        }
    });
    console.serve().await?;
    Ok(())
}
