//! `stack local logs --follow`: the logs of all services as they grow.

use super::running;
use crate::{failure::Failure, session::Session};
use console::Style;
use infra_local::{Status, daemon::Running};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

/// Interval between reads of the logs.
const READ_INTERVAL: Duration = Duration::from_millis(200);

/// Interval between searches for new services.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// Follows the logs of all services and databases, or of one instance, until Ctrl-C, or until the cloud or the reader of
/// standard output stops. Begins with the last `lines` of each log.
pub(super) async fn run(
    session: &Session<'_>,
    directory: &Path,
    instance: Option<&str>,
    lines: usize,
) -> Result<(), Failure> {
    let cloud = running(directory).await?;
    // Registered before the first output: until then, Ctrl-C exits with the code of a failure.
    let mut end = signal(SignalKind::interrupt())?;
    let mut logs = Logs::new(session.json);
    let mut searched: Option<Instant> = None;
    loop {
        let alive = cloud.is_alive();
        if alive && searched.is_none_or(|at| at.elapsed() >= SEARCH_INTERVAL) {
            let first = searched.replace(Instant::now()).is_none();
            logs.add(&cloud, instance, first.then_some(lines)).await?;
            if first && logs.tails.is_empty() {
                print_error!("no service runs yet; its log is shown once it starts");
            }
        }
        match logs.read(!alive) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            read => read?,
        }
        if !alive {
            print_error!("the local cloud has stopped");
            return Ok(());
        }
        tokio::select! {
            _ = end.recv() => return Ok(()),
            () = tokio::time::sleep(READ_INTERVAL) => {}
        }
    }
}

/// Followed logs.
struct Logs {
    json: bool,
    tails: BTreeMap<PathBuf, (Source, Tail)>,
}

/// Service that writes a log.
struct Source {
    /// ID of the instance, or identifier of the database.
    of: String,
    service: String,
    style: Style,
}

impl Logs {
    fn new(json: bool) -> Self {
        Self { json, tails: BTreeMap::new() }
    }

    /// Adds logs that are not followed yet, from their last `lines` or, with `None`, from their beginning.
    async fn add(&mut self, cloud: &Running, instance: Option<&str>, lines: Option<usize>) -> Result<(), Failure> {
        let status = match cloud.status().await {
            Ok(status) => status,
            // A cloud that has just stopped does not answer.
            Err(_) if !cloud.is_alive() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for (of, service, path) in services(&status, instance) {
            if self.tails.contains_key(&path) {
                continue;
            }
            let tail = match lines {
                Some(lines) => Tail::from_last(path.clone(), lines)?,
                None => Tail::from_start(path.clone()),
            };
            let style = colour(self.tails.len());
            self.tails.insert(path, (Source { of, service, style }, tail));
        }
        match instance {
            Some(name) if lines.is_some() && self.tails.is_empty() => Err(super::unknown_instance(name)),
            _ => Ok(()),
        }
    }

    /// Prints new lines. At the `end`, also the last line without a line break.
    fn read(&mut self, end: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (source, tail) in self.tails.values_mut() {
            for line in tail.lines(end)? {
                let Source { of, service, style } = source;
                if self.json {
                    writeln!(out, "{}", json!({ "of": of, "service": service, "line": line }))?;
                } else {
                    writeln!(out, "{} {line}", style.apply_to(format!("{of} {service} |")))?;
                }
            }
        }
        out.flush()
    }
}

/// Returns the instance or database, the service and the path of every log.
fn services(status: &Status, instance: Option<&str>) -> Vec<(String, String, PathBuf)> {
    let regions = || status.regions.values();
    let is_selected =
        |id: &str, name: Option<&str>| instance.is_none_or(|selected| id == selected || name == Some(selected));
    let instances = regions()
        .flat_map(|region| &region.instances)
        .filter(|instance| is_selected(&instance.id, instance.name.as_deref()));
    let services = instances.flat_map(|instance| {
        let services = instance.services.iter();
        services.map(|service| (instance.id.clone(), service.name.clone(), service.log.clone()))
    });
    let databases = regions().flat_map(|region| &region.databases).filter(|database| is_selected(&database.id, None));
    services
        .chain(databases.map(|database| (database.id.clone(), "postgres".to_owned(), database.log.clone())))
        .collect()
}

fn colour(number: usize) -> Style {
    let style = Style::new();
    match number % 6 {
        0 => style.cyan(),
        1 => style.green(),
        2 => style.yellow(),
        3 => style.magenta(),
        4 => style.blue(),
        _ => style.red(),
    }
}

/// A growing log file. The local cloud rotates a log by copying it to `NAME.1` and truncating it.
struct Tail {
    path: PathBuf,
    position: u64,
    /// Lines to print unchanged, before all others.
    last: Vec<String>,
    /// Beginning of an incomplete line.
    partial: Vec<u8>,
}

impl Tail {
    fn from_start(path: PathBuf) -> Self {
        Self { path, position: 0, last: Vec::new(), partial: Vec::new() }
    }

