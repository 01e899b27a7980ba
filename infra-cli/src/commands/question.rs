//! Questions on the terminal.

use crate::{arguments::TargetName, failure::Failure, session::Session};
use infra_core::{diagnostic::Diagnostic, execute::Interrupt, plan::Plan, stack::Relaunchable};
use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// How often a question looks whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(50);

/// Whether there is a terminal to ask on.
pub(super) fn is_at_terminal(session: &Session<'_>) -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !session.json
}

/// Refuses changes on AWS that nobody can confirm.
pub(super) fn ensure_may_ask(session: &Session<'_>, yes: bool) -> Result<(), Failure> {
    let asks = session.target == TargetName::Aws && !yes;
    if asks && !is_at_terminal(session) {
        let nobody = Diagnostic::error("changes on AWS need a yes, and there is no terminal to ask on");
        return Err(Failure::wrong_use(nobody.hint("look at `preview`, then add `--yes`")));
    }
    Ok(())
}

/// Approves plans. On AWS every change is confirmed; on a terminal, whatever the target, everything that replaces or
/// deletes a resource. `--yes` approves all of it.
pub(super) fn approval(
    session: &Session<'_>,
    yes: bool,
    interrupt: Interrupt,
) -> impl Fn(&Plan) -> bool + Send + Sync + use<> {
    let every_change = session.target == TargetName::Aws;
    let asks = !yes && (every_change || is_at_terminal(session));
    move |plan| {
        let asked = plan.is_destructive() || (every_change && plan.has_changes());
        !asks || !asked || confirms("\nMake these changes?", &interrupt)
    }
}

/// Offers to relaunch a resource; it is kept by default.
pub(super) fn relaunch(interrupt: Interrupt) -> impl Fn(&Relaunchable) -> bool + Send + Sync {
    move |thing| {
        let Relaunchable { name, meaning, .. } = thing;
        !interrupt.is_interrupted() && confirms(&format!("Relaunch the {name} ({meaning})?"), &interrupt)
    }
}

/// Asks a question that is answered with no by default.
pub(super) fn says_yes(question: &str) -> bool {
    confirms(question, &Interrupt::default())
}

/// The same; Ctrl-C is a no.
fn confirms(question: &str, interrupt: &Interrupt) -> bool {
    print!("{question} [y/N] ");
    if io::stdout().flush().is_err() {
        return false;
    }
    // A thread of its own, because reading a line cannot be interrupted.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() {
            // The question may have been interrupted meanwhile.
            let _ = sender.send(line);
        }
    });
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(line) => return matches!(line.trim(), "y" | "Y" | "yes"),
            Err(RecvTimeoutError::Timeout) if !interrupt.is_interrupted() => {}
            Err(_) => return false,
        }
    }
}
