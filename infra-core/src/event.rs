//! What happens in a run, for whoever shows it: the terminal, JSON lines, a program that embeds the engine.

use crate::{
    diagnostic::Diagnostic,
    diff::{Action, Diff},
    urn::Urn,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};
use tokio::sync::mpsc;

/// Something that happened. As JSON, `event` tells which; no event holds a secret.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// `preview`, `up`, `refresh` or `destroy`.
        command: String,
        /// The program's name.
        program: String,
        /// The stack's name.
        stack: String,
    },
    /// An operation that an earlier run left open was looked into.
    Settled {
        /// Whose operation.
        urn: Urn,
        /// What was found, in words.
        outcome: String,
    },
    /// Something is not as it was recorded.
    Drifted {
        /// What.
        urn: Urn,
        /// Whether it is gone.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        gone: bool,
        /// Property by property; `old` is what was recorded.
        #[serde(skip_serializing_if = "Diff::is_empty")]
        diff: Diff,
    },
    /// The plan has a step.
    StepPlanned {
        /// For whom.
        urn: Urn,
        /// What will be done.
        action: Action,
        /// Where it lives.
        #[serde(skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Diff::is_empty")]
        diff: Diff,
        /// The name it had before.
        #[serde(skip_serializing_if = "Option::is_none")]
        renamed_from: Option<Urn>,
        /// Why it is done this way, when that does not follow from what differs.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The plan is complete.
    Planned {
        /// How many steps of each action there are.
        counts: BTreeMap<Action, usize>,
        /// Of what only applying tells how many there are.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sets: Vec<PlannedSet>,
    },
    /// A step begins.
    StepStarted {
        /// For whom.
        urn: Urn,
        /// What is done.
        action: Action,
    },
    /// What a running step is busy with.
    StepStatus {
        /// Whose step.
        urn: Urn,
        /// In words: `waiting for 2 healthy targets`.
        message: String,
    },
    /// A step is done.
    StepFinished {
        /// For whom.
        urn: Urn,
        /// What was done; weaker than planned when a value turned out not to have changed.
        action: Action,
        /// The provider's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// For whom.
        urn: Urn,
        /// What was tried.
        action: Action,
        /// What went wrong and what to do.
        diagnostic: Diagnostic,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step was not begun, because something before it failed or the run was interrupted.
    StepSkipped {
        /// For whom.
        urn: Urn,
        /// What would have been done.
        action: Action,
    },
    /// A message that belongs to no step.
    Message(Diagnostic),
    /// The run is over.
    RunFinished {
        /// Whether everything was done.
        success: bool,
        /// How many resources saw each action.
        counts: BTreeMap<Action, usize>,
        /// The program's exports, secrets masked.
        outputs: BTreeMap<String, serde_json::Value>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
}

/// Declarations of which only applying tells how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedSet {
    /// The set's name.
    pub name: String,
    /// The type token of its members.
    pub kind: String,
    /// How many there can be.
    pub most: usize,
}

/// Where events go.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Calls `reader` for every event, in order; it must be quick.
    pub fn to(reader: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(reader))
    }

    /// Nobody reads them.
    pub fn ignored() -> Self {
        Self::to(|_| {})
    }

    /// Events as a stream.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        // A reader that went away does not stop a run.
        (Self::to(move |event| drop(sender.send(event))), receiver)
    }

    /// Tells that something happened.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
