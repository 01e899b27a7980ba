//! Snapshots of volumes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// A snapshot of a volume. Images start from snapshots; deleting an image does not delete its snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) volume_id: String,
    pub(crate) size_gib: u32,
    pub(crate) description: String,
    pub(crate) encrypted: bool,
    /// ARN of the key of an encrypted snapshot.
    pub(crate) kms_key: Option<String>,
    pub(crate) started: DateTime<Utc>,
    /// Accounts that can create volumes from the snapshot; `all` stands for every account.
    pub(crate) shared_with: BTreeSet<String>,
    pub(crate) tags: Tags,
}
