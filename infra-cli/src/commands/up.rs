//! `stack up`

use super::{
    detail, exit_code,
    question::{self, Confirmation},
    rehearse, watch_ctrl_c,
};
use crate::{arguments::Planning, failure::Failure, render, session::Session, settings};
use clap::Args;
use infra_core::{diagnostic::Diagnostic, execute::Interrupt};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Create, update and delete resources as the program declares
#[derive(Debug, Args)]
// Each flag is an option of its own.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    planning: Planning,
    /// Apply this saved plan and nothing else; needs the same selection as its preview
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Execute the plan in a scratch cloud first, and stop if it would fail
    #[arg(long)]
    rehearse: bool,
    /// Do not rehearse the plan, even if `config set rehearse always` requires it
    #[arg(long, conflicts_with = "rehearse")]
    no_rehearse: bool,
    /// Skip the confirmation, and relaunch nothing
    #[arg(long, short)]
    yes: bool,
    /// Continue with independent resources after a failure
    #[arg(long)]
    continue_on_error: bool,
    /// Remove the pin that `rollback --pin` has set, and apply the program
    #[arg(long)]
    unpin: bool,
    /// Skip the demonstration after the first deployment, if the program has one
    #[arg(long)]
    no_demo: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &UpArgs) -> Result<ExitCode, Failure> {
    let confirmation = Confirmation::new(session, arguments.yes);
    confirmation.ensure_possible_on_aws("preview")?;
    let saved_plan = arguments.plan.as_deref().map(read_plan).transpose()?;
    let always = session.setting(&settings::REHEARSE, &arguments.planning.config).await? == settings::ALWAYS;
    if arguments.rehearse || always && !arguments.no_rehearse {
        rehearse::before_up(session, &arguments.planning).await?;
    }
    let renderer = render::to_terminal(session.json, detail(session, arguments.yes), arguments.planning.diff);
    let engine = session.engine(Some(&arguments.planning), &renderer).await?;
    let demo = session.program.demo.as_ref().filter(|_| !arguments.no_demo);
    let demo = match demo {
        Some(demo) if session.offline().state().await?.is_none_or(|state| state.live_count() == 0) => Some(demo),
        _ => None,
    };
    let interrupt = Interrupt::default();
    let mut run = session.configure(engine.up(&session.program.run), Some(&arguments.planning), &renderer);
    if let Some(plan) = saved_plan {
        run = run.saved_plan(plan);
    }
    if question::is_at_terminal(session) && !arguments.yes {
        run = run.relaunch(question::relaunch(interrupt.clone()));
    }
    let run = run
        .interrupt(interrupt.clone())
        .continue_on_error(arguments.continue_on_error)
        .unpin(arguments.unpin)
        .approve(confirmation.approval(interrupt.clone()))
        .on_approval(session.record(&arguments.planning.config).await?);
    watch_ctrl_c(interrupt, renderer.clone());
    let report = session.complete(run).await;
    renderer.finish();
    session.leave_cloud().await;
    let report = report?;
    confirmation.ensure_given("preview")?;
    session.record_refreshed().await?;
    if let Some(demo) = demo.filter(|_| report.is_success() && !report.counts.is_empty()) {
        let failed = |diagnostic: Diagnostic| {
            Failure::of(diagnostic.hint("the stack is deployed; `--no-demo` skips the demonstration"))
        };
        demo(session.offline().outputs().await?).await.map_err(failed)?;
    }
    Ok(exit_code(&report))
}

fn read_plan(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let unreadable = Diagnostic::error(format!("the plan cannot be read: {error}")).about(path.display());
        Failure::wrong_use(unreadable.hint("write one with `preview --save-plan FILE`"))
    })
}
