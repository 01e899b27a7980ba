//! `stack refresh`

use super::exit_code;
use crate::{
    arguments::Refresh,
    exit::Exit,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Refresh) -> Result<ExitCode, Failure> {
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?;
    let report = engine.refresh(&session.program.run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    if report.failures.is_empty() {
        session.record_refreshed().await?;
    }
    let pending = arguments.expect_no_changes && !report.drift.is_empty();
    Ok(if pending { Exit::ChangesPending.into() } else { exit_code(&report) })
}
