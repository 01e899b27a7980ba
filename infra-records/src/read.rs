//! Reads recorded runs.

use crate::{
    files,
    format::Closed,
    line::{self, Line, Planned},
    list::Status,
    run::{Drifted, Lines, Message, Outcome, Planning, Progress, Run, Settled, Step},
};
use infra_core::{
    diff::Action,
    execution::{ExecutionGraph, Task},
    urn::Urn,
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
};

/// Returns the complete lines of a record after a position, which is zero for the first call.
pub fn follow(path: &Path, offset: u64) -> io::Result<Lines> {
    let mut lines = Vec::new();
    let offset = files::each_line(path, offset, |line| lines.push(line.to_owned()))?;
    Ok(Lines { lines, offset })
}

impl Run {
    /// Reads a record. Fails if the file cannot be read or has no valid first line.
    pub fn read(path: &Path) -> io::Result<Self> {
        let header = files::header(path)?.ok_or_else(|| {
            let problem = format!("{} is not the record of a run: its first line is damaged", path.display());
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        let mut run = Self::new(path, header);
        run.update()?;
        Ok(run)
    }

    /// Reads the lines that were added since the last call. Returns `true` if anything changed.
    pub fn update(&mut self) -> io::Result<bool> {
        // A run that finishes meanwhile adds its last line before it releases the lock.
        let running = files::is_written(&self.path);
        let (path, before) = (self.path.clone(), self.offset);
        self.offset = files::each_line(&path, before, |text| match line::parse(text) {
            Some((at, line)) => {
                let at_ms = (at - self.header.at).num_milliseconds().max(0) as u64;
                self.last_ms = self.last_ms.max(at_ms);
                self.apply(at_ms, line);
            }
            None => self.unreadable += 1,
        })?;
        let status = match self.status {
            finished @ Status::Finished { .. } => finished,
            _ if running => Status::Running,
            _ => Status::Killed,
        };
        let changed = self.offset != before || self.status != status;
        self.status = status;
        Ok(changed)
    }

    fn apply(&mut self, at_ms: u64, line: Line) {
        match line {
            Line::Other => {}
            Line::Settled(line::Settled { urn, outcome }) => self.settled.push(Settled { at_ms, urn, outcome }),
            Line::Drifted(line::Drifted { urn, gone, diff }) => self.drifted.push(Drifted { at_ms, urn, gone, diff }),
            Line::StepPlanned(planned) => self.pending.push(planned),
            Line::Planned(line::Plan { counts, execution }) => {
                self.planned_ms = Some(at_ms);
                self.planned = counts;
                self.plan(execution);
            }
            Line::StepStarted(line::Step { urn, action }) => {
                let started = self.step(&urn, action, &[Phase::Waiting, Phase::Running]);
                started.action = action;
                started.started_ms.get_or_insert(at_ms);
                started.outcome = Outcome::Running;
            }
            Line::StepStatus(line::StepStatus { urn, message }) => {
                let running = |at: &&usize| self.steps[**at].outcome == Outcome::Running;
                match self.index.get(&urn).and_then(|steps| steps.iter().find(running)).copied() {
                    Some(at) => self.steps[at].progress.push(Progress { at_ms, message }),
                    None => self.planning.push(Planning { at_ms, urn, message }),
                }
            }
            Line::StepFinished(line::StepFinished { urn, action, id }) => {
                self.finish(at_ms, &urn, action, Outcome::Finished { id }).action = action;
            }
            Line::StepFailed(line::StepFailed { urn, action, diagnostic }) => {
                self.finish(at_ms, &urn, action, Outcome::Failed(diagnostic));
            }
            Line::StepSkipped(line::Step { urn, action }) => {
                self.step(&urn, action, &[Phase::Waiting]).outcome = Outcome::Skipped;
            }
            Line::Message(diagnostic) => self.messages.push(Message { at_ms, diagnostic }),
            Line::RunFinished(finished) => {
                let line::RunFinished { success, interrupted, counts, failures, outputs, elapsed_ms } = finished;
                self.status = Status::Finished { success, interrupted };
                (self.finished_ms, self.elapsed_ms) = (Some(at_ms), Some(elapsed_ms));
                (self.counts, self.failures, self.outputs) = (counts, failures, outputs);
            }
            Line::RunClosed(closed) => self.close(at_ms, closed),
        }
    }

    /// Replaces the steps by those of a complete plan. A run that relaunches resources has several plans, and executes the
    /// last one.
    fn plan(&mut self, execution: ExecutionGraph) {
        let mut planned: HashMap<(Urn, bool), VecDeque<Planned>> = HashMap::new();
        let mut order = Vec::new();
        for step in self.pending.drain(..) {
            let key = (step.urn.clone(), is_removal(step.action));
            order.push(key.clone());
            planned.entry(key).or_default().push_back(step);
        }
        let mut take = |urn: &Urn, removal: bool| planned.get_mut(&(urn.clone(), removal))?.pop_front();
        let of_task = |task: &Task| {
            let found = take(task.urn(), is_removal(task.action()));
            Step { action: task.action(), ..Step::new(task.urn().clone(), task.action(), found) }
        };
        self.steps = execution.tasks.iter().map(of_task).collect();
        for (urn, removal) in order {
            if let Some(step) = planned.get_mut(&(urn.clone(), removal)).and_then(VecDeque::pop_front) {
                self.steps.push(Step::new(urn, step.action, Some(step)));
            }
        }
        self.index = HashMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            self.index.entry(step.urn.clone()).or_default().push(at);
        }
        self.execution = execution;
    }

    fn finish(&mut self, at_ms: u64, urn: &Urn, action: Action, outcome: Outcome) -> &mut Step {
        // A step without work finishes without a start, and a hook can fail after its step has finished.
        let step = self.step(urn, action, &[Phase::Running, Phase::Waiting, Phase::Finished]);
        step.started_ms.get_or_insert(at_ms);
        step.finished_ms = Some(at_ms);
        step.outcome = outcome;
        step
    }

    /// Returns the first step of a resource in the first of these phases that contains one. Deletions and other actions are
    /// separate steps. A step that is not part of the plan is added.
    fn step(&mut self, urn: &Urn, action: Action, phases: &[Phase]) -> &mut Step {
        let removal = is_removal(action);
        let of_urn = || self.index.get(urn).into_iter().flatten().copied();
        let fits = |at: &usize| is_removal(self.steps[*at].action) == removal;
        let in_phase = |phase: &Phase| of_urn().filter(fits).find(|at| Phase::of(&self.steps[*at].outcome) == *phase);
        let found = phases.iter().find_map(in_phase);
        let at = found.unwrap_or_else(|| {
            self.steps.push(Step::new(urn.clone(), action, None));
            self.index.entry(urn.clone()).or_default().push(self.steps.len() - 1);
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    fn close(&mut self, at_ms: u64, closed: Closed) {
        self.status = Status::from(&closed);
        self.truncated = closed.truncated;
        self.finished_ms.get_or_insert(at_ms);
        self.counts = closed.counts;
        self.failures.extend(closed.failures);
    }
}

impl Step {
    fn new(urn: Urn, action: Action, planned: Option<Planned>) -> Self {
        let (region, diff, renamed_from, note) = match planned {
            Some(Planned { region, diff, renamed_from, note, .. }) => (region, diff, renamed_from, note),
            None => Default::default(),
        };
        let (started_ms, finished_ms) = (None, None);
        let (outcome, progress) = (Outcome::Waiting, Vec::new());
        Self { urn, action, region, diff, renamed_from, note, started_ms, finished_ms, outcome, progress }
    }
}

/// The outcome of a step without its details.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    Finished,
    Other,
}

impl Phase {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Waiting => Self::Waiting,
            Outcome::Running => Self::Running,
            Outcome::Finished { .. } => Self::Finished,
            Outcome::Failed(_) | Outcome::Skipped => Self::Other,
        }
    }
}

fn is_removal(action: Action) -> bool {
    matches!(action, Action::Delete | Action::Forget)
}
