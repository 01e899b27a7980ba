//! Bounds logs: a log that exceeds its limit replaces its previous copy. Also removes the files of deleted log streams.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::background::PhaseWatch;
use crate::model::Cloud;
use crate::state::Shared;
use crate::state::{console, paths};

/// Size limit of a log. A log and its previous copy use at most twice as much, plus the bytes that are written within
/// [`LOOK_EVERY`].
const LIMIT_BYTES: u64 = 10 * 1024 * 1024;

/// Interval of checks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The log of the cloud's background process.
const OWN: &str = "cloud.log";

/// Runs until the cloud stops.
pub(crate) async fn run(shared: Shared, mut phase: PhaseWatch) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = phase.ended() => return,
        }
        for path in written(&shared) {
            let long = std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() > LIMIT_BYTES);
            if long && let Err(error) = rotate(&path) {
                tracing::warn!(%error, log = %path.display(), "a log that is too long cannot be put aside");
            }
        }
        remove_deleted_streams(shared.directory(), || shared.read(stream_files));
        remove_logs_of_deleted_balancers(shared.directory(), || {
            shared.read(|cloud| balancer_logs(shared.directory(), cloud))
        });
    }
}

/// Removes the files of log streams that are no longer in the model. A stream is in the model before it has a file, so
/// the files are listed before `kept` reads the model.
pub(crate) fn remove_deleted_streams(cloud: &Path, kept: impl FnOnce() -> BTreeSet<String>) {
    let entries = std::fs::read_dir(cloud.join("logs")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    if files.is_empty() {
        return;
    }
    let kept = kept();
    files.retain(|path| path.file_stem().and_then(|stem| stem.to_str()).is_none_or(|stem| !kept.contains(stem)));
    for path in files {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(%error, file = %path.display(), "the events of a deleted log stream cannot be removed");
        }
    }
}

/// Returns the logs of all balancers.
fn balancer_logs(directory: &Path, cloud: &Cloud) -> BTreeSet<PathBuf> {
    let balancers = cloud.regions.values().flat_map(|region| region.elbv2.load_balancers.values());
    balancers.map(|balancer| paths::balancer_log(directory, &balancer.arn)).collect()
}

/// Removes the logs, and their previous copies, of balancers that are no longer in the model. A balancer is in the model
/// before it has a log, so the files are listed before `kept` reads the model.
fn remove_logs_of_deleted_balancers(cloud: &Path, kept: impl FnOnce() -> BTreeSet<PathBuf>) {
    let entries = std::fs::read_dir(cloud.join(paths::BALANCERS)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    if files.is_empty() {
        return;
    }
    let kept = kept();
    files.retain(|file| {
        let log = if file.extension().is_some_and(|extension| extension == "1") {
            file.with_extension("")
        } else {
            file.clone()
        };
        !kept.contains(&log)
    });
    for file in files {
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(%error, file = %file.display(), "the log of a deleted balancer cannot be removed");
        }
    }
}

/// Returns the names of the files of all log streams.
pub(crate) fn stream_files(cloud: &Cloud) -> BTreeSet<String> {
    let groups = cloud.regions.values().flat_map(|region| region.logs.groups.values());
    groups.flat_map(|group| group.streams.values().map(|stream| stream.file.clone())).collect()
}

/// Returns the log files of the cloud, of instances and of their services.
fn written(shared: &Shared) -> Vec<PathBuf> {
    let directory = shared.directory();
    let mut logs = vec![directory.join(OWN)];
    shared.read(|cloud| {
        for instance in cloud.regions.values().flat_map(|region| region.ec2.instances.values()) {
            let services = instance.runtime.services.values().filter(|service| service.process.is_some());
            logs.extend(services.map(|service| service.log.clone()));
            logs.push(console::own(directory, &instance.id));
        }
        logs.extend(balancer_logs(directory, cloud));
    });
    logs
}

/// Copies a log to its previous copy and truncates it. Writers append, so they continue at the new end; text that is
/// written between the two steps is lost.
fn rotate(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".1");
    let copied = std::fs::copy(path, &aside);
    // The log is emptied even if there is no space for the copy: a full disk is worse than a lost log.
    std::fs::File::options().write(true).open(path)?.set_len(0)?;
    copied.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Write as _;

    #[test]
    fn logs_of_deleted_balancers_are_removed_with_their_copies() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join(paths::BALANCERS);
        std::fs::create_dir(&logs).unwrap();
        for name in ["r.app.kept.1.log", "r.app.kept.1.log.1", "r.app.gone.2.log", "r.app.gone.2.log.1"] {
            std::fs::write(logs.join(name), "x").unwrap();
        }
        let kept = || BTreeSet::from([logs.join("r.app.kept.1.log")]);
        remove_logs_of_deleted_balancers(directory.path(), kept);
        let left: BTreeSet<_> =
            std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(left, ["r.app.kept.1.log", "r.app.kept.1.log.1"].map(str::to_owned).into());
    }

    #[test]
    fn appending_continues_in_the_truncated_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("service.log");
        let mut log = std::fs::File::options().append(true).create(true).open(&path).unwrap();
        for round in ["first", "second"] {
            log.write_all(round.as_bytes()).unwrap();
            rotate(&path).unwrap();
            assert_eq!(std::fs::read_to_string(directory.path().join("service.log.1")).unwrap(), round);
        }
        log.write_all(b"third").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
    }
}
