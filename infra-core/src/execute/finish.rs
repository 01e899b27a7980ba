//! Records the results of operations.

use super::{
    Executor,
    operation::{self, Finished},
};
use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    event::Event,
    execution::Task,
    options::{HookContext, HookMoment},
    provider::{ErrorKind, ProviderError},
    state::{Entry, Live, OpenOperation, Request, Verb},
    store::StoreError,
    urn::Urn,
    value::Value,
};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::time::Instant;

/// The consequence of a finished operation.
pub(super) enum Next<'f> {
    /// Tasks that waited for it can start.
    Done,
    /// Another operation follows.
    Follow(BoxFuture<'f, Finished>),
    /// Tasks that waited for it cannot start.
    Failed,
    /// A deletion was refused because something else still needs the resource. It can succeed once other tasks have
    /// finished.
    Blocked(Box<Diagnostic>),
}

impl<'a> Executor<'a> {
    /// Records the result of an operation and returns what follows from it.
    pub(super) fn finish(&mut self, task: &Task, finished: Finished) -> Result<Next<'a>, StoreError> {
        let Finished { action, outcome, elapsed, progress } = finished;
        let urn = task.urn().clone();
        for entry in progress {
            // The journal contains the entry already.
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
                self.succeeded(urn.clone(), action, None, elapsed);
                return Ok(self.follow(HookContext { urn, action, inputs, id: None, outputs: None }));
            }
            operation::Outcome::Followed(Ok(())) => {}
            operation::Outcome::Followed(Err(reason)) => {
                let hint = "the operation itself succeeded and is recorded; the hook is not called again";
                self.failed(task, Diagnostic::error(reason).about(&urn).hint(hint), elapsed);
                return Ok(Next::Failed);
            }
            operation::Outcome::Read(generation) => {
                self.outputs.insert(urn.clone(), generation.outputs.clone());
                self.record(Entry::Read { urn: urn.clone(), generation })?;
                self.succeeded(urn, action, None, elapsed);
            }
            operation::Outcome::Failed(request, error) => {
                let deletion = request.as_ref().filter(|request| request.verb == Verb::Delete);
                let deleted = deletion.map(|request| request.generation);
                self.record_failure(request, &error)?;
                if let Some(generation) = deleted.filter(|_| error.kind == ErrorKind::Dependency) {
                    self.blocked.insert((urn.clone(), generation));
                    return Ok(Next::Blocked(Box::new(error.diagnostic(&urn))));
                }
                self.failed(task, error.diagnostic(&urn), elapsed);
                return Ok(Next::Failed);
            }
            operation::Outcome::Stopped(error) => return Err(error),
        }
        Ok(Next::Done)
    }

    /// Returns the hooks that run after a step.
    fn follow(&self, context: HookContext) -> Next<'a> {
        let options = self.options_of(&context.urn);
        if !options.hooks.iter().any(|hook| hook.is_for(HookMoment::After, context.action)) {
            return Next::Done;
        }
        Next::Follow(Box::pin(async move {
            let started = Instant::now();
            let answer = operation::follow(&options, HookMoment::After, &context).await;
            Finished::of(context.action, operation::Outcome::Followed(answer), started.elapsed())
        }))
    }

    /// Removes the dependencies on a resource that is deleted before its replacement is created. Its dependents use no
    /// generation until the replacement exists.
    fn detach_users(&mut self, deleted: &Urn) -> Result<(), StoreError> {
        if !self.is_declared(deleted) {
            return Ok(());
        }
        let users = self.state.resources.iter().filter_map(|(urn, resource)| {
            let dependencies = &resource.current.as_ref()?.dependencies;
            let left = || dependencies.iter().filter(|used| *used != deleted).cloned().collect();
            dependencies.contains(deleted).then(|| (urn.clone(), left()))
        });
        let users: Vec<(Urn, Vec<Urn>)> = users.collect();
        let last = self.state.resources.get(deleted).is_some_and(|resource| resource.generations() == 1);
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
        // A create with an unknown outcome stays open, and recovery looks for the resource. An update or a deletion
        // with an unknown outcome is repeated, whatever the program declares by then.
        let may_have_succeeded = error.kind == ErrorKind::Unsure && live.is_none();
        let Request { operation, urn, verb, generation, .. } = *request;
        let unsure = may_have_succeeded && verb == Verb::Create;
        let touched = self.state.open_operation(&operation).is_some_and(OpenOperation::has_touched_previous);
        let distrust = (touched || verb == Verb::Update) && live.is_none();
        self.record(Entry::Failed { operation, live, unsure })?;
        if distrust {
            self.record(Entry::Distrusted(urn))?;
        } else if may_have_succeeded && verb == Verb::Delete && self.is_current(&urn, generation) {
            self.record(Entry::Deposed(urn))?;
        }
        Ok(())
    }

    pub(super) fn succeeded(&mut self, urn: Urn, action: Action, id: Option<String>, elapsed: Duration) {
        *self.report.counts.entry(action).or_default() += 1;
        if !elapsed.is_zero() {
            self.report.durations.record(&urn, action, elapsed);
        }
        let elapsed_ms = elapsed.as_millis() as u64;
        self.events.send(Event::StepFinished { urn, action, id, elapsed_ms });
    }

    pub(super) fn failed(&mut self, task: &Task, diagnostic: Diagnostic, elapsed: Duration) {
        self.report.failures.push(diagnostic.clone());
        self.events.send(Event::StepFailed {
            urn: task.urn().clone(),
            action: task.action(),
            diagnostic,
            elapsed_ms: elapsed.as_millis() as u64,
        });
    }
}
