//! `stack rehearse`

use crate::{
    arguments::{Planning, RecordedTypes},
    exit::Exit,
    failure::{Failure, Kind},
    render::{style, text},
    session::Session,
};
use clap::Args;
use infra_core::{diagnostic::Diagnostic, event::Events};
use infra_rehearsal::{CallCount, PerpetualDiff, Rehearsal, RehearsedStep};
use std::process::ExitCode;

/// Execute the plan in a scratch cloud in memory, without a request to the target
#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    planning: Planning,
    /// Show the API calls of each step
    #[arg(long)]
    calls: bool,
    #[command(flatten)]
    recorded: RecordedTypes,
    /// Also interrupt the run at each API call of a change, and check that the next run completes it
    #[arg(long)]
    with_crashes: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &RehearseArgs) -> Result<ExitCode, Failure> {
    let rehearsal = rehearse(session, &arguments.planning, &arguments.recorded, arguments.with_crashes).await?;
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(&rehearsal).map_err(std::io::Error::from)?);
    } else {
        print_text!("{}", report(&rehearsal, arguments.calls));
    }
    Ok(if rehearsal.is_success() { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

/// Rehearses the plan of an `up`, and fails if AWS would refuse it.
pub(super) async fn before_up(session: &Session<'_>, planning: &Planning) -> Result<(), Failure> {
    let rehearsal = rehearse(session, planning, &RecordedTypes::default(), false).await?;
    if !session.json {
        print_text!("{}", report(&rehearsal, false));
    }
    if rehearsal.is_success() {
        return Ok(());
    }
    let refused = Diagnostic::error("the rehearsal of the plan failed; nothing was changed");
    Err(Failure::of(refused.hint("`rehearse --calls` shows its API calls; `up --no-rehearse` skips it")))
}

async fn rehearse(
    session: &Session<'_>,
    planning: &Planning,
    recorded: &RecordedTypes,
    with_crashes: bool,
) -> Result<Rehearsal, Failure> {
    let deployment = session.deployment(&planning.config, recorded).await?;
    let selection = planning.selecting.selection(&planning.replace);
    let rehearsed = infra_rehearsal::rehearse(&deployment, selection.clone(), Events::ignored()).await;
    let mut rehearsal = rehearsed.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?;
    if with_crashes && rehearsal.is_success() {
        let crashes = infra_rehearsal::with_crashes(&deployment, selection).await;
        rehearsal.crashes =
            Some(crashes.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?);
    }
    Ok(rehearsal)
}

/// Returns the report for a terminal.
fn report(rehearsal: &Rehearsal, with_calls: bool) -> String {
    let width = style::output_width();
    let mut text = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines = lines.iter().map(|line| text::wrap(&format!("  {line}"), width) + "\n");
            text.extend([style::bold(title), "\n".to_owned()]);
            text.extend(lines);
            text.push('\n');
        }
    };
    if with_calls {
        section("Steps", rehearsal.steps.iter().map(step).collect());
    }
    section(
        "Not rehearsed",
        rehearsal.not_rehearsed.iter().map(|it| format!("{}: {}", it.urn.name(), it.reason)).collect(),
    );
    section(
        "Rehearsed with outputs of resources that were not",
        rehearsal.steps.iter().filter_map(assumptions).collect(),
    );
    section(
        "Resources of other stacks that were not recreated",
        rehearsal.missing_neighbours.iter().map(|it| format!("{}: {}", it.urn.short(), it.reason)).collect(),
    );
    section("Perpetual differences", rehearsal.perpetual.iter().map(perpetual).collect());
    if let Some(crashes) = &rehearsal.crashes {
        section("Runs that do not converge", crashes.failures.clone());
    }
    let messages = rehearsal.warnings.iter().chain(&rehearsal.failures);
    for diagnostic in messages {
        text.extend([style::diagnostic(diagnostic, width), "\n".to_owned()]);
    }
    text.push_str(&text::wrap(&summary(rehearsal), width));
    text.push('\n');
    text
}

fn summary(rehearsal: &Rehearsal) -> String {
    let took = style::duration(u64::try_from(rehearsal.elapsed.as_millis()).unwrap_or(u64::MAX));
    let (steps, calls) = (rehearsal.steps.len(), rehearsal.call_count());
    let seeded = match rehearsal.seeded {
        0 => String::new(),
        seeded => format!(" on {seeded} recreated resources"),
    };
    let seeded = match rehearsal.neighbours {
        0 => seeded,
        neighbours => format!("{seeded}, beside {neighbours} resources of other stacks"),
    };
    let crashes = match &rehearsal.crashes {
        Some(crashes) => format!(", {} interrupted runs", crashes.interrupted),
        None => String::new(),
    };
    let outcome = if !rehearsal.failures.is_empty() {
        style::failed(format!("{} would fail", rehearsal.failures.len()))
    } else if !rehearsal.is_success() {
        style::failed("a second run would not be empty")
    } else if rehearsal.not_rehearsed.is_empty() {
        "all succeed, and a second run is empty".to_owned()
    } else {
        format!("all others succeed; {} not rehearsed", rehearsal.not_rehearsed.len())
    };
    format!("Rehearsed in {took}: {steps} steps{seeded}, {calls} API calls{crashes}: {outcome}")
}

fn step(step: &RehearsedStep) -> String {
    let calls: Vec<String> = step.calls.iter().map(call).collect();
    let outcome = if step.succeeded { String::new() } else { format!(" {}", style::failed("failed")) };
    format!("{} {}{outcome}: {}", style::sign(step.action), step.urn.name(), calls.join(", "))
}

fn assumptions(step: &RehearsedStep) -> Option<String> {
    let assumed: Vec<String> = step.assumes.iter().map(|it| format!("{} of {}", it.outputs, it.urn.name())).collect();
    (!assumed.is_empty()).then(|| format!("{}: {}", step.urn.name(), assumed.join(", ")))
}

fn call(calls: &CallCount) -> String {
    if calls.count == 1 { calls.operation.clone() } else { format!("{} × {}", calls.operation, calls.count) }
}

fn perpetual(found: &PerpetualDiff) -> String {
    let properties: Vec<String> = found.diff.properties.iter().map(|property| property.path.clone()).collect();
    let finder = match found.action {
        Some(action) => format!("a second run would {} it", style::doing(action)),
        None => "a refresh finds a difference".to_owned(),
    };
    format!("{}: {finder}: {}", found.urn.name(), properties.join(", "))
}
