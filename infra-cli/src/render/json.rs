//! JSON lines, one per event.

use super::Renderer;
use infra_core::event::{Event, Events};
use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

pub(super) struct JsonLines;

impl Renderer for JsonLines {
    fn show(&self, event: &Event) {
        print_line(event);
    }

    fn finish(&self) {}

    fn previewed(&self, outputs: &BTreeMap<String, serde_json::Value>, elapsed: Duration) {
        print_line(&serde_json::json!({"event": "planned_outputs", "outputs": outputs}));
        // Nothing was executed, and the outputs are those of a later run.
        print_line(&Event::RunFinished {
            success: true,
            interrupted: false,
            counts: BTreeMap::new(),
            failures: Vec::new(),
            skipped: 0,
            outputs: BTreeMap::new(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
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
