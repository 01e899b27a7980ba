//! `stack output`

use crate::{failure::Failure, files::write_new, session::Session};
use clap::Args;
use infra_core::{
    diagnostic::{Diagnostic, did_you_mean},
    value::Value,
};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

/// Show the outputs of the stack
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Output to print, without its name [default: all]
    name: Option<String>,
    /// Show secrets in plain text
    #[arg(long)]
    show_secrets: bool,
    /// Write the value to a new file that only its owner can read
    #[arg(long, value_name = "PATH", requires = "name")]
    key_file: Option<PathBuf>,
}

pub(super) async fn run(session: &Session<'_>, arguments: &OutputArgs) -> Result<ExitCode, Failure> {
    let outputs = session.offline().outputs().await?;
    if outputs.is_empty() {
        let nothing = Failure::failed(format!("the stack `{}` has no outputs", session.stack));
        return Err(nothing.hint("run `up` first"));
    }
    let Some(name) = &arguments.name else {
        show_all(session, arguments, &outputs)?;
        return Ok(ExitCode::SUCCESS);
    };
    let value = outputs.get(name).ok_or_else(|| {
        let names = outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let unknown = Diagnostic::error(format!("there is no output `{name}`"));
        let near = did_you_mean(name, outputs.keys().map(String::as_str));
        Failure::wrong_use(unknown.hint(near.unwrap_or_else(|| format!("the outputs are: {names}"))))
    })?;
    match &arguments.key_file {
        Some(path) => write_new(path, &plain(value))?,
        None if value.has_secret() && !arguments.show_secrets => {
            let secret = Failure::failed(format!("the output `{name}` is secret"));
            return Err(secret.hint("add `--show-secrets`, or write it to a file with `--key-file PATH`"));
        }
        None if session.json => print_line!("{}", value.to_json()),
        None => print_line!("{}", plain(value).trim_end_matches('\n')),
    }
    Ok(ExitCode::SUCCESS)
}

fn show_all(session: &Session<'_>, arguments: &OutputArgs, outputs: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let shown = |value: &Value| if arguments.show_secrets { value.to_json() } else { value.masked() };
    if session.json {
        let document: serde_json::Map<_, _> =
            outputs.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
        print_line!("{}", serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?);
        return Ok(());
    }
    let width = outputs.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in outputs {
        let text = match shown(value) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        print_line!("{name:width$}  {}", text.trim_end_matches('\n').replace('\n', &format!("\n{:width$}  ", "")));
    }
    Ok(())
}

/// Returns a string unchanged, and other values as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned)
}
