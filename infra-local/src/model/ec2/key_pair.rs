//! Key pairs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Tags;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyPair {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `rsa` or `ed25519`.
    pub(crate) kind: String,
    pub(crate) fingerprint: String,
    pub(crate) public_key: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}
