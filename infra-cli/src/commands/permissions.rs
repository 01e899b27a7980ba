//! `stack permissions`

use crate::{
    exit::Exit,
    failure::{Failure, Kind},
    render::{style, text},
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_rehearsal::{Permissions, Proof, ProvenPolicy};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf, process::ExitCode};

/// Print the IAM policy that deploying the program needs, proven in a scratch cloud
#[derive(Debug, Args)]
pub(crate) struct PermissionsArgs {
    /// Set a configuration value for this derivation
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = crate::arguments::key_value)]
    config: Vec<(String, String)>,
    /// Prove that each statement is needed by executing everything without it
    #[arg(long)]
    prove: bool,
    /// Show the resources of the program that need each action
    #[arg(long)]
    why: bool,
    /// Show the actions that are new or no longer needed, compared with a policy document
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

pub(super) async fn run(session: &Session<'_>, arguments: &PermissionsArgs) -> Result<ExitCode, Failure> {
    let deployment = session.deployment(&arguments.config).await?;
    let proof = if arguments.prove { Proof::Executed } else { Proof::Evaluated };
    let proven = infra_rehearsal::permissions(&deployment, proof).await;
    let proven = proven.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?;
    if let Some(path) = &arguments.compare {
        let earlier = fs::read_to_string(path).map_err(|error| {
            let unreadable = Diagnostic::error(format!("the policy cannot be read: {error}")).about(path.display());
            Failure::wrong_use(unreadable.hint("write one with `permissions > FILE`"))
        })?;
        let earlier = actions_of(&earlier).map_err(|reason| {
            Failure::wrong_use(
                Diagnostic::error(format!("this is not a policy document: {reason}")).about(path.display()),
            )
        })?;
        print_text!("{}", difference(&earlier, &proven.permissions));
    } else if session.json {
        print_line!("{}", serde_json::to_string_pretty(&proven).map_err(std::io::Error::from)?);
    } else if arguments.why {
        print_text!("{}", attribution(&proven.permissions));
    } else {
        print_line!("{}", serde_json::to_string_pretty(&proven.permissions.document()).map_err(std::io::Error::from)?);
    }
    if !session.json {
        print_error!("{}", text::wrap(&summary(&proven), style::error_width()));
    }
    let is_proven = proven.denied.is_empty() && proven.unneeded.is_empty();
    Ok(if is_proven { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn summary(proven: &ProvenPolicy) -> String {
    let mut summary = format!("{} statements", proven.permissions.statements.len());
    if proven.denied.is_empty() {
        summary.push_str("; the stack was created, refreshed, updated, replaced and destroyed with them alone");
    } else {
        let _ = write!(summary, "; denied: {}", proven.denied.join(", "));
    }
    if !proven.unneeded.is_empty() {
        let _ = write!(summary, "; not needed: {}", proven.unneeded.join(", "));
    } else if let Some(runs) = proven.runs_without_statement {
        let _ = write!(summary, "; without each of the {runs} statements something was denied");
    } else {
        summary.push_str("; without each action something would be denied");
    }
    for failure in &proven.incomplete {
        let _ = write!(summary, "; incomplete: {failure}");
    }
    summary
}

fn attribution(permissions: &Permissions) -> String {
    let mut text = String::new();
    for (action, urns) in &permissions.needed_by {
        let names: Vec<&str> = urns.iter().map(infra_core::Urn::name).collect();
        let line = format!("{action}: {}", names.join(", "));
        text.push_str(&text::wrap(&line, style::output_width()));
        text.push('\n');
    }
    text
}

/// Returns the actions in a policy document.
fn actions_of(document: &str) -> Result<BTreeSet<String>, String> {
    let document: serde_json::Value = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let statements = document["Statement"].as_array().ok_or("it has no list `Statement`")?;
    let actions = statements.iter().flat_map(|statement| match &statement["Action"] {
        serde_json::Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    Ok(actions.filter_map(|action| action.as_str().map(str::to_owned)).collect())
}

fn difference(earlier: &BTreeSet<String>, permissions: &Permissions) -> String {
    let now: BTreeSet<String> = permissions.statements.iter().flat_map(|it| it.actions.clone()).collect();
    let added = now.difference(earlier).map(|action| format!("+ {action}\n"));
    let removed = earlier.difference(&now).map(|action| format!("- {action}\n"));
    added.chain(removed).collect()
}
