//! The operations of a run: it opens the stack, settles open operations, plans, executes, and records the result.

use super::{
    EngineError, Program, pin,
    pin::Pinning,
    runner::{Declared, Runner, record},
    stopwatch::Stopwatch,
};
use crate::{
    diagnostic::Diagnostic,
    event::Event,
    execute::{self, Drift, ExecuteContext, Refreshed, Report},
    graph::ResourceGraph,
    plan::{Plan, SavedPlan},
    state::{Entry, State},
    store::Session,
};

/// Properties of a command that plans and executes.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) pinning: Pinning,
    /// Records the declaration for later rollbacks.
    pub(super) records_declaration: bool,
    /// Message after a successful run.
    pub(super) note: Option<Diagnostic>,
}

/// A finished run, for the history.
pub(super) struct Finished<'a> {
    pub(super) command: &'a str,
    /// The declaration to record.
    pub(super) declaration: Option<&'a ResourceGraph>,
    pub(super) outcome: Result<&'a Report, &'a EngineError>,
    pub(super) watch: Stopwatch,
}

impl Runner {
    pub(super) async fn preview(&self, program: Program<'_>) -> Result<Plan, EngineError> {
        let (plan, state) = self.plan_without_lock(program, false).await?;
        discard(state);
        Ok(plan)
    }

    pub(super) async fn preview_to_save(&self, program: Program<'_>) -> Result<(Plan, String), EngineError> {
        let (plan, state) = self.plan_without_lock(program, true).await?;
        let saved = SavedPlan::new(&plan, &state, &self.engine.target.name);
        let text = saved.to_text(&self.engine.store.seal().await?)?;
        Ok((plan, text))
    }

    pub(super) async fn preview_destroy(&self, program: Program<'_>) -> Result<Plan, EngineError> {
        self.started("preview");
        let declared = self.declare_deletion(program);
        let mut state = self.engine.state().await?.unwrap_or_else(|| self.engine.empty_state());
        self.settle_in_memory(&mut state, &declared).await?;
        self.plan(&declared, &state, false).await
    }

    pub(super) async fn up(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("up");
        let declared = self.declare(program)?;
        let pinning = if self.options.unpin { Pinning::Remove } else { Pinning::Refuse };
        let command = Command { name: "up", pinning, records_declaration: true, note: None };
        let report = self.apply(command, &declared).await;
        discard(declared.graph);
        report
    }

    pub(super) async fn destroy(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("destroy");
        let declared = self.declare_deletion(program);
        let command = Command { name: "destroy", pinning: Pinning::Ignore, records_declaration: false, note: None };
        self.apply(command, &declared).await
    }

    pub(super) async fn refresh(&self, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("refresh");
        let watch = Stopwatch::start();
        let providers = self.engine.run_program(program).providers;
        let (session, mut state) = self.open().await?;
        let failures = execute::settle(&mut state, &providers, Some(&session.journal), &self.options.events).await?;
        let mut report = Report { failures, ..Report::default() };
        match execute::refresh(&state, &providers, self.options.execute.parallel).await {
            Ok(found) => {
                let entries = self.drifted(found, &mut report);
                record(entries, &session, &mut state)?;
            }
            Err(problems) => report.failures.extend(problems),
        }
        let outcome = Ok(&report);
        self.conclude(session, &mut state, Finished { command: "refresh", declaration: None, outcome, watch }).await?;
        self.finished(&report, &state, watch);
        Ok(report)
    }

    pub(super) async fn drift(&self, program: Program<'_>) -> Result<Vec<Drift>, EngineError> {
        let declared = self.declare_deletion(program);
        let mut state = self.engine.state().await?.unwrap_or_else(|| self.engine.empty_state());
        self.settle_in_memory(&mut state, &declared).await?;
        let found = execute::refresh(&state, &declared.providers, self.options.execute.parallel).await;
        let mut report = Report::default();
        self.drifted(found.map_err(EngineError::Refused)?, &mut report);
        Ok(report.drift)
    }

    /// Plans, and executes the plan once it is approved.
    pub(super) async fn apply(&self, command: Command, declared: &Declared) -> Result<Report, EngineError> {
        let Command { name, pinning, records_declaration, note } = command;
        let mut watch = Stopwatch::start();
        let (session, mut state) = self.open().await?;
        let outcome = match self.engine.check_pin(pinning).await {
            Ok(()) => self.apply_in(&session, &mut state, declared, pinning, &mut watch).await,
            Err(refused) => Err(refused),
        };
        if let Err(EngineError::Store(error)) = outcome {
            // The journal may contain more than `state`: progress of operations that were abandoned. The next run reads
            // it. A failure to release the stack adds nothing to this error.
            let _ = session.close().await;
            return Err(error.into());
        }
        // Every entry is in the journal. The snapshot is written next.
        let declaration = records_declaration.then_some(&declared.graph);
        let finished = Finished { command: name, declaration, outcome: outcome.as_ref(), watch };
        self.conclude(session, &mut state, finished).await?;
        let report = outcome?;
        if let Some(note) = note.filter(|_| report.is_success()) {
            self.options.events.send(Event::Message(note));
        }
        self.finished(&report, &state, watch);
        discard(state);
        Ok(report)
    }

