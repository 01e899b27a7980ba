//! `stack local reset`

use super::answer;
use crate::{
    commands::{is_at_terminal, says_yes},
    failure::Failure,
    local_cloud,
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use std::path::Path;

/// Stop the local cloud and delete everything in it
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, args: &ResetArgs) -> Result<(), Failure> {
    const LOSS: &str = "everything in the local cloud is lost, data of databases and buckets included";
    if !args.yes && !is_at_terminal(session) {
        let nobody = Diagnostic::error("a reset needs a yes, and there is no terminal to ask on").because(LOSS);
        return Err(Failure::wrong_use(nobody.hint("add `--yes`")));
    }
    if !args.yes && !says_yes(&format!("Reset the local cloud? {LOSS}.")) {
        return Ok(());
    }
    // What a cloud that was killed has left running is ended by the next one.
    if let Err(failure) = local_cloud::enter(directory).await {
        tracing::warn!(?failure, "the local cloud does not start: what it has left running cannot be ended");
    }
    local_cloud::stop(directory).await?;
    infra_local::reset(directory).await.map_err(|error| Failure::failed(error.to_string()))?;
    answer(session, &serde_json::json!({ "reset": true }), || {
        "the local cloud is empty; the next `stack up` of each stack that was deployed to it creates everything again"
            .to_owned()
    })
}
