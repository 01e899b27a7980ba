//! `stack local reset`

use super::answer;
use crate::{commands::question::Change, failure::Failure, local_cloud, session::Session};
use clap::Args;
use std::path::Path;

/// Stop the local cloud and delete everything in it
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &ResetArgs) -> Result<(), Failure> {
    const LOSS: &str = "everything in the local cloud is lost, data of databases and buckets included";
    let change = Change {
        subject: "a reset",
        question: &format!("Reset the local cloud? {LOSS}."),
        consequence: LOSS,
        hint: "add `--yes`",
    };
    change.ensure_confirmed(session, arguments.yes)?;
    // The start of a cloud stops the processes that a killed one has left running.
    if let Err(failure) = local_cloud::enter(directory).await {
        tracing::warn!(
            ?failure,
            "the local cloud does not start: the processes that it has left running cannot be stopped"
        );
    }
    local_cloud::stop(directory).await?;
    infra_local::reset(directory).await.map_err(|error| Failure::failed(error.to_string()))?;
    answer(session, &serde_json::json!({ "reset": true }), || {
        "the local cloud is empty; the next `stack up` of each stack that was deployed to it creates everything again"
            .to_owned()
    })
}
