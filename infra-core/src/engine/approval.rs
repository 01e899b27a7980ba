//! The steps between a plan and its execution: offers to relaunch, the approval, and the documents that wait for it.

use super::{
    EngineError,
    runner::{Declared, Runner},
    stopwatch::Stopwatch,
};
use crate::{
    diff::Action,
    plan::{Plan, SavedPlan, Selection, Step},
    stack::Relaunchable,
    state::State,
    urn::{Pattern, Urn},
};

impl Runner {
    /// Plans a run and asks for approval. Returns `None` if the plan was rejected.
    ///
    /// The plan is shown before any question. Resources that the user then relaunches change it, so the new plan is shown
    /// before it is approved.
    pub(super) async fn approved_plan(
        &self,
        declared: &Declared,
        state: &State,
        watch: &mut Stopwatch,
    ) -> Result<Option<Plan>, EngineError> {
        let saved = self.saved_plan(state).await?;
        let mut plan = self.plan(declared, state, saved.is_some()).await?;
        if let Some(saved) = saved {
            saved.check_plan(&plan)?;
        }
        let relaunched = watch.asking(|| self.offer_relaunches(declared, state, &plan));
        if !relaunched.is_empty() {
            let selection = &self.options.selection;
            let replace = selection.replace.iter().cloned().chain(relaunched).collect();
            let selection = Selection { replace, ..selection.clone() };
            plan = self.plan_selection(declared, state, selection, false).await?;
        }
        if !watch.asking(|| (self.options.approve)(&plan)) {
            return Ok(None);
        }
        if let Some(on_approval) = &self.options.on_approval {
            on_approval().await?;
        }
        Ok(Some(plan))
    }

    /// Offers to relaunch existing resources that the plan does not replace or delete. Returns the selected names.
    fn offer_relaunches(&self, declared: &Declared, state: &State, plan: &Plan) -> Vec<Pattern> {
        let whole = self.options.saved_plan.is_none() && self.options.selection.is_everything();
        let Some(relaunch) = self.options.relaunch.as_ref().filter(|_| whole) else {
            return Vec::new();
        };
        let is_kept = |urn: &Urn| {
            let deletes = |step: &Step| step.urn == *urn && matches!(step.action, Action::Replace | Action::Delete);
            state.current(urn).is_some() && !plan.steps.iter().any(deletes)
        };
        let kept = |relaunchable: &&Relaunchable| relaunchable.resources.iter().any(is_kept);
        let offered = declared.relaunchable.iter().filter(kept).filter(|relaunchable| relaunch(relaunchable));
        offered.map(|relaunchable| relaunchable.name.clone().into()).collect()
    }

    /// Reads the saved plan that limits the run and checks that it was made for this state.
    async fn saved_plan(&self, state: &State) -> Result<Option<SavedPlan>, EngineError> {
        let Some(text) = &self.options.saved_plan else {
            return Ok(None);
        };
        let saved = SavedPlan::from_text(text, &self.engine.store.seal().await?)?;
        saved.check_state(state, &self.engine.target.name)?;
        Ok(Some(saved))
    }
}
