//! Executes plans: operations run in parallel, and each is recorded before it starts.
//!
//! Execution makes no decisions. It compares again once unknown values are known, and may find that a planned step is
//! not needed or can be done in place; it never does more than the plan contains.

mod begin;
mod durations;
mod finish;
mod operation;
mod recover;
mod schedule;

pub use durations::Durations;
pub use recover::{Drift, Refreshed, refresh, settle};

use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    event::{Event, Events},
    graph::ResourceGraph,
    options::Options,
    plan::{self, Plan, Step},
    policy::Policy,
    provider::Provider,
    state::{Entry, Generation, State},
    store::{Journal, StoreError},
    urn::Urn,
    value::Value,
};
use begin::Started;
use finish::Next;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use operation::Finished;
use schedule::Schedule;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A plan and everything that executing it needs.
pub struct ExecuteContext<'a> {
    /// The plan to execute.
    pub plan: &'a Plan,
    /// The declarations that the plan was made for.
    pub graph: &'a ResourceGraph,
    /// Declarations of resources that are not in `graph` and are deleted: `destroy` still runs the hooks of a program.
    pub deleted: &'a ResourceGraph,
    /// Policies that are checked again before each step with the values that are known then.
    pub policies: &'a [Policy],
    /// The provider that performs the operations.
    pub provider: &'a dyn Provider,
    /// The journal of the stack.
    pub journal: &'a Journal,
    /// The receiver of events.
    pub events: &'a Events,
}

/// Options of an execution.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// Maximum number of concurrent operations, at least 1.
    pub parallel: usize,
    /// Continues with steps that do not depend on a failed step.
    pub continue_on_error: bool,
    /// Stops the run from starting new operations.
    pub interrupt: Interrupt,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self { parallel: 16, continue_on_error: false, interrupt: Interrupt::default() }
    }
}

/// Requests a run to start no new operations; running operations finish.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Requests the interruption.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns `true` after [`Interrupt::interrupt`].
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The result of an execution. Partial success is normal.
#[derive(Debug, Default)]
pub struct Report {
    /// The errors, one per failed step.
    pub failures: Vec<Diagnostic>,
    /// Number of successful steps by action. A replacement counts as one, and the deletion of the resource that it
    /// replaced as another.
    pub counts: BTreeMap<Action, usize>,
    /// Durations of successful steps.
    pub durations: Durations,
    /// Number of steps that were not started.
    pub skipped: usize,
    /// `true` if the run was interrupted.
    pub interrupted: bool,
    /// Differences between the actual and the recorded state that a refresh before planning found.
    pub drift: Vec<Drift>,
}

impl Report {
    /// Returns `true` if every step succeeded.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.skipped == 0 && !self.interrupted
    }
}

/// Executes a plan. Every step is recorded in the journal and applied to `state`.
pub async fn execute(
    context: &ExecuteContext<'_>,
    state: &mut State,
    options: &ExecuteOptions,
) -> Result<Report, StoreError> {
    let ExecuteContext { plan, graph, deleted, policies, provider, journal, events } = *context;
    let declared = plan.steps.iter().filter(|step| step.generation.is_none());
    let steps = declared.map(|step| (&step.urn, step)).collect();
    let mut executor = Executor {
        graph,
        deleted,
        policies,
        provider,
        journal,
        events,
        options,
        answers: &plan.answers,
        steps,
        outputs: HashMap::new(),
        dropped: HashSet::new(),
        blocked: HashSet::new(),
        absent: plan.absent.clone(),
        contents: contents(plan, state),
        report: Report::default(),
        state,
    };
    executor.begin(plan)?;
    executor.run(Schedule::new(&plan.execution)).await?;
    executor.export()?;
    Ok(executor.report)
}

struct Executor<'a> {
    graph: &'a ResourceGraph,
    deleted: &'a ResourceGraph,
    policies: &'a [Policy],
    provider: &'a dyn Provider,
    journal: &'a Journal,
    events: &'a Events,
    options: &'a ExecuteOptions,
    answers: &'a BTreeMap<Urn, Generation>,
    steps: HashMap<&'a Urn, &'a Step>,
    /// Known outputs of each node.
    outputs: HashMap<Urn, Value>,
    /// Replacements that turned out not to be needed, so their previous generation is kept.
    dropped: HashSet<Urn>,
    /// Declarations that turned out not to be members of their set.
    absent: BTreeSet<Urn>,
    /// Generations whose deletion was blocked. The hooks before their deletion have run.
    blocked: HashSet<(Urn, u32)>,
    /// Resources that disappear together with a deleted one.
    contents: HashMap<Urn, Vec<(Urn, u32)>>,
    report: Report,
    state: &'a mut State,
}

