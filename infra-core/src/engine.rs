//! The engine as other programs embed it.

mod approval;
mod document;
mod history;
mod import;
mod introspection;
mod pin;
mod surgery;

pub use history::HistoryEntry;
pub use import::{Adopted, ImportRequest};
pub use introspection::ConfigReads;
pub use pin::Pin;

use crate::{
    config::{Config, ConfigValue},
    diagnostic::{Diagnostic, did_you_mean},
    event::{self, Event, Events, PlannedSet},
    execute::{self, ExecuteOptions, Interrupt, Refreshed, Report},
    graph::ResourceGraph,
    plan::{self, Plan, PlanFileError, PlanOptions, SavedPlan, Selection},
    policy::Policy,
    provider::Providers,
    reference::References,
    stack::{self, Declaration, DeclareError, Relaunchable, Stack},
    state::{Entry, State},
    store::{Holder, Session, StateStore, StoreError},
    target::Target,
    urn::Pattern,
    value::Value,
};
use approval::{Approve, OnApproval, Relaunch, Stopwatch};
use futures::{FutureExt, future::BoxFuture};
use pin::Pinning;
use std::{collections::BTreeMap, sync::Arc};

/// A program as the engine runs it.
pub type Program<'a> = &'a (dyn Fn(&Stack, &Config) -> stack::Result + Sync);

/// One stack of one program, and how to work on it.
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
    events: Events,
    options: ExecuteOptions,
    refresh: bool,
    selection: Selection,
    /// The text of a plan that was kept: nothing else is done.
    planned: Option<Arc<str>>,
    policies: Vec<Policy>,
    /// What is said about a plan on top of its own warnings.
    warn: Option<Arc<Warn>>,
    relaunch: Option<Arc<Relaunch>>,
    approve: Arc<Approve>,
    on_approval: Option<Arc<OnApproval>>,
    /// Whether a rollback pins the stack.
    pin: bool,
    /// Whether `up` removes the pin of the stack.
    unpin: bool,
}

type Warn = dyn Fn(&Plan) -> Vec<Diagnostic> + Send + Sync;

/// Why a run could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program, or what it declares, cannot be planned; nothing was changed.
    #[error("{}", list(.0))]
    Refused(Vec<Diagnostic>),
    /// It was asked for in a way that cannot be meant; nothing was changed.
    #[error("{}", list(.0))]
    WrongUse(Vec<Diagnostic>),
    /// A plan that was kept does not fit; nothing was changed.
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
}

/// Frees what a large stack has filled; that takes as long as planning it, and nobody has to wait for it.
fn discard(large: impl Send + 'static) {
    std::thread::spawn(move || drop(large));
}

/// The errors of a program, as the failure of the command that ran it.
fn refused(errors: &[DeclareError]) -> EngineError {
    let misconfigured = errors.iter().any(|error| error.as_config().is_some());
    let diagnostics = errors
        .iter()
        .map(|error| match error.as_config() {
            Some(error) => Diagnostic::from_error(error).hint(error.hint()),
            None => Diagnostic::from_error(error),
        })
        .collect();
    if misconfigured { EngineError::WrongUse(diagnostics) } else { EngineError::Refused(diagnostics) }
}

fn list(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

impl EngineError {
    /// What went wrong, one message each.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::Store(error) => vec![error.diagnostic()],
            Self::Refused(diagnostics)
            | Self::WrongUse(diagnostics)
            | Self::PlanFile(PlanFileError::Exceeded(diagnostics)) => diagnostics.clone(),
            Self::PlanFile(error) => {
                let hint = "make a new one with `preview --save-plan`, look at it, then use that";
                vec![Diagnostic::from_error(error).about("the plan").hint(hint)]
            }
        }
    }
}

/// What a program declares, ready to be planned.
struct Declared {
    graph: ResourceGraph,
    providers: Providers,
    policies: Arc<[Policy]>,
    relaunchable: Vec<Relaunchable>,
}

/// A run that has come to its end.
struct Finished<'a> {
    command: &'a str,
    /// What is kept of what was declared.
    kept: Option<&'a ResourceGraph>,
    outcome: Result<&'a Report, &'a EngineError>,
    watch: Stopwatch,
}

