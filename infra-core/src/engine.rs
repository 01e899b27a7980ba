//! The engine for programs that embed it: an [`Engine`] is a handle on a stack, a [`Run`] is one operation on it.

mod approval;
mod document;
mod error;
mod history;
mod import;
mod introspection;
mod lifecycle;
mod options;
mod pin;
mod planning;
mod run;
mod runner;
mod stopwatch;
mod surgery;

pub use document::author;
pub use error::EngineError;
pub use history::HistoryEntry;
pub use import::{Adopted, ImportRequest};
pub use introspection::ConfigReads;
pub use pin::Pin;
pub use run::Run;

use crate::{
    config::{Config, ConfigValue},
    execute::{Drift, Report},
    graph::ResourceGraph,
    plan::Plan,
    policy::Policy,
    provider::{Provider, Providers, Wrap},
    reference::References,
    stack::{self, Declaration, Stack},
    state::State,
    store::{Holder, StateStore},
    target::Target,
    value::Value,
};
use error::refused;
use std::{collections::BTreeMap, sync::Arc};

/// The function that declares the resources of a stack.
pub type Program<'a> = &'a (dyn Fn(&Stack, &Config) -> stack::Result + Sync);

/// A handle on one stack of one program: its store, its target, its configuration and its policies.
///
/// An operation, such as [`Engine::up`], returns a [`Run`]. Options of that operation are set on the run, which starts
/// when it is awaited.
///
/// ```
/// # use infra_core::{Engine, random::Password, store::MemoryStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), infra_core::engine::EngineError> {
/// let engine = Engine::new("demo", "dev", MemoryStore::new());
/// let report = engine
///     .up(&|stack, _| {
///         let password = stack.add("password", Password::of_length(20));
///         stack.export("password", password.value);
///         Ok(())
///     })
///     .parallel(4)
///     .approve(|plan| !plan.is_destructive())
///     .await?;
/// assert!(report.is_success());
/// assert_eq!(engine.outputs().await?["password"].as_str().map(str::len), Some(20));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Engine {
    program: String,
    stack: String,
    store: Arc<dyn StateStore>,
    target: Target,
    config: BTreeMap<String, ConfigValue>,
    policies: Vec<Policy>,
    wrap: Option<Arc<Wrap>>,
}

impl Engine {
    /// Creates a handle on a stack whose state is in `store`.
    pub fn new(program: impl Into<String>, stack: impl Into<String>, store: impl StateStore + 'static) -> Self {
        Self::with_store(program, stack, Arc::new(store))
    }

    /// Creates a handle on a stack whose state is in a shared store.
    pub fn with_store(program: impl Into<String>, stack: impl Into<String>, store: Arc<dyn StateStore>) -> Self {
        Self {
            program: program.into(),
            stack: stack.into(),
            store,
            target: Target::aws(),
            config: BTreeMap::new(),
            policies: Vec::new(),
            wrap: None,
        }
    }

    /// Sets the target of the deployment. The default is AWS.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Sets the configuration that the program reads.
    pub fn config(mut self, values: impl IntoIterator<Item = (impl Into<String>, impl Into<ConfigValue>)>) -> Self {
        self.config = values.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self
    }

    /// Adds policies that every plan must satisfy, in addition to the program's own.
    pub fn policies(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.policies.extend(policies);
        self
    }

