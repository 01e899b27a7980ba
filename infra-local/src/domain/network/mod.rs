//! The network that the model declares, as plain data.
//!
//! [`of`] is a pure function of the model. The runtime brings packets in line with its result, and
//! [`infra_network`] evaluates the same data, so both answer alike.
//!
//! - [`derive`]: from the model to the network
//! - [`faults`]: injected faults of the network

mod derive;
mod faults;
#[cfg(test)]
mod tests;

pub(crate) use derive::of;
pub(crate) use infra_network::{
    AclEntry, CLIENTS, ENDPOINTS, End, Fault, Flow, Interface, METADATA, Network, NetworkAcl, Peer, Permission,
    RESOLVER, SecurityGroup, Side, Subnet, Target, Traffic, Vpc,
};
