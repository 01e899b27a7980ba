//! `stack preview`

use crate::{
    arguments::Planning,
    exit::Exit,
    failure::Failure,
    files::write_new,
    render::{self, Detail, style},
    session::Session,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Show the changes that `up` would make
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    planning: Planning,
    /// Exit with code 3 if there are changes
    #[arg(long)]
    expect_no_changes: bool,
    /// Show the order of execution as levels of parallel tasks, and the critical path
    #[arg(long, conflicts_with = "json")]
    timeline: bool,
    /// Write the plan to a new file for `up --plan`, with its secrets encrypted
    #[arg(long, value_name = "FILE")]
    save_plan: Option<PathBuf>,
}

pub(super) async fn run(session: &Session<'_>, arguments: &PreviewArgs) -> Result<ExitCode, Failure> {
    let renderer = render::to_terminal(session.json, Detail::Everything, arguments.planning.diff);
    let engine = session.engine(Some(&arguments.planning), &renderer).await?;
    let started = Instant::now();
    let (program, planning) = (&session.program.run, Some(&arguments.planning));
    let plan = match &arguments.save_plan {
        None => {
            let run = session.configure(engine.preview(program), planning, &renderer);
            session.complete(run).await.map(|plan| (plan, None))
        }
        Some(_) => {
            let run = session.configure(engine.preview_to_save(program), planning, &renderer);
            session.complete(run).await.map(|(plan, text)| (plan, Some(text)))
        }
    };
    renderer.finish();
    session.leave_cloud().await;
    let (plan, text) = plan?;
    if let (Some(path), Some(text)) = (&arguments.save_plan, text) {
        write_new(path, &text)?;
    }
    renderer.previewed(&plan.outputs, started.elapsed());
    if arguments.timeline {
        let durations = session.offline().durations().await?;
        print_text!("\n{}", render::timeline(&plan.execution, &durations, style::output_width()));
    }
    let pending = arguments.expect_no_changes && plan.has_changes();
    Ok(if pending { Exit::ChangesPending.into() } else { ExitCode::SUCCESS })
}
