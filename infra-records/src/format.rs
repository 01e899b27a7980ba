//! Names of records, and the lines that only records contain.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use infra_core::{diagnostic::Diagnostic, diff::Action};
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Name of the directory with the records of all stacks.
const RUNS: &str = "runs";
/// Extension of a record.
const EXTENSION: &str = "jsonl";
/// Time in the name of a record.
const NAME_TIME: &str = "%Y%m%dT%H%M%S%.3fZ";
/// Number of the hexadecimal digits in the name of a record.
const DIGITS: usize = 8;

/// The first line of a record: the run, and the process that executes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "run_recorded")]
pub struct Header {
    /// Start of the run.
    #[serde(serialize_with = "milliseconds")]
    pub at: DateTime<Utc>,
    /// `preview`, `up`, `refresh`, `destroy`, `rollback` or `import`.
    pub command: String,
    /// Name of the program.
    pub program: String,
    /// Name of the stack.
    pub stack: String,
    /// Name of the target: `local` or `aws`.
    pub target: String,
    /// User and host, as `user@host`.
    pub by: String,
    /// Id of the process on that host.
    pub pid: u32,
}

/// The last line of a record: the outcome of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "run_closed")]
pub struct Closed {
    /// `true` if the run succeeded.
    pub success: bool,
    /// `true` if the plan was rejected or the run was interrupted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Number of planned steps by action.
    #[serde(default)]
    pub planned: BTreeMap<Action, usize>,
    /// Number of successful steps by action.
    #[serde(default)]
    pub counts: BTreeMap<Action, usize>,
    /// Errors that no other line contains, such as the reasons why a program was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Diagnostic>,
    /// `true` if lines are missing, because the record was too large.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A line with its time.
#[derive(Serialize)]
pub(crate) struct Stamped<'a, T> {
    #[serde(serialize_with = "milliseconds")]
    pub(crate) at: DateTime<Utc>,
    #[serde(flatten)]
    pub(crate) content: &'a T,
}

/// The fields that every line has.
#[derive(Deserialize)]
pub(crate) struct Common {
    pub(crate) at: DateTime<Utc>,
    pub(crate) event: String,
}

/// Serialises a time as RFC 3339 with milliseconds.
fn milliseconds<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Returns the directory with the directories of all programs.
pub(crate) fn runs(directory: &Path) -> PathBuf {
    directory.join(RUNS)
}

/// Returns the directory with the records of a stack.
pub(crate) fn of_stack(directory: &Path, program: &str, stack: &str) -> PathBuf {
    runs(directory).join(program).join(stack)
}

/// Returns the name of a record. The names of a stack's records sort by their start.
pub(crate) fn file_name(at: DateTime<Utc>, random: [u8; DIGITS / 2]) -> String {
    format!("{}-{}.{EXTENSION}", at.format(NAME_TIME), hex::encode(random))
}

/// Returns the id of a record, which is its name without the extension, or `None` for another file.
pub(crate) fn id_of(name: &str) -> Option<&str> {
    let id = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    is_id(id).then_some(id)
}

/// Returns the name of the record with this id, or `None` for a text that is no id.
pub(crate) fn name_of(id: &str) -> Option<String> {
    is_id(id).then(|| format!("{id}.{EXTENSION}"))
}

fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, random)| {
        let digits = random.len() == DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits && NaiveDateTime::parse_from_str(time, NAME_TIME).is_ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_sort_by_time_and_have_ids() {
        let at: DateTime<Utc> = "2026-11-30T10:15:12.123Z".parse().unwrap();
        let name = file_name(at, [0x0a, 1, 2, 0xff]);
        assert_eq!(name, "20261130T101512.123Z-0a0102ff.jsonl");
        assert!(name < file_name(at + chrono::TimeDelta::milliseconds(1), [0; 4]));
        let id = id_of(&name).unwrap();
        assert_eq!(name_of(id).unwrap(), name);
        for other in
            ["", ".", "..", "../x", "20261130T101512.123Z-0a0102f", "20261130T101512.123Z-../../ab", "x-0a0102ff"]
        {
            assert_eq!(name_of(other), None, "{other}");
        }
        assert_eq!(id_of("notes.txt"), None);
    }

    #[test]
    fn headers_have_the_documented_form() {
        let header = Header {
            at: "2026-11-30T10:15:12Z".parse().unwrap(),
            command: "up".into(),
            program: "web".into(),
            stack: "dev".into(),
            target: "local".into(),
            by: "ann@host".into(),
            pid: 7,
        };
        let text = serde_json::to_string(&header).unwrap();
        insta::assert_snapshot!(text, @r#"{"event":"run_recorded","at":"2026-11-30T10:15:12.000Z","command":"up","program":"web","stack":"dev","target":"local","by":"ann@host","pid":7}"#);
        assert_eq!(serde_json::from_str::<Header>(&text).unwrap(), header);
    }
}
