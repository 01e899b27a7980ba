//! Doing what a plan says, in parallel, every operation written down before it begins.
//!
//! Execution never decides. As unknown values become real it compares again, and may find that a planned step is not
//! needed or can be done in place; it never does more than the plan says.

mod operation;
mod recover;
mod tasks;

pub use recover::{Drift, Refreshed, refresh, settle};

use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    event::{Event, Events},
    graph::{Node, ResourceGraph},
    options::{Condition, HookContext, HookMoment, Options},
    plan::{self, Plan, Step},
    policy::{Declared, Policy},
    provider::{ErrorKind, Provider, ProviderError},
    state::{Entry, Generation, Live, Request, State, Verb},
    store::{Journal, StoreError},
    urn::Urn,
    value::Value,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use operation::{Attempt, Finished};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tasks::{Task, TaskGraph};
use tokio::time::Instant;

/// How a run executes.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// How many operations run at once; at least 1.
    pub parallel: usize,
    /// Whether branches that do not depend on a failed step go on.
    pub continue_on_error: bool,
    /// Asks the run to begin nothing new.
    pub interrupt: Interrupt,
    /// Rules that are asked again before each step.
    pub policies: Arc<[Policy]>,
    /// What the program asks for beyond the properties of what is deleted without being declared any more: a program
    /// that is destroyed still has its hooks.
    pub destroyed: Arc<ResourceGraph>,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self {
            parallel: 16,
            continue_on_error: false,
            interrupt: Interrupt::default(),
            policies: Arc::default(),
            destroyed: Arc::default(),
        }
    }
}

/// Asks a run to begin nothing new; what runs is finished.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an execution came to: partial success is normal.
#[derive(Debug, Default)]
pub struct Report {
    /// What went wrong, each failure on its own.
    pub failures: Vec<Diagnostic>,
    /// How many resources saw each action.
    pub counts: BTreeMap<Action, usize>,
    /// Steps that were not begun.
    pub skipped: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What was found to differ from what was recorded, when the run read what lives.
    pub drift: Vec<Drift>,
}

impl Report {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.skipped == 0 && !self.interrupted
    }
}

/// Does what `plan` says; `state` follows every step, and so does the journal.
pub async fn execute(
    plan: &Plan,
    graph: &ResourceGraph,
    provider: &dyn Provider,
    state: &mut State,
    journal: &Journal,
    events: &Events,
    options: &ExecuteOptions,
) -> Result<Report, StoreError> {
    let tasks = match TaskGraph::new(plan, graph, state) {
        Ok(tasks) => tasks,
        Err(diagnostic) => {
            let failures = vec![*diagnostic];
            return Ok(Report { failures, ..Report::default() });
        }
    };
    let declared = plan.steps.iter().filter(|step| step.generation.is_none());
    let steps = declared.map(|step| (&step.urn, step)).collect();
    let mut executor = Executor {
        graph,
        provider,
        journal,
        events,
        options,
        answers: &plan.answers,
        steps,
        outputs: HashMap::new(),
        dropped: HashSet::new(),
        absent: plan.absent.clone(),
        contents: contents(plan, state),
        report: Report::default(),
        state,
    };
    executor.begin(plan)?;
    executor.run(tasks).await?;
    executor.export()?;
    Ok(executor.report)
}

struct Executor<'a> {
    graph: &'a ResourceGraph,
    provider: &'a dyn Provider,
    journal: &'a Journal,
    events: &'a Events,
    options: &'a ExecuteOptions,
    answers: &'a HashMap<Urn, Generation>,
    steps: HashMap<&'a Urn, &'a Step>,
    /// What is known of each node's outputs.
    outputs: HashMap<Urn, Value>,
    /// Replacements that turned out not to be needed: their old generation stays.
    dropped: HashSet<Urn>,
    /// Declarations that their set turned out not to have.
    absent: HashSet<Urn>,
    /// What vanishes by itself with something that is deleted.
    contents: HashMap<Urn, Vec<(Urn, u32)>>,
    report: Report,
    state: &'a mut State,
}

/// What beginning a task came to.
enum Begun<'f> {
    /// It needs nobody else: done.
    Done,
    /// It runs.
    Running(BoxFuture<'f, Finished>),
}

