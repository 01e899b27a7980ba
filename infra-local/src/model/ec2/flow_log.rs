//! Flow logs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// A flow log of a VPC, a subnet or a network interface. It is recorded, and described with a failed delivery: the local
/// cloud records no packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlowLog {
    pub(crate) id: String,
    pub(crate) resource_id: String,
    /// `ACCEPT`, `REJECT` or `ALL`.
    pub(crate) traffic: String,
    /// `cloud-watch-logs`, `s3` or `kinesis-data-firehose`.
    pub(crate) destination_type: String,
    pub(crate) destination: Option<String>,
    pub(crate) log_group: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) format: String,
    /// Maximum aggregation interval in seconds.
    pub(crate) interval: u32,
    pub(crate) file_format: Option<String>,
    pub(crate) hive_compatible: bool,
    pub(crate) per_hour: bool,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}
