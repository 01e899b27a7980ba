//! `stack ls`

use crate::{
    exit::Exit,
    failure::{Failure, Kind},
    render::style,
    session::Session,
};
use infra_core::{diagnostic::Diagnostic, engine::HistoryEntry};
use serde::Serialize;
use std::process::ExitCode;

/// A stack in the store.
#[derive(Serialize)]
struct Listed {
    program: String,
    stack: String,
    /// `local` or `aws`; `None` before the first deployment.
    target: Option<String>,
    /// Number of recorded resources; `None` if the state cannot be read.
    resources: Option<usize>,
    last_change: Option<HistoryEntry>,
}

pub(super) async fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let mut listed = Vec::new();
    let mut problems = Vec::new();
    for (program, stack) in session.store().stacks().await? {
        match read(session, &program, &stack, &mut problems).await {
            Ok(found) => listed.extend(found),
            Err(failure) => problems.extend(about(failure, &program, &stack)),
        }
    }
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(&listed).map_err(std::io::Error::from)?);
    } else if listed.is_empty() && problems.is_empty() {
        print_line!("there are no stacks; `up` creates one");
    }
    if !session.json {
        print_text!(
            "{}",
            style::table(["PROGRAM", "STACK", "TARGET", "RESOURCES", "LAST CHANGE"], listed.iter().map(row))
        );
    }
    // The other stacks are listed even if one is damaged.
    if problems.is_empty() {
        return Ok(Exit::Done.into());
    }
    Err(Failure { kind: Kind::Failed, diagnostics: problems })
}

/// Reads the records of a stack. Returns `None` for a directory without any.
async fn read(
    session: &Session<'_>,
    program: &str,
    stack: &str,
    problems: &mut Vec<Diagnostic>,
) -> Result<Option<Listed>, Failure> {
    let engine = session.offline_of(program, stack);
    let target = session.target_of(program, stack).await?;
    let last_change = engine.history().await?.pop();
    let resources = match engine.state().await {
        Ok(state) => state.map(|state| state.live_count()),
        Err(error) => {
            problems.extend(about(error.into(), program, stack));
            let (program, stack) = (program.to_owned(), stack.to_owned());
            return Ok(Some(Listed { program, stack, target, resources: None, last_change }));
        }
    };
    if resources.is_none() && target.is_none() && session.config_of(program, stack).await?.values().is_empty() {
        return Ok(None);
    }
    let (program, stack, resources) = (program.to_owned(), stack.to_owned(), Some(resources.unwrap_or(0)));
    Ok(Some(Listed { program, stack, target, resources, last_change }))
}

fn about(failure: Failure, program: &str, stack: &str) -> Vec<Diagnostic> {
    let named = |diagnostic: Diagnostic| match diagnostic.subject {
        Some(_) => diagnostic,
        None => diagnostic.about(format!("the stack `{stack}` of `{program}`")),
    };
    failure.diagnostics.into_iter().map(named).collect()
}

fn row(listed: &Listed) -> [String; 5] {
    let resources = listed.resources.map_or_else(|| "unreadable".to_owned(), |count| count.to_string());
    let change = listed.last_change.as_ref().map(|entry| {
        let outcome = if entry.success { "" } else { ", failed" };
        format!("{}  {} by {}{outcome}", entry.at, entry.command, entry.by)
    });
    let target = listed.target.clone().unwrap_or_else(|| "-".to_owned());
    [listed.program.clone(), listed.stack.clone(), target, resources, change.unwrap_or_else(|| "-".to_owned())]
}
