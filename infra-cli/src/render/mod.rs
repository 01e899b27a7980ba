//! Events as text for people, or as JSON lines for programs.
//!
//! - `human`: events as text, made of
//!   - `tree`: the plan, component by component
//!   - `progress`: the steps that have run, in columns
//!   - `timeline`: the order of a plan's tasks
//!   - `screen`: the terminal or file that the text goes to
//! - `text`, `style`: widths, colours, durations, tables
//! - `json`: events as JSON lines
//! - `messages`: messages alone, for commands that print a document

mod human;
mod json;
mod messages;
mod progress;
mod screen;
pub(crate) mod style;
mod text;
mod timeline;
mod tree;

pub(crate) use timeline::timeline;

use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, sync::Arc};

/// A reader of events.
pub(crate) trait Renderer: Send + Sync {
    /// Shows one.
    fn show(&self, event: &Event);
    /// Removes running steps from the screen: no more events come.
    fn finish(&self);
    /// Ctrl-C was pressed: what the terminal shows of that is removed from among the running steps.
    fn interrupted(&self) {}
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
    /// Every step.
    Everything,
    /// Every step as well, but a plan that only creates is summed up, component by component.
    Changes,
}

/// A reader for what standard output is.
pub(crate) fn to_terminal(json: bool, detail: Detail, diff: bool) -> Arc<dyn Renderer> {
    if json { Arc::new(json::JsonLines) } else { Arc::new(human::Human::new(detail, diff, screen::Screen::standard())) }
}

/// Returns a renderer that prints messages to standard error and no other event, for commands whose standard output
/// carries a document.
pub(crate) fn messages() -> Arc<dyn Renderer> {
    Arc::new(messages::Messages)
}
