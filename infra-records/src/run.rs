//! A recorded run.

pub use crate::line::Change;

use crate::{format::Header, line, list::Status};
use infra_core::{diagnostic::Diagnostic, diff::Action, execution::ExecutionGraph, urn::Urn};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

/// A recorded run. Times are in milliseconds since its start.
#[derive(Clone, Debug)]
pub struct Run {
    /// The first line of the record.
    pub header: Header,
    /// Progress of the run.
    pub status: Status,
    /// Operations that an earlier run left open, and that this run settled.
    pub settled: Vec<Settled>,
    /// Resources that differed from their recorded state.
    pub drifted: Vec<Drifted>,
    /// Progress of lookups during planning.
    pub planning: Vec<Planning>,
    /// The steps: first the tasks of [`Run::execution`] in the same order, then the planned steps without a task, such as
    /// those of renamed resources.
    pub steps: Vec<Step>,
    /// The tasks of the plan and the order between them.
    pub execution: ExecutionGraph,
    /// Number of planned steps by action.
    pub planned: BTreeMap<Action, usize>,
    /// Time at which the plan was complete.
    pub planned_ms: Option<u64>,
    /// Messages that belong to no step.
    pub messages: Vec<Message>,
    /// Number of successful steps by action, once the run has finished.
    pub counts: BTreeMap<Action, usize>,
    /// All errors, once the run has finished.
    pub failures: Vec<Diagnostic>,
    /// Exports of the program, with masked secrets, once the run has finished.
    pub outputs: BTreeMap<String, Json>,
    /// Time at which the run finished.
    pub finished_ms: Option<u64>,
    /// Duration of the finished run without the time that it waited for the user.
    pub elapsed_ms: Option<u64>,
    /// Time of the last line.
    pub last_ms: u64,
    /// `true` if lines are missing, because the record was too large.
    pub truncated: bool,
    /// Number of lines that could not be parsed.
    pub unreadable: usize,
    pub(crate) path: PathBuf,
    /// Position behind the last line that was read.
    pub(crate) offset: u64,
    /// Indices of the steps of each resource.
    pub(crate) index: HashMap<Urn, Vec<usize>>,
    /// Steps of a plan that is not complete yet.
    pub(crate) pending: Vec<line::Planned>,
}

/// A step of a run.
#[derive(Clone, Debug)]
pub struct Step {
    /// The resource.
    pub urn: Urn,
    /// The planned action, and after the execution the executed one.
    pub action: Action,
    /// Region of the resource.
    pub region: Option<String>,
    /// The differences that cause the action.
    pub diff: Vec<Change>,
    /// Previous name of the resource, if it was renamed.
    pub renamed_from: Option<Urn>,
    /// Additional reason for the action.
    pub note: Option<String>,
    /// Start of the execution.
    pub started_ms: Option<u64>,
    /// End of the execution.
    pub finished_ms: Option<u64>,
    /// Result of the execution.
    pub outcome: Outcome,
    /// Progress of the execution, the oldest message first.
    pub progress: Vec<Progress>,
}

/// Result of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The step has not started. In a finished run, it was not needed, or the run did not reach it.
    Waiting,
    /// The step is being executed, or its process was killed.
    Running,
    /// The step succeeded.
    Finished {
        /// The provider's id.
        id: Option<String>,
    },
    /// The step failed.
    Failed(Diagnostic),
    /// The step was skipped, because an earlier step failed or the run was interrupted.
    Skipped,
}

/// Progress of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Time.
    pub at_ms: u64,
    /// The progress in words.
    pub message: String,
}

/// Progress of a lookup during planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planning {
    /// Time.
    pub at_ms: u64,
    /// The lookup.
    pub urn: Urn,
    /// The progress in words.
    pub message: String,
}

/// A settled operation of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Time.
    pub at_ms: u64,
    /// The resource.
    pub urn: Urn,
    /// The outcome, as a sentence.
    pub outcome: String,
}

/// A resource that differs from its recorded state.
#[derive(Clone, Debug, PartialEq)]
pub struct Drifted {
    /// Time.
    pub at_ms: u64,
    /// The resource.
    pub urn: Urn,
    /// `true` if the resource no longer exists.
    pub gone: bool,
    /// The differences; `old` is the recorded value.
    pub diff: Vec<Change>,
}

/// A message of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Time.
    pub at_ms: u64,
    /// The message.
    pub diagnostic: Diagnostic,
}

/// Lines of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The lines, without line breaks.
    pub lines: Vec<String>,
    /// Position behind the last line, from which [`follow`](crate::follow) continues.
    pub offset: u64,
}

impl Run {
    /// Returns the path of the record.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn new(path: &Path, header: Header) -> Self {
        Self {
            header,
            status: Status::Running,
            settled: Vec::new(),
            drifted: Vec::new(),
            planning: Vec::new(),
            steps: Vec::new(),
            execution: ExecutionGraph::default(),
            planned: BTreeMap::new(),
            planned_ms: None,
            messages: Vec::new(),
            counts: BTreeMap::new(),
            failures: Vec::new(),
            outputs: BTreeMap::new(),
            finished_ms: None,
            elapsed_ms: None,
            last_ms: 0,
            truncated: false,
            unreadable: 0,
            path: path.to_owned(),
            offset: 0,
            index: HashMap::new(),
            pending: Vec::new(),
        }
    }
}
