//! Writes the events of a run to a record.

use crate::{
    files,
    format::{self, Closed, Header, Stamped},
    prune,
};
use chrono::{DateTime, Utc};
use infra_core::{
    diagnostic::Diagnostic,
    engine,
    event::{Event, Events},
};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

/// Size of a record above which only the end of its run is added to it, in bytes.
const LARGE: u64 = 32 * 1024 * 1024;
/// Time that the end of a run waits for the last lines of its record.
const PATIENCE: Duration = Duration::from_secs(2);

/// The stack that a command works on.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The command's directory, usually `.infra`.
    pub directory: PathBuf,
    /// Name of the program.
    pub program: String,
    /// Name of the stack.
    pub stack: String,
    /// Name of the target.
    pub target: String,
}

/// Writer of the record of one run. It creates the record when the run starts, and never fails the run: a problem is
/// reported once, as a warning among the events of the run.
///
/// A thread writes the lines, so that a slow disk does not slow down the run.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    subject: Subject,
    writing: Mutex<Option<Writing>>,
}

/// A record in progress.
struct Writing {
    entries: Sender<Entry>,
    /// Receives a message once the record is complete.
    closed: Receiver<()>,
}

enum Entry {
    Event(DateTime<Utc>, Box<Event>),
    Close(DateTime<Utc>, Result<(), Vec<Diagnostic>>),
}

impl Recorder {
    /// Returns the recorder of a command's run.
    pub fn new(subject: Subject) -> Self {
        Self(Arc::new(Shared { subject, writing: Mutex::default() }))
    }

    /// Returns a receiver that records every event and passes it on to `show`, which also receives the warning about a
    /// record that cannot be written.
    ///
    /// A preview is recorded only beside other records: it must not create the directory of a stack whose name is
    /// misspelt.
    pub fn events(&self, show: impl Fn(&Event) + Send + Sync + 'static) -> Events {
        let (shared, show) = (self.0.clone(), Arc::new(show));
        Events::to(move |event| {
            let at = Utc::now();
            show(&event);
            if let Event::RunStarted { command, .. } = &event {
                let show = show.clone();
                shared.start(at, command, move |warning| show(&Event::Message(warning)));
            }
            shared.send(Entry::Event(at, Box::new(event)));
        })
    }

    /// Completes the record of a run that returned successfully, or with these errors.
    pub fn close(&self, outcome: Result<(), Vec<Diagnostic>>) {
        let writing = self.0.lock().take();
        if let Some(Writing { entries, closed }) = writing
            && entries.send(Entry::Close(Utc::now(), outcome)).is_ok()
        {
            // The thread continues after that, as long as the process exists.
            let _ = closed.recv_timeout(PATIENCE);
        }
    }
}

impl Shared {
    fn start(&self, at: DateTime<Utc>, command: &str, warn: impl Fn(Diagnostic) + Send + Sync + 'static) {
        let Subject { directory, program, stack, target } = &self.subject;
        let stack_directory = format::of_stack(directory, program, stack);
        if command == "preview" && !stack_directory.is_dir() {
            return;
        }
        let header = Header {
            at,
            command: command.to_owned(),
            program: program.clone(),
            stack: stack.clone(),
            target: target.clone(),
            by: engine::author(),
            pid: std::process::id(),
        };
        let warn = Arc::new(warn);
        let path = stack_directory.join(format::file_name(at, random()));
        let begun = Record::create(path.clone(), &header).and_then(|record| {
            let (directory, warn) = (directory.clone(), warn.clone());
            record.write_in_background(directory, move |warning| warn(warning))
        });
        match begun {
            Ok(writing) => *self.lock() = Some(writing),
            Err(error) => warn(problem(&path, &error)),
        }
    }

