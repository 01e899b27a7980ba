//! `stack preview`

use crate::{
    arguments::Preview,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use std::process::ExitCode;

/// The exit code of `--expect-no-changes` when there are some.
const CHANGES_PENDING: u8 = 3;

pub(super) async fn run(session: &Session<'_>, arguments: &Preview) -> Result<ExitCode, Failure> {
    let renderer = render::to_terminal(session.json, Detail::Everything, arguments.planning.diff);
    let engine = session.engine(Some(&arguments.planning), &renderer).await?;
    let plan = engine.preview(&session.program.run).await;
    renderer.finish();
    session.stop_empty_cloud().await;
    let plan = plan?;
    renderer.planned_outputs(&plan.outputs);
    let pending = arguments.expect_no_changes && plan.has_changes();
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}
