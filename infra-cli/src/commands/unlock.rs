//! `stack unlock`

use super::{is_at_terminal, says_yes};
use crate::{failure::Failure, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::process::ExitCode;

const DANGER: &str =
    "a run that still lives and loses its stack begins nothing more, but cannot record what it has under way";

/// Release the lock of a run that cannot finish
#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(session: &Session<'_>, args: &UnlockArgs) -> Result<ExitCode, Failure> {
    if !args.yes && !is_at_terminal(session) {
        let nobody = Diagnostic::error("unlocking needs a yes, and there is no terminal to ask on").because(DANGER);
        return Err(Failure::wrong_use(nobody.hint("make sure that the run has ended, then add `--yes`")));
    }
    if !args.yes && !says_yes(&format!("Take the stack `{}` away from whoever holds it? {DANGER}.", session.stack)) {
        return Ok(ExitCode::SUCCESS);
    }
    let holder = session.offline().unlock().await?;
    match holder {
        _ if session.json => say!("{}", json!({"was_held_by": holder})),
        Some(holder) => say!("the stack `{}` is free; {holder} held it", session.stack),
        None => say!("nobody holds the stack `{}`", session.stack),
    }
    Ok(ExitCode::SUCCESS)
}
