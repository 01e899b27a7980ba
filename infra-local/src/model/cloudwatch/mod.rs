//! CloudWatch's alarms and metrics.

pub(crate) mod alarm;
pub(crate) mod metrics;
