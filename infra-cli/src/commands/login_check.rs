//! `stack login-check`

use crate::{Cli, arguments::TargetName, failure::Failure, session::Session};
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, cli: &Cli) -> Result<ExitCode, Failure> {
    let identity = if session.target == TargetName::Local {
        vec![("target", "the local cloud on this machine".to_owned())]
    } else {
        let Some(check) = &cli.login else {
            let none = Diagnostic::error("this binary has no provider with a login to check");
            return Err(Failure::wrong_use(none.hint("add one: `Cli::new(programs).login(…)`")));
        };
        check(session.target(None)).await.map_err(Failure::of)?
    };
    if session.json {
        let identity: serde_json::Map<_, _> =
            identity.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        print_line!("{}", serde_json::Value::from(identity));
        return Ok(ExitCode::SUCCESS);
    }
    let width = identity.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in identity {
        print_line!("{name:width$}  {value}");
    }
    Ok(ExitCode::SUCCESS)
}
