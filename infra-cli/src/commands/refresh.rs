//! `stack refresh`

use super::exit_code;
use crate::{
    exit::Exit,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use clap::Args;
use std::process::ExitCode;

/// Update the recorded state to the actual state of the resources
#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// Exit with code 3 if a resource differs from the recorded state
    #[arg(long)]
    expect_no_changes: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &RefreshArgs) -> Result<ExitCode, Failure> {
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?;
    let run = session.configure(engine.refresh(&session.program.run), None, &renderer);
    let report = session.complete(run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    if report.failures.is_empty() {
        session.record_refreshed().await?;
    }
    let pending = arguments.expect_no_changes && !report.drift.is_empty();
    Ok(if pending { Exit::ChangesPending.into() } else { exit_code(&report) })
}
