//! `stack destroy`

use super::{ask, conclude, detail, ensure_may_ask, watch_ctrl_c};
use crate::{arguments::Destroy, failure::Failure, render, session::Session};
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Destroy) -> Result<ExitCode, Failure> {
    ensure_may_ask(session, arguments.yes)?;
    let renderer = render::to_terminal(session.json, detail(session, arguments.yes), false);
    let engine = session.engine(None, &renderer).await?;
    let engine = engine.select(arguments.selecting.selection(&[]));
    let engine = engine.continue_on_error(arguments.continue_on_error).approve(ask(session, arguments.yes));
    watch_ctrl_c(engine.interrupt(), renderer.clone());
    let report = engine.destroy(&session.program.run).await;
    renderer.finish();
    session.stop_empty_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(conclude(session, &report))
}