    fn send(&self, entry: Entry) {
        if let Some(writing) = &*self.lock() {
            // The thread has stopped after a problem, which it has reported.
            let _ = writing.entries.send(entry);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Writing>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the part of a name that makes records of the same millisecond different. Without random numbers, the second
/// one of them cannot be created.
fn random() -> [u8; 4] {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

fn problem(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::warning(format!("the run cannot be recorded: {error}"))
        .about(path.display())
        .hint("the run itself is not affected; free disk space or make the directory writable")
}

/// An open record.
struct Record {
    path: PathBuf,
    file: File,
    size: u64,
    /// Time of the last line; no line has an earlier one.
    last: DateTime<Utc>,
    /// The last line, as far as it is known.
    end: Closed,
}

impl Record {
    /// Creates a record with its first line.
    fn create(path: PathBuf, header: &Header) -> io::Result<Self> {
        let file = files::create(&path)?;
        let end = Closed { success: true, ..Closed::default() };
        let mut record = Self { path, file, size: 0, last: header.at, end };
        record.append(header)?;
        Ok(record)
    }

    /// Starts the thread that deletes old records and then writes the entries of this one.
    fn write_in_background(
        mut self,
        directory: PathBuf,
        warn: impl Fn(Diagnostic) + Send + 'static,
    ) -> io::Result<Writing> {
        let (entries, received) = mpsc::channel();
        let (done, closed) = mpsc::channel();
        thread::Builder::new().name("record".into()).spawn(move || {
            prune::prune(&directory, &self.path);
            if let Err(error) = self.write_all(&received) {
                warn(problem(&self.path, &error));
                // The file stays locked until the end of the run, which therefore does not look like a killed one.
                let _ = received.iter().find(|entry| matches!(entry, Entry::Close(..)));
            }
            drop(self);
            // The command has stopped waiting if this took too long.
            let _ = done.send(());
        })?;
        Ok(Writing { entries, closed })
    }

    fn write_all(&mut self, received: &Receiver<Entry>) -> io::Result<()> {
        for entry in received {
            match entry {
                Entry::Event(at, event) => self.event(at, &event)?,
                Entry::Close(at, outcome) => return self.close(at, outcome),
            }
        }
        Ok(())
    }

    fn event(&mut self, at: DateTime<Utc>, event: &Event) -> io::Result<()> {
        match event {
            Event::RunFinished { success, interrupted, counts, .. } => {
                (self.end.success, self.end.interrupted) = (*success, *interrupted);
                self.end.counts.clone_from(counts);
            }
            _ if self.size > LARGE => {
                self.end.truncated = true;
                return Ok(());
            }
            Event::Planned { counts, .. } => self.end.planned.clone_from(counts),
            _ => {}
        }
        self.last = self.last.max(at);
        self.append(&Stamped { at: self.last, content: event })
    }

    fn close(&mut self, at: DateTime<Utc>, outcome: Result<(), Vec<Diagnostic>>) -> io::Result<()> {
        self.end.success &= outcome.is_ok();
        self.end.failures = outcome.err().unwrap_or_default();
        self.last = self.last.max(at);
        let end = std::mem::take(&mut self.end);
        self.append(&Stamped { at: self.last, content: &end })
    }

    /// Appends a line by one write, so that a reader does not see a part of it unless the process was killed.
    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::from)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{fs, sync::mpsc};

    fn header() -> Header {
        let [command, program, stack, target, by] = ["up", "web", "dev", "local", "ann@host"].map(str::to_owned);
        Header { at: Utc::now(), command, program, stack, target, by, pid: 1 }
    }

    fn message(text: &str) -> Entry {
        Entry::Event(Utc::now(), Box::new(Event::Message(Diagnostic::note(text))))
    }

    /// Waits until a record is complete.
    fn complete(writing: &Writing) {
        writing.entries.send(Entry::Close(Utc::now(), Ok(()))).unwrap();
        writing.closed.recv().unwrap();
    }

    #[test]
    fn full_disk_is_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::create(directory.path().join("record"), &header()).unwrap();
        record.file = fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let (warn, warnings) = mpsc::channel();
        let writing = record
            .write_in_background(directory.path().to_owned(), move |warning| warn.send(warning).unwrap())
            .unwrap();
        for _ in 0..10 {
            writing.entries.send(message("text")).unwrap();
        }
        complete(&writing);
        let warnings: Vec<Diagnostic> = warnings.iter().collect();
        assert!(warnings.len() == 1 && warnings[0].summary.contains("No space left"), "{warnings:?}");
    }

    #[test]
    fn only_the_end_is_added_to_a_large_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut record = Record::create(path.clone(), &header()).unwrap();
        record.size = LARGE + 1;
        let writing = record.write_in_background(directory.path().to_owned(), |warning| panic!("{warning}")).unwrap();
        writing.entries.send(message("one of many")).unwrap();
        complete(&writing);
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("one of many") && text.contains(r#""truncated":true"#), "{text}");
    }
}
