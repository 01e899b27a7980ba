//! Systems Manager parameters.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Table, Tags};

/// Systems Manager's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ssm {
    /// Parameters by name.
    pub(crate) parameters: Table<Parameter>,
}

super::changes::record_by_field!(Ssm { whole: [], maps: [parameters], parts: [], children: [], apart: [] });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: ParameterKind,
    pub(crate) description: Option<String>,
    pub(crate) tier: String,
    pub(crate) data_type: String,
    pub(crate) key_id: Option<String>,
    /// Pattern that values must match.
    #[serde(default)]
    pub(crate) allowed_pattern: Option<String>,
    /// The latest versions, at most a hundred.
    pub(crate) versions: BTreeMap<u64, ParameterVersion>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ParameterKind {
    String,
    StringList,
    SecureString,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ParameterVersion {
    pub(crate) value: String,
    pub(crate) modified: DateTime<Utc>,
}

/// Values can be secrets, so logs must not contain them.
impl std::fmt::Debug for ParameterVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ParameterVersion").field("modified", &self.modified).finish_non_exhaustive()
    }
}

impl Parameter {
    /// Returns the version with the given number, or the latest, together with its number.
    pub(crate) fn version(&self, number: Option<u64>) -> Option<(u64, &ParameterVersion)> {
        match number {
            Some(number) => self.versions.get(&number).map(|version| (number, version)),
            None => self.versions.iter().next_back().map(|(number, version)| (*number, version)),
        }
    }
}
