//! Writes lines to standard error, through a buffer.
//!
//! A warning or an error is written at once, with all lines before it. Other lines wait for at most [`PATIENCE`] in a
//! buffer of [`MOST`] bytes, which saves a busy service a system call per line. A service that logs faster than standard
//! error accepts waits.

use std::{
    io::{self, Write, stderr},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Maximum time that a line waits.
const PATIENCE: Duration = Duration::from_millis(20);
/// Maximum number of waiting bytes.
const MOST: usize = 64 * 1024;

/// Waiting lines.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { lines: Vec::new(), thread: false });

struct Waiting {
    lines: Vec<u8>,
    /// A thread will write them.
    thread: bool,
}

/// Writes the waiting lines. Called at the exit of a program, and before other output to standard error.
pub fn flush() {
    // There is no place to report an error.
    let _ = waiting().write();
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    fn write(&mut self) -> io::Result<()> {
        let written = stderr().write_all(&self.lines);
        self.lines.clear();
        written
    }
}

/// Creates writers of lines.
pub(super) struct Lines;

/// Writer of a line.
pub(super) struct Line {
    at_once: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { at_once: true }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        Line { at_once: *about.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = waiting();
        waiting.lines.extend_from_slice(line);
        if self.at_once || waiting.lines.len() >= MOST {
            waiting.write()?;
        } else if !waiting.thread {
            let spawned = thread::Builder::new().name("log".to_owned()).spawn(write_sometimes);
            waiting.thread = spawned.is_ok();
            if spawned.is_err() {
                waiting.write()?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until no line has waited for a while.
fn write_sometimes() {
    let mut idle = 0;
    while idle < 50 {
        thread::sleep(PATIENCE);
        let mut waiting = waiting();
        idle = if waiting.lines.is_empty() { idle + 1 } else { 0 };
        // There is no place to report an error.
        let _ = waiting.write();
        waiting.thread = idle < 50;
    }
}
