//! `stack login-check`

use crate::{Cli, arguments::TargetName, failure::Failure, session::Session};
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, cli: &Cli) -> Result<ExitCode, Failure> {
    let told = if session.target == TargetName::Local {
        vec![("target", "the local cloud on this machine, which takes any credentials".to_owned())]
    } else {
        let Some(check) = &cli.login else {
            let none = Diagnostic::error("this binary has no provider whose login could be checked");
            return Err(Failure::wrong_use(none.hint("hand one over: `Cli::new(programs).login(…)`")));
        };
        check(session.target(None)).await.map_err(Failure::of)?
    };
    if session.json {
        let told: serde_json::Map<_, _> =
            told.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        say!("{}", serde_json::Value::from(told));
        return Ok(ExitCode::SUCCESS);
    }
    let width = told.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in told {
        say!("{name:width$}  {value}");
    }
    Ok(ExitCode::SUCCESS)
}
