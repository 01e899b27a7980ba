//! `stack unlock`

use super::question::Change;
use crate::{failure::Failure, session::Session};
use clap::Args;
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
    let change = Change {
        subject: "unlocking",
        question: &format!("Release the lock of the stack `{}`? {DANGER}.", session.stack),
        consequence: DANGER,
        hint: "make sure that the run has finished, then add `--yes`",
    };
    change.ensure_confirmed(session, arguments.yes)?;
    let holder = session.offline().unlock().await?;
    match holder {
        _ if session.json => print_line!("{}", json!({"was_held_by": holder})),
        Some(holder) => print_line!("released the lock of the stack `{}`, which {holder} held", session.stack),
        None => print_line!("the stack `{}` is not locked", session.stack),
    }
    Ok(ExitCode::SUCCESS)
}
