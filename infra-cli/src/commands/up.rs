//! `stack up`

use super::{accept, conclude, detail, ensure_may_ask, watch_ctrl_c};
use crate::{arguments::Up, failure::Failure, render, session::Session};
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Up) -> Result<ExitCode, Failure> {
    ensure_may_ask(session, arguments.yes)?;
    session.record_target()?;
    let renderer = render::to_terminal(session.json, detail(session, arguments.yes), arguments.planning.diff);
    let engine = session.engine(Some(&arguments.planning), &renderer).await?;
    let engine = engine.continue_on_error(arguments.continue_on_error);
    watch_ctrl_c(engine.interrupt(), renderer.clone());
    let report = engine.up_if(&session.program.run, |plan| accept(session, arguments.yes, plan)).await;
    renderer.finish();
    Ok(conclude(session, &report?))
}
