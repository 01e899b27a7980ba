//! The history of a stack, and rollbacks.

use super::{
    Engine, EngineError, Program,
    document::{author, broken, rfc3339},
    lifecycle::{Command, Finished},
    pin,
    pin::Pinning,
    runner::{Declared, Runner},
};
use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    event::Event,
    execute::{Durations, Report},
    graph::{RecordedGraph, ResourceGraph},
    plan::Plan,
    stack::Declaration,
    state::State,
    store::{HISTORY, declaration_document},
    urn::Urn,
    value::{self, Value},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of entries that are kept.
const ENTRIES: usize = 500;

/// Number of declarations that are kept for rollbacks.
const DECLARATIONS: usize = 20;

/// A run that changed the recorded state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Serial of the state after the run.
    pub serial: u64,
    /// The command: `up`, `destroy`, `refresh`, …
    pub command: String,
    /// User and host of the run, as far as the environment names them.
    pub by: String,
    /// Start of the run, RFC 3339.
    pub at: String,
    /// Duration without the time spent waiting for the user, in milliseconds.
    pub duration_ms: u64,
    /// `true` if every step succeeded.
    pub success: bool,
    /// Number of successful steps by action.
    pub counts: BTreeMap<Action, usize>,
    /// Durations of successful steps.
    #[serde(default, skip_serializing_if = "Durations::is_empty")]
    pub durations: Durations,
    /// The errors, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// `true` if the declarations are kept, so that [`Engine::rollback`] can apply them again.
    pub declared: bool,
}

impl Engine {
    /// Returns the history of the stack, the oldest run first.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, EngineError> {
        let Some(text) = self.store.document(&self.program, &self.stack, HISTORY).await? else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&text).map_err(|error| broken(HISTORY, &error))
    }

    /// Returns the durations of the steps of earlier runs. For each kind and action, the latest run counts.
    pub async fn durations(&self) -> Result<Durations, EngineError> {
        let mut durations = Durations::default();
        self.history().await?.into_iter().for_each(|entry| durations.update(entry.durations));
        Ok(durations)
    }

    async fn declaration(&self, serial: u64) -> Result<ResourceGraph, EngineError> {
        let refused =
            |summary: String, hint: String| EngineError::WrongUse(vec![Diagnostic::error(summary).hint(hint)]);
        let history = self.history().await?;
        if !history.iter().any(|entry| entry.serial == serial && entry.declared) {
            let known: Vec<String> =
                history.iter().filter(|entry| entry.declared).map(|entry| entry.serial.to_string()).collect();
            let hint = if known.is_empty() {
                "only an `up` that succeeded can be rolled back to, and there is none".to_owned()
            } else {
                format!("it can be rolled back to {}", known.join(", "))
            };
            return Err(refused(format!("the stack cannot be rolled back to serial {serial}"), hint));
        }
        let name = declaration_document(serial);
        let text = self.store.document(&self.program, &self.stack, &name).await?.unwrap_or_default();
        let seal = self.store.seal().await?;
        let recorded: RecordedGraph =
            value::sealing(&seal, || serde_json::from_slice(&text)).map_err(|error| broken(&name, &error))?;
        recorded
            .into_graph()
            .map_err(|errors| EngineError::Refused(errors.iter().map(|error| Diagnostic::from_error(error)).collect()))
    }

    /// Serialises the declarations of a successful run for rollbacks. Returns `None` for other runs, and if the result
    /// of a closure is not known.
    pub(super) async fn declaration_text(
        &self,
        finished: &Finished<'_>,
        state: &State,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(graph) = finished.declaration.filter(|_| finished.outcome.is_ok_and(Report::is_success)) else {
            return Ok(None);
        };
        let Some(recorded) = record_graph(graph, state) else {
            return Ok(None);
        };
        let seal = self.store.seal().await?;
        let text = value::sealing(&seal, || serde_json::to_vec(&recorded));
        text.map(Some).map_err(|error| broken(&declaration_document(state.serial), &error))
    }
}

impl Runner {
    pub(super) async fn preview_rollback(&self, serial: u64, program: Program<'_>) -> Result<Plan, EngineError> {
        self.started("preview");
        let declared = self.declared_at(serial, program).await?;
        let state = self.engine.state().await?.unwrap_or_else(|| self.engine.empty_state());
        let plan = self.plan(&declared, &state, false).await?;
        if self.engine.pinning_of_rollback(serial, self.options.pin).await? == Pinning::Ignore {
            self.options.events.send(Event::Message(pin::not_pinned(serial)));
        }
        Ok(plan)
    }

