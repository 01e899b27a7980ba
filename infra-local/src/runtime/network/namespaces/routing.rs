//! Routes and policy rules.

use std::net::Ipv4Addr;

use crate::model::cidr::Cidr;

/// The routing table that the kernel fills with local addresses.
pub(super) const LOCAL_TABLE: u32 = 255;
pub(super) const MAIN_TABLE: u32 = 254;

/// A route of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) table: u32,
    pub(super) destination: Cidr,
    pub(super) hop: Hop,
}

/// The next hop of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    Link {
        index: u32,
        gateway: Option<Ipv4Addr>,
        /// Source address of connections that this namespace opens itself.
        source: Option<Ipv4Addr>,
    },
    /// Packets are dropped silently.
    Blackhole,
    Local,
}

/// A policy rule: the table for packets from a link, or from an address of the namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) priority: u32,
    /// Name of the link that packets come from. `None` matches all packets.
    pub(super) input: Option<String>,
    /// Source address of the packets. `None` matches all packets.
    pub(super) source: Option<Ipv4Addr>,
    pub(super) action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Table(u32),
    Blackhole,
}
