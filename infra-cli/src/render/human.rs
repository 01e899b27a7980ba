//! Text for people: running steps are updated in place on a terminal, finished ones have a line each.

use super::{
    Detail, Renderer,
    progress::{Progress, Ran},
    screen::Screen,
    style, text,
    tree::{self, Planned, Shape},
};
use indicatif::ProgressBar;
use infra_core::{
    diagnostic::Diagnostic,
    diff::{Action, Diff},
    event::{Event, Events, PlannedSet},
    urn::Urn,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Maximum number of named steps that were not started.
const NAMED: usize = 20;

pub(super) struct Human {
    diff: bool,
    detail: Detail,
    screen: Screen,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    command: String,
    /// Steps of an incomplete plan, and the messages about them.
    planned: Vec<Planned>,
    messages: Vec<Diagnostic>,
    progress: Progress,
    /// Running steps by resource and by whether they delete it: a resource may be deleted while its replacement is created.
    running: HashMap<(Urn, bool), Running>,
    not_started: Vec<String>,
}

struct Running {
    bar: Option<ProgressBar>,
    what: String,
    status: String,
}

/// Fields of [`Event::RunFinished`].
struct Finished<'a> {
    success: bool,
    interrupted: bool,
    counts: &'a BTreeMap<Action, usize>,
    failures: &'a [Diagnostic],
    skipped: usize,
    outputs: &'a BTreeMap<String, serde_json::Value>,
    elapsed_ms: u64,
}

