//! Searches logs from their ends, and merges the found records by time.

use super::{
    backwards::Backwards,
    filter::Filter,
    parse::{Parsed, Start, detail, parse, start},
    sources::LogSource,
};
use crate::views::text::clean;
use chrono::{DateTime, TimeDelta, Utc};
use std::{cmp::Reverse, io};

/// Number of bytes that a search reads, of all logs together.
const BUDGET: u64 = 64 * 1024 * 1024;

/// The smallest and the largest part of the budget for a log.
const SHARE: (u64, u64) = (1024 * 1024, 32 * 1024 * 1024);

/// Number of lines after which a text without a time is no longer a part of the record before it.
const CONTINUATIONS: usize = 200;

/// The longest text of a record's further lines, in characters.
const DETAIL: usize = 16_000;

/// Records of a log need not be in order: threads of a program write them. A search continues for this time.
const DISORDER: TimeDelta = TimeDelta::seconds(10);

/// A record that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Position of the log in the list of the searched ones.
    pub(super) source: usize,
    pub(super) time: Option<DateTime<Utc>>,
    /// The time, or the next known one.
    pub(super) order: DateTime<Utc>,
    pub(super) parsed: Parsed,
    /// The line, and the lines that belong to it.
    pub(super) raw: String,
}

/// Records of a search, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) records: Vec<Found>,
    /// `true` if older records match too.
    pub(super) has_older: bool,
    /// Positions of the logs whose beginning was not read, because they are too long.
    pub(super) cut: Vec<usize>,
    /// Logs that could not be read: the position, and the reason.
    pub(super) unreadable: Vec<(usize, io::Error)>,
}

/// Returns the last `limit` records of all logs that match.
pub(super) fn search(sources: &[LogSource], filter: &Filter, limit: usize) -> Search {
    let share = (BUDGET / (sources.len().max(1) as u64)).clamp(SHARE.0, SHARE.1);
    let mut search = Search::default();
    for (source, log) in sources.iter().enumerate() {
        match Reader::open(log, source, filter, limit, share).and_then(Reader::read) {
            Ok(reader) => {
                search.has_older |= reader.found.len() > limit;
                if reader.is_cut {
                    search.cut.push(source);
                }
                search.records.extend(reader.found);
            }
            Err(error) => search.unreadable.push((source, error)),
        }
    }
    // Records of one log are the newest first, and a stable order keeps those of the same time so.
    search.records.sort_by_key(|found| Reverse(found.order));
    search.has_older |= search.records.len() > limit;
    search.records.truncate(limit);
    search.records.reverse();
    search
}

/// Search of one log.
struct Reader<'a> {
    lines: Backwards,
    source: usize,
    filter: &'a Filter,
    limit: usize,
    /// The newest first.
    found: Vec<Found>,
    /// Lines after the present one that begin no record with a time, the last first.
    pending: Vec<String>,
    /// Time of the record after the present line.
    next: DateTime<Utc>,
    is_cut: bool,
}

impl<'a> Reader<'a> {
    fn open(log: &LogSource, source: usize, filter: &'a Filter, limit: usize, budget: u64) -> io::Result<Self> {
        let lines = Backwards::open(log.files(), filter.to.map(|to| to + DISORDER), budget)?;
        let next = lines.modified().unwrap_or_else(Utc::now);
        Ok(Self { lines, source, filter, limit, found: Vec::new(), pending: Vec::new(), next, is_cut: false })
    }

    /// Reads until one record more than the limit is found.
    fn read(mut self) -> io::Result<Self> {
        while self.found.len() <= self.limit {
            let Some(line) = self.lines.line()? else {
                self.is_cut = self.lines.is_cut();
                self.add_untimed();
                break;
            };
            match start(&line) {
                Start::Timed(time) => {
                    self.next = time;
                    if self.filter.from.is_some_and(|from| time < from - DISORDER) {
                        break;
                    }
                    self.add(line, Some(time));
                }
                Start::Untimed | Start::Continuation => self.pending.push(line),
            }
            if self.pending.len() > CONTINUATIONS {
                self.add_untimed();
            }
        }
        Ok(self)
    }

    /// Adds a record and the records without a time after it, if they match.
    fn add(&mut self, first: String, time: Option<DateTime<Utc>>) {
        let mut groups = vec![(first, Vec::new())];
        while let Some(line) = self.pending.pop() {
            match groups.last_mut() {
                Some((_, rest)) if start(&line) == Start::Continuation => rest.push(line),
                _ => groups.push((line, Vec::new())),
            }
        }
        for (position, (line, rest)) in groups.into_iter().enumerate().rev() {
            self.add_matching(line, &rest, time.filter(|_| position == 0));
        }
    }

