//! `stack up`

use super::{detail, exit_code, question, watch_ctrl_c};
use crate::{arguments::Up, failure::Failure, render, session::Session};
use infra_core::diagnostic::Diagnostic;
use std::{fs, path::Path, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, arguments: &Up) -> Result<ExitCode, Failure> {
    question::ensure_may_ask(session, arguments.yes)?;
    let planned = arguments.plan.as_deref().map(read_plan).transpose()?;
    let renderer = render::to_terminal(session.json, detail(session, arguments.yes), arguments.planning.diff);
    let mut engine = session.engine(Some(&arguments.planning), &renderer).await?;
    if let Some(planned) = planned {
        engine = engine.planned(planned);
    }
    let interrupt = engine.interrupt();
    if question::is_at_terminal(session) && !arguments.yes {
        engine = engine.relaunch(question::relaunch(interrupt.clone()));
    }
    let engine = engine
        .continue_on_error(arguments.continue_on_error)
        .unpin(arguments.unpin)
        .approve(question::approval(session, arguments.yes, interrupt.clone()))
        .on_approval(session.record(&arguments.planning.config).await?);
    watch_ctrl_c(interrupt, renderer.clone());
    let report = engine.up(&session.program.run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(exit_code(&report))
}

fn read_plan(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let unreadable = Diagnostic::error(format!("the plan cannot be read: {error}")).about(path.display());
        Failure::wrong_use(unreadable.hint("make one with `preview --save-plan FILE`"))
    })
}