impl Human {
    pub(super) fn new(detail: Detail, diff: bool, screen: Screen) -> Self {
        Self { diff, detail, screen, shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drifted(&self, urn: &Urn, gone: bool, diff: &Diff) {
        let what = if gone { "no longer exists" } else { "differs from the recorded state" };
        self.screen.line(format!("  ! {} {what}", urn.short()));
        for property in &diff.properties {
            let line = tree::fit(property, self.screen.width().map(|width| width.saturating_sub(6)));
            self.screen.line(format!("      {}", console::Style::new().yellow().apply_to(line)));
        }
    }

    /// Shows a message. A message about a plan is shown after the plan.
    fn message(&self, message: &Diagnostic) {
        let mut shown = self.shown();
        if !shown.planned.is_empty() {
            shown.messages.push(message.clone());
            return;
        }
        drop(shown);
        self.screen.line(style::diagnostic(message, self.screen.width()));
    }

    fn planned(&self, counts: &BTreeMap<Action, usize>, sets: &[PlannedSet]) {
        let (steps, messages) = {
            let mut shown = self.shown();
            (std::mem::take(&mut shown.planned), std::mem::take(&mut shown.messages))
        };
        // Removes the spinners of lookups during planning.
        self.clear();
        let sums_up = self.detail == Detail::Changes;
        let shape = Shape { width: self.screen.width(), all_properties: self.diff, sums_up };
        let mut lines = tree::lines(&steps, shape);
        lines.extend(sets.iter().map(|PlannedSet { name, kind, most }| {
            let kind = kind.rsplit(':').next().unwrap_or_default();
            format!("  ? 0 to {most} {kind} {}", style::bold(name))
        }));
        let blank = messages.first().map(|_| String::new());
        lines.extend(blank.into_iter().chain(messages.iter().map(|message| style::diagnostic(message, shape.width))));
        let to_do = style::in_order(counts).map(|(action, count)| match action {
            Action::Same => format!("{count} unchanged"),
            action => format!("{count} to {}", style::colour(action).apply_to(action)),
        });
        let to_do: Vec<String> = to_do.collect();
        lines.push(format!("\n{}", if to_do.is_empty() { "nothing to do".to_owned() } else { to_do.join(", ") }));
        self.screen.line(lines.join("\n"));
        self.shown().progress = Progress::of(&steps);
    }

    fn started(&self, urn: &Urn, action: Action) {
        let what = format!("{} {}", style::doing(action), urn.short());
        let running = Running { bar: self.screen.spinner(&what), what, status: String::new() };
        let before = self.shown().running.insert((urn.clone(), action == Action::Delete), running);
        clear(before);
    }

    fn status(&self, urn: &Urn, message: &str) {
        let mut shown = self.shown();
        let key = [false, true].map(|deletes| (urn.clone(), deletes)).into_iter();
        let key = key.filter(|key| shown.running.contains_key(key)).last().unwrap_or_else(|| {
            // A lookup during planning has no step.
            let what = format!("reading {}", urn.short());
            let running = Running { bar: self.screen.spinner(&what), what, status: String::new() };
            shown.running.insert((urn.clone(), false), running);
            (urn.clone(), false)
        });
        let Some(running) = shown.running.get_mut(&key).filter(|running| running.status != message) else {
            return;
        };
        message.clone_into(&mut running.status);
        match &running.bar {
            Some(bar) => bar.set_message(format!("{}  {}", running.what, style::dim(message))),
            None => {
                drop(shown);
                let line = format!("    {}: {message}", urn.short());
                self.screen.line(style::dim(text::wrap(&line, self.screen.width())));
            }
        }
    }

    fn ran(&self, step: &Ran<'_>) {
        let before = self.shown().running.remove(&(step.urn.clone(), step.action == Action::Delete));
        clear(before);
        if matches!(step.action, Action::Read | Action::Forget) && !step.failed && !self.diff {
            return;
        }
        let line = self.shown().progress.line(step, self.screen.width());
        self.screen.line(line);
    }

    fn finished(&self, run: &Finished<'_>) {
        self.clear();
        let took = style::duration(run.elapsed_ms);
        let done = style::in_order(run.counts)
            .map(|(action, count)| format!("{count} {}", style::colour(action).apply_to(style::done(action))));
        let done: Vec<String> = done.collect();
        if run.success {
            self.outputs(run.outputs);
            let refresh = self.shown().command == "refresh";
            let nothing = if refresh { "the recorded state is up to date" } else { "nothing to do" };
            let done = if done.is_empty() { nothing.to_owned() } else { done.join(", ") };
            return self.screen.line(format!("\n{done} in {took}"));
        }
        self.not_started();
        for failure in run.failures {
            self.screen.error(&style::diagnostic(failure, self.screen.width()));
        }
        let number = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let undone = [number(run.failures.len(), "failed"), number(run.skipped, "not started")];
        let parts: Vec<String> = done.into_iter().chain(undone.into_iter().flatten()).collect();
        let verdict = if parts.is_empty() {
            "nothing was changed".to_owned()
        } else {
            let outcome = if run.interrupted { "interrupted" } else { "failed" };
            format!("{}: {} in {took}", style::failed(outcome), parts.join(", "))
        };
        self.screen.line(format!("\n{verdict}"));
    }

    fn not_started(&self) {
        let names = std::mem::take(&mut self.shown().not_started);
        if names.is_empty() {
            return;
        }
        let more = names.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("and {more} more"));
        let named = names.into_iter().take(NAMED).chain(more).collect::<Vec<_>>().join(", ");
        self.screen.line(style::dim(text::wrap(&format!("    not started: {named}"), self.screen.width())));
    }

    /// Shows the outputs. A value that does not fit beside its name is on separate lines, so that it can be copied whole.
    fn outputs(&self, outputs: &BTreeMap<String, serde_json::Value>) {
        if outputs.is_empty() {
            return;
        }
        let mut lines = vec![format!("\n{}", style::bold("Outputs"))];
        let names = outputs.keys().map(|name| text::width(name)).max().unwrap_or_default();
        for (name, value) in outputs {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let widest = value.lines().map(text::width).max().unwrap_or_default();
            if self.screen.width().is_some_and(|width| 2 + names + 2 + widest > width) {
                lines.push(format!("  {name}"));
                lines.extend(value.lines().map(|line| format!("    {line}")));
            } else {
                lines.push(format!("  {name:names$}  {value}"));
            }
        }
        self.screen.line(lines.join("\n"));
    }

    /// Removes all running steps from the screen.
    fn clear(&self) {
        let running: Vec<Running> = self.shown().running.drain().map(|(_, running)| running).collect();
        running.into_iter().for_each(|running| clear(Some(running)));
    }
}

fn clear(running: Option<Running>) {
    if let Some(bar) = running.and_then(|running| running.bar) {
        bar.finish_and_clear();
    }
}

impl Renderer for Human {
    fn show(&self, event: &Event) {
        match event {
            Event::RunStarted { version: _, command, program, stack } => {
                self.shown().command.clone_from(command);
                let stack = style::dim(format!("stack {stack}"));
                self.screen.line(format!("{} {program} {stack}", style::bold(command)));
            }
            Event::Settled { urn, outcome } => self.screen.line(format!("  ! {}: {outcome}", urn.short())),
            Event::Drifted { urn, gone, diff } => self.drifted(urn, *gone, diff),
            Event::StepPlanned { urn, action, region, diff, renamed_from, note } => {
                self.shown().planned.push(Planned {
                    urn: urn.clone(),
                    action: *action,
                    region: region.clone(),
                    diff: diff.clone(),
                    renamed_from: renamed_from.clone(),
                    note: note.clone(),
                });
            }
            // `--timeline` shows the execution graph.
            Event::Planned { counts, sets, execution: _ } => self.planned(counts, sets),
            Event::StepStarted { urn, action } => self.started(urn, *action),
            Event::StepStatus { urn, message } => self.status(urn, message),
            Event::StepFinished { urn, action, id, elapsed_ms } => {
                let id = id.as_deref();
                self.ran(&Ran { urn, action: *action, failed: false, id, elapsed_ms: *elapsed_ms });
            }
            Event::StepFailed { urn, action, diagnostic, elapsed_ms } => {
                self.ran(&Ran { urn, action: *action, failed: true, id: None, elapsed_ms: *elapsed_ms });
                let summary = format!("      {} it: {}", style::doing(*action), diagnostic.summary);
                self.screen.line(style::failed(text::wrap(&summary, self.screen.width())));
            }
            Event::StepSkipped { urn, action: _ } => self.shown().not_started.push(urn.short()),
            Event::Message(diagnostic) => self.message(diagnostic),
            Event::RunFinished { success, interrupted, counts, failures, skipped, outputs, elapsed_ms } => {
                let (success, interrupted, skipped) = (*success, *interrupted, *skipped);
                let elapsed_ms = *elapsed_ms;
                self.finished(&Finished { success, interrupted, counts, failures, skipped, outputs, elapsed_ms });
            }
        }
    }

    fn finish(&self) {
        self.clear();
    }

    fn interrupted(&self) {
        if self.shown().running.values().any(|running| running.bar.is_some()) {
            self.screen.remove_echo();
        }
    }

    fn previewed(&self, outputs: &BTreeMap<String, serde_json::Value>, _: Duration) {
        self.outputs(outputs);
    }

    fn events(self: Arc<Self>) -> Events {
        Events::to(move |event| self.show(&event))
    }
}

#[cfg(test)]
mod tests;
