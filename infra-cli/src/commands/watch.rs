//! `stack watch`

use crate::{
    Cli,
    exit::Exit,
    failure::Failure,
    render::{self, Detail, Renderer},
    session::Session,
};
use clap::Args;
use infra_core::{
    Urn,
    diagnostic::{Diagnostic, Severity},
    event::{Event, Events},
    execute::Drift,
};
use infra_local::daemon;
use std::{collections::BTreeSet, process::ExitCode, sync::Arc, time::Duration};

/// Report differences between the resources and the recorded state as they appear, without recording them
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Time between two checks, such as `30s`, `5m` or `1h`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = interval)]
    every: Duration,
    /// Check once; exit with code 3 if a resource differs
    #[arg(long, conflicts_with = "every")]
    once: bool,
}

pub(super) async fn run(session: &Session<'_>, arguments: &WatchArgs, cli: &Cli) -> Result<ExitCode, Failure> {
    let renderer = render::to_terminal(session.json, Detail::Everything, true);
    let engine = session.engine(None, &renderer).await?;
    let mut reported: BTreeSet<String> = BTreeSet::new();
    loop {
        let found = engine.drift(&session.program.run).events(Events::ignored()).await;
        let found = match found {
            Ok(found) => found,
            Err(error) if arguments.once => {
                session.leave_cloud().await;
                return Err(error.into());
            }
            // The target may be unreachable for a while.
            Err(error) => {
                error.diagnostics().into_iter().for_each(|problem| renderer.show(&Event::Message(problem)));
                tokio::time::sleep(arguments.every).await;
                continue;
            }
        };
        let now: BTreeSet<String> = found.iter().map(key).collect();
        for drift in found.iter().filter(|drift| !reported.contains(&key(drift))) {
            report(session, &renderer, drift, cli).await;
        }
        if arguments.once {
            renderer.finish();
            session.leave_cloud().await;
            return Ok(if now.is_empty() { ExitCode::SUCCESS } else { Exit::ChangesPending.into() });
        }
        if now.is_empty() && !reported.is_empty() {
            renderer.show(&Event::Message(Diagnostic::note("all resources are as recorded again")));
        }
        reported = now;
        tokio::select! {
            () = tokio::time::sleep(arguments.every) => {}
            _ = tokio::signal::ctrl_c() => {
                renderer.finish();
                session.leave_cloud().await;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// Shows a difference, and the request that caused it where the target offers its history.
async fn report(session: &Session<'_>, renderer: &Arc<dyn Renderer>, drift: &Drift, cli: &Cli) {
    let Drift { urn, gone, diff } = drift.clone();
    renderer.show(&Event::Drifted { urn: urn.clone(), gone, diff });
    let state = session.offline().state().await.ok().flatten();
    let Some(resource) = state.as_ref().and_then(|state| state.current(&urn)) else { return };
    let Some(id) = &resource.id else { return };
    let cause = match (session.is_local(), &cli.last_change) {
        (true, _) => Ok(local_cause(session, id).await),
        (false, Some(search)) => search(session.target(None), resource.region.clone(), id.clone()).await,
        (false, None) => Ok(None),
    };
    match cause {
        Ok(cause) => cause.into_iter().for_each(|cause| renderer.show(&note(cause, &urn))),
        Err(problem) => renderer.show(&Event::Message(Diagnostic { severity: Severity::Warning, ..problem })),
    }
}

fn note(cause: String, urn: &Urn) -> Event {
    Event::Message(Diagnostic::note(cause).about(urn))
}

/// Returns a description of the last change of a resource that no run of a stack requested.
async fn local_cause(session: &Session<'_>, id: &str) -> Option<String> {
    let running = daemon::find(&session.cloud_directory()).await?;
    let calls = running.calls_after(0).await.ok()?;
    let is_read = |operation: &str| ["Describe", "Get", "List", "Head"].iter().any(|verb| operation.starts_with(verb));
    let call = calls.iter().rev().find(|call| {
        let foreign = call["resource"].as_str().unwrap_or_default().is_empty() && call["error"].is_null();
        let operation = call["operation"].as_str().unwrap_or_default();
        foreign && !is_read(operation) && call["parameters"].to_string().contains(id)
    })?;
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    Some(format!("{} called {}:{} at {}", text("caller"), text("service"), text("operation"), text("at")))
}

/// Returns what distinguishes a difference from others.
fn key(drift: &Drift) -> String {
    format!("{} {} {}", drift.urn, drift.gone, serde_json::to_string(&drift.diff).unwrap_or_default())
}

fn interval(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a number with the unit s, m or h, such as `5m`".to_owned()),
    };
    match number.parse::<u64>() {
        Ok(number @ 1..=86_400) => Ok(Duration::from_secs(number * seconds)),
        _ => Err("write a number from 1 to 86400 with its unit, such as `5m`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_unit() {
        assert_eq!(interval("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(interval("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "5", "m", "0s", "5 m", "-1s"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
