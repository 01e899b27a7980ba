//! Block devices of launches.

use serde::{Deserialize, Serialize};

/// A volume that a launch creates. Unset properties are those of the image or of the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BlockDevice {
    pub(crate) device_name: String,
    /// Id of the volume, in states of earlier versions only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) volume_id: String,
    /// Snapshot that the volume is created from.
    pub(crate) snapshot_id: Option<String>,
    pub(crate) kms_key: Option<String>,
    /// True when the launch omits a device of the image.
    pub(crate) no_device: bool,
    pub(crate) size_gib: Option<u32>,
    pub(crate) volume_type: Option<String>,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput: Option<u32>,
    pub(crate) encrypted: Option<bool>,
    pub(crate) delete_on_termination: Option<bool>,
}
