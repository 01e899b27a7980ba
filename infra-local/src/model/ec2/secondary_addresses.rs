//! Secondary addresses of new network interfaces.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Secondary private addresses that a request wants: particular ones, or a number of any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SecondaryAddresses {
    pub(crate) listed: Vec<Ipv4Addr>,
    pub(crate) count: u8,
}

impl SecondaryAddresses {
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.count == 0
    }
}
