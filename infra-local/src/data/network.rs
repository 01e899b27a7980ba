//! Who may reach whom: what security groups say about addresses that are all loopback in truth.

use std::net::Ipv4Addr;

use crate::model::Region;
use crate::model::balancing::LoadBalancer;
use crate::model::databases::Place;
use crate::model::instance::Instance;
use crate::model::vpc::{Peer, Rule};

/// Whether clients may connect to this port of a balancer.
///
/// All that is known of a client is that it is on this machine: it passes for somebody on the internet. In front of an
/// internal balancer it passes for a member of any security group as well.
pub(crate) fn clients_reach(region: &Region, balancer: &LoadBalancer, port: u16) -> bool {
    let internal = balancer.scheme == "internal";
    rules(region, &balancer.security_groups, false).any(|rule| {
        covers(rule, port)
            && match &rule.peer {
                Peer::Ipv4(_) | Peer::Ipv6(_) => true,
                Peer::Group(_) => internal,
            }
    })
}

/// Whether clients may connect to a database's endpoint.
///
/// Its clients are in its network: one on this machine passes for a member of any security group and any range.
pub(crate) fn clients_reach_database(region: &Region, place: &Place) -> bool {
    rules(region, &place.security_groups, false).any(|rule| covers(rule, place.port))
}

/// Whether a balancer may connect to this port of an instance: out of its own groups and into the instance's.
pub(crate) fn balancer_reaches(region: &Region, balancer: &LoadBalancer, instance: &Instance, port: u16) -> bool {
    let from: Vec<&str> = cidrs(region, &balancer.subnets);
    let to = [instance.subnet_id.clone()];
    let to: Vec<&str> = cidrs(region, &to);
    permits(region, &balancer.security_groups, true, port, &instance.security_groups, &to)
        && permits(region, &instance.security_groups, false, port, &balancer.security_groups, &from)
}

/// Whether one side's groups permit this port with a peer that has these groups and declared ranges.
fn permits(
    region: &Region,
    groups: &[String],
    egress: bool,
    port: u16,
    peer_groups: &[String],
    peer_ranges: &[&str],
) -> bool {
    rules(region, groups, egress).any(|rule| {
        covers(rule, port)
            && match &rule.peer {
                Peer::Ipv4(range) => peer_ranges.iter().any(|other| overlap(range, other)),
                Peer::Ipv6(_) => false,
                Peer::Group(group) => peer_groups.contains(group),
            }
    })
}

fn rules<'a>(region: &'a Region, groups: &'a [String], egress: bool) -> impl Iterator<Item = &'a Rule> {
    groups
        .iter()
        .filter_map(|id| region.security_groups.get(id))
        .flat_map(|group| group.rules.values())
        .filter(move |rule| rule.egress == egress)
}

fn cidrs<'a>(region: &'a Region, subnets: &'a [String]) -> Vec<&'a str> {
    subnets.iter().filter_map(|id| region.subnets.get(id)).map(|subnet| subnet.cidr.as_str()).collect()
}

fn covers(rule: &Rule, port: u16) -> bool {
    let spoken = ["tcp", "6", "-1"].contains(&rule.protocol.as_str());
    spoken && rule.ports.is_none_or(|(low, high)| (low..=high).contains(&i32::from(port)))
}

/// Whether two IPv4 ranges have an address in common.
fn overlap(one: &str, other: &str) -> bool {
    let (Some((one, short)), Some((other, long))) = (parse(one), parse(other)) else {
        return false;
    };
    let bits = short.min(long);
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    one & mask == other & mask
}

fn parse(range: &str) -> Option<(u32, u32)> {
    let (address, bits) = range.split_once('/').unwrap_or((range, "32"));
    let address: Ipv4Addr = address.parse().ok()?;
    Some((address.to_bits(), bits.parse().ok().filter(|bits| *bits <= 32)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_when_the_shorter_prefix_agrees() {
        assert!(overlap("0.0.0.0/0", "172.31.0.0/20"));
        assert!(overlap("172.31.16.0/20", "172.31.17.4/32"));
        assert!(!overlap("172.31.0.0/20", "172.31.16.0/20"));
        assert!(!overlap("10.0.0.0/8", "172.31.0.0/16"));
        assert!(!overlap("nonsense", "10.0.0.0/8"));
    }
}
