//! The time scale, which divides AWS's waiting periods.

use chrono::{DateTime, TimeDelta, Utc};

/// Divisor of waiting periods; at 1, time passes as on AWS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TimeScale(pub(crate) f64);

impl Default for TimeScale {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TimeScale {
    /// Converts a waiting period of AWS, in seconds, to real time.
    pub(crate) fn scaled(self, seconds: f64) -> TimeDelta {
        TimeDelta::milliseconds((seconds * 1000.0 / self.0.max(1e-3)) as i64)
    }

    /// Returns whether a waiting period is over.
    pub(crate) fn over(self, since: DateTime<Utc>, seconds: u32, now: DateTime<Utc>) -> bool {
        now - since >= self.scaled(f64::from(seconds))
    }
}
