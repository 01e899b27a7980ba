//! `stack rollback`

use super::{exit_code, question, watch_ctrl_c};
use crate::{
    arguments::Rollback,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Rollback) -> Result<ExitCode, Failure> {
    let Some(serial) = arguments.serial.filter(|_| !arguments.pinning.unpin) else {
        return unpin(session).await;
    };
    if !arguments.preview {
        question::ensure_may_ask(session, arguments.yes)?;
    }
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?.pin(arguments.pinning.pin);
    if arguments.preview {
        let plan = engine.preview_rollback(serial, &session.program.run).await;
        renderer.finish();
        session.leave_cloud().await;
        renderer.planned_outputs(&plan?.outputs);
        return Ok(ExitCode::SUCCESS);
    }
    let interrupt = engine.interrupt();
    let engine = engine.approve(question::approval(session, arguments.yes, interrupt.clone()));
    watch_ctrl_c(interrupt, renderer.clone());
    let report = engine.rollback(serial, &session.program.run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(exit_code(&report))
}

async fn unpin(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let Some(pin) = session.offline().remove_pin().await? else {
        let summary = format!("the stack `{}` is not pinned", session.stack);
        let hint = "`rollback SERIAL --pin` pins it; `history` shows the serials";
        return Err(Failure::wrong_use(Diagnostic::error(summary).hint(hint)));
    };
    if session.json {
        say!("{}", json!({ "was": pin }));
    } else {
        say!("the stack `{}` is not pinned any more; it was {pin}", session.stack);
    }
    Ok(ExitCode::SUCCESS)
}
