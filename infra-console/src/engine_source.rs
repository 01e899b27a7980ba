//! A stack of an engine in the same process as the source of a console.

use crate::source::{CloudAccess, Proposal, Source};
use async_trait::async_trait;
use infra_core::{
    Config, Engine, Result as Declared, Stack, Target,
    diagnostic::Diagnostic,
    engine::{EngineError, HistoryEntry},
    execute::Report,
    graph::ResourceGraph,
    monitoring::Monitoring,
    plan::{SavedPlan, Selection},
    state::State,
    store::StateStore,
    urn::Pattern,
};
use infra_records::{Recorder, Subject};
use std::{path::Path, sync::Arc};

/// Declares the resources of a stack.
type Program = Box<dyn Fn(&Stack, &Config) -> Declared + Send + Sync>;

/// A stack with its program and its store, for programs that embed the engine, and for tests.
///
/// Runs are recorded in the directory of the subject, so that the console shows them:
///
/// ```
/// use infra_console::EngineSource;
/// use infra_core::{Config, Result, Stack, random::Password, store::MemoryStore};
/// use infra_records::Subject;
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let subject = Subject {
///     directory: directory.path().into(),
///     program: "secrets".into(),
///     stack: "dev".into(),
///     target: "local".into(),
/// };
/// let program = |stack: &Stack, _: &Config| -> Result {
///     stack.add("password", Password::of_length(32));
///     Ok(())
/// };
/// let source = EngineSource::new(subject, Arc::new(MemoryStore::new()), program);
/// assert!(source.up().await.map_err(|error| error.to_string())?.is_success());
/// # Ok(())
/// # }
/// ```
pub struct EngineSource {
    subject: Subject,
    engine: Engine,
    store: Arc<dyn StateStore>,
    program: Program,
    recorder: Recorder,
    find_cloud: Box<dyn Fn() -> Option<CloudAccess> + Send + Sync>,
    monitoring: Option<Arc<dyn Monitoring>>,
}

impl EngineSource {
    /// Creates the source of a stack. The target has the name of the subject's target and no endpoint; see
    /// [`EngineSource::with_target`].
    pub fn new(
        subject: Subject,
        store: Arc<dyn StateStore>,
        program: impl Fn(&Stack, &Config) -> Declared + Send + Sync + 'static,
    ) -> Self {
        let engine = Engine::with_store(subject.program.clone(), subject.stack.clone(), store.clone())
            .target(Target { name: subject.target.clone(), ..Target::default() });
        let recorder = Recorder::new(subject.clone());
        let (program, find_cloud) = (Box::new(program), Box::new(|| None));
        Self { subject, engine, store, program, recorder, find_cloud, monitoring: None }
    }

    /// Sets the target of runs.
    pub fn with_target(mut self, target: Target) -> Self {
        self.subject.target.clone_from(&target.name);
        self.engine = self.engine.target(target);
        self.recorder = Recorder::new(self.subject.clone());
        self
    }

    /// Sets the function that finds the local cloud, if it runs.
    pub fn with_cloud(mut self, find: impl Fn() -> Option<CloudAccess> + Send + Sync + 'static) -> Self {
        self.find_cloud = Box::new(find);
        self
    }

    /// Sets the monitoring services of the target, if it is not a local cloud.
    pub fn with_monitoring(mut self, monitoring: Arc<dyn Monitoring>) -> Self {
        self.monitoring = Some(monitoring);
        self
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Applies the program, and records the run.
    pub async fn up(&self) -> Result<Report, Diagnostic> {
        self.run(None, Vec::new()).await
    }

    async fn run(&self, saved: Option<String>, replace: Vec<Pattern>) -> Result<Report, Diagnostic> {
        let run = self.engine.up(&self.program).select(replacing(replace)).events(self.recorder.events(|_| {}));
        let run = match saved {
            Some(saved) => run.saved_plan(saved),
            None => run,
        };
        let outcome = run.await;
        self.recorder.close(outcome.as_ref().map(drop).map_err(EngineError::diagnostics));
        outcome.map_err(|error| first(&error))
    }
}

fn replacing(replace: Vec<Pattern>) -> Selection {
    Selection { replace, ..Selection::default() }
}

/// Returns the first diagnostic of an error.
fn first(error: &EngineError) -> Diagnostic {
    let reason = || Diagnostic::error(error.to_string());
    error.diagnostics().into_iter().next().unwrap_or_else(reason)
}

#[async_trait]
impl Source for EngineSource {
    fn program(&self) -> &str {
        &self.subject.program
    }

    fn stack(&self) -> &str {
        &self.subject.stack
    }

    fn target(&self) -> &str {
        &self.subject.target
    }

    fn directory(&self) -> &Path {
        &self.subject.directory
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        self.engine.declared(&self.program).map_err(|error| first(&error))
    }

    async fn state(&self) -> Result<Option<State>, Diagnostic> {
        self.engine.state().await.map_err(|error| first(&error))
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        self.engine.history().await.map_err(|error| first(&error))
    }

    async fn preview(&self, replace: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        let planned = self.engine.preview_to_save(&self.program).select(replacing(replace)).await;
        let (plan, saved) = planned.map_err(|error| first(&error))?;
        Ok(Proposal { plan, saved })
    }

    async fn open_plan(&self, saved: String) -> Result<Proposal, Diagnostic> {
        let seal = self.store.seal().await.map_err(|error| first(&error.into()))?;
        let plan = SavedPlan::from_text(&saved, &seal).map_err(|error| first(&error.into()))?;
        if let Some(state) = self.state().await? {
            plan.check_state(&state, &self.subject.target).map_err(|error| first(&error.into()))?;
        }
        Ok(Proposal { plan: plan.plan().clone(), saved })
    }

    async fn apply(&self, saved: String, replace: Vec<Pattern>) -> Result<Report, Diagnostic> {
        self.run(Some(saved), replace).await
    }

    fn monitoring(&self) -> Option<Arc<dyn Monitoring>> {
        self.monitoring.clone()
    }

    fn cloud(&self) -> Option<CloudAccess> {
        (self.find_cloud)()
    }
}
