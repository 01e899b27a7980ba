//! Instances of a stack on a target, for commands that connect to one.

use serde::{Deserialize, Serialize};

/// An instance that is not terminated, and how its network admits connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Id, such as `i-0123456789abcdef0`.
    pub id: String,
    /// Region.
    pub region: String,
    /// State, such as `running`.
    pub state: String,
    /// Name of its declaration.
    pub name: Option<String>,
    /// Private address in its network.
    pub private_address: Option<String>,
    /// Public address.
    pub public_address: Option<String>,
    /// Name of the key pair that it was launched with.
    pub key_name: Option<String>,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// Address ranges from which a security group admits SSH, which is TCP port 22.
    pub ssh_from: Vec<String>,
}
