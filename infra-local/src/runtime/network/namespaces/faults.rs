//! Injected faults, as chains of a router's packet filter, and as another table that delays packets.
//!
//! Each packet between two sides is judged by one router, once, however many links it passes on its way. The router of its
//! sender judges it, because that one knows the sender by its link and the receiver by its address. It cannot know the
//! receiver of a packet to a NAT gateway's public address, which the receiver's router judges. The same applies to an
//! instance that forwards packets.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::Ipv4Addr;

use super::config::{INTERNET_LINK, Links, interface_link, peering_link};
use super::delay;
use crate::domain::network::{Fault, Interface, Network, Side};
use crate::model::faults::NetworkSymptom;

/// A chain: its name and its rules.
pub(super) type Chain = (String, Vec<String>);

/// Returns the chains of a VPC's router. They precede those that accept packets of open connections.
pub(super) fn chains(network: &Network, vpc: &str, links: &Links) -> Vec<Chain> {
    let mut faults: Vec<&Fault> = network.faults.iter().collect();
    faults.sort_by_key(|fault| order(fault.symptom));
    let mut chains: Vec<Chain> = Vec::new();
    let mut jumps = Vec::new();
    for (position, fault) in faults.into_iter().enumerate() {
        let matches = matches(network, vpc, links, fault);
        if matches.is_empty() {
            continue;
        }
        let (effect, verdict) = match fault.symptom {
            NetworkSymptom::Partition | NetworkSymptom::PacketLoss(100) => (None, "drop".to_owned()),
            NetworkSymptom::PacketLoss(percent) => {
                (Some(format!("numgen random mod 100 < {percent} drop")), format!("goto effect_{position}"))
            }
            NetworkSymptom::Latency(milliseconds) => {
                (Some(format!("meta mark set {milliseconds}")), format!("goto effect_{position}"))
            }
        };
        chains.extend(effect.map(|effect| (format!("effect_{position}"), vec![effect])));
        let rules = matches.iter().map(|matched| format!("{matched} {verdict}"));
        chains.push((format!("fault_{position}"), rules.collect()));
        jumps.push(format!("jump fault_{position}"));
    }
    if !jumps.is_empty() {
        jumps.insert(0, "type filter hook forward priority filter - 3; policy accept".to_owned());
        chains.push(("faults".to_owned(), jumps));
    }
    chains
}

/// Name of the table that delays packets.
const DELAYS: &str = "delays";

/// The script that removes the table that delays packets.
pub(super) const NO_DELAYS: &str = "delete table netdev delays\n";

/// Returns the script that replaces the table that delays packets: marked packets that leave by a link are sent to the
/// queue, and those that return from it leave. `None` if this router delays no packets.
pub(super) fn delays(network: &Network, vpc: &str, links: &Links) -> Option<String> {
    let delay = |fault: &Fault| match fault.symptom {
        NetworkSymptom::Latency(milliseconds) if !matches(network, vpc, links, fault).is_empty() => Some(milliseconds),
        _ => None,
    };
    let delays: BTreeSet<u16> = network.faults.iter().filter_map(delay).collect();
    if delays.is_empty() {
        return None;
    }
    let interfaces = links.interfaces.values().map(|index| (*index, interface_link(*index)));
    let peerings = links.peerings.values().map(|index| (*index, peering_link(*index)));
    let internet = links.internet.map(|index| (index, INTERNET_LINK.to_owned()));
    let links: Vec<(u32, String)> = interfaces.chain(peerings).chain(internet).collect();
    let mut lines = vec![format!("table netdev {DELAYS}"), format!("delete table netdev {DELAYS}")];
    lines.push(format!("table netdev {DELAYS} {{"));
    for (index, link) in &links {
        lines.push(format!("  chain leave_{index} {{"));
        lines.push(format!("    type filter hook egress device \"{link}\" priority filter; policy accept"));
        lines.extend(delays.iter().map(|delay| {
            let tag = hardware_address(delay::tag(*delay, *index));
            format!("    meta mark {delay} ether saddr set {tag} fwd to \"{}\"", delay::LINK)
        }));
        lines.push("  }".to_owned());
    }
    let returning =
        links.iter().map(|(index, link)| format!("{} : {}", hardware_address(delay::tag(0, *index)), quoted(link)));
    lines.push("  chain returning {".to_owned());
    lines.push(format!("    type filter hook ingress device \"{}\" priority filter; policy drop", delay::LINK));
    lines.push(format!("    fwd to ether saddr map {}", set(returning)));
    lines.push("  }\n}\n".to_owned());
    Some(lines.join("\n"))
}

