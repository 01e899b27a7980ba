//! The fabric of Linux: network namespaces, connected by virtual Ethernet links.
//!
//! Each VPC has a router in a namespace of its own, and so has each interface: of an instance, a load balancer, a
//! database or a NAT gateway. The internet of the cloud is one more namespace. All links are routed (layer 3), as in
//! AWS's VPC: two interfaces of a subnet communicate through the router too, which enforces security groups and network
//! ACLs. Rules are outside of the namespace of an interface, so programs in it cannot change them.
//!
//! The namespaces belong to a *network process* ([`process`]), which the cloud starts or finds ([`client`]). They cease to
//! exist with it and with the programs in them, so nothing has to be cleaned up.
//!
//! - [`routing`], [`netlink`]: routes and rules, and the kernel's interface for links and routes
//! - [`config`], [`rules`], [`faults`]: what a network needs, as data: addresses and routes, a script for `nft`, and its
//!   chains for injected faults
//! - [`space`], [`nft`], [`actual`]: one namespace, packet filters, and the reconciliation of all of them
//! - [`delay`], [`checksum`]: the queue of delayed packets
//! - [`protocol`], [`process`], [`client`]: the network process, and its use
//! - [`probe`]: whether this machine can have such a network

mod actual;
mod checksum;
mod client;
mod config;
mod delay;
mod faults;
mod netlink;
mod nft;
mod probe;
mod process;
mod protocol;
mod routing;
mod rules;
mod space;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use nix::sched::{CloneFlags, setns};

pub(crate) use client::{Namespaces, namespace};
pub(crate) use probe::probe;

/// First argument of a network process.
const COMMAND: &str = "infra-network";
/// First argument of a process that only reports whether this machine can have such a network.
const PROBE: &str = "infra-network-probe";

/// Becomes the network process or the probe if the first argument asks for it. Returns otherwise.
pub(in crate::runtime) fn become_process(first: &std::ffi::OsStr, arguments: impl Iterator<Item = OsString>) {
    if first == COMMAND {
        process::run(arguments);
    }
    if first == PROBE {
        probe::run();
    }
}

/// Enters a network namespace, and before it the user namespace of its owner. The process must have a single thread.
pub(in crate::runtime) fn enter(file: impl AsFd, owner: Option<u32>) -> io::Result<()> {
    if let Some(owner) = owner {
        let users = std::fs::File::open(format!("/proc/{owner}/ns/user"))?;
        setns(users, CloneFlags::CLONE_NEWUSER)?;
    }
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}
