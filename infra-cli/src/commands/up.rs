//! `stack up`

use super::{ask, conclude, detail, ensure_may_ask, is_at_terminal, says_yes, watch_ctrl_c};
use crate::{arguments::Up, failure::Failure, render, session::Session};
use infra_core::diagnostic::Diagnostic;
use std::{fs, path::Path, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, arguments: &Up) -> Result<ExitCode, Failure> {
    ensure_may_ask(session, arguments.yes)?;
    session.refuse_other_target().await?;
    let renderer = render::to_terminal(session.json, detail(session, arguments.yes), arguments.planning.diff);
    session.remember(&arguments.planning.config).await?;
    let engine = session.engine(Some(&arguments.planning), &renderer).await?;
    session.record_target().await?;
    let engine = match &arguments.plan {
        Some(path) => engine.planned(read_plan(path)?),
        None => engine,
    };
    let engine = engine.continue_on_error(arguments.continue_on_error).approve(ask(session, arguments.yes));
    let engine = if is_at_terminal(session) && !arguments.yes {
        engine.relaunch(|thing| says_yes(&format!("Relaunch the {} ({})?", thing.name, thing.meaning)))
    } else {
        engine
    };
    watch_ctrl_c(engine.interrupt(), renderer.clone());
    let report = engine.up(&session.program.run).await;
    renderer.finish();
    let report = report?;
    session.record_refreshed().await?;
    Ok(conclude(session, &report))
}

fn read_plan(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let unreadable = Diagnostic::error(format!("the plan cannot be read: {error}")).about(path.display());
        Failure::wrong_use(unreadable.hint("make one with `preview --save-plan FILE`"))
    })
}
