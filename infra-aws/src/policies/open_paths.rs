//! The policy that the network allows the declared paths.

mod network;
mod program;
#[cfg(test)]
mod tests;

use infra_core::{
    policy::{Declared, Enforcement, Policy, Violation},
    urn::Urn,
};
use infra_network::{Blocked, CLIENTS, Cidr, End as Party, Flow, Obstacle, Peer, Traffic};
use network::{DeclaredNetwork, Placed};
use program::{Path, Program, Source};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// Returns the policy that the network allows every declared path: from clients to the ports of a listener, from a balancer
/// to the instances behind it, and from an application to the database whose address it uses. [`region`](crate::region) adds
/// it to every stack as an advisory policy.
///
/// It evaluates security groups, network ACLs, route tables, gateways and peering connections as `stack local reach` does,
/// by the same code ([`infra_network`]). It evaluates the resources of the stack only. A path is considered open if one of
/// its security groups is not declared in the stack. If its subnets are not declared or the routes of one are not known
/// before they are created, only security groups are evaluated, and a rule with a CIDR block admits all addresses. An end
/// in several subnets is reported if the path is closed between all of them.
pub fn open_paths(enforcement: Enforcement) -> Policy {
    Policy::graph("open-paths", enforcement, |all| closed(all).into_iter().map(|(_, violation)| violation).collect())
}

