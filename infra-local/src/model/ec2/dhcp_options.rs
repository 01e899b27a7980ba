//! Sets of DHCP options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// A set of DHCP options. It is recorded and described: hosts use the resolver of their VPC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DhcpOptions {
    pub(crate) id: String,
    /// Values by the name of the option.
    pub(crate) options: BTreeMap<String, Vec<String>>,
    pub(crate) tags: Tags,
}
