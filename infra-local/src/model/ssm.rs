//! Systems Manager parameters.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Table, Tags};

/// Limit of the labels of a version.
pub(crate) const LABELS: usize = 10;

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
    #[serde(default)]
    pub(crate) policies: Vec<Policy>,
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
    /// Description at the time of this version.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Names that identify this version alone.
    #[serde(default)]
    pub(crate) labels: BTreeSet<String>,
}

/// A policy of an advanced parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// `Expiration`.
    pub(crate) kind: String,
    /// The policy in JSON, as it was given.
    pub(crate) text: String,
    /// Time at which the parameter is deleted.
    pub(crate) expires: Option<DateTime<Utc>>,
}

impl ParameterVersion {
    /// Returns a version without labels.
    pub(crate) fn new(value: String, modified: DateTime<Utc>, description: Option<String>) -> Self {
        Self { value, modified, description, labels: BTreeSet::new() }
    }
}

/// Values can be secrets, so logs must not contain them.
impl std::fmt::Debug for ParameterVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ParameterVersion").field("modified", &self.modified).finish_non_exhaustive()
    }
}

impl Parameter {
    /// Returns the number of the version with a label.
    pub(crate) fn labelled(&self, label: &str) -> Option<u64> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(number, _)| *number)
    }

    /// Returns the time at which the parameter is deleted.
    pub(crate) fn expires(&self) -> Option<DateTime<Utc>> {
        self.policies.iter().filter_map(|policy| policy.expires).min()
    }

    /// Returns the version with the given number, or the latest, together with its number.
    pub(crate) fn version(&self, number: Option<u64>) -> Option<(u64, &ParameterVersion)> {
        match number {
            Some(number) => self.versions.get(&number).map(|version| (number, version)),
            None => self.versions.iter().next_back().map(|(number, version)| (*number, version)),
        }
    }
}