/// Returns the declared paths that are closed, each once.
fn closed(all: &[Declared<'_>]) -> Vec<(String, Violation)> {
    let by_urn = all.iter().map(|declared| (declared.urn, declared)).collect();
    let program = Program { all, by_urn: &by_urn };
    let network = DeclaredNetwork::of(program);
    let mut reported = BTreeSet::new();
    let closed = program.paths().filter_map(|path| path.violation(&network));
    closed.filter(|(text, _)| reported.insert(text.clone())).collect()
}

/// A blocked connection, with the addresses of its ends.
struct Closed {
    blocked: Blocked,
    from: Vec<Ipv4Addr>,
    to: Vec<Ipv4Addr>,
}

impl<'a> Path<'a> {
    /// Returns the violation when the path is closed, with its text.
    fn violation(&self, network: &DeclaredNetwork<'a>) -> Option<(String, Violation)> {
        let closed = self.closed(network)?;
        let Self { from, to, port, .. } = self;
        let (from, to) = match from {
            Source::Internet | Source::Inside => (None, to),
            Source::End(from) => (Some(from), to),
        };
        let names_of = |groups: &[&Declared<'_>]| names(groups.iter().map(|group| group.urn));
        let source = from.map_or_else(|| "clients".to_owned(), |from| names([from.declared.urn]));
        let destination = names([to.declared.urn]);
        let component = described(&closed.blocked.component);
        let (reason, remedy) = match (closed.blocked.obstacle, from) {
            (Obstacle::Egress, Some(from)) => {
                let groups = names_of(&from.groups);
                let remedy = format!("add `Rule::tcp({port}).to_anywhere()` to the egress of {groups}");
                (format!("no egress rule of {groups} allows it"), remedy)
            }
            (Obstacle::Egress | Obstacle::Ingress, _) => {
                let groups = names_of(&to.groups);
                (format!("no ingress rule of {groups} allows it"), self.remedy(&groups))
            }
            // The packets leave by the internet gateway, and private addresses do not exist beyond it.
            (Obstacle::Other, Some(_)) if closed.blocked.component == "internet" => (
                "no route leads to its private address".to_owned(),
                "peer the two networks: `Network::peer_with`, or a `VpcPeering` with routes in both directions"
                    .to_owned(),
            ),
            (obstacle, _) => {
                let mut reason = closed.blocked.reason;
                for (addresses, name) in [(&closed.from, &source), (&closed.to, &destination)] {
                    for address in addresses {
                        reason = reason.replace(&address.to_string(), name);
                    }
                }
                let remedy = match obstacle {
                    Obstacle::NetworkAcl => format!(
                        "add an entry to {component} that allows it; an ACL must also allow the replies, to the ports 1024-65535"
                    ),
                    Obstacle::RouteTable => format!("add a route to {component}"),
                    _ => format!("change {component}"),
                };
                (format!("{component}: {}", described(&reason)), remedy)
            }
        };
        let text = format!("{source} cannot reach port {port} of {destination}: {reason}");
        Some((text.clone(), Violation::new(text).about(self.about).remedy(remedy)))
    }

    /// Returns the reason of the first pair of subnets if the path is closed between all of them.
    fn closed(&self, network: &DeclaredNetwork<'a>) -> Option<Closed> {
        let (from, is_public) = match &self.from {
            Source::End(from) => (Some(from), false),
            Source::Internet => (None, true),
            Source::Inside => (None, false),
        };
        let mut closed = network.placed(from, &self.to, is_public).into_iter().map(|placed| self.blocked(&placed));
        let first = closed.next()??;
        closed.all(|other| other.is_some()).then_some(first)
    }

    fn blocked(&self, placed: &Placed) -> Option<Closed> {
        let Placed { network, from, to } = placed;
        let (_, destination) = network.interface(to)?;
        let traffic = Traffic::Tcp(self.port, self.port);
        let addresses: Vec<Ipv4Addr> = std::iter::once(destination.address).chain(destination.public).collect();
        let (sources, targets): (Vec<Party<'_>>, Vec<Ipv4Addr>) = match (&self.from, from) {
            (Source::End(_), Some(from)) => (vec![Party::Interface(from)], addresses.clone()),
            (Source::Inside, _) => {
                let groups = placed.groups_of_destination();
                let is_open =
                    groups.iter().any(|group| group.ingress.iter().any(|rule| rule.traffic.contains(traffic)));
                let reason = format!("no ingress rule permits {traffic}");
                let blocked = Blocked { component: String::new(), reason, obstacle: Obstacle::Ingress };
                return (!is_open).then_some(Closed { blocked, from: vec![CLIENTS], to: addresses });
            }
            _ => {
                // Clients at the addresses that rules permit.
                let groups = placed.groups_of_destination();
                let rules =
                    groups.iter().flat_map(|group| &group.ingress).filter(|rule| rule.traffic.contains(traffic));
                let permitted = rules.filter_map(|rule| match rule.peer {
                    Peer::Range(Cidr::EVERYWHERE) => Some(Party::Outside),
                    Peer::Range(range) => Some(Party::Client(range.address(0))),
                    Peer::Group(_) => None,
                });
                let permitted: Vec<Party<'_>> = permitted.collect();
                let clients = if permitted.is_empty() { vec![Party::Outside] } else { permitted };
                (clients, destination.public.into_iter().collect())
            }
        };
        let address = |source: &Party<'_>| match source {
            Party::Interface(id) => network.interface(id).map(|(_, interface)| interface.address),
            Party::Client(address) => Some(*address),
            Party::Outside => Some(CLIENTS),
        };
        let from = sources.iter().filter_map(address).collect();
        let mut first = None;
        for source in sources {
            for target in &targets {
                match network.path(Flow::new(source, *target, traffic)).blocked {
                    None => return None,
                    Some(blocked) => _ = first.get_or_insert(blocked),
                }
            }
        }
        Some(Closed { blocked: first?, from, to: addresses })
    }

    /// Returns the rule to add so that the groups admit the source.
    fn remedy(&self, groups: &str) -> String {
        let port = self.port;
        match &self.from {
            Source::Inside => format!("add `Rule::tcp({port}).from_cidr(…)` to the ingress of {groups}"),
            Source::Internet => format!("add `Rule::tcp({port}).from_anywhere()` to the ingress of {groups}"),
            Source::End(from) if from.declared.region != self.to.declared.region => format!(
                "add `Rule::tcp({port}).from_cidr(…)` to the ingress of {groups}; a `PostgresHost` does so for `reachable_from`"
            ),
            Source::End(from) => format!(
                "add `Rule::tcp({port}).from_group(…)` with the id of {} to the ingress of {groups}",
                names(from.groups.iter().map(|group| group.urn))
            ),
        }
    }
}

/// Replaces the URNs in a text by the names of the resources.
fn described(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let urn = word.trim_end_matches([',', ':']);
        match urn.parse::<Urn>() {
            Ok(parsed) => format!("`{}`{}", parsed.name(), &word[urn.len()..]),
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn names<'a>(urns: impl IntoIterator<Item = &'a Urn>) -> String {
    let names: Vec<String> = urns.into_iter().map(|urn| format!("`{}`", urn.name())).collect();
    names.join(" and ")
}