    pub(super) async fn rollback(&self, serial: u64, program: Program<'_>) -> Result<Report, EngineError> {
        self.started("rollback");
        let declared = self.declared_at(serial, program).await?;
        let pinning = self.engine.pinning_of_rollback(serial, self.options.pin).await?;
        let note = (pinning == Pinning::Ignore).then(|| pin::not_pinned(serial));
        self.apply(Command { name: "rollback", pinning, records_declaration: true, note }, &declared).await
    }

    async fn declared_at(&self, serial: u64, program: Program<'_>) -> Result<Declared, EngineError> {
        let graph = self.engine.declaration(serial).await?;
        let Declaration { providers, policies, .. } = self.engine.run_program(program);
        let warnings = cannot_be_undone;
        Ok(Declared { warnings, ..Declared::new(graph, providers, self.all_policies(policies)) })
    }

    /// Adds a run to the history and saves its declarations. Stacks do not depend on the history: if it cannot be
    /// written, the run reports a warning and still succeeds.
    pub(super) async fn remember(
        &self,
        finished: &Finished<'_>,
        declaration: Result<Option<Vec<u8>>, EngineError>,
        serial: u64,
    ) {
        if let Err(error) = self.write_down(finished, declaration, serial).await {
            let reason = error.to_string();
            let warning = Diagnostic::warning("the run could not be added to the history").because(reason);
            self.options.events.send(Event::Message(warning));
        }
    }

    async fn write_down(
        &self,
        finished: &Finished<'_>,
        declaration: Result<Option<Vec<u8>>, EngineError>,
        serial: u64,
    ) -> Result<(), EngineError> {
        let Finished { command, outcome, watch, .. } = *finished;
        let mut history = self.engine.history().await?;
        let declaration = declaration?;
        if let Some(text) = &declaration {
            self.engine
                .store
                .put_document(&self.engine.program, &self.engine.stack, &declaration_document(serial), text)
                .await?;
        }
        let failures = match outcome {
            Ok(report) => report.failures.iter().map(|failure| failure.summary.clone()).collect(),
            Err(error) => error.diagnostics().into_iter().map(|failure| failure.summary).collect(),
        };
        let began = chrono::Utc::now() - chrono::Duration::from_std(watch.since_start()).unwrap_or_default();
        history.push(HistoryEntry {
            serial,
            command: command.to_owned(),
            by: author(),
            at: rfc3339(began),
            duration_ms: watch.elapsed().as_millis() as u64,
            success: outcome.is_ok_and(Report::is_success),
            counts: outcome.map(|report| report.counts.clone()).unwrap_or_default(),
            durations: outcome.map(|report| report.durations.clone()).unwrap_or_default(),
            failures,
            declared: declaration.is_some(),
        });
        history.drain(..history.len().saturating_sub(ENTRIES));
        let mut outdated = history.iter_mut().filter(|entry| entry.declared).rev().skip(DECLARATIONS);
        let dropped: Vec<String> = outdated
            .by_ref()
            .map(|entry| {
                entry.declared = false;
                declaration_document(entry.serial)
            })
            .collect();
        let text = serde_json::to_vec_pretty(&history).map_err(|error| broken(HISTORY, &error))?;
        self.engine.store.put_document(&self.engine.program, &self.engine.stack, HISTORY, &text).await?;
        for name in dropped {
            self.engine.store.remove_document(&self.engine.program, &self.engine.stack, &name).await?;
        }
        Ok(())
    }
}

/// Converts the declarations to data. Returns `None` if the result of a closure is not known.
fn record_graph(graph: &ResourceGraph, state: &State) -> Option<RecordedGraph> {
    let (absent, empty) = (Value::Null, Value::empty());
    let outputs = |urn: &Urn| match state.current(urn) {
        Some(current) => Some(&current.outputs),
        None if graph.node(urn).is_some_and(|node| node.options.present.is_some()) => Some(&absent),
        None => Some(&empty),
    };
    graph.recorded(&outputs).ok()
}

/// Returns a warning for each change that a rollback cannot undo.
fn cannot_be_undone(plan: &Plan) -> Vec<Diagnostic> {
    let warnings = plan.steps.iter().filter(|step| !step.lookup).filter_map(|step| {
        let what = match step.action {
            Action::Create => "it is created again, without its previous content",
            Action::Replace => "it is replaced, and its current content is lost",
            Action::Delete => "it is deleted, and its content is lost",
            _ => return None,
        };
        Some(Diagnostic::warning(what).about(&step.urn))
    });
    warnings.collect()
}
