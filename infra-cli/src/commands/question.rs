//! Questions on the terminal.

use crate::{arguments::TargetName, failure::Failure, session::Session};
use infra_core::{diagnostic::Diagnostic, execute::Interrupt, plan::Plan, stack::Relaunchable};
use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Interval between checks for an interrupt while a question waits.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns whether there is a terminal to ask on.
pub(super) fn is_at_terminal(session: &Session<'_>) -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !session.json
}

/// Refuses changes on AWS without a terminal to confirm them on and without `--yes`.
pub(super) fn ensure_may_ask(session: &Session<'_>, yes: bool) -> Result<(), Failure> {
    let asks = session.target == TargetName::Aws && !yes;
    if asks && !is_at_terminal(session) {
        let unconfirmed = Diagnostic::error("changes on AWS need a confirmation, and there is no terminal to ask on");
        return Err(Failure::wrong_use(unconfirmed.hint("read the output of `preview`, then add `--yes`")));
    }
    Ok(())
}

/// Returns the approval of plans. On AWS, the user confirms every change. On any target, a user at a terminal confirms
/// replacements and deletions. `--yes` approves all changes.
pub(super) fn approval(
    session: &Session<'_>,
    yes: bool,
    interrupt: Interrupt,
) -> impl Fn(&Plan) -> bool + Send + Sync + use<> {
    let every_change = session.target == TargetName::Aws;
    let asks = !yes && (every_change || is_at_terminal(session));
    move |plan| {
        let needs_answer = plan.is_destructive() || (every_change && plan.has_changes());
        !asks || !needs_answer || confirm_unless_interrupted("\nMake these changes?", &interrupt)
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

/// Asks a question. The default is no.
pub(super) fn confirm(question: &str) -> bool {
    confirm_unless_interrupted(question, &Interrupt::default())
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
