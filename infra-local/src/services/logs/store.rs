//! Events on disk: a file per stream, with a line of JSON per event and a size limit.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::state::files::write_private;
use crate::state::paths;

/// Locked while a file is extended or rewritten.
static WRITING: Mutex<()> = Mutex::new(());

/// Maximum size of a stream's file. When it is exceeded, the older half of the events is dropped.
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// A log event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    /// Time of the event, in milliseconds since 1970, from the client.
    pub(super) timestamp: i64,
    /// Time of arrival, in milliseconds since 1970.
    pub(super) ingested: i64,
    /// Ascending number, unique in its stream.
    pub(super) id: u64,
    pub(super) message: String,
}

impl Event {
    /// Returns the sort key.
    pub(super) fn key(&self) -> String {
        format!("{:016}{:020}", self.timestamp, self.id)
    }
}

/// Returns the events within the retention period, in the order of their times.
pub(super) fn read(cloud: &Path, file: &str, days: Option<u32>, now: DateTime<Utc>) -> io::Result<Vec<Event>> {
    let bytes = match std::fs::read(path(cloud, file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let oldest = days.map(|days| (now - TimeDelta::days(days.into())).timestamp_millis());
    // The last line may be incomplete if the cloud was killed during a write.
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Event>(line).ok());
    let mut events: Vec<Event> = lines.filter(|event| oldest.is_none_or(|oldest| event.timestamp >= oldest)).collect();
    events.sort_by_key(|event| (event.timestamp, event.id));
    Ok(events)
}

/// Appends events.
pub(super) fn append(
    cloud: &Path,
    file: &str,
    days: Option<u32>,
    new: impl IntoIterator<Item = (i64, String)>,
    now: DateTime<Utc>,
) -> io::Result<()> {
    let _one_writer = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = path(cloud, file);
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let first = now.timestamp_micros().unsigned_abs() * 1000;
    let ingested = now.timestamp_millis();
    let mut lines = Vec::new();
    for (id, (timestamp, message)) in (first..).zip(new) {
        serde_json::to_writer(&mut lines, &Event { timestamp, ingested, id, message })?;
        lines.push(b'\n');
    }
    File::options().create(true).append(true).mode(0o600).open(&path)?.write_all(&lines)?;
    if bytes(cloud, file) > LIMIT_BYTES {
        let mut events = read(cloud, file, days, now)?;
        let mut kept = Vec::new();
        let mut left = LIMIT_BYTES as usize / 2;
        while let Some(event) = events.pop() {
            let line = serde_json::to_vec(&event)?;
            left = left.saturating_sub(line.len() + 1);
            if left == 0 {
                break;
            }
            kept.push(line);
        }
        kept.reverse();
        write_private(&path, &[kept.join(&b'\n'), vec![b'\n']].concat())?;
    }
    Ok(())
}

/// Returns the size of a stream on disk.
pub(super) fn bytes(cloud: &Path, file: &str) -> u64 {
    std::fs::metadata(path(cloud, file)).map_or(0, |metadata| metadata.len())
}

fn path(cloud: &Path, file: &str) -> PathBuf {
    paths::log_stream(cloud, file)
}
