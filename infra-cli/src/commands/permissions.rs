//! `stack permissions`
//!
//! - `host_roles`: the permissions of the roles of hosts

mod host_roles;

use crate::{
    arguments::RecordedTypes,
    exit::Exit,
    failure::{Failure, Kind},
    render::{style, text},
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_rehearsal::{
    ATTACHED_DEFAULT, ATTACHED_TO_ROLE, ATTACHED_TO_USER, Comparison, Permissions, PolicyDocument, Proof, ProvenPolicy,
    ROLE_INLINE_LIMIT, USER_INLINE_LIMIT,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    /// Show the actions that are new, changed or no longer needed, compared with an earlier policy
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Write the documents of the policy to a directory, one file each
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// Compare the role of each host with the actions that its Machine needs and that the local cloud has recorded
    #[arg(long, conflicts_with_all = ["prove", "why", "compare", "output", "recorded"])]
    runtime: bool,
    #[command(flatten)]
    schemas: RecordedTypes,
    /// Write the recorded authorisations with their condition keys, and the policy, for another evaluator
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
}

pub(super) async fn run(session: &Session<'_>, arguments: &PermissionsArgs) -> Result<ExitCode, Failure> {
    if arguments.runtime {
        return host_roles::run(session, &arguments.config, &arguments.schemas).await;
    }
    // An unusable file is reported before the derivation, which takes some time.
    let earlier = arguments.compare.as_deref().map(Earlier::read).transpose()?;
    let deployment = session.deployment(&arguments.config, &arguments.schemas).await?;
    let proof = if arguments.prove { Proof::Executed } else { Proof::Evaluated };
    let proven = infra_rehearsal::permissions(&deployment, proof).await;
    let proven = proven.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?;
    if let Some(path) = &arguments.recorded {
        let recorded = json!({ "policy": proven.permissions.compacted().document(), "recorded": &proven.recorded });
        write(path, &recorded)?;
    }
    if let Some(directory) = &arguments.output {
        write_documents(directory, &session.program.name, &proven.documents)?;
    }
    match &earlier {
        Some(earlier) => show_comparison(&earlier.compare(&proven.permissions)?, session.json)?,
        None if session.json => print_line!("{}", pretty(&proven)?),
        None if arguments.why => print_text!("{}", attribution(&proven.permissions)),
        None if arguments.output.is_some() => {}
        None => print_line!("{}", pretty(&printed(&proven.documents))?),
    }
    if !session.json {
        print_error!("{}", text::wrap(&summary(&proven), style::error_width()));
        if let Some(sizes) = sizes(&proven.documents) {
            print_error!("{}", text::wrap(&sizes, style::error_width()));
        }
    }
    let is_proven = proven.denied.is_empty() && proven.unneeded.is_empty();
    let is_attachable = proven.documents.len() <= ATTACHED_TO_ROLE;
    Ok(if is_proven && is_attachable { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::from)?)
}

fn write(path: &Path, value: &Value) -> Result<(), Failure> {
    fs::write(path, pretty(value)? + "\n").map_err(|error| {
        Failure::wrong_use(Diagnostic::error(format!("the file cannot be written: {error}")).about(path.display()))
    })
}

/// Writes each document to a file with the name of the program and the number of the document.
fn write_documents(directory: &Path, program: &str, documents: &[PolicyDocument]) -> Result<(), Failure> {
    fs::create_dir_all(directory)?;
    for (number, document) in (1..).zip(documents) {
        let path = directory.join(format!("{program}-{number}.json"));
        write(&path, &document.document)?;
        print_line!("{}", path.display());
    }
    Ok(())
}

/// Returns the document, or the list of documents if there are several.
fn printed(documents: &[PolicyDocument]) -> Value {
    match documents {
        [single] => single.document.clone(),
        several => several.iter().map(|it| it.document.clone()).collect(),
    }
}

/// An earlier policy, for a comparison.
struct Earlier<'f> {
    path: &'f Path,
    text: String,
}

impl<'f> Earlier<'f> {
    fn read(path: &'f Path) -> Result<Earlier<'f>, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            let unreadable = Diagnostic::error(format!("the policy cannot be read: {error}")).about(path.display());
            Failure::wrong_use(unreadable.hint("write one with `permissions > FILE`"))
        })?;
        let earlier = Earlier { path, text };
        earlier.compare(&Permissions::default())?;
        Ok(earlier)
    }

    fn compare(&self, permissions: &Permissions) -> Result<Comparison, Failure> {
        Comparison::with(&self.text, permissions).map_err(|reason| {
            let unusable = Diagnostic::error(format!("the policy cannot be compared: {reason}"));
            Failure::wrong_use(unusable.about(self.path.display()).hint("write one with `permissions > FILE`"))
        })
    }
}

fn show_comparison(comparison: &Comparison, is_json: bool) -> Result<(), Failure> {
    if is_json {
        print_line!("{}", pretty(comparison)?);
    } else if comparison.is_empty() {
        print_line!("The policy allows what the program needs, and nothing else.");
    } else {
        for line in comparison.lines() {
            print_line!("{line}");
        }
    }
    Ok(())
}

fn summary(proven: &ProvenPolicy) -> String {
    let mut summary = format!("{} statements", proven.permissions.compacted().statements.len());
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
        let _ = write!(summary, "\nincomplete: {failure}");
    }
    for unchanged in &proven.unchanged {
        let (name, property) = (unchanged.urn.name(), &unchanged.property);
        let _ = write!(summary, "\nnot updated: `{property}` of {name}: {}", unchanged.reason);
    }
    summary
}

/// Returns the sizes of the documents and where they fit, or `None` if a single managed policy is enough.
fn sizes(documents: &[PolicyDocument]) -> Option<String> {
    let total: usize = documents.iter().map(|document| document.characters).sum();
    if documents.len() == 1 {
        let inline = if total <= USER_INLINE_LIMIT { "a user or a role" } else { "a role" };
        return Some(format!("{total} characters: attach it as a managed policy, or inline to {inline}"));
    }
    let sizes: Vec<String> = documents.iter().map(|document| document.characters.to_string()).collect();
    let count = documents.len();
    let mut report = format!(
        "{total} characters, more than IAM allows in one managed policy: {count} documents of {} characters",
        sizes.join(", ")
    );
    let advice = if count <= ATTACHED_DEFAULT {
        "attach each as a managed policy; `--output DIRECTORY` writes one file each"
    } else if count <= ATTACHED_TO_USER {
        "an identity has 10 managed policies by default: increase the quota \"Managed policies per role\", or divide the \
         program into stacks with an identity each"
    } else if count <= ATTACHED_TO_ROLE {
        "a user cannot have as many managed policies, and a role only after an increase of the quota \"Managed policies per \
         role\": divide the program into stacks with an identity each"
    } else {
        "no identity can have as many managed policies: divide the program into stacks with an identity each"
    };
    let _ = write!(report, "\nhint: {advice}");
    if total <= ROLE_INLINE_LIMIT {
        report.push_str(", or put all of them inline into a role");
    }
    Some(report)
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
