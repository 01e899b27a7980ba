//! A stack in memory whose runs are recorded.

use infra_core::{
    Config, Engine, Input, Output, Outputs, Resource, Result, Stack,
    diagnostic::Diagnostic,
    engine::{EngineError, Program, Run},
    event::Event,
    store::MemoryStore,
    testing::FakeCloud,
};
use infra_records::{Recorder, Subject};
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

#[derive(Serialize, Deserialize, Resource)]
#[resource(type = "aws:demo:Thing")]
pub(crate) struct Thing {
    pub(crate) size: u32,
    #[resource(replace)]
    pub(crate) place: String,
    pub(crate) uses: Option<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize, Outputs)]
pub(crate) struct ThingOutputs {
    pub(crate) id: Output<String>,
}

/// A directory with records, an engine, and its cloud.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) cloud: FakeCloud,
    pub(crate) engine: Engine,
    /// Warnings about records.
    pub(crate) warnings: Arc<Mutex<Vec<Diagnostic>>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            cloud: FakeCloud::new(),
            engine: Engine::new("web", "dev", MemoryStore::new()),
            warnings: Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn recorder(&self) -> Recorder {
        let (program, stack, target) = ("web".into(), "dev".into(), "local".into());
        Recorder::new(Subject { directory: self.path().to_owned(), program, stack, target })
    }

    /// Executes a recorded run.
    pub(crate) async fn record<T>(&self, run: Run<'_, T>) -> Result<T, EngineError> {
        let (recorder, warnings) = (self.recorder(), self.warnings.clone());
        let show = move |event: &Event| {
            if let Event::Message(message) = event {
                warnings.lock().unwrap().push(message.clone());
            }
        };
        let outcome = run.events(recorder.events(show)).await;
        recorder.close(outcome.as_ref().map(drop).map_err(EngineError::diagnostics));
        outcome
    }

    pub(crate) async fn up(&self, program: Program<'_>) -> infra_records::Run {
        let _ = self.record(self.engine.up(program)).await;
        self.newest()
    }

    /// Returns the program that declares a network, a host that uses it, and a disk.
    pub(crate) fn program(&self, place: &'static str) -> impl Fn(&Stack, &Config) -> Result + Sync + use<> {
        let cloud = self.cloud.clone();
        move |stack: &Stack, _: &Config| {
            let cloud = cloud.clone();
            stack.provide("aws", move || Arc::new(cloud));
            let net = stack.add("net", Thing { size: 1, place: place.into(), uses: None });
            let host = stack.add("host", Thing { size: 1, place: "x".into(), uses: Some((&net.id).into()) });
            stack.add("disk", Thing { size: 1, place: "x".into(), uses: Some((&host.id).into()) });
            stack.export("host", host.id);
            Ok(())
        }
    }

    pub(crate) fn newest(&self) -> infra_records::Run {
        let records = infra_records::list(self.path(), "web", "dev");
        infra_records::Run::read(&records[0].path).unwrap()
    }
}

/// Returns the steps as `action name: outcome`, in the order of their starts.
pub(crate) fn steps(run: &infra_records::Run) -> Vec<String> {
    let mut steps: Vec<_> = run.steps.iter().collect();
    steps.sort_by_key(|step| step.started_ms.unwrap_or(u64::MAX));
    let outcome = |outcome: &infra_records::Outcome| match outcome {
        infra_records::Outcome::Waiting => "waiting".to_owned(),
        infra_records::Outcome::Running => "running".to_owned(),
        infra_records::Outcome::Finished { id } => format!("finished {}", id.as_deref().unwrap_or("-")),
        infra_records::Outcome::Failed(diagnostic) => format!("failed: {}", diagnostic.summary),
        infra_records::Outcome::Skipped => "skipped".to_owned(),
    };
    steps.iter().map(|step| format!("{} {}: {}", step.action, step.urn.name(), outcome(&step.outcome))).collect()
}
