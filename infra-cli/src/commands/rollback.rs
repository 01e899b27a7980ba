//! `stack rollback`

use super::{exit_code, question::Confirmation, watch_ctrl_c};
use crate::{
    failure::Failure,
    render::{self, Detail},
    session::Session,
};
use clap::Args;
use infra_core::{diagnostic::Diagnostic, execute::Interrupt};
use serde_json::json;
use std::{process::ExitCode, time::Instant};

/// Command that shows the plan.
const PREVIEW: &str = "rollback SERIAL --preview";

/// Apply the declaration of an earlier run
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Serial of the run, as shown by `history`
    #[arg(required_unless_present = "unpin")]
    serial: Option<u64>,
    /// Show the changes and the data that cannot be restored, and change nothing
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    pinning: Pinning,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Pinning {
    /// Pin the stack to this serial: `up` fails until the pin is removed
    #[arg(long)]
    pin: bool,
    /// Remove the pin of the stack, and change nothing else
    #[arg(long, conflicts_with_all = ["serial", "preview", "pin"])]
    unpin: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &RollbackArgs) -> Result<ExitCode, Failure> {
    let Some(serial) = arguments.serial.filter(|_| !arguments.pinning.unpin) else {
        return unpin(session).await;
    };
    let confirmation = Confirmation::new(session, arguments.yes);
    if !arguments.preview {
        confirmation.ensure_possible_on_aws(PREVIEW)?;
    }
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?;
    if arguments.preview {
        let started = Instant::now();
        let run = session.configure(engine.preview_rollback(serial, &session.program.run), None, &renderer);
        let plan = session.complete(run.pin(arguments.pinning.pin)).await;
        renderer.finish();
        session.leave_cloud().await;
        renderer.previewed(&plan?.outputs, started.elapsed());
        return Ok(ExitCode::SUCCESS);
    }
    let interrupt = Interrupt::default();
    let run = session
        .configure(engine.rollback(serial, &session.program.run), None, &renderer)
        .pin(arguments.pinning.pin)
        .interrupt(interrupt.clone())
        .approve(confirmation.approval(interrupt.clone()));
    watch_ctrl_c(interrupt, renderer.clone());
    let report = session.complete(run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    confirmation.ensure_given(PREVIEW)?;
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
        print_line!("{}", json!({ "was": pin }));
    } else {
        print_line!("the stack `{}` is no longer pinned; it was {pin}", session.stack);
    }
    Ok(ExitCode::SUCCESS)
}
