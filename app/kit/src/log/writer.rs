//! Where lines go: to stderr, those of requests some at a time.
//!
//! A warning or an error is written at once, with all that stands before it. The others wait for [`PATIENCE`] at most in a
//! buffer of [`MOST`] bytes, so that a busy service does not call the operating system for every line of its log. When
//! stderr is slower than the service, the service waits for it.

use std::{
    io::{self, Write, stderr},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most.
const PATIENCE: Duration = Duration::from_millis(20);
/// Most bytes that wait.
const MOST: usize = 64 * 1024;

/// The lines that wait.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { lines: Vec::new(), thread: false });

struct Waiting {
    lines: Vec<u8>,
    /// There is a thread that will write them.
    thread: bool,
}

/// Writes what waits. For the end of a program, and before anything else is written to stderr.
pub fn flush() {
    // Nobody could be told.
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

/// Makes writers for lines.
pub(super) struct Lines;

/// Takes one line.
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

/// Writes again and again, until there has been nothing to write for a while.
fn write_sometimes() {
    let mut idle = 0;
    while idle < 50 {
        thread::sleep(PATIENCE);
        let mut waiting = waiting();
        idle = if waiting.lines.is_empty() { idle + 1 } else { 0 };
        // Nobody could be told.
        let _ = waiting.write();
        waiting.thread = idle < 50;
    }
}
