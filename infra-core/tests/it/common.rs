//! Helpers of the lifecycle tests: kinds of resources, and a stack on a cloud in memory.

use infra_core::{
    Config, Engine, Input, Output, Resource, Result, Schema, Stack,
    config::ConfigValue,
    engine::{EngineError, Program as RunProgram, Run},
    event::{Event, Events},
    execute::Report,
    plan::Plan,
    policy::Policy,
    provider::{Handler, Registry},
    store::MemoryStore,
    testing::FakeCloud,
};
use serde::{Deserialize, Serialize};
use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Thing {
    /// Updated in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u32>,
    /// Forces a replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uses: Option<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ThingOutputs {
    pub(crate) id: Output<String>,
    pub(crate) size: Output<u32>,
}

impl Resource for Thing {
    const TYPE: &'static str = "fake:Thing";
    type Outputs = ThingOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["place"]).changes_on_update(["size"]).regional(["id"])
    }
}

/// A resource of which two cannot exist at the same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) number: Input<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uses: Option<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PortOutputs {
    pub(crate) id: Output<String>,
}

impl Resource for Port {
    const TYPE: &'static str = "fake:Port";
    type Outputs = PortOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["number"]).delete_before_replace()
    }
}

pub(crate) fn sized(size: u32) -> Thing {
    Thing { size: Some(size), ..Thing::default() }
}

pub(crate) fn placed(place: &str) -> Thing {
    Thing { place: Some(place.into()), ..Thing::default() }
}

pub(crate) fn using(id: &Output<String>) -> Thing {
    Thing { uses: Some(id.clone()), ..Thing::default() }
}

/// Lines that a test compares.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Returns a receiver that adds a line to the log for each event that `line` describes.
pub(crate) fn logging(log: &Log, line: impl Fn(Event) -> Option<String> + Send + Sync + 'static) -> Events {
    let log = log.clone();
    Events::to(move |event| log.lock().unwrap().extend(line(event)))
}

/// Returns a function that provides the resources of type `H`, named `world:…`, with a copy of this client.
pub(crate) fn providing<H: Handler>(client: &H::Client) -> impl Fn(&Stack) + Sync + use<H>
where
    H::Client: Clone,
{
    // A program must be `Sync`, which a client need not be.
    let client = Mutex::new(client.clone());
    move |stack| stack.provide("world", || Arc::new(Registry::new(client.lock().unwrap().clone()).resource::<H>()))
}

pub(crate) type Program = dyn Fn(&Stack, &Config) -> Result + Sync;

#[derive(Clone)]
pub(crate) struct Lifecycle {
    pub(crate) cloud: FakeCloud,
    pub(crate) store: MemoryStore,
    pub(crate) log: Log,
}

/// An engine whose runs write to the log of a [`Lifecycle`] and execute one operation at a time.
#[derive(Clone)]
pub(crate) struct LoggedEngine {
    engine: Engine,
    events: Events,
}

impl LoggedEngine {
    pub(crate) fn config(self, values: impl IntoIterator<Item = (impl Into<String>, impl Into<ConfigValue>)>) -> Self {
        Self { engine: self.engine.config(values), ..self }
    }

    pub(crate) fn policies(self, policies: impl IntoIterator<Item = Policy>) -> Self {
        Self { engine: self.engine.policies(policies), ..self }
    }

    pub(crate) fn up<'p>(&self, program: RunProgram<'p>) -> Run<'p, Report> {
        self.logged(self.engine.up(program))
    }

    pub(crate) fn destroy<'p>(&self, program: RunProgram<'p>) -> Run<'p, Report> {
        self.logged(self.engine.destroy(program))
    }

    pub(crate) fn rollback<'p>(&self, serial: u64, program: RunProgram<'p>) -> Run<'p, Report> {
        self.logged(self.engine.rollback(serial, program))
    }

    pub(crate) fn preview<'p>(&self, program: RunProgram<'p>) -> Run<'p, Plan> {
        self.logged(self.engine.preview(program))
    }

    fn logged<'p, T>(&self, run: Run<'p, T>) -> Run<'p, T> {
        run.events(self.events.clone()).parallel(1)
    }
}

impl Deref for LoggedEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        let cloud = FakeCloud::new();
        Self { cloud, store: MemoryStore::new(), log: Arc::default() }
    }

    pub(crate) fn engine(&self) -> LoggedEngine {
        let events = logging(&self.log, |event| match event {
            Event::StepFinished { urn, action, .. } => Some(format!("{action} {}", urn.name())),
            Event::StepFailed { urn, action, diagnostic, .. } => {
                Some(format!("{action} {} failed: {}", urn.name(), diagnostic.summary))
            }
            Event::StepSkipped { urn, action } => Some(format!("{action} {} skipped", urn.name())),
            Event::Settled { urn, outcome } => Some(format!("{}: {outcome}", urn.name())),
            _ => None,
        });
        LoggedEngine { engine: Engine::new("program", "dev", self.store.clone()), events }
    }

    pub(crate) fn wrap<'a>(&self, program: &'a Program) -> impl Fn(&Stack, &Config) -> Result + Sync + use<'a> {
        let cloud = Mutex::new(self.cloud.clone());
        move |stack, config| {
            stack.provide("fake", || Arc::new(cloud.lock().unwrap().clone()));
            program(stack, config)
        }
    }

    pub(crate) async fn preview(&self, program: &Program) -> String {
        let before = self.engine().state().await.unwrap();
        let plan = self.engine().preview(&self.wrap(program)).await;
        assert_eq!(self.engine().state().await.unwrap(), before, "a preview must not write");
        match plan {
            Ok(plan) => plan.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Previews, applies, and verifies the state and its equality with the cloud.
    pub(crate) async fn up(&self, program: &Program) -> std::result::Result<Report, EngineError> {
        self.preview(program).await;
        self.log.lock().unwrap().clear();
        let report = self.engine().up(&self.wrap(program)).await;
        self.check().await;
        report
    }

    pub(crate) async fn apply(&self, program: &Program) -> String {
        let report = self.up(program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        self.log()
    }

    pub(crate) async fn destroy(&self) -> String {
        self.log.lock().unwrap().clear();
        let report = self.engine().destroy(&self.wrap(&|_, _| Ok(()))).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert!(self.cloud.resources().is_empty());
        self.check().await;
        self.log()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) async fn check(&self) {
        let Some(state) = self.engine().state().await.unwrap() else {
            return;
        };
        state.verify().unwrap();
        for (urn, ids) in self.cloud.resources() {
            for id in ids {
                let known = state.generations().any(|(u, g)| *u == urn && g.id.as_ref() == Some(&id));
                let open = state.open.iter().any(|open| open.request.urn == urn);
                assert!(known || open, "{id} is an orphan");
            }
        }
    }
}
