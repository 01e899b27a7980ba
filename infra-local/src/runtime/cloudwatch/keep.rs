//! Series on disk, so that they survive a restart of the cloud: a file per store below `metrics/`.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::publish::Stores;
use crate::model::cloudwatch::metrics::Metrics;
use crate::state::files;

/// Interval of writes. After a kill of the process, the samples since the last write are missing.
const WRITE_EVERY: Duration = Duration::from_mins(1);

/// Writer of the series.
pub(super) struct Keeper {
    directory: PathBuf,
    written: Instant,
}

impl Keeper {
    /// Reads the series of the previous process. A damaged file is removed with a warning: the cloud starts without it.
    pub(super) fn restore(cloud: &Path, stores: &Stores) -> Self {
        let directory = cloud.join("metrics");
        for (name, metrics) in named(stores) {
            let path = directory.join(name);
            let restored = read(&path).and_then(|text| match text {
                Some(text) => metrics.restore(&text).map_err(io::Error::other),
                None => Ok(()),
            });
            if let Err(error) = restored {
                tracing::warn!(%error, file = %path.display(), "the metrics of the previous process are damaged and dropped");
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!(%error, file = %path.display(), "the damaged metrics cannot be removed");
                }
            }
        }
        Self { directory, written: Instant::now() }
    }

    /// Writes the series if it is time to. The work happens on another thread.
    pub(super) async fn write_when_due(&mut self, stores: &Stores) {
        if self.written.elapsed() >= WRITE_EVERY {
            self.write(stores).await;
        }
    }

    /// Writes the series.
    pub(super) async fn write(&mut self, stores: &Stores) {
        let (directory, stores) = (self.directory.clone(), stores.clone());
        let written = tokio::task::spawn_blocking(move || write(&directory, &stores)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "the metrics cannot be written, so a restart of the cloud would lose them");
        }
        self.written = Instant::now();
    }
}

fn named(stores: &Stores) -> [(&'static str, &Metrics); 2] {
    [("published.jsonl", &stores.published), ("always.jsonl", &stores.always_recorded)]
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let bytes = files::read(path)?;
    bytes.map(|bytes| String::from_utf8(bytes).map_err(io::Error::other)).transpose()
}

fn write(directory: &Path, stores: &Stores) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    named(stores)
        .iter()
        .try_for_each(|(name, metrics)| files::write_private(&directory.join(name), metrics.to_text().as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::cloudwatch::metrics::{MetricName, Sample};
    use std::collections::BTreeMap;

    fn stores() -> Stores {
        Stores { published: Metrics::default(), always_recorded: Metrics::default() }
    }

    fn record(metrics: &Metrics, name: &str) {
        let dimensions = BTreeMap::new();
        let name = MetricName { region: "r".into(), namespace: "n".into(), name: name.into(), dimensions };
        metrics.record(&name, Sample::value(chrono::Utc::now(), "Count", 1.0));
    }

    fn names(metrics: &Metrics) -> Vec<String> {
        metrics.names(|_| true).into_iter().map(|(name, _)| name.name).collect()
    }

    #[tokio::test]
    async fn series_survive_the_process_and_damaged_ones_are_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let before = stores();
        let mut keeper = Keeper::restore(directory.path(), &before);
        record(&before.published, "requests");
        record(&before.always_recorded, "size");
        keeper.write_when_due(&before).await;
        assert!(!directory.path().join("metrics").exists(), "it is too early");
        keeper.write(&before).await;

        let after = stores();
        Keeper::restore(directory.path(), &after);
        assert_eq!(
            (names(&after.published), names(&after.always_recorded)),
            (vec!["requests".into()], vec!["size".into()])
        );

        let damaged = directory.path().join("metrics").join("published.jsonl");
        std::fs::write(&damaged, "{\"metrics\":1").unwrap();
        let partly = stores();
        Keeper::restore(directory.path(), &partly);
        assert_eq!(
            (names(&partly.published), names(&partly.always_recorded)),
            (Vec::<String>::new(), vec!["size".into()])
        );
        assert!(!damaged.exists());
    }
}
