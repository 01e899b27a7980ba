//! Delivery of logs into buckets.
//!
//! AWS publishes a file per balancer every five minutes, a period that the time scale divides. A process that is killed
//! loses the entries of the current period.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::access::admits_log_delivery;
use crate::domain::elbv2::logs::LogPlace;
use crate::model::clock::TimeScale;
use crate::runtime::proxy::random;
use crate::state::Shared;

/// Interval of deliveries, in AWS's seconds.
const INTERVAL_SECONDS: f64 = 300.0;

/// Size after which a log is delivered before the end of its interval, in bytes.
const LARGE: usize = 4 * 1024 * 1024;

/// The entries that wait for their delivery.
pub(crate) struct Deliveries {
    shared: Shared,
    interval: Duration,
    waiting: BTreeMap<Arc<LogPlace>, Batch>,
}

struct Batch {
    due: Instant,
    lines: Vec<u8>,
}

impl Deliveries {
    pub(crate) fn new(shared: Shared, scale: TimeScale) -> Self {
        let interval = scale.scaled(INTERVAL_SECONDS).to_std().unwrap_or(Duration::from_mins(5));
        Self { shared, interval, waiting: BTreeMap::new() }
    }

    /// Adds a line to a log.
    pub(super) fn add(&mut self, place: Arc<LogPlace>, line: &str) {
        let due = Instant::now() + self.interval;
        let batch = self.waiting.entry(place).or_insert(Batch { due, lines: Vec::new() });
        batch.lines.extend_from_slice(line.as_bytes());
        batch.lines.push(b'\n');
        if batch.lines.len() >= LARGE {
            batch.due = Instant::now();
        }
    }

    /// Returns the time until the next delivery; `None` when no entry waits.
    pub(super) fn pause(&self) -> Option<Duration> {
        let due = self.waiting.values().map(|batch| batch.due).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Delivers the logs whose interval is over, or all of them.
    pub(super) fn deliver(&mut self, all: bool) {
        let now = Instant::now();
        let due: Vec<_> = self.waiting.extract_if(.., |_, batch| all || batch.due <= now).collect();
        for (place, batch) in due {
            if let Err(error) = self.write(&place, &batch.lines) {
                let (balancer, bucket) = (&place.balancer, &place.bucket);
                tracing::warn!(error, balancer, bucket, "a log of a balancer could not be delivered");
            }
        }
    }

    fn write(&self, place: &LogPlace, lines: &[u8]) -> Result<(), String> {
        let random: String = (0..8).filter_map(|_| char::from_digit(random::below(36) as u32, 36)).collect();
        let key = place.key(Utc::now(), &random);
        let objects = self.shared.objects();
        let policy = objects.bucket(&place.bucket, |bucket| Ok(bucket.settings.policy().map(str::to_owned)));
        let policy = policy.map_err(|error| error.to_string())?;
        let arn = format!("arn:aws:s3:::{}/{key}", place.bucket);
        if !admits_log_delivery(policy.as_deref(), place.scope(), &arn) {
            return Err(format!("the policy of the bucket no longer permits Elastic Load Balancing to write {key}"));
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let compressed = encoder.write_all(lines).and_then(|()| encoder.finish());
        let compressed = compressed.map_err(|error| error.to_string())?;
        objects.deliver(&place.bucket, key, &compressed).map_err(|error| error.to_string())
    }
}
