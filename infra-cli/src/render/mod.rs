//! Events as text for people, or as JSON lines for programs.
//!
//! - `human`: events as text, with
//!   - `tree`: the plan, component by component
//!   - `progress`: finished steps, in columns
//!   - `timeline`: the order of a plan's tasks
//!   - `screen`: the output streams
//! - `text`, `style`: widths, colours, durations, tables
//! - `json`: events as JSON lines
//! - `messages`: messages alone, for commands that print a document

mod human;
mod json;
mod messages;
mod progress;
mod screen;
pub(crate) mod style;
pub(crate) mod text;
mod timeline;
mod tree;

pub(crate) use timeline::timeline;

use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Output of events.
pub(crate) trait Renderer: Send + Sync {
    /// Shows an event.
    fn show(&self, event: &Event);
    /// Removes running steps from the screen, after the last event.
    fn finish(&self);
    /// Removes the `^C` of the terminal from the running steps.
    fn interrupted(&self) {}
    /// Shows the outputs that a previewed plan would export, at the end of the preview.
    fn previewed(&self, outputs: &BTreeMap<String, serde_json::Value>, elapsed: Duration);

    /// Returns the sender of events to this renderer.
    fn events(self: Arc<Self>) -> Events
    where
        Self: 'static;
}

/// Level of detail of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every step.
    Everything,
    /// Every step, except that a plan of creations is summarised by component.
    Changes,
}

/// Returns the renderer for standard output.
pub(crate) fn to_terminal(json: bool, detail: Detail, diff: bool) -> Arc<dyn Renderer> {
    if json { Arc::new(json::JsonLines) } else { Arc::new(human::Human::new(detail, diff, screen::Screen::standard())) }
}

/// Returns a renderer that prints messages to standard error and no other event, for commands whose standard output
/// carries a document.
pub(crate) fn messages() -> Arc<dyn Renderer> {
    Arc::new(messages::Messages)
}
