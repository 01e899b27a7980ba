//! The records of a stack.

use crate::{
    files,
    format::{self, Closed, Common, Header},
};
use chrono::{DateTime, Utc};
use infra_core::{diff::Action, urn};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Progress of a recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A process executes the run.
    Running,
    /// The run has finished.
    Finished {
        /// `true` if the run succeeded.
        success: bool,
        /// `true` if the plan was rejected or the run was interrupted.
        interrupted: bool,
    },
    /// The process of the run was killed.
    Killed,
}

/// A record without the events of the run.
#[derive(Clone, Debug)]
pub struct RecordSummary {
    /// Id of the record among those of the stack.
    pub id: String,
    /// Path of the record.
    pub path: PathBuf,
    /// The first line.
    pub header: Header,
    /// Progress of the run.
    pub status: Status,
    /// End of the run.
    pub finished: Option<DateTime<Utc>>,
    /// Number of planned steps by action, once the run has finished.
    pub planned: BTreeMap<Action, usize>,
    /// Number of successful steps by action, once the run has finished.
    pub counts: BTreeMap<Action, usize>,
}

/// The end of a run, by either of the last two lines.
#[derive(Deserialize)]
struct End {
    success: bool,
    #[serde(default)]
    interrupted: bool,
    #[serde(default)]
    planned: BTreeMap<Action, usize>,
    #[serde(default)]
    counts: BTreeMap<Action, usize>,
}

impl From<&Closed> for Status {
    fn from(closed: &Closed) -> Self {
        Self::Finished { success: closed.success, interrupted: closed.interrupted }
    }
}

/// Returns the records of a stack, the newest first. Files that are no records are omitted; so is a record that was
/// deleted meanwhile.
pub fn list(directory: &Path, program: &str, stack: &str) -> Vec<RecordSummary> {
    let found = files::records(&format::of_stack(directory, program, stack));
    found.into_iter().rev().filter_map(|found| summary(found.path).ok().flatten()).collect()
}

/// Returns the programs and stacks with records, sorted.
pub fn stacks(directory: &Path) -> Vec<(String, String)> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let programs = files::directories(&format::runs(directory));
    let stacks =
        programs.iter().flat_map(|program| files::directories(program).into_iter().map(move |stack| (program, stack)));
    stacks.filter_map(|(program, stack)| Some((name(program)?, name(&stack)?))).collect()
}

/// Returns the path of a record, or `None` if the names are invalid or the record does not exist. The names may come from
/// a request: the path is always inside of the directory of records.
pub fn find(directory: &Path, program: &str, stack: &str, id: &str) -> Option<PathBuf> {
    urn::check_name("program", program).and_then(|()| urn::check_name("stack", stack)).ok()?;
    let path = format::of_stack(directory, program, stack).join(format::name_of(id)?);
    path.is_file().then_some(path)
}

fn summary(path: PathBuf) -> io::Result<Option<RecordSummary>> {
    let id = path.file_name().and_then(|name| name.to_str()).and_then(format::id_of).map(str::to_owned);
    let (Some(id), Some(header)) = (id, files::header(&path)?) else {
        return Ok(None);
    };
    // A run that finishes meanwhile adds its last line before it releases the lock.
    let running = files::is_written(&path);
    let end = files::last_line(&path)?.and_then(|line| end(&line));
    let (status, finished, end) = match end {
        Some((at, end)) => (Status::Finished { success: end.success, interrupted: end.interrupted }, Some(at), end),
        None => {
            let (planned, counts) = Default::default();
            let status = if running { Status::Running } else { Status::Killed };
            (status, None, End { success: false, interrupted: false, planned, counts })
        }
    };
    Ok(Some(RecordSummary { id, path, header, status, finished, planned: end.planned, counts: end.counts }))
}

/// Returns the end of a run and its time, if this is the last line of a finished one.
fn end(line: &str) -> Option<(DateTime<Utc>, End)> {
    let common: Common = serde_json::from_str(line).ok()?;
    let last = matches!(common.event.as_str(), "run_closed" | "run_finished");
    last.then(|| serde_json::from_str(line).ok()).flatten().map(|end| (common.at, end))
}