    /// Folds the journal, adds the run to the history, and releases the stack, even if one of these fails.
    pub(super) async fn conclude(
        &self,
        mut session: Session,
        state: &mut State,
        finished: Finished<'_>,
    ) -> Result<(), EngineError> {
        let mut folded = Ok(());
        if let Some(folding) = session.begin_fold(state) {
            // Both take long for a large stack, and the journal is written in the background.
            let declaration = self.engine.declaration_text(&finished, state).await;
            folded = folding.await.map(|serial| state.serial = serial);
            if folded.is_ok() {
                self.remember(&finished, declaration, state.serial).await;
            }
        }
        let closed = session.close().await;
        Ok(folded.and(closed)?)
    }

    /// Reports the drift and returns the entries that record it.
    pub(super) fn drifted(&self, found: Vec<Refreshed>, report: &mut Report) -> Vec<Entry> {
        let mut entries = Vec::new();
        for Refreshed { entry, drift } in found {
            entries.push(entry);
            if let Some(drift) = drift {
                let (urn, gone, diff) = (drift.urn.clone(), drift.gone, drift.diff.clone());
                self.options.events.send(Event::Drifted { urn, gone, diff });
                report.drift.push(drift);
            }
        }
        entries
    }

    async fn apply_in(
        &self,
        session: &Session,
        state: &mut State,
        declared: &Declared,
        pinning: Pinning,
        watch: &mut Stopwatch,
    ) -> Result<Report, EngineError> {
        let (journal, events, providers) = (&session.journal, &self.options.events, &declared.providers);
        let problems = execute::settle(state, providers, Some(journal), events).await?;
        if !problems.is_empty() {
            return Err(EngineError::Refused(problems));
        }
        let mut refreshed = Report::default();
        if self.options.refresh {
            let found = execute::refresh(state, providers, self.options.execute.parallel).await;
            let entries = self.drifted(found.map_err(EngineError::Refused)?, &mut refreshed);
            record(entries, session, state)?;
        }
        let Some(plan) = self.approved_plan(declared, state, watch).await? else {
            return Ok(Report { interrupted: true, ..refreshed });
        };
        self.engine.change_pin(pinning).await?;
        let context = ExecuteContext {
            plan: &plan,
            graph: &declared.graph,
            deleted: &declared.deleted,
            policies: &declared.policies,
            provider: providers,
            journal,
            events,
        };
        let report = execute::execute(&context, state, &self.options.execute).await?;
        if report.is_success() {
            // The steps may have settled an operation whose outcome was unknown at the beginning. If it still cannot be
            // looked up, the next run reports that.
            execute::settle(state, providers, Some(journal), events).await?;
        }
        Ok(Report { drift: refreshed.drift, ..report })
    }

    async fn plan_without_lock(
        &self,
        program: Program<'_>,
        include_inputs: bool,
    ) -> Result<(Plan, State), EngineError> {
        self.started("preview");
        // The program runs while the state is read.
        let engine = self.engine.clone();
        let state = tokio::spawn(async move { engine.state().await });
        let declared = self.declare(program);
        let state = state.await.expect("reading a state does not panic")?;
        let mut state = state.unwrap_or_else(|| self.engine.empty_state());
        let declared = declared?;
        if let Some(pin) = self.engine.pinned().await? {
            self.options.events.send(Event::Message(pin::notice(&self.engine.stack, &pin)));
        }
        self.settle_in_memory(&mut state, &declared).await?;
        if self.options.refresh {
            let found = execute::refresh(&state, &declared.providers, self.options.execute.parallel).await;
            let found = found.map_err(EngineError::Refused)?;
            self.drifted(found, &mut Report::default()).into_iter().for_each(|entry| state.apply(entry));
        }
        let plan = self.plan(&declared, &state, include_inputs).await?;
        discard(declared.graph);
        Ok((plan, state))
    }

    /// Settles interrupted operations as `up` does first, without recording the result, so that the plan includes the
    /// steps that follow from it.
    async fn settle_in_memory(&self, state: &mut State, declared: &Declared) -> Result<(), EngineError> {
        for problem in execute::settle(state, &declared.providers, None, &self.options.events).await? {
            self.options.events.send(Event::Message(problem));
        }
        Ok(())
    }

    fn finished(&self, report: &Report, state: &State, watch: Stopwatch) {
        let outputs = state.outputs.iter().map(|(name, value)| (name.clone(), value.masked()));
        self.options.events.send(Event::RunFinished {
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

/// Drops a large value in the background, because that takes as long as planning it.
fn discard(large: impl Send + 'static) {
    std::thread::spawn(move || drop(large));
}
