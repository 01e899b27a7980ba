//! Roles and instance profiles. IAM is global: one for all regions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Tags;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Iam {
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) instance_profiles: BTreeMap<String, InstanceProfile>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_seconds: u32,
    /// Who may take the role on: a policy document.
    pub(crate) trust_policy: String,
    /// Policy documents by name.
    pub(crate) inline_policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached_policies: BTreeSet<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceProfile {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    /// A profile holds one role at most.
    pub(crate) role: Option<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}