fn hardware_address(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// Packets that are dropped are not delayed, and of several delays the longest one counts.
fn order(symptom: NetworkSymptom) -> (u8, u16) {
    match symptom {
        NetworkSymptom::Partition => (0, 0),
        NetworkSymptom::PacketLoss(_) => (1, 0),
        NetworkSymptom::Latency(milliseconds) => (2, milliseconds),
    }
}

/// Expressions that match the packets that this router judges. None of them matches a packet that another router, or this
/// one on another link, judges as well.
fn matches(network: &Network, vpc: &str, links: &Links, fault: &Fault) -> Vec<String> {
    let router = Router { network, vpc, links };
    let [one, other] = &fault.sides;
    [(one, other), (other, one)].into_iter().flat_map(|(from, to)| router.matches(from, to)).collect()
}

struct Router<'a> {
    network: &'a Network,
    vpc: &'a str,
    links: &'a Links,
}

impl Router<'_> {
    /// Packets of one direction.
    fn matches(&self, from: &Side, to: &Side) -> Vec<String> {
        let (senders, receivers) = (self.links_of(from), self.links_of(to));
        let own_gateways = self.gateways(|id| from.interfaces.contains(id));
        let other_gateways = self.gateways(|id| !from.interfaces.contains(id) && !to.interfaces.contains(id));
        let forwarders = self.link_names(|id, interface| {
            interface.forwards && !from.interfaces.contains(id) && !to.interfaces.contains(id)
        });
        let behind = |side: &Side| -> BTreeSet<Ipv4Addr> {
            self.links.peerings.keys().flat_map(|peering| self.addresses_behind(peering, side)).collect()
        };
        let mut matches = Vec::new();
        // A NAT gateway forwards to the internet only, and an instance also over peering connections.
        if !forwarders.is_empty() {
            let (gateways, peers) = (set(&forwarders), behind(to));
            if !senders.is_empty() && !peers.is_empty() {
                matches.push(format!("iifname {} oifname {gateways} ip daddr {}", set(&senders), set(peers)));
            }
            let peers = behind(from);
            if !receivers.is_empty() && !peers.is_empty() {
                matches.push(format!("iifname {gateways} oifname {} ip saddr {}", set(&receivers), set(peers)));
            }
        }
        if !senders.is_empty() {
            let inputs = format!("iifname {}", set(&senders));
            if !receivers.is_empty() {
                matches.push(format!("{inputs} oifname {}", set(&receivers)));
            }
            for (peering, index) in &self.links.peerings {
                let receivers = self.addresses_behind(peering, to);
                if !receivers.is_empty() {
                    let link = peering_link(*index);
                    matches.push(format!("{inputs} oifname \"{link}\" ip daddr {}", set(receivers)));
                }
            }
            let receivers = self.outside_addresses(to);
            if !receivers.is_empty() {
                // A gateway of the sender's side is itself a sender, on another link.
                let except =
                    if own_gateways.is_empty() { String::new() } else { format!(" oifname != {}", set(&own_gateways)) };
                matches.push(format!("{inputs}{except} ip daddr {}", set(receivers)));
            }
        }
        // Clients outside have no router, and packets to the address of a NAT gateway are for one of many.
        let mut inputs = other_gateways;
        if !from.outside.is_empty() && self.links.internet.is_some() {
            inputs.insert(quoted(INTERNET_LINK));
        }
        let senders = self.outside_addresses(from);
        if !inputs.is_empty() && !receivers.is_empty() && !senders.is_empty() {
            matches.push(format!("iifname {} oifname {} ip saddr {}", set(&inputs), set(&receivers), set(senders)));
        }
        matches
    }

    /// The interfaces of a side in this router's VPC that have links.
    fn links_of(&self, side: &Side) -> BTreeSet<String> {
        self.link_names(|id, _| side.interfaces.contains(id))
    }

    /// The NAT gateways of this router's VPC, and the instances that forward packets like one.
    fn gateways(&self, is_wanted: impl Fn(&String) -> bool) -> BTreeSet<String> {
        self.link_names(|id, interface| (interface.translates || interface.forwards) && is_wanted(id))
    }

    fn link_names(&self, is_wanted: impl Fn(&String, &Interface) -> bool) -> BTreeSet<String> {
        let interfaces = self.network.vpcs.get(self.vpc).into_iter().flat_map(|vpc| &vpc.interfaces);
        let wanted = interfaces.filter(|(id, interface)| is_wanted(id, interface));
        wanted.filter_map(|(id, _)| Some(quoted(&interface_link(*self.links.interfaces.get(id)?)))).collect()
    }

    /// Private addresses of a side in the VPC behind a peering connection.
    fn addresses_behind(&self, peering: &str, side: &Side) -> BTreeSet<Ipv4Addr> {
        let sides = self.network.peerings.get(peering).into_iter().flatten();
        let others = sides.filter(|vpc| *vpc != self.vpc).filter_map(|vpc| self.network.vpcs.get(vpc));
        let interfaces = others.flat_map(|vpc| &vpc.interfaces).filter(|(id, _)| side.interfaces.contains(*id));
        interfaces.flat_map(|(_, interface)| interface.addresses()).collect()
    }

    /// Addresses of a side beyond the internet gateway.
    fn outside_addresses(&self, side: &Side) -> BTreeSet<Ipv4Addr> {
        let interfaces = self.network.vpcs.values().flat_map(|vpc| &vpc.interfaces);
        let public = interfaces.filter(|(id, _)| side.interfaces.contains(*id));
        let public = public.flat_map(|(_, interface)| interface.translations()).map(|(_, outside)| outside);
        public.chain(side.outside.iter().copied()).collect()
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// An anonymous set.
fn set(elements: impl IntoIterator<Item = impl Display>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|element| element.to_string()).collect();
    format!("{{ {} }}", elements.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    /// Two peered VPCs. In the first, `eni-nat` forwards for `eni-app`.
    fn network(faults: serde_json::Value) -> Network {
        let interface = |address: &str, public: Option<&str>, translates: bool| {
            json!({"owner": "i-1", "subnet": "subnet-a", "address": address, "public": public, "groups": null,
                "translates": translates})
        };
        let vpc = |range: &str, interfaces: serde_json::Value| {
            json!({"range": range, "domain": "ec2.internal", "has_resolver": true, "internet_gateway": "igw-1",
                "subnets": {}, "interfaces": interfaces, "groups": {},
                "acls": {}})
        };
        serde_json::from_value(json!({
            "vpcs": {
                "vpc-1": vpc("10.0.0.0/16", json!({
                    "eni-app": interface("10.0.2.5", None, false),
                    "eni-web": interface("10.0.1.5", Some("127.77.0.5"), false),
                    "eni-nat": interface("10.0.1.9", Some("127.77.0.9"), true),
                })),
                "vpc-2": vpc("10.1.0.0/16", json!({"eni-peer": interface("10.1.0.5", Some("127.77.1.5"), false)})),
            },
            "peerings": {"pcx-1": ["vpc-1", "vpc-2"]},
            "faults": faults,
        }))
        .unwrap()
    }

    fn links() -> Links {
        let interfaces = [("eni-app", 5), ("eni-web", 6), ("eni-nat", 9)];
        Links {
            interfaces: interfaces.map(|(id, index)| (id.to_owned(), index)).into(),
            peerings: [("pcx-1".to_owned(), 7)].into(),
            internet: Some(8),
        }
    }

    fn text(faults: serde_json::Value) -> String {
        let chains = chains(&network(faults), "vpc-1", &links());
        chains.iter().map(|(name, rules)| format!("{name}:\n  {}", rules.join("\n  "))).collect::<Vec<_>>().join("\n")
    }

    fn fault(symptom: serde_json::Value, sides: [&[&str]; 2]) -> serde_json::Value {
        let side = |ids: &[&str]| {
            let outside: &[&str] = if ids.is_empty() { &["192.0.2.1", "192.0.2.2"] } else { &[] };
            json!({"name": "side", "interfaces": ids, "outside": outside})
        };
        json!({"symptom": symptom, "sides": sides.map(side)})
    }

    #[test]
    fn a_partition_drops_packets_by_every_way() {
        insta::assert_snapshot!(text(json!([fault(json!("partition"), [&["eni-app"], &["eni-web", "eni-peer"]])])), @r#"
        fault_0:
          iifname { "e5" } oifname { "e6" } drop
          iifname { "e5" } oifname "p7" ip daddr { 10.1.0.5 } drop
          iifname { "e5" } ip daddr { 127.77.0.5, 127.77.1.5 } drop
          iifname { "e6" } oifname { "e5" } drop
          iifname { "e9" } oifname { "e5" } ip saddr { 127.77.0.5, 127.77.1.5 } drop
        faults:
          type filter hook forward priority filter - 3; policy accept
          jump fault_0
        "#);
    }

    #[test]
    fn a_packet_is_lost_once_also_behind_a_gateway_of_its_own_side() {
        let sides: [&[&str]; 2] = [&["eni-app", "eni-nat"], &["eni-peer"]];
        insta::assert_snapshot!(text(json!([fault(json!({"packet_loss": 20}), sides)])), @r#"
        effect_0:
          numgen random mod 100 < 20 drop
        fault_0:
          iifname { "e5", "e9" } oifname "p7" ip daddr { 10.1.0.5 } goto effect_0
          iifname { "e5", "e9" } oifname != { "e9" } ip daddr { 127.77.1.5 } goto effect_0
        faults:
          type filter hook forward priority filter - 3; policy accept
          jump fault_0
        "#);
    }

    #[test]
    fn the_internet_is_outside_of_the_gateway() {
        insta::assert_snapshot!(text(json!([fault(json!("partition"), [&[], &["eni-app", "eni-web"]])])), @r#"
        fault_0:
          iifname { "e9", "inet" } oifname { "e5", "e6" } ip saddr { 192.0.2.1, 192.0.2.2 } drop
          iifname { "e5", "e6" } ip daddr { 192.0.2.1, 192.0.2.2 } drop
        faults:
          type filter hook forward priority filter - 3; policy accept
          jump fault_0
        "#);
    }

    #[test]
    fn delayed_packets_leave_by_the_queue() {
        let latency = |milliseconds: u16, sides| fault(json!({"latency": milliseconds}), sides);
        let faults = json!([
            latency(300, [&["eni-app"], &["eni-web"]]),
            latency(200, [&["eni-web"], &["eni-peer"]]),
            latency(100, [&["eni-peer"], &["eni-stopped"]]),
        ]);
        insta::assert_snapshot!(text(faults.clone()), @r#"
        effect_1:
          meta mark set 200
        fault_1:
          iifname { "e6" } oifname "p7" ip daddr { 10.1.0.5 } goto effect_1
          iifname { "e6" } ip daddr { 127.77.1.5 } goto effect_1
          iifname { "e9" } oifname { "e6" } ip saddr { 127.77.1.5 } goto effect_1
        effect_2:
          meta mark set 300
        fault_2:
          iifname { "e5" } oifname { "e6" } goto effect_2
          iifname { "e5" } ip daddr { 127.77.0.5 } goto effect_2
          iifname { "e6" } oifname { "e5" } goto effect_2
          iifname { "e9" } oifname { "e5" } ip saddr { 127.77.0.5 } goto effect_2
        faults:
          type filter hook forward priority filter - 3; policy accept
          jump fault_1
          jump fault_2
        "#);
        insta::assert_snapshot!(delays(&network(faults), "vpc-1", &links()).unwrap(), @r#"
        table netdev delays
        delete table netdev delays
        table netdev delays {
          chain leave_5 {
            type filter hook egress device "e5" priority filter; policy accept
            meta mark 200 ether saddr set 02:00:c8:00:00:05 fwd to "delay"
            meta mark 300 ether saddr set 02:01:2c:00:00:05 fwd to "delay"
          }
          chain leave_9 {
            type filter hook egress device "e9" priority filter; policy accept
            meta mark 200 ether saddr set 02:00:c8:00:00:09 fwd to "delay"
            meta mark 300 ether saddr set 02:01:2c:00:00:09 fwd to "delay"
          }
          chain leave_6 {
            type filter hook egress device "e6" priority filter; policy accept
            meta mark 200 ether saddr set 02:00:c8:00:00:06 fwd to "delay"
            meta mark 300 ether saddr set 02:01:2c:00:00:06 fwd to "delay"
          }
          chain leave_7 {
            type filter hook egress device "p7" priority filter; policy accept
            meta mark 200 ether saddr set 02:00:c8:00:00:07 fwd to "delay"
            meta mark 300 ether saddr set 02:01:2c:00:00:07 fwd to "delay"
          }
          chain leave_8 {
            type filter hook egress device "inet" priority filter; policy accept
            meta mark 200 ether saddr set 02:00:c8:00:00:08 fwd to "delay"
            meta mark 300 ether saddr set 02:01:2c:00:00:08 fwd to "delay"
          }
          chain returning {
            type filter hook ingress device "delay" priority filter; policy drop
            fwd to ether saddr map { 02:00:00:00:00:05 : "e5", 02:00:00:00:00:09 : "e9", 02:00:00:00:00:06 : "e6", 02:00:00:00:00:07 : "p7", 02:00:00:00:00:08 : "inet" }
          }
        }
        "#);
        let partition = json!([fault(json!("partition"), [&["eni-app"], &["eni-web"]])]);
        assert_eq!(delays(&network(partition), "vpc-1", &links()), None);
    }

    #[test]
    fn a_fault_elsewhere_needs_no_chain() {
        assert_eq!(text(json!([fault(json!("partition"), [&["eni-peer"], &["eni-stopped"]])])), "");
    }
}
