//! Messages alone, on standard error.

use super::{Renderer, style};
use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(super) struct Messages;

impl Renderer for Messages {
    fn show(&self, event: &Event) {
        match event {
            Event::Message(message) => print_error!("{}", style::diagnostic(message, style::error_width())),
            // The document of the command shows the plan, and no step is executed.
            Event::RunStarted { .. }
            | Event::Settled { .. }
            | Event::Drifted { .. }
            | Event::StepPlanned { .. }
            | Event::Planned { .. }
            | Event::StepStarted { .. }
            | Event::StepStatus { .. }
            | Event::StepFinished { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::RunFinished { .. } => {}
        }
    }

    fn finish(&self) {}

    fn previewed(&self, _: &BTreeMap<String, serde_json::Value>, _: Duration) {}

    fn events(self: Arc<Self>) -> Events {
        Events::to(move |event| self.show(&event))
    }
}
