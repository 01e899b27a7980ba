//! Events as text for people, or as JSON lines for programs.

mod human;
mod json;
pub(crate) mod style;

use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, sync::Arc};

/// A reader of events.
pub(crate) trait Renderer: Send + Sync {
    /// Shows one.
    fn show(&self, event: &Event);
    /// Nothing more comes.
    fn finish(&self);
    /// What a preview would export.
    fn planned_outputs(&self, outputs: &BTreeMap<String, serde_json::Value>);

    /// Where the engine sends events, so that this reader shows them.
    fn events(self: Arc<Self>) -> Events
    where
        Self: 'static;
}

/// How much of a plan is shown before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every step: somebody is to judge them.
    Everything,
    /// What is changed in place or replaced, and why; the rest is seen when it is done.
    Changes,
}

/// A reader for what standard output is.
pub(crate) fn to_terminal(json: bool, detail: Detail, diff: bool) -> Arc<dyn Renderer> {
    if json { Arc::new(json::JsonLines) } else { Arc::new(human::Human::new(detail, diff)) }
}
