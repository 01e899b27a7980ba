//! Volumes of an instance.

use serde::{Deserialize, Serialize};

/// A volume of an instance. It is recorded and described, but has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BlockDevice {
    pub(crate) device_name: String,
    pub(crate) volume_id: String,
    pub(crate) size_gib: Option<u32>,
    pub(crate) volume_type: Option<String>,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput: Option<u32>,
    pub(crate) encrypted: Option<bool>,
    pub(crate) delete_on_termination: Option<bool>,
}
