//! Addresses, routes and policy rules of routers, as data: what a network needs, and the changes that lead there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::netlink::{LOOPBACK, Request};
use super::routing::{Action, Hop, MAIN_TABLE, Route, Rule};
use crate::domain::network::{CLIENTS, ENDPOINTS, Interface, METADATA, Network, RESOLVER, Target, Vpc};
use crate::model::cidr::Cidr;

/// The VPC's own addresses precede the routes of its subnets.
const MAIN_PRIORITY: u32 = 100;
const SUBNET_PRIORITY: u32 = 200;
/// Packets without a route are dropped. Without this rule the kernel would report them to their sender.
const DROP_PRIORITY: u32 = 300;

/// Addresses, routes and policy rules of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) addresses: BTreeSet<Ipv4Addr>,
    /// By table and destination.
    pub(super) routes: BTreeMap<(u32, Cidr), Hop>,
    pub(super) rules: BTreeSet<Rule>,
}

/// Links of a router: index by interface, by peering connection, and of the internet.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) interfaces: BTreeMap<String, u32>,
    pub(super) peerings: BTreeMap<String, u32>,
    pub(super) internet: Option<u32>,
}

/// Name of a router's link to an interface.
pub(super) fn interface_link(index: u32) -> String {
    format!("e{index}")
}

/// Name of both ends of the link between two peered routers.
pub(super) fn peering_link(index: u32) -> String {
    format!("p{index}")
}

/// Name of a router's link to the internet.
pub(super) const INTERNET_LINK: &str = "inet";

impl Config {
    /// Returns the configuration of a VPC's router. `tables` contains the number of each subnet's routing table.
    pub(super) fn of_router(vpc: &Vpc, links: &Links, tables: &BTreeMap<String, u32>) -> Config {
        let mut config = Config::default();
        config.addresses.extend([METADATA, RESOLVER, vpc.resolver()]);
        config.routes.extend(vpc.ranges().map(|range| ((MAIN_TABLE, range), Hop::Blackhole)));
        config.rules.insert(Rule {
            priority: MAIN_PRIORITY,
            input: None,
            source: None,
            action: Action::Table(MAIN_TABLE),
        });
        config.rules.insert(Rule { priority: DROP_PRIORITY, input: None, source: None, action: Action::Blackhole });
        for (id, interface) in &vpc.interfaces {
            let (Some(index), Some(table)) = (links.interfaces.get(id), tables.get(&interface.subnet)) else {
                continue;
            };
            // The router's own connections, which administrators ask for, come from the resolver's address.
            let hop = Hop::Link { index: *index, gateway: None, source: Some(vpc.resolver()) };
            config.routes.extend(interface.addresses().map(|address| ((MAIN_TABLE, Cidr::of(address)), hop)));
            let input = Some(interface_link(*index));
            config.rules.insert(Rule { priority: SUBNET_PRIORITY, input, source: None, action: Action::Table(*table) });
        }
        for (id, subnet) in &vpc.subnets {
            let Some(table) = tables.get(id) else { continue };
            for (range, target) in &subnet.routes {
                let index = match target {
                    Target::Internet => links.internet,
                    Target::Peering(id) => links.peerings.get(id).copied(),
                    Target::Nat(id) => {
                        let translates = vpc.interfaces.get(id).is_some_and(|interface| interface.translates);
                        links.interfaces.get(id).copied().filter(|_| translates)
                    }
                    // The source/destination check: no packet to another address enters the link.
                    Target::Interface(id) => {
                        let forwards = vpc.interfaces.get(id).is_some_and(|interface| interface.forwards);
                        links.interfaces.get(id).copied().filter(|_| forwards)
                    }
                    Target::Blackhole(_) => None,
                };
                config.routes.insert((*table, *range), index.map_or(Hop::Blackhole, link));
            }
        }
        config
    }

    /// Returns the configuration of the internet. `routers` contains the index of the link to each VPC that has an
    /// internet gateway.
    pub(super) fn of_internet(network: &Network, routers: &BTreeMap<String, u32>) -> Config {
        let mut config = Config::default();
        config.addresses.extend([CLIENTS, ENDPOINTS]);
        config.routes.insert((MAIN_TABLE, Cidr::EVERYWHERE), Hop::Blackhole);
        for (id, vpc) in &network.vpcs {
            let Some(index) = routers.get(id) else { continue };
            for (_, public) in vpc.interfaces.values().flat_map(Interface::translations) {
                let hop = Hop::Link { index: *index, gateway: None, source: Some(CLIENTS) };
                config.routes.insert((MAIN_TABLE, Cidr::of(public)), hop);
            }
        }
        config
    }

    /// Returns the changes that turn this configuration into another one. Additions precede removals.
    pub(super) fn changes(&self, desired: &Config) -> Vec<Change> {
        let address = |added: bool| move |address: &Ipv4Addr| Change::Address(*address, added);
        let rule = |added: bool| move |rule: &Rule| Change::Rule(rule.clone(), added);
        let route = |hop: Option<Hop>| move |(table, destination): (u32, Cidr)| Change::Route(table, destination, hop);
        let different = desired.routes.iter().filter(|(key, hop)| self.routes.get(key) != Some(hop));
        let obsolete = self.routes.keys().filter(|key| !desired.routes.contains_key(key));
        (desired.addresses.difference(&self.addresses).map(address(true)))
            .chain(different.map(|(key, hop)| route(Some(*hop))(*key)))
            .chain(desired.rules.difference(&self.rules).map(rule(true)))
            .chain(self.rules.difference(&desired.rules).map(rule(false)))
            .chain(obsolete.map(|key| route(None)(*key)))
            .chain(self.addresses.difference(&desired.addresses).map(address(false)))
            .collect()
    }

    /// Records a change that the kernel has made.
    pub(super) fn record(&mut self, change: &Change) {
        match change {
            Change::Address(address, true) => _ = self.addresses.insert(*address),
            Change::Address(address, false) => _ = self.addresses.remove(address),
            Change::Route(table, destination, Some(hop)) => _ = self.routes.insert((*table, *destination), *hop),
            Change::Route(table, destination, None) => _ = self.routes.remove(&(*table, *destination)),
            Change::Rule(rule, true) => _ = self.rules.insert(rule.clone()),
            Change::Rule(rule, false) => _ = self.rules.remove(rule),
        }
    }
}

/// A change of a configuration. The flag is set when it adds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Address(Ipv4Addr, bool),
    /// Sets the hop of a destination in a table, or deletes the route.
    Route(u32, Cidr, Option<Hop>),
    Rule(Rule, bool),
}

impl Change {
    pub(super) fn request(&self) -> Request<'_> {
        match self {
            Change::Address(address, true) => Request::AddAddress { index: LOOPBACK, address: *address, bits: 32 },
            Change::Address(address, false) => Request::DeleteAddress { index: LOOPBACK, address: *address, bits: 32 },
            Change::Route(table, destination, hop) => {
                let route = Route { table: *table, destination: *destination, hop: hop.unwrap_or(Hop::Blackhole) };
                if hop.is_some() { Request::SetRoute(route) } else { Request::DeleteRoute(route) }
            }
            Change::Rule(rule, true) => Request::AddRule(rule),
            Change::Rule(rule, false) => Request::DeleteRule(rule),
        }
    }

    /// Returns whether the change removes something. The kernel removes a route itself when its link is deleted.
    pub(super) fn removes(&self) -> bool {
        matches!(self, Change::Address(_, false) | Change::Route(_, _, None) | Change::Rule(_, false))
    }
}

fn link(index: u32) -> Hop {
    Hop::Link { index, gateway: None, source: None }
}
