//! Histogram of response times. Its counts only grow, so the difference of two readings describes the time between
//! them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Number of buckets. Each covers a quarter of a doubling, from a tenth of a millisecond to more than a minute.
const STEPS: usize = 80;

/// Upper bound of the first bucket, in seconds.
const SHORTEST: f64 = 1e-4;

/// Buckets per doubling.
const PER_DOUBLING: f64 = 4.0;

/// Response times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times {
    counts: [u64; STEPS],
    seconds: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: [0; STEPS], seconds: 0.0 }
    }
}

/// Concurrent recorder of response times.
pub(crate) struct Recorder {
    counts: [AtomicU64; STEPS],
    microseconds: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), microseconds: AtomicU64::new(0) }
    }
}

impl Recorder {
    /// Counts a response.
    pub(crate) fn count(&self, took: Duration) {
        let step = ((took.as_secs_f64() / SHORTEST).max(1.0).log2() * PER_DOUBLING) as usize;
        self.counts[step.min(STEPS - 1)].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// Returns the counts so far.
    pub(crate) fn times(&self) -> Times {
        Times {
            counts: self.counts.each_ref().map(|count| count.load(Ordering::Relaxed)),
            seconds: self.microseconds.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

impl Times {
    /// Returns the counts of responses with these times, in seconds.
    #[cfg(test)]
    pub(crate) fn of(seconds: &[f64]) -> Times {
        let recorder = Recorder::default();
        seconds.iter().for_each(|seconds| recorder.count(Duration::from_secs_f64(*seconds)));
        recorder.times()
    }

    /// Returns the response times since an earlier reading, in seconds, with their counts. Times are rounded to
    /// buckets, but their sum is exact.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(f64, f64)> {
        let new = self.counts.iter().zip(&earlier.counts).enumerate();
        let steps: Vec<(f64, f64)> = new
            .filter(|(_, (now, before))| now > before)
            .map(|(step, (now, before))| {
                let middle = SHORTEST * ((step as f64 + 0.5) / PER_DOUBLING).exp2();
                (middle, (now - before) as f64)
            })
            .collect();
        let rounded: f64 = steps.iter().map(|(middle, count)| middle * count).sum();
        let correction = if rounded > 0.0 { (self.seconds - earlier.seconds) / rounded } else { 1.0 };
        steps.into_iter().map(|(middle, count)| (middle * correction, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_readings_covers_the_time_between_them() {
        let recorder = Recorder::default();
        recorder.count(Duration::from_millis(10));
        let earlier = recorder.times();
        assert!(recorder.times().since(&earlier).is_empty());
        for _ in 0..3 {
            recorder.count(Duration::from_millis(20));
        }
        recorder.count(Duration::from_secs(2));
        let between = recorder.times().since(&earlier);
        assert_eq!(between.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3.0, 1.0]);
        let sum: f64 = between.iter().map(|(seconds, count)| seconds * count).sum();
        assert!((sum - 2.06).abs() < 1e-9, "{sum}");
        assert!((between[0].0 - 0.02).abs() < 0.004, "{between:?}");
        recorder.count(Duration::from_secs(1_000_000_000));
        recorder.count(Duration::ZERO);
    }
}