    /// Adds the pending lines as records of their own.
    fn add_untimed(&mut self) {
        for line in std::mem::take(&mut self.pending) {
            self.add_matching(line, &[], None);
        }
    }

    fn add_matching(&mut self, line: String, rest: &[String], time: Option<DateTime<Utc>>) {
        if !self.filter.includes(self.next) || !self.filter.may_match(&line, rest) {
            return;
        }
        let mut parsed = parse(&line);
        let raw = if rest.is_empty() { line } else { format!("{line}\n{}", rest.join("\n")) };
        if !rest.is_empty() {
            let rest: Vec<&str> = rest.iter().map(|line| detail(line)).collect();
            parsed.message = format!("{}\n{}", parsed.message, clean(&rest.join("\n"), DETAIL));
        }
        if self.filter.matches(&parsed, &raw) {
            self.found.push(Found { source: self.source, time, order: self.next, parsed, raw });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sources::Sources;
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn sources(directory: &Path, logs: &[(&str, &str)]) -> Vec<LogSource> {
        let services: Vec<_> = logs
            .iter()
            .map(|(name, text)| {
                let path = directory.join(name);
                std::fs::write(&path, text).unwrap();
                json!({ "name": name, "log": path })
            })
            .collect();
        let status = json!({ "regions": { "r": { "instances": [{ "id": "i-1", "services": services }] } } });
        Sources::of(directory, Some(&status)).select("i-1").unwrap()
    }

    fn shown(search: &Search) -> String {
        let line = |found: &Found| {
            let time = found.time.map_or_else(|| "none".to_owned(), |time| time.format("%S").to_string());
            format!("{} {time} {}\n", found.source, found.parsed.message.replace('\n', " / "))
        };
        search.records.iter().map(line).collect::<String>() + if search.has_older { "older" } else { "all" }
    }

    #[test]
    fn records_of_logs_are_merged_by_time_with_their_further_lines() {
        let directory = tempfile::tempdir().unwrap();
        let first = "lost beginning\n2026-11-30T09:00:01Z a1\n  more of a1\n{\"message\":\"no time\"}\n  more of it\n\
                     2026-11-30T09:00:04Z a4\n";
        let second = "2026-11-30T09:00:02Z b2\n2026-11-30T09:00:03Z b3\n2026-11-30T09:00:03Z b3 again\n";
        let sources = sources(directory.path(), &[("a", first), ("b", second)]);
        insta::assert_snapshot!(shown(&search(&sources, &Filter::default(), 100)), @"
        0 none lost beginning
        0 01 a1 /   more of a1
        0 none no time /   more of it
        1 02 b2
        1 03 b3
        1 03 b3 again
        0 04 a4
        all
        ");
        insta::assert_snapshot!(shown(&search(&sources, &Filter::default(), 3)), @"
        1 03 b3
        1 03 b3 again
        0 04 a4
        older
        ");
        let text = Filter { text: Some("more of a1".to_owned()), ..Filter::default() };
        insta::assert_snapshot!(shown(&search(&sources, &text, 3)), @"
        0 01 a1 /   more of a1
        all
        ");
        let time = |text: &str| Some(text.parse().unwrap());
        let range =
            Filter { from: time("2026-11-30T09:00:02Z"), to: time("2026-11-30T09:00:03Z"), ..Filter::default() };
        insta::assert_snapshot!(shown(&search(&sources, &range, 3)), @"
        1 02 b2
        1 03 b3
        1 03 b3 again
        all
        ");
    }

    #[test]
    fn a_log_without_times_is_shown_line_by_line() {
        let directory = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
        let sources = sources(directory.path(), &[("a", &lines.join("\n"))]);
        let search = search(&sources, &Filter::default(), 450);
        let found: Vec<_> = search.records.iter().map(|found| found.parsed.message.clone()).collect();
        assert_eq!(found, lines[50..]);
        assert!(search.records.iter().all(|found| found.time.is_none()) && search.has_older);
    }

    #[test]
    fn unreadable_and_missing_logs_do_not_hide_others() {
        let directory = tempfile::tempdir().unwrap();
        let sources = sources(directory.path(), &[("a", "2026-11-30T09:00:01Z a"), ("b", "x"), ("c", "x")]);
        std::fs::remove_file(directory.path().join("b")).unwrap();
        std::fs::remove_file(directory.path().join("c")).unwrap();
        std::fs::create_dir(directory.path().join("c")).unwrap();
        let search = search(&sources, &Filter::default(), 10);
        assert_eq!(shown(&search), "0 01 a\nall");
        assert_eq!(search.unreadable.len(), 1);
        assert_eq!(search.unreadable[0].0, 2);
    }
}
