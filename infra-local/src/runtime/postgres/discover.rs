//! Looks up the installed PostgreSQL for the operations.

use std::path::Path;
use std::process::Command;

use super::find_binaries;
use crate::domain::postgres::{self, Installed};
use crate::domain::rds::catalog;

/// Records the installed PostgreSQL with its version and its parameters, unless they are recorded already. Runs
/// programs, so the caller must not hold the state's lock.
pub(crate) fn discover() {
    if postgres::installed().is_ok() {
        return;
    }
    let Ok(binaries) = find_binaries() else { return };
    let program = binaries.postgres;
    let version = output(&program, "--version").and_then(|text| version(&text));
    let parameters = catalog::parse(&output(&program, "--describe-config").unwrap_or_default());
    postgres::record(Installed { program, version, parameters });
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn version(text: &str) -> Option<String> {
    text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned)
}