impl<'a> Executor<'a> {
    /// Records the outputs of unchanged resources.
    fn begin(&mut self, plan: &'a Plan) -> Result<(), StoreError> {
        for (to, from) in &plan.renamed {
            self.record(Entry::Renamed { from: from.clone(), to: to.clone() })?;
        }
        for node in self.graph.in_order() {
            let step = self.steps.get(&node.urn);
            if step.is_some_and(|step| step.action != Action::Same || step.unknown_set.is_some()) {
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

    async fn run(&mut self, mut schedule: Schedule<'_>) -> Result<(), StoreError> {
        let mut ready: VecDeque<usize> = schedule.ready().into();
        let mut running: FuturesUnordered<BoxFuture<'a, (usize, Finished)>> = FuturesUnordered::new();
        let mut stopped = false;
        // Deletions that were blocked, by task, and those of them that are attempted again after another task.
        let (mut blocked, mut waiting): (BTreeMap<usize, Box<Diagnostic>>, Vec<usize>) = Default::default();
        loop {
            while running.len() < self.options.parallel.max(1) && !stopped && !self.options.interrupt.is_interrupted() {
                let Some(at) = ready.pop_front() else {
                    break;
                };
                schedule.begin(at);
                blocked.remove(&at);
                match self.start(schedule.task(at)) {
                    Ok(Started::Done) => ready.extend(schedule.complete(at)),
                    Ok(Started::Running(future)) => running.push(Box::pin(async move { (at, future.await) })),
                    Err(diagnostic) => {
                        self.failed(schedule.task(at), *diagnostic, Duration::ZERO);
                        stopped |= !self.options.continue_on_error;
                    }
                }
            }
            let Some((at, finished)) = running.next().await else {
                break;
            };
            match self.finish(schedule.task(at), finished)? {
                Next::Done => ready.extend(schedule.complete(at)),
                Next::Follow(hooks) => {
                    running.push(Box::pin(async move { (at, hooks.await) }));
                    continue;
                }
                Next::Failed => stopped |= !self.options.continue_on_error,
                Next::Blocked(diagnostic) if !running.is_empty() || (!ready.is_empty() && !stopped) => {
                    let message = format!("waiting for other steps: {}", diagnostic.summary);
                    self.events.send(Event::StepStatus { urn: schedule.task(at).urn().clone(), message });
                    blocked.insert(at, diagnostic);
                    waiting.push(at);
                    continue;
                }
                Next::Blocked(diagnostic) => {
                    self.failed(schedule.task(at), *diagnostic, Duration::ZERO);
                    stopped |= !self.options.continue_on_error;
                }
            }
            ready.extend(waiting.drain(..));
        }
        for (at, diagnostic) in blocked {
            self.failed(schedule.task(at), *diagnostic, Duration::ZERO);
        }
        self.report.interrupted = self.options.interrupt.is_interrupted() && schedule.not_started().next().is_some();
        for task in schedule.not_started() {
            self.report.skipped += 1;
            let (urn, action) = (task.urn().clone(), task.action());
            self.events.send(Event::StepSkipped { urn, action });
        }
        Ok(())
    }

    fn options_of(&self, urn: &Urn) -> Arc<Options> {
        let node = self.graph.node(urn).or_else(|| self.deleted.node(urn));
        node.map(|node| node.options.clone()).unwrap_or_default()
    }

    /// Returns the existing dependencies, as the state records them.
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

    fn is_current(&self, urn: &Urn, generation: u32) -> bool {
        self.state.current(urn).is_some_and(|current| current.generation == generation)
    }

    /// Applies an entry to the state and to the journal, where it becomes durable with the next intent or at the end.
    fn record(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.journal.note(entry.clone())?;
        self.state.apply(entry);
        Ok(())
    }

    fn export(&mut self) -> Result<(), StoreError> {
        let mut exports = BTreeMap::new();
        for (name, expression) in self.graph.exports() {
            match expression.evaluate(&|urn| self.outputs.get(urn)) {
                Ok(value) if !value.has_unknown() => drop(exports.insert(name.clone(), value)),
                // A resource that the export depends on failed or was skipped: the previous value stays.
                _ => exports.extend(self.state.outputs.get_key_value(name).map(|(k, v)| (k.clone(), v.clone()))),
            }
        }
        if exports == self.state.outputs {
            return Ok(());
        }
        self.record(Entry::Outputs(exports))
    }
}

/// Returns the resources that disappear together with one that the plan deletes.
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
