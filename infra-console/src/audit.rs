//! The record of the secrets that were shown and the changes that were made: `console-audit.jsonl` in the directory.

use serde::Serialize;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Name of the file.
const FILE: &str = "console-audit.jsonl";

/// An action of a signed-in user.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Action<'a> {
    /// A secret was shown.
    SecretShown {
        /// URN of the resource.
        urn: &'a str,
        /// Path of the property.
        path: &'a str,
    },
    /// A plan was approved.
    PlanApproved {
        /// Serial of the state for which it was made.
        serial: u64,
        /// Number of its steps that change something.
        changes: usize,
    },
    /// A resource was started, stopped or restarted.
    ControlRequested {
        /// URN of the resource.
        urn: &'a str,
        /// `start`, `stop` or `restart`.
        control: &'a str,
        /// The API operation.
        operation: &'a str,
    },
    /// A fault was injected or ended.
    FaultRequested {
        /// The request to the local cloud.
        fault: &'a serde_json::Value,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    program: &'a str,
    stack: &'a str,
    #[serde(flatten)]
    action: Action<'a>,
}

/// Appends an action to the file and waits until it is on disk.
///
/// An action happens only after its record: callers return the error instead of the secret.
pub(crate) fn record(directory: &Path, program: &str, stack: &str, action: Action<'_>) -> io::Result<()> {
    let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let mut line = serde_json::to_vec(&Line { at, program, stack, action })?;
    line.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(FILE))?;
    file.write_all(&line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn actions_are_appended_as_lines() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), "web", "dev", Action::SecretShown { urn: "urn:x", path: "password" }).unwrap();
        record(directory.path(), "web", "dev", Action::PlanApproved { serial: 3, changes: 2 }).unwrap();
        let text = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["action"], "secret_shown");
        assert_eq!(lines[0]["path"], "password");
        assert_eq!(lines[1]["changes"], 2);
        assert!(lines[1]["at"].as_str().unwrap().ends_with('Z'));
    }
}
