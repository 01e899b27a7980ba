//! `stack local reset`

use super::answer;
use crate::{
    commands::{is_at_terminal, says_yes},
    failure::Failure,
    local_cloud,
    session::Session,
};
use infra_core::diagnostic::Diagnostic;
use std::{path::Path, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, directory: &Path, yes: bool) -> Result<ExitCode, Failure> {
    const LOSS: &str = "everything in the local cloud is lost, data of databases and buckets included";
    if !yes && !is_at_terminal(session) {
        let nobody = Diagnostic::error("a reset needs a yes, and there is no terminal to ask on").because(LOSS);
        return Err(Failure::wrong_use(nobody.hint("add `--yes`")));
    }
    if !yes && !says_yes(&format!("Reset the local cloud? {LOSS}.")) {
        return Ok(ExitCode::SUCCESS);
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
    })?;
    Ok(ExitCode::SUCCESS)
}
