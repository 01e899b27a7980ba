//! JSON lines, one per event.

use super::Renderer;
use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, io::Write, sync::Arc};

pub(super) struct JsonLines;

impl Renderer for JsonLines {
    fn show(&self, event: &Event) {
        print_line(event);
    }

    fn finish(&self) {}

    fn planned_outputs(&self, outputs: &BTreeMap<String, serde_json::Value>) {
        print_line(&serde_json::json!({"event": "planned_outputs", "outputs": outputs}));
    }

    fn events(self: Arc<Self>) -> Events {
        Events::to(move |event| self.show(&event))
    }
}

fn print_line(line: &impl serde::Serialize) {
    let mut out = std::io::stdout().lock();
    if let Ok(text) = serde_json::to_string(line) {
        // A closed pipe does not stop a run.
        let _ = writeln!(out, "{text}");
    }
}
