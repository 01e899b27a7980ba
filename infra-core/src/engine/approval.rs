//! From a plan to its execution: offers to relaunch, the approval, and what is stored once the plan is approved.

use super::{Declared, Engine, EngineError};
use crate::{
    diff::Action,
    plan::{Plan, SavedPlan, Step},
    stack::Relaunchable,
    state::State,
    store::StoreError,
    urn::{Pattern, Urn},
};
use futures::future::BoxFuture;
use std::time::{Duration, Instant};

pub(super) type Relaunch = dyn Fn(&Relaunchable) -> bool + Send + Sync;

pub(super) type Approve = dyn Fn(&Plan) -> bool + Send + Sync;

pub(super) type OnApproval = dyn Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

/// Measures a run. The time that a person takes to answer does not count as the run's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    begun: Instant,
    waited: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { begun: Instant::now(), waited: Duration::ZERO }
    }

    /// How long the run took, without the time spent in [`Stopwatch::asking`].
    pub(super) fn elapsed(&self) -> Duration {
        self.since_start().saturating_sub(self.waited)
    }

    /// How long ago the run started.
    pub(super) fn since_start(&self) -> Duration {
        self.begun.elapsed()
    }

    fn asking<T>(&mut self, question: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        let answer = question();
        self.waited += asked.elapsed();
        answer
    }
}

impl Engine {
    /// Plans a run and has the plan approved; `None` when it was rejected.
    ///
    /// The plan is shown before anything is asked. Resources that the user then chooses to relaunch change it, so the
    /// new plan is shown before it is approved.
    pub(super) async fn approved_plan(
        &self,
        declared: &Declared,
        state: &State,
        watch: &mut Stopwatch,
    ) -> Result<Option<Plan>, EngineError> {
        let kept = self.kept_plan(state).await?;
        let mut plan = self.plan(declared, state, kept.is_some()).await?;
        if let Some(kept) = kept {
            kept.check_plan(&plan)?;
        }
        let relaunched = watch.asking(|| self.offer_relaunches(declared, state, &plan));
        if !relaunched.is_empty() {
            let mut relaunching = self.clone();
            relaunching.selection.replace.extend(relaunched);
            plan = relaunching.plan(declared, state, false).await?;
        }
        if !watch.asking(|| (self.approve)(&plan)) {
            return Ok(None);
        }
        if let Some(on_approval) = &self.on_approval {
            on_approval().await?;
        }
        Ok(Some(plan))
    }

    /// Offers to relaunch what exists and is not replaced or deleted by the plan already; returns the chosen names.
    fn offer_relaunches(&self, declared: &Declared, state: &State, plan: &Plan) -> Vec<Pattern> {
        let whole = self.planned.is_none() && self.selection.is_everything();
        let Some(relaunch) = self.relaunch.as_ref().filter(|_| whole) else {
            return Vec::new();
        };
        let is_kept = |urn: &Urn| {
            let goes = |step: &Step| step.urn == *urn && matches!(step.action, Action::Replace | Action::Delete);
            state.current(urn).is_some() && !plan.steps.iter().any(goes)
        };
        let kept = |relaunchable: &&Relaunchable| relaunchable.resources.iter().any(is_kept);
        let offered = declared.relaunchable.iter().filter(kept).filter(|relaunchable| relaunch(relaunchable));
        offered.map(|relaunchable| relaunchable.name.clone().into()).collect()
    }

    /// The saved plan that the run is bound to, if it fits the state.
    async fn kept_plan(&self, state: &State) -> Result<Option<SavedPlan>, EngineError> {
        let Some(text) = &self.planned else {
            return Ok(None);
        };
        let planned = SavedPlan::from_text(text, &self.store.seal().await?)?;
        planned.check_state(state, &self.target.name)?;
        Ok(Some(planned))
    }
}