/// What follows when something has ended.
enum Next<'f> {
    /// What waited for it can begin.
    Done,
    /// Something has to be done first.
    Follow(BoxFuture<'f, Finished>),
    /// What waited for it cannot begin.
    Failed,
}

impl<'a> Executor<'a> {
    /// What stays the same is known from the start.
    fn begin(&mut self, plan: &'a Plan) -> Result<(), StoreError> {
        for entry in plan::renames(self.graph, self.state) {
            self.record(entry)?;
        }
        for node in self.graph.in_order() {
            let step = self.steps.get(&node.urn);
            if step.is_some_and(|step| step.action != Action::Same || step.perhaps.is_some()) {
                continue;
            }
            let recorded = self.state.current(&node.urn);
            let outputs = match recorded {
                _ if self.absent.contains(&node.urn) => Value::Null,
                Some(recorded) => recorded.outputs.clone(),
                None if plan.unselected.contains(&node.urn) => Value::Unknown,
                None => Value::empty(),
            };
            self.outputs.insert(node.urn.clone(), outputs);
            let Some(recorded) = recorded.filter(|_| step.is_some()) else {
                continue;
            };
            let (dependencies, marks) = (self.dependencies(&node.urn), plan::marks(node, Some(recorded)));
            let (moved, marked) = (recorded.dependencies != dependencies, recorded.marks != marks);
            let urn = &node.urn;
            if moved {
                self.record(Entry::Depends { urn: urn.clone(), dependencies })?;
            }
            if marked {
                self.record(Entry::Marked { urn: urn.clone(), marks })?;
            }
        }
        let same = plan.counts().remove(&Action::Same).unwrap_or_default();
        if same > 0 {
            self.report.counts.insert(Action::Same, same);
        }
        Ok(())
    }

    async fn run(&mut self, mut tasks: TaskGraph) -> Result<(), StoreError> {
        let mut ready: VecDeque<usize> = tasks.ready().into();
        let mut running: FuturesUnordered<BoxFuture<'a, (usize, Finished)>> = FuturesUnordered::new();
        let mut stopped = false;
        loop {
            while running.len() < self.options.parallel.max(1) && !stopped && !self.options.interrupt.is_interrupted() {
                let Some(at) = ready.pop_front() else {
                    break;
                };
                tasks.begin(at);
                match self.start(&tasks.tasks[at]) {
                    Ok(Begun::Done) => ready.extend(tasks.complete(at)),
                    Ok(Begun::Running(future)) => running.push(Box::pin(async move { (at, future.await) })),
                    Err(diagnostic) => {
                        self.failed(&tasks.tasks[at], *diagnostic, Duration::ZERO);
                        stopped |= !self.options.continue_on_error;
                    }
                }
            }
            let Some((at, finished)) = running.next().await else {
                break;
            };
            match self.finish(&tasks.tasks[at], finished)? {
                Next::Done => ready.extend(tasks.complete(at)),
                Next::Follow(hooks) => running.push(Box::pin(async move { (at, hooks.await) })),
                Next::Failed => stopped |= !self.options.continue_on_error,
            }
        }
        self.report.interrupted = self.options.interrupt.is_interrupted() && tasks.never_begun().next().is_some();
        for at in tasks.never_begun() {
            let task = &tasks.tasks[at];
            self.report.skipped += 1;
            let (urn, action) = (task.urn().clone(), task.action());
            self.events.send(Event::StepSkipped { urn, action });
        }
        Ok(())
    }

