//! Managed prefix lists: named sets of ranges, with versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Tags, ids::derived_id};

/// A prefix list of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PrefixList {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) ipv6: bool,
    /// Maximum number of entries, which counts against the quotas of resources that refer to the list.
    pub(crate) max_entries: u32,
    /// The latest version.
    pub(crate) version: u64,
    /// Entries of each version: ranges with their descriptions.
    pub(crate) versions: BTreeMap<u64, BTreeMap<String, String>>,
    /// `create-complete`, `modify-complete` or `restore-complete`.
    pub(crate) state: String,
    pub(crate) tags: Tags,
}

impl PrefixList {
    /// Returns the entries of the latest version.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &String)> {
        self.versions.get(&self.version).into_iter().flatten()
    }
}

/// The services with a gateway endpoint, whose addresses are in a prefix list of AWS.
pub(crate) const GATEWAY_SERVICES: &[&str] = &["dynamodb", "s3"];

/// Returns the name of AWS's prefix list of a service.
pub(crate) fn service_list_name(region: &str, service: &str) -> String {
    format!("com.amazonaws.{region}.{service}")
}

/// Returns the id of AWS's prefix list of a service.
pub(crate) fn service_list_id(region: &str, service: &str) -> String {
    derived_id("pl", &service_list_name(region, service))
}
