//! Placement groups.

use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// A placement group. It is recorded and described: all instances run on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PlacementGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `cluster`, `spread` or `partition`.
    pub(crate) strategy: String,
    /// Number of partitions of the strategy `partition`.
    pub(crate) partitions: Option<u32>,
    /// `rack` or `host`, of the strategy `spread`.
    pub(crate) spread_level: Option<String>,
    pub(crate) tags: Tags,
}
