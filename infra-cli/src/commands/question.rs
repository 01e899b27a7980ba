//! Questions on the terminal.

use crate::{arguments::TargetName, failure::Failure, session::Session};
use infra_core::{diagnostic::Diagnostic, execute::Interrupt, plan::Plan, stack::Relaunchable};
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// Interval between checks for an interrupt while a question waits.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns whether there is a terminal to ask on.
pub(super) fn is_at_terminal(session: &Session<'_>) -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !session.json
}

/// Confirmation of the plans of a run. On AWS, the user confirms every change. On any target, the user confirms replacements
/// and deletions. `--yes` confirms all.
pub(super) struct Confirmation {
    yes: bool,
    every_change: bool,
    is_at_terminal: bool,
    /// `true` once a plan needed a confirmation without a terminal to ask on.
    missing: Arc<AtomicBool>,
}

impl Confirmation {
    pub(super) fn new(session: &Session<'_>, yes: bool) -> Self {
        let every_change = session.target == TargetName::Aws;
        Self { yes, every_change, is_at_terminal: is_at_terminal(session), missing: Arc::default() }
    }

    /// Fails before a run whose plan needs a confirmation that cannot be given. `change` is the subject of the error.
    pub(super) fn ensure_possible(&self, change: &str, preview: &str) -> Result<(), Failure> {
        if self.yes || self.is_at_terminal { Ok(()) } else { Err(unconfirmed(change, preview)) }
    }

    /// Fails before a run on AWS whose changes cannot be confirmed.
    pub(super) fn ensure_possible_on_aws(&self, preview: &str) -> Result<(), Failure> {
        if self.every_change { self.ensure_possible("a change on AWS", preview) } else { Ok(()) }
    }

    /// Returns the approval of plans.
    pub(super) fn approval(&self, interrupt: Interrupt) -> impl Fn(&Plan) -> bool + Send + Sync + use<> {
        let Self { yes, every_change, is_at_terminal, .. } = *self;
        let missing = self.missing.clone();
        move |plan| {
            let needs_answer = plan.is_destructive() || (every_change && plan.has_changes());
            if yes || !needs_answer {
                return true;
            }
            if !is_at_terminal {
                missing.store(true, Ordering::Relaxed);
                return false;
            }
            confirm_unless_interrupted("\nMake these changes?", &interrupt)
        }
    }

    /// Fails after a run whose plan was not executed because there was no terminal to confirm it on.
    pub(super) fn ensure_given(&self, preview: &str) -> Result<(), Failure> {
        if self.missing.load(Ordering::Relaxed) {
            return Err(unconfirmed("a plan that replaces or deletes resources", preview));
        }
        Ok(())
    }
}

fn unconfirmed(change: &str, preview: &str) -> Failure {
    let summary = format!("{change} needs a confirmation, and there is no terminal to ask on");
    Failure::wrong_use(Diagnostic::error(summary).hint(format!("read the output of `{preview}`, then add `--yes`")))
}

/// A change without a plan that the user confirms.
pub(super) struct Change<'a> {
    /// Subject of the error without a confirmation.
    pub(super) subject: &'a str,
    pub(super) question: &'a str,
    pub(super) consequence: &'a str,
    pub(super) hint: &'a str,
}

impl Change<'_> {
    /// Asks for the confirmation unless it is given by `--yes`. Fails without it, or without a terminal to ask on.
    pub(super) fn ensure_confirmed(&self, session: &Session<'_>, yes: bool) -> Result<(), Failure> {
        let Self { subject, question, consequence, hint } = self;
        if yes {
            return Ok(());
        }
        if !is_at_terminal(session) {
            let summary = format!("{subject} needs a confirmation, and there is no terminal to ask on");
            return Err(Failure::wrong_use(Diagnostic::error(summary).because(*consequence).hint(*hint)));
        }
        if confirm_unless_interrupted(question, &Interrupt::default()) {
            return Ok(());
        }
        Err(Failure::failed(format!("{subject} was not confirmed; nothing was changed")))
    }
}

/// Returns the question whether to relaunch a resource. The default is no.
pub(super) fn relaunch(interrupt: Interrupt) -> impl Fn(&Relaunchable) -> bool + Send + Sync {
    move |thing| {
        let Relaunchable { name, meaning, .. } = thing;
        !interrupt.is_interrupted()
            && confirm_unless_interrupted(&format!("Relaunch the {name} ({meaning})?"), &interrupt)
    }
}

/// Asks a question. The default, and the answer to Ctrl-C, is no.
fn confirm_unless_interrupted(question: &str, interrupt: &Interrupt) -> bool {
    print!("{question} [y/N] ");
    if io::stdout().flush().is_err() {
        return false;
    }
    // Reading a line cannot be interrupted, so a separate thread reads it.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() {
            // The receiver is gone after an interrupt.
            let _ = sender.send(line);
        }
    });
    loop {
        match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(line) => return matches!(line.trim(), "y" | "Y" | "yes"),
            Err(RecvTimeoutError::Timeout) if !interrupt.is_interrupted() => {}
            Err(_) => return false,
        }
    }
}
