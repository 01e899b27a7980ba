//! Output streams and their width.

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Standard output, with running steps in place when it is a terminal.
pub(super) struct Screen {
    progress: Option<MultiProgress>,
    lines: Mutex<Box<dyn Write + Send>>,
    /// Stream of errors.
    errors: Mutex<Box<dyn Write + Send>>,
    width: Option<usize>,
}

impl Screen {
    pub(super) fn standard() -> Self {
        let in_place = io::stdout().is_terminal();
        let progress = in_place.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout()));
        Self { progress, ..Self::new(Box::new(io::stdout()), Box::new(io::stderr()), None) }
    }

    fn new(lines: Box<dyn Write + Send>, errors: Box<dyn Write + Send>, width: Option<usize>) -> Self {
        Self { progress: None, lines: Mutex::new(lines), errors: Mutex::new(errors), width }
    }

    /// Returns a screen of this width that writes both streams to one writer.
    #[cfg(test)]
    pub(super) fn of<W: Write + Send + Clone + 'static>(writer: W, width: Option<usize>) -> Self {
        Self::new(Box::new(writer.clone()), Box::new(writer), width)
    }

    /// Returns the number of columns, or `None` if lines have no limit.
    pub(super) fn width(&self) -> Option<usize> {
        match &self.progress {
            Some(_) => terminal_width(&Term::stdout()),
            None => self.width,
        }
    }

    /// Writes one or more lines above the running steps.
    pub(super) fn line(&self, text: impl AsRef<str>) {
        let written = match &self.progress {
            Some(progress) => progress.println(text),
            None => write_line(&self.lines, text.as_ref()),
        };
        // A closed pipe does not stop a run.
        let _ = written;
    }

    /// Writes one or more lines to the stream of errors. No step may be running.
    pub(super) fn error(&self, text: &str) {
        let _ = write_line(&self.errors, text);
    }

    /// Removes the `^C` that the terminal has written below the spinners, and moves the cursor back to the last of them.
    /// Otherwise the next spinners would be drawn one line too low, and the current ones would remain.
    pub(super) fn remove_echo(&self) {
        const TO_THE_LINE_ABOVE: &str = "\r\x1b[2K\x1b[1A";
        if self.progress.is_some() {
            let mut out = io::stdout().lock();
            let _ = out.write_all(TO_THE_LINE_ABOVE.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// Adds a spinner below all lines, on a terminal.
    pub(super) fn spinner(&self, what: &str) -> Option<ProgressBar> {
        let progress = self.progress.as_ref()?;
        let bar = progress.add(ProgressBar::new_spinner().with_style(style()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(bar)
    }
}

/// Returns the number of columns of a terminal, or `None` for another output.
pub(crate) fn terminal_width(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| usize::from(columns))
}

fn write_line(stream: &Mutex<Box<dyn Write + Send>>, text: &str) -> io::Result<()> {
    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(stream, "{text}").and_then(|()| stream.flush())
}

/// Returns the style of spinners. The message is last, where it is truncated instead of wrapped.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner} {elapsed:>4.dim} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
