//! `stack unlock`

use super::{confirm, is_at_terminal};
use crate::{failure::Failure, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::process::ExitCode;

const DANGER: &str =
    "a run that is still active starts no further operation, but cannot record its operations in progress";

/// Release the lock of a run that cannot finish
#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &UnlockArgs) -> Result<ExitCode, Failure> {
    if !arguments.yes && !is_at_terminal(session) {
        let unconfirmed =
            Diagnostic::error("unlocking needs a confirmation, and there is no terminal to ask on").because(DANGER);
        return Err(Failure::wrong_use(unconfirmed.hint("make sure that the run has finished, then add `--yes`")));
    }
    if !arguments.yes && !confirm(&format!("Release the lock of the stack `{}`? {DANGER}.", session.stack)) {
        return Ok(ExitCode::SUCCESS);
    }
    let holder = session.offline().unlock().await?;
    match holder {
        _ if session.json => print_line!("{}", json!({"was_held_by": holder})),
        Some(holder) => print_line!("released the lock of the stack `{}`, which {holder} held", session.stack),
        None => print_line!("the stack `{}` is not locked", session.stack),
    }
    Ok(ExitCode::SUCCESS)
}
