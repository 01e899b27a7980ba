//! Starts tasks whose predecessors have finished.

use super::{
    Executor,
    operation::{Attempt, Finished},
};
use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    event::Event,
    execution::Task,
    graph::Node,
    options::Condition,
    plan,
    policy::Declared,
    state::{Entry, Verb},
    urn::Urn,
    value::Value,
};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::time::Instant;

/// The result of starting a task.
pub(super) enum Started<'f> {
    /// The task needed no provider and is done.
    Done,
    /// The task is running.
    Running(BoxFuture<'f, Finished>),
}

impl<'a> Executor<'a> {
    pub(super) fn start(&mut self, task: &Task) -> Result<Started<'a>, Box<Diagnostic>> {
        match task {
            Task::Apply { urn, action } => {
                let node = self.graph.node(urn).ok_or_else(|| {
                    let undeclared = Diagnostic::error("the plan applies a resource that the program does not declare");
                    Box::new(undeclared.about(urn).hint("use the plan with the program that it was made for"))
                })?;
                let present = plan::presence(node, &|urn| self.outputs.get(urn));
                if present.map_err(|error| plan::evaluation(&error, node))? == Some(false) {
                    self.absent.insert(urn.clone());
                    self.outputs.insert(urn.clone(), Value::Null);
                    return Ok(Started::Done);
                }
                let inputs = node
                    .inputs
                    .evaluate(&|urn| self.outputs.get(urn))
                    .map_err(|error| plan::evaluation(&error, node))?;
                if inputs.has_unknown() {
                    return Err(Box::new(
                        Diagnostic::error("an input is still unknown, although its dependencies have been applied")
                            .about(urn)
                            .hint("a dependency did not return one of its outputs, which is a bug in its provider"),
                    ));
                }
                if *action == Action::Read {
                    return Ok(self.read(node, inputs));
                }
                self.apply(node, *action, inputs)
            }
            Task::Remove { urn, generation, action, before_create, if_absent } => {
                if *if_absent && !self.absent.contains(urn) {
                    return Ok(Started::Done);
                }
                if *before_create && self.is_current(urn, *generation) && !self.still_needed(urn)? {
                    self.dropped.insert(urn.clone());
                }
                if self.dropped.contains(urn) && self.is_current(urn, *generation) {
                    return Ok(Started::Done);
                }
                if *action == Action::Forget {
                    let lookup = self.state.generation(urn, *generation).is_none_or(|thing| thing.id.is_none());
                    self.record(Entry::Released { urn: urn.clone(), generation: *generation })?;
                    if !lookup && !self.is_declared(urn) {
                        self.succeeded(urn.clone(), Action::Forget, None, Duration::ZERO);
                    }
                    return Ok(Started::Done);
                }
                Ok(self.remove(urn, *generation))
            }
        }
    }

    /// Creates, updates or skips the resource, depending on the values that are known now.
    fn apply(&mut self, node: &'a Node, planned: Action, inputs: Value) -> Result<Started<'a>, Box<Diagnostic>> {
        let urn = &node.urn;
        let recorded = self.state.current(urn).cloned();
        let is_deleted_already = planned == Action::Replace && recorded.is_none();
        let step = self.steps.get(urn);
        let inputs = plan::wanted(node, recorded.as_ref(), inputs);
        let forced = recorded.is_some() && step.is_some_and(|step| step.forced);
        let (needed, diff) = plan::decide(node, recorded.as_ref(), &inputs, forced);
        let action = match (planned, needed) {
            (Action::Replace, Action::Same | Action::Update) => {
                self.dropped.insert(urn.clone());
                needed
            }
            (Action::Replace, Action::Create) if is_deleted_already => Action::Replace,
            (Action::Update, Action::Same) => Action::Same,
            (planned, needed) if planned == needed => planned,
            _ => {
                let what = format!("the plan contains {planned}, but the values that are known now require {needed}");
                let because: Vec<String> = diff.properties.iter().map(ToString::to_string).collect();
                return Err(Box::new(
                    Diagnostic::error(what)
                        .about(urn)
                        .because(because.join("\n"))
                        .hint("run the command again: the new plan uses these values"),
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
            return Ok(Started::Done);
        }
        self.check_policies(node, action, &inputs)?;
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

    /// Checks the policies again: in the plan, some inputs were unknown.
    fn check_policies(&self, node: &Node, action: Action, inputs: &Value) -> Result<(), Box<Diagnostic>> {
        if self.policies.is_empty() {
            return Ok(());
        }
        let dependencies = self.dependencies(&node.urn);
        let region = node.region.as_deref();
        let declared = Declared { urn: &node.urn, region, action, inputs, dependencies: &dependencies };
        let broken = self.policies.iter().find_map(|policy| policy.enforce(&declared).into_iter().next());
        broken.map_or(Ok(()), |diagnostic| Err(Box::new(diagnostic)))
    }

    fn remove(&mut self, urn: &Urn, generation: u32) -> Started<'a> {
        let Some(recorded) = self.state.generation(urn, generation).cloned() else {
            return Started::Done;
        };
        match Attempt::new(urn.clone(), Verb::Delete, recorded.inputs.clone(), self.state) {
            Ok(mut attempt) => {
                attempt.request = attempt.request.about(&recorded);
                attempt.prior = Some(plan::live(&recorded));
                attempt.options = self.options_of(urn);
                attempt.is_repetition = self.blocked.contains(&(urn.clone(), generation));
                if let Some(seconds) = recorded.marks.delete_timeout_seconds {
                    attempt.timeout = Duration::from_secs(seconds);
                }
                self.launch(attempt, Action::Delete)
            }
            Err(error) => Started::Running(Box::pin(async move { Finished::refused(Action::Delete, error) })),
        }
    }

    fn read(&mut self, node: &'a Node, inputs: Value) -> Started<'a> {
        let urn = node.urn.clone();
        self.events.send(Event::StepStarted { urn, action: Action::Read });
        if let Some(answer) = self.answers.get(&node.urn) {
            let generation = answer.clone();
            return Started::Running(Box::pin(async move { Finished::read(Ok(generation), Duration::ZERO) }));
        }
        let (provider, graph, events) = (self.provider, self.graph, self.events);
        let seed = self.state.seed.clone();
        let started = Instant::now();
        Started::Running(Box::pin(async move {
            let answer = plan::read_lookup(provider, graph, &seed, node, inputs, events).await;
            Finished::read(answer, started.elapsed())
        }))
    }

    fn launch(&mut self, attempt: Attempt, action: Action) -> Started<'a> {
        let urn = attempt.request.urn.clone();
        self.events.send(Event::StepStarted { urn, action });
        if !attempt.resumed {
            self.state.apply(Entry::Intent(attempt.request.clone()));
        }
        Started::Running(Box::pin(attempt.run(action, self.provider, self.journal.clone(), self.events.clone())))
    }

    fn conditions(&self, node: &Node) -> Result<Vec<(Condition, Value)>, Box<Diagnostic>> {
        let valued = node.options.conditions.iter().map(|condition| {
            let value = condition.value.evaluate(&|urn| self.outputs.get(urn));
            value.map(|value| (condition.clone(), value)).map_err(|error| Box::new(plan::evaluation(&error, node)))
        });
        valued.collect()
    }

    /// Returns `true` if a resource that is deleted before its replacement is created still requires the replacement.
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
}
