//! `stack destroy`

use super::{detail, exit_code, question::Confirmation, watch_ctrl_c};
use crate::{
    arguments::Selecting,
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use clap::Args;
use infra_core::execute::Interrupt;
use std::{process::ExitCode, time::Instant};

/// Delete all resources of the stack
#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    selecting: Selecting,
    /// Show the resources to delete and the data to be lost, and change nothing
    #[arg(long)]
    preview: bool,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    /// Continue with independent resources after a failure
    #[arg(long)]
    continue_on_error: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &DestroyArgs) -> Result<ExitCode, Failure> {
    let confirmation = Confirmation::new(session, arguments.yes);
    if !arguments.preview {
        confirmation.ensure_possible("the deletion of the resources", "destroy --preview")?;
    }
    let detail = if arguments.preview { Detail::Everything } else { detail(session, arguments.yes) };
    let renderer = render::to_terminal(session.json, detail, false);
    session.refuse_other_target().await?;
    if session.offline().state().await?.is_none() {
        // The name of the stack may be misspelt, so nothing is written for it.
        session.show_no_resources(&renderer);
        return Ok(ExitCode::SUCCESS);
    }
    let engine = session.engine(None, &renderer).await?;
    let selection = arguments.selecting.selection(&[]);
    if arguments.preview {
        let started = Instant::now();
        let run = session.configure(engine.preview_destroy(&session.program.run), None, &renderer);
        let plan = session.complete(run.select(selection)).await;
        renderer.finish();
        session.leave_cloud().await;
        renderer.previewed(&plan?.outputs, started.elapsed());
        return Ok(ExitCode::SUCCESS);
    }
    let interrupt = Interrupt::default();
    let run = session
        .configure(engine.destroy(&session.program.run), None, &renderer)
        .select(selection)
        .continue_on_error(arguments.continue_on_error)
        .interrupt(interrupt.clone())
        .approve(confirmation.approval(interrupt.clone()));
    watch_ctrl_c(interrupt, renderer.clone());
    let report = session.complete(run).await;
    renderer.finish();
    session.stop_empty_cloud().await;
    let report = report?;
    session.record_refreshed().await?;
    Ok(exit_code(&report))
}