    fn from_last(path: PathBuf, lines: usize) -> io::Result<Self> {
        let mut tail = Self::from_start(path);
        let all = tail.lines(false)?;
        let skipped = all.len().saturating_sub(lines);
        tail.last = all.into_iter().skip(skipped).collect();
        Ok(tail)
    }

    /// Returns the lines that were added since the last call.
    fn lines(&mut self, end: bool) -> io::Result<Vec<String>> {
        let mut bytes = std::mem::take(&mut self.partial);
        if length(&self.path)? < self.position {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            read_from(Path::new(&aside), self.position, &mut bytes)?;
            self.position = 0;
        }
        self.position += read_from(&self.path, self.position, &mut bytes)?;
        if end && !bytes.is_empty() && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.partial = bytes.split_off(whole);
        let mut lines = std::mem::take(&mut self.last);
        lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
        Ok(lines)
    }
}

/// Returns the length of a file, or 0 if it does not exist: before its service starts, or after its instance is deleted.
fn length(path: &Path) -> io::Result<u64> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Reads a file from a position to its end.
fn read_from(path: &Path, position: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(position))?;
    Ok(file.read_to_end(bytes)? as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn append(path: &Path, text: &str) {
        File::options().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Rotates a log as the local cloud does.
    fn rotate(path: &Path) {
        std::fs::copy(path, path.with_extension("log.1")).unwrap();
        File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    }

    #[test]
    fn complete_lines_are_read_once_and_an_incomplete_one_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut tail = Tail::from_start(path.clone());
        assert!(tail.lines(false).unwrap().is_empty(), "it does not exist yet");
        append(&path, "one\ntw");
        assert_eq!(tail.lines(false).unwrap(), ["one"]);
        append(&path, "o\nthr\u{e9}");
        assert_eq!(tail.lines(false).unwrap(), ["two"]);
        assert_eq!(tail.lines(true).unwrap(), ["thr\u{e9}"]);
        assert!(tail.lines(true).unwrap().is_empty());
    }

    #[test]
    fn follow_starts_with_the_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        append(&path, "one\ntwo\nthree\n");
        let mut tail = Tail::from_last(path.clone(), 2).unwrap();
        append(&path, "four\n");
        assert_eq!(tail.lines(false).unwrap(), ["two", "three", "four"]);
    }

    #[test]
    fn rotation_loses_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut tail = Tail::from_start(path.clone());
        append(&path, "one, which is long\n");
        assert_eq!(tail.lines(false).unwrap().len(), 1);
        append(&path, "two\nthr");
        rotate(&path);
        append(&path, "ee\nfour\n");
        assert_eq!(tail.lines(false).unwrap(), ["two", "three", "four"]);
        rotate(&path);
        assert!(tail.lines(false).unwrap().is_empty());
        append(&path, "five\n");
        assert_eq!(tail.lines(false).unwrap(), ["five"]);
    }
}
