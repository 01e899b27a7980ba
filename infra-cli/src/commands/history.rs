//! `stack history`

use crate::{failure::Failure, render::style, session::Session};
use clap::Args;
use infra_core::engine::HistoryEntry;
use std::process::ExitCode;

/// Show the runs that changed the stack
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Number of runs to show, the newest last
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    lines: usize,
}

pub(super) async fn run(session: &Session<'_>, arguments: &HistoryArgs) -> Result<ExitCode, Failure> {
    let history = session.offline().history().await?;
    let shown = &history[history.len().saturating_sub(arguments.lines)..];
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(shown).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    if shown.is_empty() {
        print_line!("no run has changed the stack `{}` of `{}` yet", session.stack, session.program.name);
    }
    let head = ["SERIAL", "TIME", "USER", "COMMAND", "DURATION", "CHANGES", ""];
    print_text!("{}", style::table(head, shown.iter().map(row)));
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &HistoryEntry) -> [String; 7] {
    let counts = style::in_order(&entry.counts).map(|(action, count)| format!("{count} {}", style::done(action)));
    let counts: Vec<String> = counts.collect();
    let what = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let outcome = match (entry.success, entry.failures.first()) {
        (true, _) if entry.declared => "can be rolled back to".to_owned(),
        (true, _) => String::new(),
        (false, Some(failure)) => format!("failed: {failure}"),
        (false, None) => "unfinished".to_owned(),
    };
    let took = style::duration(entry.duration_ms);
    [entry.serial.to_string(), entry.at.clone(), entry.by.clone(), entry.command.clone(), took, what, outcome]
}
