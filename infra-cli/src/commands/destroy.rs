//! `stack destroy`

use super::{detail, exit_code, question, watch_ctrl_c};
use crate::{
    arguments::Destroy,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, arguments: &Destroy) -> Result<ExitCode, Failure> {
    if !arguments.preview {
        question::ensure_may_ask(session, arguments.yes)?;
    }
    let detail = if arguments.preview { Detail::Everything } else { detail(session, arguments.yes) };
    let renderer = render::to_terminal(session.json, detail, false);
    session.refuse_other_target().await?;
    if session.offline().state().await?.is_none() {
        // A stack that never was has nothing, perhaps because its name is misspelt: nothing is written for it.
        session.say_nothing_there(&renderer);
        return Ok(ExitCode::SUCCESS);
    }
    let engine = session.engine(None, &renderer).await?;
    let engine = engine.select(arguments.selecting.selection(&[])).continue_on_error(arguments.continue_on_error);
    if arguments.preview {
        let plan = engine.preview_destroy(&session.program.run).await;
        renderer.finish();
        session.leave_cloud().await;
        plan?;
        return Ok(ExitCode::SUCCESS);
    }
    let interrupt = engine.interrupt();
    let engine = engine.approve(question::approval(session, arguments.yes, interrupt.clone()));
    watch_ctrl_c(interrupt, renderer.clone());
    let report = engine.destroy(&session.program.run).await;
    renderer.finish();
    session.stop_empty_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(exit_code(&report))
}
