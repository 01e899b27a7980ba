//! A run in progress, which the other files of this module extend with operations.

use super::{Engine, EngineError, options::RunOptions};
use crate::{
    diagnostic::Diagnostic,
    event::{self, Event},
    graph::ResourceGraph,
    plan::Plan,
    policy::Policy,
    provider::Providers,
    stack::Relaunchable,
    state::{Entry, State},
    store::Session,
};
use std::sync::Arc;

/// A run in progress: a stack and the options of this run.
pub(super) struct Runner {
    pub(super) engine: Engine,
    pub(super) options: RunOptions,
}

/// The declarations of a program and everything that planning them needs.
pub(super) struct Declared {
    pub(super) graph: ResourceGraph,
    /// Declarations of resources that the run deletes: their hooks and timeouts still count.
    pub(super) deleted: ResourceGraph,
    pub(super) providers: Providers,
    pub(super) policies: Arc<[Policy]>,
    pub(super) relaunchable: Vec<Relaunchable>,
    /// Returns additional warnings about a plan.
    pub(super) warnings: fn(&Plan) -> Vec<Diagnostic>,
}

impl Declared {
    pub(super) fn new(graph: ResourceGraph, providers: Providers, policies: Arc<[Policy]>) -> Self {
        let (deleted, relaunchable) = Default::default();
        Self { graph, deleted, providers, policies, relaunchable, warnings: |_| Vec::new() }
    }
}

impl Runner {
    /// Takes the stack for writing and returns its state.
    pub(super) async fn open(&self) -> Result<(Session, State), EngineError> {
        let mut session = self.engine.store.open(&self.engine.program, &self.engine.stack).await?;
        let state = session.take_state();
        Ok((session, state))
    }

    pub(super) fn started(&self, command: &str) {
        self.options.events.send(Event::RunStarted {
            version: event::VERSION,
            command: command.to_owned(),
            program: self.engine.program.clone(),
            stack: self.engine.stack.clone(),
        });
    }
}

/// Adds entries to the journal and applies them to the state.
pub(super) fn record(entries: Vec<Entry>, session: &Session, state: &mut State) -> Result<(), EngineError> {
    for entry in entries {
        session.journal.note(entry.clone())?;
        state.apply(entry);
    }
    Ok(())
}
