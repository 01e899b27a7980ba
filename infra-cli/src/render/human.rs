//! Text for people: running steps in place on a terminal, otherwise a line when something has happened.

use super::{Detail, Renderer, style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use infra_core::{
    diff::{Action, Diff},
    event::{Event, Events, PlannedSet},
    urn::Urn,
};
use std::{
    collections::{BTreeMap, HashMap},
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(super) struct Human {
    diff: bool,
    detail: Detail,
    progress: Option<MultiProgress>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    running: HashMap<Urn, Running>,
    regions: HashMap<Urn, String>,
    /// How wide the widest planned name is, and the widest region.
    widths: (usize, usize),
    preview: bool,
    refresh: bool,
}

/// A step of the plan, as the event tells it.
struct Planned<'a> {
    urn: &'a Urn,
    action: Action,
    region: Option<&'a String>,
    diff: &'a Diff,
    renamed_from: Option<&'a Urn>,
    note: Option<&'a str>,
}

struct Running {
    bar: Option<ProgressBar>,
    status: String,
}

impl Human {
    pub(super) fn new(detail: Detail, diff: bool) -> Self {
        let in_place = std::io::stdout().is_terminal();
        Self { diff, detail, progress: in_place.then(MultiProgress::new), shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let written = match &self.progress {
            Some(progress) => progress.println(text),
            None => writeln!(std::io::stdout(), "{text}"),
        };
        // A reader that went away does not stop a run.
        let _ = written;
    }

    fn drifted(&self, urn: &Urn, gone: bool, diff: &Diff) {
        let what = if gone { "is gone" } else { "is not as recorded" };
        self.line(format!("  ! {} {what}", urn.short()));
        for property in &diff.properties {
            self.line(format!("      {}", console::Style::new().yellow().apply_to(property)));
        }
    }

    fn planned(&self, step: &Planned<'_>) {
        let Planned { urn, action, region, diff, .. } = *step;
        {
            let mut shown = self.shown();
            let (name, place) = shown.widths;
            shown.widths = (name.max(urn.short().len()), place.max(region.map_or(0, String::len)));
            if let Some(region) = region {
                shown.regions.insert(urn.clone(), region.clone());
            }
        }
        // What is created or deleted is shown again when it is done; a change is shown once, with its reasons.
        let told_later = self.detail == Detail::Changes && matches!(action, Action::Create | Action::Delete);
        let quiet = action == Action::Read || (action == Action::Forget && step.note.is_none());
        if (told_later || quiet) && !self.diff {
            return;
        }
        let renamed = step.renamed_from.map(|from| format!("was {}", from.name()));
        let notes = renamed.iter().map(String::as_str).chain(step.note).map(|note| format!("  ({note})"));
        let notes: String = notes.collect();
        let region = region.map(|region| style::dim(format!("  {region}"))).unwrap_or_default();
        let kind = urn.kind().rsplit(':').next().unwrap_or_default();
        self.line(format!("  {} {kind} {}{region}{}", style::sign(action), style::bold(urn.name()), style::dim(notes)));
        if action == Action::Create && !self.diff {
            return;
        }
        for property in &diff.properties {
            let text = property.to_string();
            let text = if action == Action::Create { text.trim_start_matches("+ ") } else { &text };
            self.line(format!("      {}", style::colour(action).apply_to(text)));
        }
    }

    fn started(&self, urn: &Urn, action: Action) {
        let bar = self.bar(format!("{} {}", style::doing(action), urn.short()));
        self.shown().running.insert(urn.clone(), Running { bar, status: String::new() });
    }

    fn bar(&self, what: String) -> Option<ProgressBar> {
        self.progress.as_ref().map(|progress| {
            let bar = progress.add(ProgressBar::new_spinner().with_style(spinner()));
            bar.set_prefix(what);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        })
    }

    fn status(&self, urn: &Urn, message: &str) {
        let mut shown = self.shown();
        // A lookup while planning has no step of its own.
        let running = shown
            .running
            .entry(urn.clone())
            .or_insert_with(|| Running { bar: self.bar(format!("reading {}", urn.short())), status: String::new() });
        if running.status == message {
            return;
        }
        message.clone_into(&mut running.status);
        match &running.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None => {
                drop(shown);
                self.line(style::dim(format!("    {}: {message}", urn.short())));
            }
        }
    }

    fn ended(&self, urn: &Urn) -> String {
        let mut shown = self.shown();
        if let Some(bar) = shown.running.remove(urn).and_then(|running| running.bar) {
            bar.finish_and_clear();
        }
        shown.regions.get(urn).cloned().unwrap_or_default()
    }

    fn finished(&self, urn: &Urn, action: Action, id: Option<&String>, elapsed_ms: u64) {
        let region = self.ended(urn);
        if matches!(action, Action::Read | Action::Forget) && !self.diff {
            return;
        }
        let (name, place) = self.shown().widths;
        let id = id.map(|id| short_id(id)).unwrap_or_default();
        let more = style::dim(format!("  {region:place$}  {id}  {}", style::duration(elapsed_ms)));
        self.line(format!("  {} {} {:name$}{more}", style::sign(action), style::done(action), urn.short()));
    }

    fn summary(&self, success: bool, counts: &BTreeMap<Action, usize>, elapsed_ms: u64) {
        let parts: Vec<String> = counts
            .iter()
            .filter(|(action, _)| !matches!(action, Action::Read | Action::Forget))
            .map(|(action, count)| format!("{count} {}", style::colour(*action).apply_to(style::done(*action))))
            .collect();
        let nothing = if self.shown().refresh { "everything is as it lives now" } else { "nothing to do" };
        let parts = if parts.is_empty() { nothing.to_owned() } else { parts.join(", ") };
        let outcome = if success { "" } else { ", not all of it" };
        self.line(format!("\n{parts}{outcome} in {}", style::duration(elapsed_ms)));
    }

    fn outputs(&self, outputs: &BTreeMap<String, serde_json::Value>) {
        if outputs.is_empty() {
            return;
        }
        self.line(format!("\n{}", style::bold("Outputs")));
        let width = outputs.keys().map(String::len).max().unwrap_or_default();
        for (name, value) in outputs {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.line(format!("  {name:width$}  {value}"));
        }
    }
}

impl Renderer for Human {
    fn show(&self, event: &Event) {
        match event {
            Event::RunStarted { command, program, stack, .. } => {
                self.shown().preview = command == "preview";
                self.shown().refresh = command == "refresh";
                self.line(format!("{} {program} {}", style::bold(command), style::dim(format!("stack {stack}"))));
            }
            Event::Settled { urn, outcome } => self.line(format!("  ! {}: {outcome}", urn.short())),
            Event::Drifted { urn, gone, diff } => self.drifted(urn, *gone, diff),
            Event::StepPlanned { urn, action, region, diff, renamed_from, note } => self.planned(&Planned {
                urn,
                action: *action,
                region: region.as_ref(),
                diff,
                renamed_from: renamed_from.as_ref(),
                note: note.as_deref(),
            }),
            Event::Planned { counts, sets } => {
                for PlannedSet { name, kind, most } in sets {
                    let kind = kind.rsplit(':').next().unwrap_or_default();
                    self.line(format!("  ? 0 to {most} {kind} {}", style::bold(name)));
                }
                self.finish();
                let changes: Vec<String> = counts
                    .iter()
                    .filter(|(action, _)| !matches!(action, Action::Read | Action::Forget))
                    .map(|(action, count)| match action {
                        Action::Same => format!("{count} unchanged"),
                        action => format!("{count} to {}", style::colour(*action).apply_to(action)),
                    })
                    .collect();
                let changes = if changes.is_empty() { "nothing".to_owned() } else { changes.join(", ") };
                let preview = self.shown().preview;
                self.line(if preview { format!("\n{changes}") } else { format!("  {changes}") });
            }
            Event::StepStarted { urn, action } => self.started(urn, *action),
            Event::StepStatus { urn, message } => self.status(urn, message),
            Event::StepFinished { urn, action, id, elapsed_ms } => {
                self.finished(urn, *action, id.as_ref(), *elapsed_ms)
            }
            Event::StepFailed { urn, action, diagnostic, elapsed_ms } => {
                self.ended(urn);
                let what = format!("{} {} failed", style::doing(*action), urn.short());
                let failed = console::Style::new().red().apply_to(format!("✗ {what}"));
                self.line(format!(
                    "  {failed}: {}{}",
                    diagnostic.summary,
                    style::dim(format!("  {}", style::duration(*elapsed_ms)))
                ));
            }
            Event::StepSkipped { urn, action } => {
                self.line(style::dim(format!("    not begun: {action} {}", urn.short())));
            }
            Event::Message(diagnostic) => self.line(style::diagnostic(diagnostic)),
            Event::RunFinished { success, counts, outputs, elapsed_ms } => {
                self.outputs(outputs);
                self.summary(*success, counts, *elapsed_ms);
            }
            _ => {}
        }
    }

    fn finish(&self) {
        for (_, running) in self.shown().running.drain() {
            if let Some(bar) = running.bar {
                bar.finish_and_clear();
            }
        }
    }

    fn planned_outputs(&self, outputs: &BTreeMap<String, serde_json::Value>) {
        self.outputs(outputs);
    }

    fn events(self: Arc<Self>) -> Events {
        Events::to(move |event| self.show(&event))
    }
}

/// The telling part of a long id: of an ARN what stands behind the account, of anything its beginning and end.
fn short_id(id: &str) -> String {
    const LONGEST: usize = 36;
    let id = id.strip_prefix("arn:").map_or(id, |rest| rest.splitn(5, ':').last().unwrap_or(rest));
    let characters: Vec<char> = id.chars().collect();
    if characters.len() <= LONGEST {
        return id.to_owned();
    }
    let half = LONGEST / 2 - 1;
    let (start, end) = (&characters[..half], &characters[characters.len() - half..]);
    start.iter().chain(['…'].iter()).chain(end).collect()
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