    /// Replaces each provider that the program declares by the one that `wrap` returns for its name and the provider, for
    /// example to record its calls, or to keep a rehearsal from calling it.
    pub fn wrap_providers(
        mut self,
        wrap: impl Fn(&str, Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Some(Arc::new(wrap));
        self
    }

    /// Plans the changes that [`Engine::up`] would make. Writes and changes nothing.
    pub fn preview<'p>(&self, program: Program<'p>) -> Run<'p, Plan> {
        Run::new(self, move |runner| async move { runner.preview(program).await })
    }

    /// Plans like [`Engine::preview`] and also returns the plan as a text for [`Run::saved_plan`]: JSON in which every
    /// secret is encrypted with the store's key.
    pub fn preview_to_save<'p>(&self, program: Program<'p>) -> Run<'p, (Plan, String)> {
        Run::new(self, move |runner| async move { runner.preview_to_save(program).await })
    }

    /// Plans the deletions that [`Engine::destroy`] would make, with a warning for each loss of data. Writes and changes
    /// nothing.
    pub fn preview_destroy<'p>(&self, program: Program<'p>) -> Run<'p, Plan> {
        Run::new(self, move |runner| async move { runner.preview_destroy(program).await })
    }

    /// Plans the changes that [`Engine::rollback`] would make. Writes and changes nothing.
    pub fn preview_rollback<'p>(&self, serial: u64, program: Program<'p>) -> Run<'p, Plan> {
        Run::new(self, move |runner| async move { runner.preview_rollback(serial, program).await })
    }

    /// Creates, updates, replaces and deletes resources until the stack matches the program.
    pub fn up<'p>(&self, program: Program<'p>) -> Run<'p, Report> {
        Run::new(self, move |runner| async move { runner.up(program).await })
    }

    /// Deletes every resource of the stack. The program runs only for the providers and hooks that it declares.
    pub fn destroy<'p>(&self, program: Program<'p>) -> Run<'p, Report> {
        Run::new(self, move |runner| async move { runner.destroy(program).await })
    }

    /// Reads the actual state of every resource into the recorded state and reports the differences.
    pub fn refresh<'p>(&self, program: Program<'p>) -> Run<'p, Report> {
        Run::new(self, move |runner| async move { runner.refresh(program).await })
    }

    /// Reads the actual state of every resource and returns the differences. Writes and changes nothing.
    pub fn drift<'p>(&self, program: Program<'p>) -> Run<'p, Vec<Drift>> {
        Run::new(self, move |runner| async move { runner.drift(program).await })
    }

    /// Applies the declaration that was recorded with this serial. The program runs only for the providers it declares.
    /// The plan has a warning for each change that cannot be undone. A declaration that contains the result of a closure
    /// whose input has changed since is refused.
    ///
    /// The next `up` applies the program again and so undoes the rollback, unless the stack is [pinned](Run::pin).
    pub fn rollback<'p>(&self, serial: u64, program: Program<'p>) -> Run<'p, Report> {
        Run::new(self, move |runner| async move { runner.rollback(serial, program).await })
    }

    /// Imports existing resources: all of them, or none. Changes nothing about them. They are protected until the
    /// program declares them without protection, because an `up` of a program without them would delete them.
    pub fn import<'p>(&self, program: Program<'p>, requests: &'p [ImportRequest]) -> Run<'p, Vec<Adopted>> {
        Run::new(self, move |runner| async move { runner.import(program, requests).await })
    }

    /// Returns the resources that the program declares. Calls neither a provider nor the store.
    pub fn declared(&self, program: Program<'_>) -> Result<ResourceGraph, EngineError> {
        self.run_program(program).graph.map_err(|errors| refused(&errors))
    }

    /// Returns the providers that the program declares for the engine's target. Calls neither a provider nor the store.
    pub fn providers(&self, program: Program<'_>) -> Providers {
        self.run_program(program).providers
    }

    /// Breaks the lock of a run that holds the stack and does not finish. Returns its holder, or `None` if the stack is
    /// not locked.
    pub async fn unlock(&self) -> Result<Option<Holder>, EngineError> {
        Ok(self.store.unlock(&self.program, &self.stack).await?)
    }

    /// Returns the last exports of the program. Secrets are marked.
    pub async fn outputs(&self) -> Result<BTreeMap<String, Value>, EngineError> {
        Ok(self.state().await?.map(|state| state.outputs).unwrap_or_default())
    }

    /// Returns the recorded state.
    pub async fn state(&self) -> Result<Option<State>, EngineError> {
        Ok(self.store.peek(&self.program, &self.stack).await?)
    }

    /// Returns the state of a stack that was never written, for previews.
    fn empty_state(&self) -> State {
        State::new(&self.program, &self.stack, "preview".into())
    }

    fn run_program(&self, program: Program<'_>) -> Declaration {
        let config = Config::new(self.config.clone());
        let mut providers = Providers::default();
        providers.insert("stack", Arc::new(References(self.store.clone())));
        let mut declaration =
            stack::declare(&self.program, &self.stack, self.target.clone(), &config, providers, program);
        if let Some(wrap) = &self.wrap {
            declaration.providers.wrap(&**wrap);
        }
        declaration
    }
}
