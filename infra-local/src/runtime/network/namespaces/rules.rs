//! The packet filter and address translation of a VPC's router, as a script for `nft`.
//!
//! A packet is forwarded if every chain of the forward hook accepts it: network ACLs judge each packet; security groups
//! judge the first packet of a connection, once for its sender and once for its receiver. `accept` in one chain leads to
//! the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::net::Ipv4Addr;

use super::config::{INTERNET_LINK, Links, interface_link, peering_link};
use super::faults::Chain;
use crate::domain::network::{AclEntry, Interface, METADATA, Peer, Permission, RESOLVER, SecurityGroup, Traffic, Vpc};

/// Name of the only table.
const TABLE: &str = "vpc";

/// Returns the script that replaces the router's table in one transaction. Tracked connections persist.
///
/// `faults` are the chains of injected faults.
pub(super) fn of_router(vpc: &Vpc, links: &Links, faults: &[Chain]) -> String {
    let mut script = Script { text: format!("table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n") };
    let connected = Connected::of(vpc, links);
    script.sets(vpc, &connected);
    script.sources(&connected);
    script.translation(&connected);
    script.input(vpc, &connected);
    for (name, rules) in faults {
        script.chain(name, rules);
    }
    script.acls(vpc, &connected);
    script.groups(vpc, &connected);
    script.text.push_str("}\n");
    script.text
}

/// Returns the script for the namespace of a NAT gateway, which forwards packets under its own address.
pub(super) fn of_nat_gateway(address: Ipv4Addr) -> String {
    format!(
        "table ip nat {{\n  chain translate {{\n    type nat hook postrouting priority srcnat\n    \
         iifname \"eth0\" oifname \"eth0\" snat to {address}\n  }}\n}}\n"
    )
}

/// Returns the script for the namespace of an instance's interface: with an address, packets that the instance forwards by
/// the interface get this source address, as by the rule `MASQUERADE` of AWS's NAT instances. Programs of the instance have
/// no capability to set it themselves.
///
/// <https://docs.aws.amazon.com/vpc/latest/userguide/work-with-nat-instances.html>
pub(super) fn of_forwarder(device: u32, address: Option<Ipv4Addr>) -> String {
    let table = format!("table ip forward_{device}");
    let rules = address.map_or_else(String::new, |address| {
        format!(
            "{table} {{\n  chain translate {{\n    type nat hook postrouting priority srcnat\n    \
             iifname \"eth*\" oifname \"eth{device}\" snat to {address}\n  }}\n}}\n"
        )
    });
    format!("{table}\ndelete {table}\n{rules}")
}

/// The interfaces that have a link, each with the link's name, and the links to other networks.
struct Connected<'a> {
    interfaces: Vec<(String, &'a Interface)>,
    others: Vec<String>,
}