/// How a command plans and executes.
struct Run<'a> {
    command: &'a str,
    /// Whether the declaration is kept for later rollbacks.
    keeps_declaration: bool,
    pinning: Pinning,
    /// What is worth knowing once the run has succeeded.
    note: Option<Diagnostic>,
}

impl Engine {
    /// The engine for a stack of a program, whose state is kept in `store`.
    pub fn new(program: impl Into<String>, stack: impl Into<String>, store: impl StateStore + 'static) -> Self {
        Self::with_store(program, stack, Arc::new(store))
    }

    /// The same on a store that others use as well.
    pub fn with_store(program: impl Into<String>, stack: impl Into<String>, store: Arc<dyn StateStore>) -> Self {
        Self {
            program: program.into(),
            stack: stack.into(),
            store,
            target: Target::aws(),
            config: BTreeMap::new(),
            events: Events::ignored(),
            options: ExecuteOptions::default(),
            refresh: false,
            selection: Selection::default(),
            planned: None,
            policies: Vec::new(),
            warn: None,
            relaunch: None,
            approve: Arc::new(|_| true),
            on_approval: None,
            pin: false,
            unpin: false,
        }
    }

    /// Where to deploy to; the real AWS unless said.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The configuration that the program reads.
    pub fn config(mut self, values: impl IntoIterator<Item = (impl Into<String>, impl Into<ConfigValue>)>) -> Self {
        self.config = values.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self
    }

    /// Who is told what happens.
    pub fn events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// How many operations run at once; 16 unless said.
    pub fn parallel(mut self, parallel: usize) -> Self {
        self.options.parallel = parallel;
        self
    }

