//! One operation on a stack and its options.

use super::{Engine, EngineError, options::RunOptions, runner::Runner};
use crate::{
    event::Events,
    execute::Interrupt,
    plan::{Plan, Selection},
    stack::Relaunchable,
    store::StoreError,
};
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;

type Start<'p, T> = dyn FnOnce(Runner) -> BoxFuture<'p, Result<T, EngineError>> + Send + 'p;

/// One operation on a stack, which starts when it is awaited. Its methods set options.
#[must_use = "a run does nothing unless it is awaited"]
pub struct Run<'p, T> {
    engine: Engine,
    options: RunOptions,
    start: Box<Start<'p, T>>,
}

impl<'p, T> Run<'p, T> {
    pub(super) fn new<F>(engine: &Engine, start: impl FnOnce(Runner) -> F + Send + 'p) -> Self
    where
        F: Future<Output = Result<T, EngineError>> + Send + 'p,
    {
        let start = |runner: Runner| -> BoxFuture<'p, _> { start(runner).boxed() };
        Self { engine: engine.clone(), options: RunOptions::default(), start: Box::new(start) }
    }

    /// Sets the receiver of the run's events. The default ignores them.
    pub fn events(mut self, events: Events) -> Self {
        self.options.events = events;
        self
    }

    /// Sets the maximum number of concurrent operations. The default is 16.
    pub fn parallel(mut self, parallel: usize) -> Self {
        self.options.execute.parallel = parallel;
        self
    }

    /// Continues with steps that do not depend on a failed step.
    pub fn continue_on_error(mut self, continues: bool) -> Self {
        self.options.execute.continue_on_error = continues;
        self
    }

    /// Sets the switch that stops the run from starting new operations.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.options.execute.interrupt = interrupt;
        self
    }

    /// Reads the actual state of every resource and repeats every lookup before planning.
    pub fn refresh_first(mut self, refresh: bool) -> Self {
        self.options.refresh = refresh;
        self
    }

    /// Limits the run to a part of the stack, or replaces selected resources.
    pub fn select(mut self, selection: Selection) -> Self {
        self.options.selection = selection;
        self
    }

    /// Limits the run to a plan that [`Engine::preview_to_save`] returned: a run that would do more is refused.
    pub fn saved_plan(mut self, text: impl Into<Arc<str>>) -> Self {
        self.options.saved_plan = Some(text.into());
        self
    }

    /// Sets the function that approves or rejects each plan before it is executed. The default approves every plan. The
    /// time that `approve` takes does not count towards the duration of the run.
    pub fn approve(mut self, approve: impl Fn(&Plan) -> bool + Send + Sync + 'static) -> Self {
        self.options.approve = Box::new(approve);
        self
    }

    /// Sets the function that selects, once the plan has been shown, which of the existing
    /// [relaunchable](crate::Scope::relaunchable) resources `up` replaces although nothing about them has changed. The
    /// default selects none. A selection leads to a new plan, which is shown before it is approved. Not used in runs that
    /// are limited by [`Run::select`] or [`Run::saved_plan`]. The time that `relaunch` takes does not count towards the
    /// duration of the run.
    pub fn relaunch(mut self, relaunch: impl Fn(&Relaunchable) -> bool + Send + Sync + 'static) -> Self {
        self.options.relaunch = Some(Box::new(relaunch));
        self
    }

    /// Sets a function that runs when a plan is approved, before its first step and while the run holds the stack. It
    /// records what a rejected or failed plan must not change. If it fails, no step is executed.
    pub fn on_approval<F>(mut self, store: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        self.options.on_approval = Some(Box::new(move || -> BoxFuture<'static, _> { store().boxed() }));
        self
    }

    /// Makes a [`rollback`](Engine::rollback) pin the stack: `up` is refused until the pin is removed. A pinned stack
    /// stays pinned, to the serial of the latest rollback.
    pub fn pin(mut self, pin: bool) -> Self {
        self.options.pin = pin;
        self
    }

    /// Makes `up` remove the pin of the stack once its plan is approved. Without this option `up` refuses a pinned stack.
    pub fn unpin(mut self, unpin: bool) -> Self {
        self.options.unpin = unpin;
        self
    }
}

impl<'p, T> IntoFuture for Run<'p, T> {
    type Output = Result<T, EngineError>;
    type IntoFuture = BoxFuture<'p, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(Runner { engine: self.engine, options: self.options })
    }
}
