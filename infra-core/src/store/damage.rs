//! Reports the line and the kind of a damage in the text of a snapshot. Snapshots are written in lines, so a damage is
//! found without parsing JSON.

use super::{
    StoreError, checksum,
    source::{self, LEGACY, Source},
};
use crate::{
    state::{StateError, VERSION},
    urn::Urn,
};
use serde::{Deserialize, de::IgnoredAny};

const RESOURCES: &str = "  \"resources\": {";
/// The text around the digits of a resource's checksum.
const BEFORE: &str = ",\n      \"checksum\": \"";
const AFTER: &str = "\"\n    }";

#[derive(Deserialize)]
struct Head {
    version: Option<u32>,
    checksum: Option<IgnoredAny>,
}

/// One resource in the text of a snapshot.
struct Record<'a> {
    urn: &'a str,
    /// Number of the line with its URN.
    line: usize,
    /// From its opening brace to its closing one.
    text: &'a str,
}

/// Returns `true` if the text is a snapshot of a version without checksums.
pub(super) fn is_legacy(text: &[u8]) -> bool {
    // A newer text of which one byte was changed still has one of the two.
    let head = serde_json::from_slice(text);
    matches!(head, Ok(Head { version: Some(version), checksum: None }) if version <= LEGACY)
        && records(&String::from_utf8_lossy(text)).iter().all(|record| !record.text.contains(BEFORE))
}

/// Returns the error for a snapshot that does not match its checksum.
pub(super) fn of_snapshot(text: &[u8], source: &Source<'_>) -> StoreError {
    let head: Head = match serde_json::from_slice(text) {
        Ok(head) => head,
        Err(error) => return syntax(text, &error, source),
    };
    let lossy = String::from_utf8_lossy(text);
    match head.version {
        None => source.broken(1, "it has no `version`, so it is not a state"),
        Some(found) if found > VERSION => refused(text, StateError::Newer { found }, source),
        Some(found) if found <= LEGACY => {
            let line = 1 + position(&lossy, 0, "\"version\"").unwrap_or(0);
            source.broken(line, format!("it has checksums, which format {found} does not have: it was changed"))
        }
        Some(_) => match records(&lossy).iter().find(|record| !record.is_sound()) {
            Some(Record { urn, line, .. }) => {
                source.broken(*line, format!("the record of `{urn}` does not match its checksum: it was changed"))
            }
            None if !source::has_checksum(text) => {
                source.broken(lossy.lines().count(), "the checksum at its end is missing or was changed")
            }
            None => source.broken(
                1,
                "it does not match its checksum, although the record of every resource does: another part was \
                 changed, or a record is missing",
            ),
        },
    }
}

/// Returns the error for a text that is not JSON or not a state.
pub(super) fn syntax(text: &[u8], error: &serde_json::Error, source: &Source<'_>) -> StoreError {
    if text.iter().all(u8::is_ascii_whitespace) {
        return source.broken(1, "it is empty");
    }
    // A newer format may differ in everything except its version.
    if let Ok(Head { version: Some(found), .. }) = serde_json::from_slice(text)
        && found > VERSION
    {
        return refused(text, StateError::Newer { found }, source);
    }
    if error.is_eof() {
        return source.broken(error.line(), "it is truncated");
    }
    let lossy = String::from_utf8_lossy(text);
    let records = records(&lossy);
    let within = records
        .iter()
        .find(|record| (record.line..=record.line + record.text.matches('\n').count()).contains(&error.line()));
    let message = source::message(error);
    match within {
        Some(Record { urn, .. }) => source.broken(error.line(), format!("in the record of `{urn}`: {message}")),
        None => source.broken(error.line(), message),
    }
}

/// Returns the error for a snapshot whose state violates an invariant.
pub(super) fn refused(text: &[u8], error: StateError, source: &Source<'_>) -> StoreError {
    source.refused(line_of(&String::from_utf8_lossy(text), &error), error)
}

/// Returns the text of a snapshot with correct checksums.
pub(super) fn with_checksums(text: &str) -> String {
    let mut answer = String::with_capacity(text.len());
    let (mut within, mut record) = (false, 0);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let begin = match (indent, within) {
            (2, _) => Some(0),
            (6, true) => Some(record),
            _ => None,
        };
        let is_checksum = line[indent..].starts_with("\"checksum\": \"");
        if let Some(begin) = begin.filter(|_| is_checksum) {
            // Up to the comma and the newline before this line.
            let covered = &answer.as_bytes()[begin..answer.len().saturating_sub(2)];
            let sum = checksum::of(covered);
            answer.push_str(&line[..indent]);
            answer.push_str("\"checksum\": \"");
            answer.push_str(&sum);
            answer.push_str("\"\n");
            continue;
        }
        answer.push_str(line);
        match indent {
            2 => within = line.starts_with(RESOURCES),
            4 if within && line.ends_with("{\n") => record = answer.len() - 2,
            _ => {}
        }
    }
    answer
}

/// Returns the line that the user should look at.
fn line_of(text: &str, error: &StateError) -> usize {
    let line_after = |from: usize, what: &str| position(text, from, what);
    let resource = |urn: &Urn| line_after(0, &format!("\"{urn}\": {{"));
    let at = match error {
        StateError::Newer { .. } => line_after(0, "\"version\""),
        StateError::Foreign { found, expected } => {
            let (program, stack) = found.split_once('/').unwrap_or((found, ""));
            let field = if expected.split_once('/').is_some_and(|(expected, _)| expected == program) {
                format!("\"stack\": \"{stack}\"")
            } else {
                format!("\"program\": \"{program}\"")
            };
            // The whole state, or one resource in it.
            line_after(0, &field).or_else(|| line_after(0, &format!("\"urn:infra:{stack}::{program}::")))
        }
        StateError::Dangling { user, used } => resource(user).and_then(|at| line_after(at, &format!("\"{used}\""))),
        StateError::Empty(urn) | StateError::Generations(urn) | StateError::Cycle(urn) => resource(urn),
        StateError::Operations(operation) => {
            let first = line_after(0, &format!("\"operation\": \"{operation}\""));
            first.and_then(|first| line_after(first + 1, &format!("\"operation\": \"{operation}\"")))
        }
    };
    at.unwrap_or(0) + 1
}

impl Record<'_> {
    fn is_sound(&self) -> bool {
        checksum::fits(self.text.as_bytes(), BEFORE, AFTER)
    }
}

/// Returns the resources in the text of a snapshot; one that is cut off reaches to the end.
fn records(text: &str) -> Vec<Record<'_>> {
    let mut records = Vec::new();
    let mut open: Option<(&str, usize, usize)> = None;
    let (mut within, mut begin) = (false, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = begin + line.len();
        let content = line.strip_suffix('\n').unwrap_or(line);
        if !within {
            within = content == RESOURCES;
        } else if let Some((urn, line, from)) = open {
            if content == "    }" || content == "    }," {
                records.push(Record { urn, line, text: &text[from..begin + "    }".len()] });
                open = None;
            }
        } else if let Some(urn) = content.strip_prefix("    \"").and_then(|rest| rest.strip_suffix("\": {")) {
            open = Some((urn, number + 1, begin + content.len() - 1));
        } else {
            break;
        }
        begin = end;
    }
    records.extend(open.map(|(urn, line, from)| Record { urn, line, text: &text[from..] }));
    records
}

/// Returns the index of the first line from `from` on that contains `what`.
fn position(text: &str, from: usize, what: &str) -> Option<usize> {
    text.lines().skip(from).position(|line| line.contains(what)).map(|at| from + at)
}