impl<'a> Connected<'a> {
    fn of(vpc: &'a Vpc, links: &Links) -> Connected<'a> {
        let link = |id: &String| links.interfaces.get(id).map(|index| interface_link(*index));
        let interfaces = vpc.interfaces.iter().filter_map(|(id, interface)| Some((link(id)?, interface))).collect();
        let peerings = links.peerings.values().map(|index| peering_link(*index));
        let others = links.internet.iter().map(|_| INTERNET_LINK.to_owned()).chain(peerings).collect();
        Connected { interfaces, others }
    }

    /// Links of the interfaces in a subnet.
    fn in_subnet(&self, subnet: &str) -> Vec<String> {
        let of_subnet = self.interfaces.iter().filter(|(_, interface)| interface.subnet == subnet);
        of_subnet.map(|(link, _)| quoted(link)).collect()
    }
}

struct Script {
    text: String,
}

impl Script {
    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "  {line}");
    }

    fn chain(&mut self, name: impl Display, rules: impl IntoIterator<Item = impl Display>) {
        self.line(format_args!("chain {name} {{"));
        for rule in rules {
            self.line(format_args!("  {rule}"));
        }
        self.line("}");
    }

    /// A named set or map. `nft` accepts no empty list of elements.
    fn set(&mut self, head: &str, kind: &str, elements: &[String]) {
        self.line(format_args!("{head} {{"));
        self.line(format_args!("  {kind}"));
        if !elements.is_empty() {
            self.line(format_args!("  elements = {{ {} }}", elements.join(", ")));
        }
        self.line("}");
    }

    fn sets(&mut self, vpc: &Vpc, connected: &Connected<'_>) {
        let mut sources = Vec::new();
        let (mut public, mut private, mut translated, mut gateways) = (vec![], vec![], vec![], vec![]);
        for (link, interface) in &connected.interfaces {
            let address = interface.address;
            if interface.translates {
                gateways.push(address.to_string());
            } else {
                sources.extend(interface.addresses().map(|address| format!("\"{link}\" . {address}")));
            }
            for (address, outside) in interface.translations() {
                translated.push(address.to_string());
                public.push(format!("{address} : {outside}"));
                if !interface.translates {
                    private.push(format!("{outside} : {address}"));
                }
            }
        }
        self.set("set sources", "type ifname . ipv4_addr", &sources);
        self.set("set translated", "type ipv4_addr", &translated);
        self.set("set nat_gateways", "type ipv4_addr", &gateways);
        self.set("map public", "type ipv4_addr : ipv4_addr", &public);
        self.set("map private", "type ipv4_addr : ipv4_addr", &private);
        for (position, id) in named_groups(vpc).iter().enumerate() {
            let members = vpc.groups.get(*id).map(|group| &group.members).into_iter().flatten();
            let members: Vec<String> = members.map(Ipv4Addr::to_string).collect();
            self.line(format_args!("# {}", printable(id)));
            self.set(&format!("set members_{position}"), "type ipv4_addr", &members);
        }
    }

    /// An interface sends from its own addresses alone, except that of a NAT gateway and those without source check.
    fn sources(&mut self, connected: &Connected<'_>) {
        let gateways = connected.interfaces.iter().filter(|(_, interface)| interface.translates || interface.forwards);
        let unchecked = ["lo"].into_iter().chain(gateways.map(|(link, _)| link.as_str()));
        let unchecked = list(unchecked.chain(connected.others.iter().map(String::as_str)).map(quoted));
        self.chain(
            "sources",
            [
                "type filter hook prerouting priority raw; policy drop".to_owned(),
                "iifname . ip saddr @sources accept".to_owned(),
                format!("iifname {unchecked} accept"),
            ],
        );
    }

    /// The internet gateway.
    fn translation(&mut self, connected: &Connected<'_>) {
        if !connected.others.iter().any(|link| link == INTERNET_LINK) {
            return;
        }
        self.chain(
            "from_internet",
            [
                "type nat hook prerouting priority dstnat".to_owned(),
                format!("iifname \"{INTERNET_LINK}\" dnat to ip daddr map @private"),
            ],
        );
        self.chain(
            "to_internet",
            [
                "type nat hook postrouting priority srcnat".to_owned(),
                format!("oifname \"{INTERNET_LINK}\" snat to ip saddr map @public"),
            ],
        );
    }

    /// The router itself answers requests for metadata and names.
    fn input(&mut self, vpc: &Vpc, connected: &Connected<'_>) {
        let mut rules = vec![
            "type filter hook input priority filter; policy drop".to_owned(),
            "ct state established,related accept".to_owned(),
        ];
        for other in &connected.others {
            rules.push(format!("iifname {} drop", quoted(other)));
        }
        rules.push(format!("ip daddr {METADATA} tcp dport 80 accept"));
        if vpc.has_resolver {
            let addresses = list([vpc.resolver(), RESOLVER]);
            rules.push(format!("ip daddr {addresses} meta l4proto {{ tcp, udp }} th dport 53 accept"));
        }
        self.chain("input", rules);
    }

    /// Network ACLs judge packets that cross the boundary of a subnet.
    fn acls(&mut self, vpc: &Vpc, connected: &Connected<'_>) {
        let (mut leaving, mut entering) = (Vec::new(), Vec::new());
        for (position, (id, subnet)) in vpc.subnets.iter().enumerate() {
            let links = connected.in_subnet(id);
            let Some(acl) = vpc.acls.get(&subnet.acl).filter(|acl| !acl.is_open() && !links.is_empty()) else {
                continue;
            };
            self.line(format_args!("# {}, {}", printable(id), printable(&subnet.acl)));
            let inside = list(&links);
            for (direction, other_link, peer) in [("leave", "oifname", "daddr"), ("enter", "iifname", "saddr")] {
                let within = format!("{other_link} {inside} return");
                let entries = acl.entries(direction == "leave").filter_map(|(_, entry)| acl_rule(entry, peer));
                let rules = [within].into_iter().chain(entries).chain(["drop".to_owned()]);
                self.chain(format_args!("{direction}_{position}"), rules);
            }
            leaving.extend(links.iter().map(|link| format!("{link} : jump leave_{position}")));
            entering.extend(links.iter().map(|link| format!("{link} : jump enter_{position}")));
        }
        if leaving.is_empty() {
            return;
        }
        self.chain(
            "acls",
            [
                "type filter hook forward priority filter - 2; policy accept".to_owned(),
                format!("iifname vmap {}", list(leaving)),
                format!("oifname vmap {}", list(entering)),
            ],
        );
    }

    fn groups(&mut self, vpc: &Vpc, connected: &Connected<'_>) {
        let named = named_groups(vpc);
        let used: BTreeSet<&String> =
            connected.interfaces.iter().filter_map(|(_, interface)| interface.groups.as_ref()).flatten().collect();
        let used: BTreeMap<&String, usize> =
            used.into_iter().enumerate().map(|(position, id)| (id, position)).collect();
        for (id, position) in &used {
            let empty = SecurityGroup::default();
            let group = vpc.groups.get(*id).unwrap_or(&empty);
            self.line(format_args!("# {}", printable(id)));
            for (direction, permissions, peer) in
                [("egress", &group.egress, "daddr"), ("ingress", &group.ingress, "saddr")]
            {
                let rules = permissions.iter().filter_map(|permission| group_rule(permission, peer, &named));
                self.chain(format_args!("{direction}_{position}"), rules);
            }
        }
        let others = list(connected.others.iter().map(quoted));
        let internet = format!("oifname \"{INTERNET_LINK}\" ip saddr != @translated drop");
        for (direction, link, priority) in [("egress", "iifname", "filter - 1"), ("ingress", "oifname", "filter")] {
            let profiles = self.profiles(direction, connected, &used);
            let mut rules = vec![
                format!("type filter hook forward priority {priority}; policy drop"),
                "ct state invalid drop".to_owned(),
            ];
            if direction == "egress" {
                rules.push(internet.clone());
            }
            rules.push("ct state established,related accept".to_owned());
            if !connected.others.is_empty() {
                rules.push(format!("{link} {others} accept"));
            }
            if !profiles.is_empty() {
                rules.push(format!("{link} vmap {}", list(profiles)));
            }
            self.chain(direction, rules);
        }
    }

    /// Writes a chain for each combination of groups, and returns the verdict for each link.
    fn profiles(
        &mut self,
        direction: &str,
        connected: &Connected<'_>,
        positions: &BTreeMap<&String, usize>,
    ) -> Vec<String> {
        let mut profiles: BTreeMap<Option<&BTreeSet<String>>, Vec<&String>> = BTreeMap::new();
        for (link, interface) in &connected.interfaces {
            profiles.entry(interface.groups.as_ref()).or_default().push(link);
        }
        let mut verdicts = Vec::new();
        for (position, (groups, links)) in profiles.into_iter().enumerate() {
            let name = format!("{direction}_of_{position}");
            match groups {
                Some(groups) => {
                    let jumps = groups.iter().map(|id| format!("jump {direction}_{}", positions[id]));
                    self.chain(&name, jumps);
                }
                // A NAT gateway forwards packets, and accepts no connections itself.
                None => self.chain(&name, ["ip daddr @nat_gateways drop", "accept"]),
            }
            verdicts.extend(links.into_iter().map(|link| format!("{} : jump {name}", quoted(link))));
        }
        verdicts
    }
}