    fn start(&mut self, task: &Task) -> Result<Begun<'a>, Box<Diagnostic>> {
        match task {
            Task::Apply { urn, action } => {
                let node = self.graph.node(urn).expect("a step has its node");
                let present = plan::presence(node, &|urn| self.outputs.get(urn));
                if present.map_err(|error| plan::evaluation(&error, node))? == Some(false) {
                    self.absent.insert(urn.clone());
                    self.outputs.insert(urn.clone(), Value::Null);
                    return Ok(Begun::Done);
                }
                let inputs = node
                    .inputs
                    .evaluate(&|urn| self.outputs.get(urn))
                    .map_err(|error| plan::evaluation(&error, node))?;
                if inputs.has_unknown() {
                    return Err(Box::new(
                        Diagnostic::error("an input is still unknown when its turn has come")
                            .about(urn)
                            .hint("a resource it depends on did not tell an output that it promises"),
                    ));
                }
                if *action == Action::Read {
                    return Ok(self.read(node, inputs));
                }
                self.apply(node, *action, inputs)
            }
            Task::Remove { urn, generation, action, goes_first, perhaps } => {
                if *perhaps && !self.absent.contains(urn) {
                    return Ok(Begun::Done);
                }
                if *goes_first && self.is_current(urn, *generation) && !self.still_needed(urn)? {
                    self.dropped.insert(urn.clone());
                }
                if self.dropped.contains(urn) && self.is_current(urn, *generation) {
                    return Ok(Begun::Done);
                }
                if *action == Action::Forget {
                    let lookup = self.state.generation(urn, *generation).is_none_or(|thing| thing.id.is_none());
                    self.record(Entry::Released { urn: urn.clone(), generation: *generation })?;
                    if !lookup && !self.is_declared(urn) {
                        self.succeeded(urn.clone(), Action::Forget, None, Duration::ZERO);
                    }
                    return Ok(Begun::Done);
                }
                Ok(self.remove(urn, *generation))
            }
        }
    }

    /// Creates, updates or leaves alone, whichever the values that are known now ask for.
    fn apply(&mut self, node: &'a Node, planned: Action, inputs: Value) -> Result<Begun<'a>, Box<Diagnostic>> {
        let urn = &node.urn;
        let recorded = self.state.current(urn).cloned();
        let went_first = planned == Action::Replace && recorded.is_none();
        let step = self.steps.get(urn);
        let inputs = plan::wanted(node, recorded.as_ref(), inputs);
        let forced = recorded.is_some() && step.is_some_and(|step| step.forced);
        let (needed, diff) = plan::decide(node, recorded.as_ref(), &inputs, forced);
        let action = match (planned, needed) {
            (Action::Replace, Action::Same | Action::Update) => {
                self.dropped.insert(urn.clone());
                needed
            }
            (Action::Replace, Action::Create) if went_first => Action::Replace,
            (Action::Update, Action::Same) => Action::Same,
            (planned, needed) if planned == needed => planned,
            _ => {
                let what = format!("the plan says {planned}, but the values that are known now ask for {needed}");
                let because: Vec<String> = diff.properties.iter().map(ToString::to_string).collect();
                return Err(Box::new(
                    Diagnostic::error(what)
                        .about(urn)
                        .because(because.join("\n"))
                        .hint("run it again: the new plan starts from what is known by then"),
                ));
            }
        };
        if let (Action::Same, Some(recorded)) = (action, &recorded) {
            *self.report.counts.entry(Action::Same).or_default() += 1;
            self.outputs.insert(urn.clone(), recorded.outputs.clone());
            let (urn, id) = (urn.clone(), recorded.id.clone());
            let (dependencies, marks) = (self.dependencies(&urn), plan::marks(node, Some(recorded)));
            if recorded.dependencies != dependencies {
                self.record(Entry::Depends { urn: urn.clone(), dependencies })?;
            }
            if recorded.marks != marks {
                self.record(Entry::Marked { urn: urn.clone(), marks })?;
            }
            self.events.send(Event::StepFinished { urn, action, id, elapsed_ms: 0 });
            return Ok(Begun::Done);
        }
        self.obey(node, action, &inputs)?;
        let verb = if action == Action::Update { Verb::Update } else { Verb::Create };
        let mut attempt = Attempt::new(node.urn.clone(), verb, inputs, self.state).map_err(|e| e.diagnostic(urn))?;
        let options = &node.options;
        attempt.request.dependencies = self.dependencies(urn);
        attempt.request.marks = plan::marks(node, recorded.as_ref());
        attempt.options = options.clone();
        attempt.conditions = self.conditions(node)?;
        let own_timeout = if verb == Verb::Update { options.update_timeout } else { options.create_timeout };
        attempt.timeout = own_timeout.unwrap_or_else(|| node.schema.operation_timeout());
        match recorded {
            Some(recorded) if verb == Verb::Update => {
                attempt.request = attempt.request.about(&recorded);
                attempt.prior = Some(plan::live(&recorded));
                attempt.read_first = recorded.uncertain;
            }
            recorded => {
                attempt.request.replaces = recorded.map(|recorded| Box::new(plan::live(&recorded)));
                attempt.request.region.clone_from(&node.region);
                attempt.request.generation = self.state.next_generation(urn);
                attempt.resume(self.state, self.provider);
            }
        }
        Ok(self.launch(attempt, action))
    }

    /// Some policies could not judge what was unknown in the plan.
    fn obey(&self, node: &Node, action: Action, inputs: &Value) -> Result<(), Box<Diagnostic>> {
        if self.options.policies.is_empty() {
            return Ok(());
        }
        let dependencies = self.dependencies(&node.urn);
        let region = node.region.as_deref();
        let declared = Declared { urn: &node.urn, region, action, inputs, dependencies: &dependencies };
        let broken = self.options.policies.iter().find_map(|policy| policy.enforce(&declared).into_iter().next());
        broken.map_or(Ok(()), |diagnostic| Err(Box::new(diagnostic)))
    }

    fn remove(&mut self, urn: &Urn, generation: u32) -> Begun<'a> {
        let Some(recorded) = self.state.generation(urn, generation).cloned() else {
            return Begun::Done;
        };
        match Attempt::new(urn.clone(), Verb::Delete, recorded.inputs.clone(), self.state) {
            Ok(mut attempt) => {
                attempt.request = attempt.request.about(&recorded);
                attempt.prior = Some(plan::live(&recorded));
                attempt.options = self.options_of(urn);
                if let Some(seconds) = recorded.marks.delete_timeout_seconds {
                    attempt.timeout = Duration::from_secs(seconds);
                }
                self.launch(attempt, Action::Delete)
            }
            Err(error) => Begun::Running(Box::pin(async move { Finished::refused(Action::Delete, error) })),
        }
    }

    fn read(&mut self, node: &'a Node, inputs: Value) -> Begun<'a> {
        let urn = node.urn.clone();
        self.events.send(Event::StepStarted { urn, action: Action::Read });
        if let Some(answer) = self.answers.get(&node.urn) {
            let generation = answer.clone();
            return Begun::Running(Box::pin(async move { Finished::read(Ok(generation), Duration::ZERO) }));
        }
        let (provider, graph, events) = (self.provider, self.graph, self.events);
        let seed = self.state.seed.clone();
        let begun = Instant::now();
        Begun::Running(Box::pin(async move {
            let answer = plan::ask(provider, graph, &seed, node, inputs, events).await;
            Finished::read(answer, begun.elapsed())
        }))
    }

    fn launch(&mut self, attempt: Attempt, action: Action) -> Begun<'a> {
        let urn = attempt.request.urn.clone();
        self.events.send(Event::StepStarted { urn, action });
        if !attempt.resumed {
            self.state.apply(Entry::Intent(attempt.request.clone()));
        }
        Begun::Running(Box::pin(attempt.run(action, self.provider, self.journal.clone(), self.events.clone())))
    }

    /// Records what an operation came to; whether it succeeded.
    fn finish(&mut self, task: &Task, finished: Finished) -> Result<Next<'a>, StoreError> {
        let Finished { action, outcome, elapsed, progress } = finished;
        let urn = task.urn().clone();
        for entry in progress {
            // Already in the journal.
            self.state.apply(entry);
        }
        match outcome {
            operation::Outcome::Lives(operation, live) => {
                let id = Some(live.id.clone());
                let outputs = live.outputs.clone();
                self.outputs.insert(urn.clone(), outputs.clone());
                self.record(Entry::Done { operation, live: Some(live) })?;
                self.succeeded(urn.clone(), action, id.clone(), elapsed);
                let done = if action == Action::Update { Action::Update } else { Action::Create };
                let inputs = self.state.current(&urn).map_or(Value::Null, |current| current.inputs.clone());
                return Ok(self.follow(HookContext { urn, action: done, inputs, id, outputs: Some(outputs) }));
            }
            operation::Outcome::Gone(operation) => {
                self.detach_users(&urn)?;
                for (urn, generation) in self.contents.remove(&urn).unwrap_or_default() {
                    self.record(Entry::Released { urn, generation })?;
                }
                let inputs = self.state.open_inputs(&operation).cloned().unwrap_or_default();
                self.record(Entry::Done { operation, live: None })?;
                // The deletion of a replaced generation is part of the replacement.
                if self.is_declared(&urn) {
                    let (urn, elapsed_ms) = (urn.clone(), elapsed.as_millis() as u64);
                    self.events.send(Event::StepFinished { urn, action, id: None, elapsed_ms });
                } else {
                    self.succeeded(urn.clone(), action, None, elapsed);
                }
                return Ok(self.follow(HookContext { urn, action, inputs, id: None, outputs: None }));
            }
            operation::Outcome::Followed(Ok(())) => {}
            operation::Outcome::Followed(Err(reason)) => {
                let hint = "the resource itself is done and recorded; the hook is not called again";
                self.failed(task, Diagnostic::error(reason).about(&urn).hint(hint), elapsed);
                return Ok(Next::Failed);
            }
            operation::Outcome::Read(generation) => {
                self.outputs.insert(urn.clone(), generation.outputs.clone());
                self.record(Entry::Read { urn: urn.clone(), generation })?;
                self.succeeded(urn, action, None, elapsed);
            }
            operation::Outcome::Failed(request, error) => {
                self.record_failure(request, &error)?;
                self.failed(task, error.diagnostic(&urn), elapsed);
                return Ok(Next::Failed);
            }
            operation::Outcome::Stopped(error) => return Err(error),
        }
        Ok(Next::Done)
    }

    /// What the program wants done after a step.
    fn follow(&self, context: HookContext) -> Next<'a> {
        let options = self.options_of(&context.urn);
        if !options.hooks.iter().any(|hook| hook.is_for(HookMoment::After, context.action)) {
            return Next::Done;
        }
        Next::Follow(Box::pin(async move {
            let begun = Instant::now();
            let answer = operation::follow(&options, HookMoment::After, &context).await;
            Finished::of(context.action, operation::Outcome::Followed(answer), begun.elapsed())
        }))
    }

    fn options_of(&self, urn: &Urn) -> Arc<Options> {
        let node = self.graph.node(urn).or_else(|| self.options.destroyed.node(urn));
        node.map(|node| node.options.clone()).unwrap_or_default()
    }

    fn conditions(&self, node: &Node) -> Result<Vec<(Condition, Value)>, Box<Diagnostic>> {
        let valued = node.options.conditions.iter().map(|condition| {
            let value = condition.value.evaluate(&|urn| self.outputs.get(urn));
            value.map(|value| (condition.clone(), value)).map_err(|error| Box::new(plan::evaluation(&error, node)))
        });
        valued.collect()
    }

    /// What the state records as dependencies: what is there.
    fn dependencies(&self, urn: &Urn) -> Vec<Urn> {
        let mut dependencies = plan::recorded_dependencies(self.graph, urn);
        if !self.absent.is_empty() {
            dependencies.retain(|used| !self.absent.contains(used));
        }
        dependencies
    }

    fn is_declared(&self, urn: &Urn) -> bool {
        self.graph.node(urn).is_some() && !self.absent.contains(urn)
    }

    /// The first half of a replacement is done while its users still wait for the second: until then they use nothing.
    fn detach_users(&mut self, gone: &Urn) -> Result<(), StoreError> {
        if !self.is_declared(gone) {
            return Ok(());
        }
        let users = self.state.resources.iter().filter_map(|(urn, resource)| {
            let dependencies = &resource.current.as_ref()?.dependencies;
            let left = || dependencies.iter().filter(|used| *used != gone).cloned().collect();
            dependencies.contains(gone).then(|| (urn.clone(), left()))
        });
        let users: Vec<(Urn, Vec<Urn>)> = users.collect();
        let last = self.state.resources.get(gone).is_some_and(|resource| resource.generations() == 1);
        for (urn, dependencies) in users.into_iter().filter(|_| last) {
            self.record(Entry::Depends { urn, dependencies })?;
        }
        Ok(())
    }

    fn record_failure(&mut self, request: Option<Box<Request>>, error: &ProviderError) -> Result<(), StoreError> {
        let Some(request) = request else {
            return Ok(());
        };
        let live: Option<Live> = error.live.as_deref().cloned();
        // A create that may have happened stays open and is looked for; an update or a deletion that may have happened
        // is done again, whatever the program says by then.
        let perhaps = error.kind == ErrorKind::Unsure && live.is_none();
        let Request { operation, urn, verb, generation, .. } = *request;
        let unsure = perhaps && verb == Verb::Create;
        let distrust = verb == Verb::Update && live.is_none();
        self.record(Entry::Failed { operation, live, unsure })?;
        if distrust {
            self.record(Entry::Distrusted(urn))?;
        } else if perhaps && verb == Verb::Delete && self.is_current(&urn, generation) {
            self.record(Entry::Deposed(urn))?;
        }
        Ok(())
    }

    fn succeeded(&mut self, urn: Urn, action: Action, id: Option<String>, elapsed: Duration) {
        *self.report.counts.entry(action).or_default() += 1;
        let elapsed_ms = elapsed.as_millis() as u64;
        self.events.send(Event::StepFinished { urn, action, id, elapsed_ms });
    }

    fn failed(&mut self, task: &Task, diagnostic: Diagnostic, elapsed: Duration) {
        self.report.failures.push(diagnostic.clone());
        self.events.send(Event::StepFailed {
            urn: task.urn().clone(),
            action: task.action(),
            diagnostic,
            elapsed_ms: elapsed.as_millis() as u64,
        });
    }

    /// Applies an entry to the state and to the journal, where it becomes durable with the next intent or at the end.
    fn record(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.journal.note(entry.clone())?;
        self.state.apply(entry);
        Ok(())
    }

    /// Whether a resource that has to go before its replacement comes is really going to be replaced.
    fn still_needed(&self, urn: &Urn) -> Result<bool, Box<Diagnostic>> {
        let Some(node) = self.graph.node(urn) else {
            return Ok(true);
        };
        let inputs =
            node.inputs.evaluate(&|urn| self.outputs.get(urn)).map_err(|error| plan::evaluation(&error, node))?;
        let recorded = self.state.current(urn);
        let inputs = plan::wanted(node, recorded, inputs);
        let forced = self.steps.get(urn).is_some_and(|step| step.forced);
        let (needed, _) = plan::decide(node, recorded, &inputs, forced);
        Ok(inputs.has_unknown() || needed == Action::Replace)
    }

    fn is_current(&self, urn: &Urn, generation: u32) -> bool {
        self.state.current(urn).is_some_and(|current| current.generation == generation)
    }

    fn export(&mut self) -> Result<(), StoreError> {
        let mut exports = BTreeMap::new();
        for (name, expression) in self.graph.exports() {
            match expression.evaluate(&|urn| self.outputs.get(urn)) {
                Ok(value) if !value.has_unknown() => drop(exports.insert(name.clone(), value)),
                // What it depends on has failed or was never begun: the last value stays.
                _ => exports.extend(self.state.outputs.get_key_value(name).map(|(k, v)| (k.clone(), v.clone()))),
            }
        }
        if exports == self.state.outputs {
            return Ok(());
        }
        self.record(Entry::Outputs(exports))
    }
}

/// What vanishes by itself with something that the plan deletes.
fn contents(plan: &Plan, state: &State) -> HashMap<Urn, Vec<(Urn, u32)>> {
    let mut contents: HashMap<Urn, Vec<(Urn, u32)>> = HashMap::new();
    for step in plan.steps.iter().filter(|step| step.action == Action::Forget) {
        let generation = step.generation.and_then(|number| state.generation(&step.urn, number));
        if let Some(generation) = generation
            && let Some(container) = &generation.marks.deleted_with
            && !generation.marks.retain_on_delete
        {
            contents.entry(container.clone()).or_default().push((step.urn.clone(), generation.generation));
        }
    }
    contents
}

impl From<StoreError> for Box<Diagnostic> {
    fn from(error: StoreError) -> Self {
        Self::new(error.diagnostic())
    }
}
