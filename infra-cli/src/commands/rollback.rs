//! `stack rollback`

use super::{ask, conclude, ensure_may_ask, watch_ctrl_c};
use crate::{
    arguments::Rollback,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Rollback) -> Result<ExitCode, Failure> {
    if !arguments.preview {
        ensure_may_ask(session, arguments.yes)?;
    }
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?;
    if arguments.preview {
        let plan = engine.preview_rollback(arguments.serial, &session.program.run).await;
        renderer.finish();
        session.stop_empty_cloud().await;
        renderer.planned_outputs(&plan?.outputs);
        return Ok(ExitCode::SUCCESS);
    }
    let engine = engine.approve(ask(session, arguments.yes));
    watch_ctrl_c(engine.interrupt(), renderer.clone());
    let report = engine.rollback(arguments.serial, &session.program.run).await;
    renderer.finish();
    session.stop_empty_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(conclude(session, &report))
}