/// The groups that rules name.
fn named_groups(vpc: &Vpc) -> Vec<&String> {
    let permissions = vpc.groups.values().flat_map(|group| group.ingress.iter().chain(&group.egress));
    let named = permissions.filter_map(|permission| match &permission.peer {
        Peer::Group(id) => Some(id),
        Peer::Range(_) => None,
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

fn group_rule(permission: &Permission, peer: &str, named: &[&String]) -> Option<String> {
    let peer = match &permission.peer {
        Peer::Range(range) => format!("ip {peer} {range}"),
        Peer::Group(id) => format!("ip {peer} @members_{}", named.binary_search(&id).ok()?),
    };
    Some(format!("{peer}{} accept", matched(permission.traffic)?))
}

fn acl_rule(entry: &AclEntry, peer: &str) -> Option<String> {
    let verdict = if entry.allow { "return" } else { "drop" };
    Some(format!("ip {peer} {}{} {verdict}", entry.range, matched(entry.traffic)?))
}

/// The expression that matches traffic, with a leading space. `None` for a range of ports that contains none.
fn matched(traffic: Traffic) -> Option<String> {
    let ports = |name: &str, first: u16, last: u16| match (first, last) {
        (0, u16::MAX) => Some(format!(" meta l4proto {name}")),
        _ if first == last => Some(format!(" {name} dport {first}")),
        _ if first < last => Some(format!(" {name} dport {first}-{last}")),
        _ => None,
    };
    match traffic {
        Traffic::All => Some(String::new()),
        Traffic::Tcp(first, last) => ports("tcp", first, last),
        Traffic::Udp(first, last) => ports("udp", first, last),
        Traffic::Icmp(kind, code) => {
            let kind = kind.map_or(String::new(), |kind| format!(" icmp type {kind}"));
            let code = code.map_or(String::new(), |code| format!(" icmp code {code}"));
            Some(format!(" meta l4proto icmp{kind}{code}"))
        }
        Traffic::Protocol(number) => Some(format!(" meta l4proto {number}")),
    }
}

fn quoted(name: impl Display) -> String {
    format!("\"{name}\"")
}

fn list(elements: impl IntoIterator<Item = impl Display>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|element| element.to_string()).collect();
    format!("{{ {} }}", elements.join(", "))
}

/// An id in a comment of the script.
fn printable(id: &str) -> String {
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_.:/".contains(*letter)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::domain::network::NetworkAcl;

    fn vpc() -> Vpc {
        let subnet = |range: &str, acl: &str| json!({"range": range, "zone": "us-east-1a", "route_table": "rtb-1", "routes": {}, "acl": acl});
        serde_json::from_value(json!({
            "range": "10.0.0.0/16",
            "domain": "ec2.internal",
            "has_resolver": true,
            "internet_gateway": "igw-1",
            "subnets": {"subnet-a": subnet("10.0.1.0/24", "acl-open"), "subnet-b": subnet("10.0.2.0/24", "acl-db")},
            "interfaces": {
                "eni-web": {"owner": "i-1", "subnet": "subnet-a", "address": "10.0.1.5", "public": "127.77.0.5",
                    "groups": ["sg-web"], "translates": false},
                "eni-nat": {"owner": "nat-1", "subnet": "subnet-a", "address": "10.0.1.9", "public": "127.77.0.9",
                    "groups": null, "translates": true},
                "eni-db": {"owner": "db-1", "subnet": "subnet-b", "address": "10.0.2.5", "public": null,
                    "groups": ["sg-db"], "translates": false},
            },
            "groups": {
                "sg-web": {"members": ["10.0.1.5"], "ingress": [
                    {"traffic": {"tcp": [80, 80]}, "peer": {"range": "0.0.0.0/0"}},
                    {"traffic": {"icmp": [8, null]}, "peer": {"range": "10.0.0.0/16"}},
                ], "egress": [{"traffic": "all", "peer": {"range": "0.0.0.0/0"}}]},
                "sg-db": {"members": ["10.0.2.5"], "ingress": [
                    {"traffic": {"tcp": [5432, 5433]}, "peer": {"group": "sg-web"}},
                    {"traffic": {"udp": [9, 1]}, "peer": {"range": "0.0.0.0/0"}},
                ], "egress": []},
            },
            "acls": {
                "acl-open": NetworkAcl::open(),
                "acl-db": {
                    "ingress": {
                        "90": {"allow": false, "traffic": "all", "range": "10.0.1.66/32"},
                        "100": {"allow": true, "traffic": {"tcp": [0, 65535]}, "range": "10.0.0.0/16"},
                    },
                    "egress": {"100": {"allow": true, "traffic": "all", "range": "0.0.0.0/0"}},
                },
            },
        }))
        .unwrap()
    }

    fn links() -> Links {
        let interfaces = [("eni-web", 5), ("eni-nat", 9), ("eni-db", 6)];
        Links {
            interfaces: interfaces.map(|(id, index)| (id.to_owned(), index)).into(),
            peerings: [("pcx-1".to_owned(), 7)].into(),
            internet: Some(8),
        }
    }

    #[test]
    fn the_script_of_a_router_contains_groups_and_acls() {
        insta::assert_snapshot!(of_router(&vpc(), &links(), &[]), @r#"
        table ip vpc
        delete table ip vpc
        table ip vpc {
          set sources {
            type ifname . ipv4_addr
            elements = { "e6" . 10.0.2.5, "e5" . 10.0.1.5 }
          }
          set translated {
            type ipv4_addr
            elements = { 10.0.1.9, 10.0.1.5 }
          }
          set nat_gateways {
            type ipv4_addr
            elements = { 10.0.1.9 }
          }
          map public {
            type ipv4_addr : ipv4_addr
            elements = { 10.0.1.9 : 127.77.0.9, 10.0.1.5 : 127.77.0.5 }
          }
          map private {
            type ipv4_addr : ipv4_addr
            elements = { 127.77.0.5 : 10.0.1.5 }
          }
          # sg-web
          set members_0 {
            type ipv4_addr
            elements = { 10.0.1.5 }
          }
          chain sources {
            type filter hook prerouting priority raw; policy drop
            iifname . ip saddr @sources accept
            iifname { "lo", "e9", "inet", "p7" } accept
          }
          chain from_internet {
            type nat hook prerouting priority dstnat
            iifname "inet" dnat to ip daddr map @private
          }
          chain to_internet {
            type nat hook postrouting priority srcnat
            oifname "inet" snat to ip saddr map @public
          }
          chain input {
            type filter hook input priority filter; policy drop
            ct state established,related accept
            iifname "inet" drop
            iifname "p7" drop
            ip daddr 169.254.169.254 tcp dport 80 accept
            ip daddr { 10.0.0.2, 169.254.169.253 } meta l4proto { tcp, udp } th dport 53 accept
          }
          # subnet-b, acl-db
          chain leave_1 {
            oifname { "e6" } return
            ip daddr 0.0.0.0/0 return
            drop
          }
          chain enter_1 {
            iifname { "e6" } return
            ip saddr 10.0.1.66/32 drop
            ip saddr 10.0.0.0/16 meta l4proto tcp return
            drop
          }
          chain acls {
            type filter hook forward priority filter - 2; policy accept
            iifname vmap { "e6" : jump leave_1 }
            oifname vmap { "e6" : jump enter_1 }
          }
          # sg-db
          chain egress_0 {
          }
          chain ingress_0 {
            ip saddr @members_0 tcp dport 5432-5433 accept
          }
          # sg-web
          chain egress_1 {
            ip daddr 0.0.0.0/0 accept
          }
          chain ingress_1 {
            ip saddr 0.0.0.0/0 tcp dport 80 accept
            ip saddr 10.0.0.0/16 meta l4proto icmp icmp type 8 accept
          }
          chain egress_of_0 {
            ip daddr @nat_gateways drop
            accept
          }
          chain egress_of_1 {
            jump egress_0
          }
          chain egress_of_2 {
            jump egress_1
          }
          chain egress {
            type filter hook forward priority filter - 1; policy drop
            ct state invalid drop
            oifname "inet" ip saddr != @translated drop
            ct state established,related accept
            iifname { "inet", "p7" } accept
            iifname vmap { "e9" : jump egress_of_0, "e6" : jump egress_of_1, "e5" : jump egress_of_2 }
          }
          chain ingress_of_0 {
            ip daddr @nat_gateways drop
            accept
          }
          chain ingress_of_1 {
            jump ingress_0
          }
          chain ingress_of_2 {
            jump ingress_1
          }
          chain ingress {
            type filter hook forward priority filter; policy drop
            ct state invalid drop
            ct state established,related accept
            oifname { "inet", "p7" } accept
            oifname vmap { "e9" : jump ingress_of_0, "e6" : jump ingress_of_1, "e5" : jump ingress_of_2 }
          }
        }
        "#);
    }

    #[test]
    fn an_interface_without_a_link_is_in_no_rule() {
        let script = of_router(&vpc(), &Links::default(), &[("faults".to_owned(), vec!["jump a".to_owned()])]);
        assert!(!script.contains("10.0.1.5 :") && !script.contains("dnat"), "{script}");
        assert!(script.contains("policy drop"));
        assert!(script.contains("chain faults {\n    jump a\n  }"), "{script}");
    }

    #[test]
    fn a_vpc_without_dns_support_accepts_no_requests_for_names() {
        let script = of_router(&Vpc { has_resolver: false, ..vpc() }, &links(), &[]);
        assert!(script.contains("dport 80 accept") && !script.contains("dport 53"), "{script}");
    }

    #[test]
    fn ids_cannot_leave_their_comment() {
        assert_eq!(printable("sg-1\n}; table x {"), "sg-1tablex");
    }
}
