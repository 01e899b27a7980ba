//! Records of runs: the events of each run in a file, from which the web console shows runs live and afterwards.
//!
//! # Tutorial
//! A command passes the events of its run through a [`Recorder`], and closes it at the end. Any process can list and read
//! the records of a directory, also while the run continues:
//!
//! ```
//! use infra_core::{Config, Engine, Result, Stack, diff::Action, random::Password, store::MemoryStore};
//! use infra_records::{Outcome, Recorder, Run, Status, Subject, list};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let directory = temporary.path();
//! let program = |stack: &Stack, _: &Config| -> Result {
//!     stack.add("password", Password::of_length(32));
//!     Ok(())
//! };
//! let recorder = Recorder::new(Subject {
//!     directory: directory.into(),
//!     program: "secrets".into(),
//!     stack: "dev".into(),
//!     target: "local".into(),
//! });
//! let engine = Engine::new("secrets", "dev", MemoryStore::new());
//! let outcome = engine.up(&program).events(recorder.events(|event| println!("{event:?}"))).await;
//! recorder.close(outcome.map(drop).map_err(|error| error.diagnostics()));
//!
//! let records = list(directory, "secrets", "dev");
//! assert_eq!(records[0].status, Status::Finished { success: true, interrupted: false });
//! let run = Run::read(&records[0].path)?;
//! assert_eq!((run.header.command.as_str(), run.counts[&Action::Create]), ("up", 1));
//! assert!(matches!(run.steps[0].outcome, Outcome::Finished { .. }));
//! # Ok(())
//! # }
//! ```
//!
//! # Format
//! A record is the file `runs/PROGRAM/STACK/<start>-<8 hexadecimal digits>.jsonl` in the command's directory, with a start
//! such as `20261130T101512.123Z`. Its names without the extension are the ids of a stack's records, and sort by time.
//! Directories have the mode 0700 and files the mode 0600. No record contains a secret.
//!
//! Each line is a JSON object, appended by one write. All have the time `at`, in RFC 3339 with milliseconds, which never
//! decreases, and the name of an `event`:
//!
//! 1. `run_recorded`, see [`Header`];
//! 2. the events of the run, in the form of [`infra_core::event`], with `at` as an additional field;
//! 3. `run_closed`, see [`Closed`]. A preview has no other line with its outcome, and a run that is refused no other line
//!    with the reasons.
//!
//! Readers must ignore unknown events and fields, and a last line without a line break. The process holds a lock on the
//! file (`flock`) until its run ends. So a record without `run_finished` and `run_closed` is that of a running process if it
//! is locked, and of a killed one otherwise.
//!
//! At the start of a run, the oldest records are deleted: a stack keeps 100, of which 20 are previews, and the records of
//! all stacks have at most 64 MiB. Above 32 MiB, only the end of a run is added to its record.
//!
//! # Layout
//! No module uses a later one:
//! - `format`: names of records, and the lines that only records contain
//! - `files`: access to the files
//! - `prune`: deletion of old records
//! - `recorder`: the writer
//! - `list`: the records of a stack
//! - `line`: the lines of a record
//! - `run`: a recorded run
//! - `read`: reading of recorded runs
//! - `critical`: the steps that determined the duration of a run

mod critical;
mod files;
mod format;
mod line;
mod list;
mod prune;
mod read;
mod recorder;
mod run;

pub use critical::critical_path;
pub use format::{Closed, Header};
pub use list::{RecordSummary, Status, find, list, stacks};
pub use read::follow;
pub use recorder::{Recorder, Subject};
pub use run::{Change, Drifted, Lines, Message, Outcome, Planning, Progress, Run, Settled, Step};