    /// Lets branches that do not depend on a failed step go on.
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.options.continue_on_error = go_on;
        self
    }

    /// Reads everything that exists before planning, and asks every lookup again.
    pub fn refresh_first(mut self, refresh: bool) -> Self {
        self.refresh = refresh;
        self
    }

    /// Leaves parts out of a run, or has them replaced.
    pub fn select(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// The text of a plan that [`Engine::preview_to_keep`] gave: a run that would do anything it does not say is
    /// refused.
    pub fn planned(mut self, text: impl Into<Arc<str>>) -> Self {
        self.planned = Some(text.into());
        self
    }

    /// Rules that every plan has to keep, besides those that the program brings.
    pub fn policies(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.policies.extend(policies);
        self
    }

    /// Approves or rejects each plan before it is executed; all plans are approved by default. The time that `approve`
    /// takes does not count into the duration of the run.
    pub fn approve(mut self, approve: impl Fn(&Plan) -> bool + Send + Sync + 'static) -> Self {
        self.approve = Arc::new(approve);
        self
    }

    /// Decides in `up`, once the plan has been shown, which of the existing
    /// [relaunchable](crate::Scope::relaunchable) resources are replaced although nothing about them has changed; none
    /// by default. When some are, a new plan is made and shown before it is approved. Not used for plans of a part of
    /// the stack, nor for saved plans. The time that `relaunch` takes does not count into the duration of the run.
    pub fn relaunch(mut self, relaunch: impl Fn(&Relaunchable) -> bool + Send + Sync + 'static) -> Self {
        self.relaunch = Some(Arc::new(relaunch));
        self
    }

    /// Runs `store` when a plan is approved, before its first step and while the run holds the stack: the place to
    /// record what a rejected or failed plan must not change. When it fails, nothing of the plan is executed.
    pub fn on_approval<F>(mut self, store: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        self.on_approval = Some(Arc::new(move || -> BoxFuture<'static, _> { store().boxed() }));
        self
    }

    /// What asks a run to begin nothing new.
    pub fn interrupt(&self) -> Interrupt {
        self.options.interrupt.clone()
    }

    /// What `up` would do. Nothing is written and nothing is changed.
    pub async fn preview(&self, program: Program<'_>) -> Result<Plan, EngineError> {
        let (plan, state) = self.look_ahead(program, false).await?;
        discard(state);
        Ok(plan)
    }

    /// The same, and the plan as a text for [`Engine::planned`]: JSON with every secret encrypted by the store's key.
    pub async fn preview_to_keep(&self, program: Program<'_>) -> Result<(Plan, String), EngineError> {
        let (plan, state) = self.look_ahead(program, true).await?;
        let text = SavedPlan::new(&plan, &state, &self.target.name).to_text(&self.store.seal().await?)?;
        Ok((plan, text))
    }

    /// Makes everything be as the program says.
    pub async fn up(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("up");
        let declared = self.declare(program)?;
        let pinning = if self.unpin { Pinning::Remove } else { Pinning::Obey };
        let report = self.run(Run { command: "up", keeps_declaration: true, pinning, note: None }, &declared).await;
        discard(declared.graph);
        report
    }

    /// Deletes everything. The program is run only for the providers it declares.
    pub async fn destroy(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("destroy");
        let (nothing, graph) = self.undeclared(program);
        let mut destroying = self.clone();
        destroying.options.destroyed = Arc::new(graph);
        let run = Run { command: "destroy", keeps_declaration: false, pinning: Pinning::Ignore, note: None };
        destroying.run(run, &nothing).await
    }

    /// Plans what [`Engine::destroy`] would delete, with a warning for each loss of data. Nothing is written and nothing
    /// is changed.
    pub async fn preview_destroy(&self, program: Program<'_>) -> Result<Plan, EngineError> {
        self.started("preview");
        let (nothing, _) = self.undeclared(program);
        let mut state = self.state().await?.unwrap_or_else(|| self.empty_state());
        self.settle_in_memory(&mut state, &nothing).await?;
        self.plan(&nothing, &state, false).await
    }

    /// An empty declaration with the providers of the program, and the graph of the program. A program that cannot be
    /// declared any more can still be destroyed: its graph is empty.
    fn undeclared(&self, program: Program<'_>) -> (Declared, ResourceGraph) {
        let Declaration { graph, providers, .. } = self.run_program(program);
        let nothing = ResourceGraph::default();
        let declared = Declared { graph: nothing, providers, policies: Arc::default(), relaunchable: Vec::new() };
        (declared, graph.unwrap_or_default())
    }

    /// Reads what lives into the state and says what differs from what was recorded.
    pub async fn refresh(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("refresh");
        let watch = Stopwatch::start();
        let providers = self.run_program(program).providers;
        let session = self.store.open(&self.program, &self.stack).await?;
        let mut state = session.state.clone();
        let failures = execute::settle(&mut state, &providers, Some(&session.journal), &self.events).await?;
        let mut report = Report { failures, ..Report::default() };
        match execute::refresh(&state, &providers, self.options.parallel).await {
            Ok(found) => {
                let entries = self.drifted(found, &mut report);
                for entry in entries {
                    session.journal.note(entry.clone())?;
                    state.apply(entry);
                }
            }
            Err(problems) => report.failures.extend(problems),
        }
        let outcome = Ok(&report);
        self.conclude(session, &mut state, Finished { command: "refresh", kept: None, outcome, watch }).await?;
        self.finished(&report, &state, watch);
        Ok(report)
    }

    /// What the program declares. Nobody is asked, neither the cloud nor the store.
    pub fn declared(&self, program: Program<'_>) -> Result<ResourceGraph, EngineError> {
        Ok(self.declare(program)?.graph)
    }

    /// Takes the stack away from a run that holds it and does not end, and tells whose it was; `None` when nobody
    /// holds it.
    pub async fn unlock(&self) -> Result<Option<Holder>, EngineError> {
        Ok(self.store.unlock(&self.program, &self.stack).await?)
    }

    /// What the program exported last; secrets are marked as such.
    pub async fn outputs(&self) -> Result<BTreeMap<String, Value>, EngineError> {
        Ok(self.state().await?.map(|state| state.outputs).unwrap_or_default())
    }

    /// The state as it was last written.
    pub async fn state(&self) -> Result<Option<State>, EngineError> {
        Ok(self.store.peek(&self.program, &self.stack).await?)
    }

    /// Plans, and executes the plan once it is approved.
    async fn run(&self, run: Run<'_>, declared: &Declared) -> Result<Report, EngineError> {
        let Run { command, keeps_declaration, pinning, note } = run;
        let mut watch = Stopwatch::start();
        let session = self.store.open(&self.program, &self.stack).await?;
        let mut state = session.state.clone();
        let outcome = match self.check_pin(pinning).await {
            Ok(()) => self.run_in(&session, &mut state, declared, pinning, &mut watch).await,
            Err(refused) => Err(refused),
        };
        if let Err(EngineError::Store(error)) = outcome {
            // The journal may know more than the state does: what operations that were abandoned wrote on their way.
            // The next run reads it. That the stack cannot be given back now adds nothing.
            let _ = session.close().await;
            return Err(error.into());
        }
        // Whatever happened is in the journal; now it goes into the snapshot as well.
        let kept = keeps_declaration.then_some(&declared.graph);
        let finished = Finished { command, kept, outcome: outcome.as_ref(), watch };
        self.conclude(session, &mut state, finished).await?;
        let report = outcome?;
        if let Some(note) = note.filter(|_| report.is_success()) {
            self.events.send(Event::Message(note));
        }
        self.finished(&report, &state, watch);
        discard(state);
        Ok(report)
    }

    /// Folds what was recorded, adds the run to the history, and gives the stack back whatever becomes of that.
    async fn conclude(
        &self,
        mut session: Session,
        state: &mut State,
        finished: Finished<'_>,
    ) -> Result<(), EngineError> {
        let mut folded = Ok(());
        if let Some(folding) = session.begin_fold(state) {
            // Both take their time when the stack is large, and the journal's writer works by itself.
            let declaration = self.declaration_text(&finished, state).await;
            folded = folding.await.map(|serial| state.serial = serial);
            if folded.is_ok() {
                self.remember(&finished, declaration, state.serial).await;
            }
        }
        let closed = session.close().await;
        Ok(folded.and(closed)?)
    }

    async fn run_in(
        &self,
        session: &Session,
        state: &mut State,
        declared: &Declared,
        pinning: Pinning,
        watch: &mut Stopwatch,
    ) -> Result<Report, EngineError> {
        let Declared { graph, providers, policies, .. } = declared;
        let journal = &session.journal;
        let problems = execute::settle(state, providers, Some(journal), &self.events).await?;
        if !problems.is_empty() {
            return Err(EngineError::Refused(problems));
        }
        let mut refreshed = Report::default();
        if self.refresh {
            let found =
                execute::refresh(state, providers, self.options.parallel).await.map_err(EngineError::Refused)?;
            for entry in self.drifted(found, &mut refreshed) {
                journal.note(entry.clone())?;
                state.apply(entry);
            }
        }
        let Some(plan) = self.approved_plan(declared, state, watch).await? else {
            return Ok(Report { interrupted: true, ..refreshed });
        };
        self.change_pin(pinning).await?;
        let options = ExecuteOptions { policies: policies.clone(), ..self.options.clone() };
        let report = execute::execute(&plan, graph, providers, state, journal, &self.events, &options).await?;
        if report.is_success() {
            // The steps may have settled an operation whose outcome was unknown at the beginning. If it still cannot be
            // looked up, the next run reports that.
            execute::settle(state, providers, Some(journal), &self.events).await?;
        }
        Ok(Report { drift: refreshed.drift, ..report })
    }

    async fn look_ahead(&self, program: Program<'_>, tell_inputs: bool) -> Result<(Plan, State), EngineError> {
        self.started("preview");
        // The program runs while the state is read.
        let engine = self.clone();
        let state = tokio::spawn(async move { engine.state().await });
        let declared = self.declare(program);
        let state = state.await.expect("reading a state does not panic")?;
        let mut state = state.unwrap_or_else(|| self.empty_state());
        let declared = declared?;
        if let Some(pin) = self.pinned().await? {
            self.events.send(Event::Message(pin::notice(&self.stack, &pin)));
        }
        self.settle_in_memory(&mut state, &declared).await?;
        if self.refresh {
            let found = execute::refresh(&state, &declared.providers, self.options.parallel).await;
            let found = found.map_err(EngineError::Refused)?;
            self.drifted(found, &mut Report::default()).into_iter().for_each(|entry| state.apply(entry));
        }
        let plan = self.plan(&declared, &state, tell_inputs).await?;
        discard(declared.graph);
        Ok((plan, state))
    }

    /// The state of a stack that has none, for previews.
    fn empty_state(&self) -> State {
        State::new(&self.program, &self.stack, "preview".into())
    }

    /// Settles interrupted operations as `up` does first, but without recording it, so that a plan includes what they ask
    /// for.
    async fn settle_in_memory(&self, state: &mut State, declared: &Declared) -> Result<(), EngineError> {
        for problem in execute::settle(state, &declared.providers, None, &self.events).await? {
            self.events.send(Event::Message(problem));
        }
        Ok(())
    }

    /// What is selected, with what the program says about the names of what can be made anew.
    fn selection(&self, declared: &Declared) -> Selection {
        let replace = self.selection.replace.iter().flat_map(|pattern| {
            let named = declared.relaunchable.iter().find(|relaunchable| relaunchable.name == pattern.as_str());
            named.map_or_else(
                || vec![pattern.clone()],
                |named| named.resources.iter().map(|urn| Pattern::from(urn.to_string())).collect(),
            )
        });
        Selection { replace: replace.collect(), ..self.selection.clone() }
    }

    /// Tells what drifted, and returns what has to be recorded.
    fn drifted(&self, found: Vec<Refreshed>, report: &mut Report) -> Vec<Entry> {
        let mut entries = Vec::new();
        for Refreshed { entry, drift } in found {
            entries.push(entry);
            if let Some(drift) = drift {
                let (urn, gone, diff) = (drift.urn.clone(), drift.gone, drift.diff.clone());
                self.events.send(Event::Drifted { urn, gone, diff });
                report.drift.push(drift);
            }
        }
        entries
    }

    async fn plan(&self, declared: &Declared, state: &State, tell_inputs: bool) -> Result<Plan, EngineError> {
        let Declared { graph, providers, policies, .. } = declared;
        let (selection, policies) = (self.selection(declared), policies.clone());
        let options = PlanOptions { refresh: self.refresh, selection, tell_inputs, policies };
        let names: Vec<&str> = declared.relaunchable.iter().map(|relaunchable| relaunchable.name.as_str()).collect();
        options.selection.check(graph, state, &names).map_err(EngineError::WrongUse)?;
        let plan = plan::plan(graph, state, providers, &options, &self.events).await;
        let mut plan = plan.map_err(EngineError::Refused)?;
        if let Some(warn) = &self.warn {
            plan.warnings.extend(warn(&plan));
        }
        for step in plan.steps.iter().filter(|step| !step.is_silent() && step.perhaps.is_none()) {
            self.events.send(Event::StepPlanned {
                urn: step.urn.clone(),
                action: step.action,
                region: step.region.clone(),
                diff: step.diff.clone(),
                renamed_from: step.renamed_from.clone(),
                note: step.note.clone(),
            });
        }
        for warning in &plan.warnings {
            self.events.send(Event::Message(warning.clone()));
        }
        let sets = plan.sets().into_iter().map(|((name, kind), most)| PlannedSet { name, kind, most });
        let execution = plan.execution.clone();
        self.events.send(Event::Planned { counts: plan.counts(), sets: sets.collect(), execution });
        Ok(plan)
    }

    fn declare(&self, program: Program<'_>) -> Result<Declared, EngineError> {
        let Declaration { graph, providers, policies, relaunchable, unread_config, config_keys } =
            self.run_program(program);
        for key in unread_config {
            let known = config_keys.iter().map(|key| key.name.as_str());
            let hint = did_you_mean(&key, known).unwrap_or_else(|| "`config keys` lists the keys it reads".into());
            self.events.send(Event::Message(
                Diagnostic::warning(format!("the program does not read the configuration value `{key}`")).hint(hint),
            ));
        }
        let graph = graph.map_err(|errors| refused(&errors))?;
        let policies = self.policies.iter().cloned().chain(policies).collect();
        Ok(Declared { graph, providers, policies, relaunchable })
    }

    fn run_program(&self, program: Program<'_>) -> Declaration {
        let config = Config::new(self.config.clone());
        let mut providers = Providers::default();
        providers.insert("stack", Arc::new(References(self.store.clone())));
        stack::declare(&self.program, &self.stack, self.target.clone(), &config, providers, program)
    }

    fn started(&self, command: &str) {
        self.events.send(Event::RunStarted {
            version: event::VERSION,
            command: command.to_owned(),
            program: self.program.clone(),
            stack: self.stack.clone(),
        });
    }

    fn finished(&self, report: &Report, state: &State, watch: Stopwatch) {
        let outputs = state.outputs.iter().map(|(name, value)| (name.clone(), value.masked()));
        self.events.send(Event::RunFinished {
            success: report.is_success(),
            interrupted: report.interrupted,
            counts: report.counts.clone(),
            failures: report.failures.clone(),
            skipped: report.skipped,
            outputs: outputs.collect(),
            elapsed_ms: watch.elapsed().as_millis() as u64,
        });
    }
}
