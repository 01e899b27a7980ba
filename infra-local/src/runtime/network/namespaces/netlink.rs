//! Routing netlink: links, addresses, routes and policy rules of one network namespace.
//!
//! The module encodes the few requests that the fabric needs. A socket belongs to the namespace of the thread that opened
//! it, whatever thread uses it.
//!
//! Source: Linux, `rtnetlink(7)`, `include/uapi/linux/{rtnetlink,if_link,fib_rules}.h`.

use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};

use super::routing::{Action, Hop, Route, Rule};

/// Index of the loopback interface in every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Requests per system call.
const BATCH: usize = 64;
/// Limit of a message of the kernel: an answer repeats a failed request.
const RECEIVE_BUFFER: usize = 8 << 10;

/// Address of both ends of every link. The links resolve no addresses (`IFF_NOARP`), so a frame carries the address of its
/// sender as its destination, and the other end accepts it because the addresses are equal.
const HARDWARE_ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A change of the namespace that a socket belongs to.
#[derive(Debug, Clone)]
pub(super) enum Request<'a> {
    /// Creates a pair of virtual Ethernet links. The first end is up. The second one is in another namespace, and the kernel
    /// sets it up only once the pair exists.
    AddPair {
        index: u32,
        name: String,
        peer: Peer<'a>,
    },
    SetUp {
        index: u32,
    },
    DeleteLink {
        index: u32,
    },
    /// Limits the number of packets that a link sends as one large packet.
    SetSegments {
        index: u32,
        most: u32,
    },
    AddAddress {
        index: u32,
        address: Ipv4Addr,
        bits: u32,
    },
    DeleteAddress {
        index: u32,
        address: Ipv4Addr,
        bits: u32,
    },
    /// Adds a route, or replaces the one to the same destination in the same table.
    SetRoute(Route),
    /// Deletes the route to a destination, whatever its target is.
    DeleteRoute(Route),
    AddRule(&'a Rule),
    DeleteRule(&'a Rule),
}

/// The second end of a pair.
#[derive(Debug, Clone)]
pub(super) struct Peer<'a> {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) namespace: BorrowedFd<'a>,
}

/// A routing netlink socket.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket of the namespace that the calling thread is in.
    pub(super) fn open() -> io::Result<Netlink> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        // A request that the kernel does not answer must not block everything else.
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(std::time::Duration::from_secs(30)))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Applies requests in order and returns the outcome of each. A failed request does not stop the others.
    pub(super) fn apply(&mut self, requests: &[Request<'_>]) -> io::Result<Vec<Result<(), Errno>>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for batch in requests.chunks(BATCH) {
            let first = self.sequence.wrapping_add(1);
            let mut message = Vec::new();
            for request in batch {
                self.sequence = self.sequence.wrapping_add(1);
                request.encode(self.sequence, &mut message);
            }
            send(&self.socket, &message, SendFlags::empty())?;
            let mut answers = vec![None; batch.len()];
            while answers.contains(&None) {
                self.receive(first, &mut answers)?;
            }
            outcomes.extend(answers.into_iter().flatten());
        }
        Ok(outcomes)
    }

    /// Applies requests and returns the first failure.
    pub(super) fn apply_all(&mut self, requests: &[Request<'_>]) -> io::Result<()> {
        let outcomes = self.apply(requests)?;
        for (request, outcome) in requests.iter().zip(outcomes) {
            outcome.map_err(|error| io::Error::new(error.kind(), format!("{request:?}: {error}")))?;
        }
        Ok(())
    }

    fn receive(&self, first: u32, answers: &mut [Option<Result<(), Errno>>]) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); RECEIVE_BUFFER];
        let ((received, _), _) = match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
            Err(Errno::INTR) => return Ok(()),
            received => received?,
        };
        let mut rest: &[u8] = received;
        while let Some((answer, tail)) = Answer::decode(rest) {
            rest = tail;
            let position = answer.sequence.wrapping_sub(first) as usize;
            if let (Some(slot), Some(error)) = (answers.get_mut(position), answer.error) {
                *slot = Some(if error == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-error)) });
            }
        }
        Ok(())
    }
}

/// A message of the kernel.
struct Answer {
    sequence: u32,
    /// Result of a request: 0, or the negated number of an error. `None` for a message of another type.
    error: Option<i32>,
}

impl Answer {
    /// Decodes the first message and returns the bytes behind it.
    fn decode(bytes: &[u8]) -> Option<(Answer, &[u8])> {
        const HEADER: usize = 16;
        const ERROR: u16 = 2;
        let number = |position: usize| Some(u32::from_ne_bytes(bytes.get(position..position + 4)?.try_into().ok()?));
        let length = number(0)? as usize;
        if length < HEADER || length > bytes.len() {
            return None;
        }
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let error = if kind == ERROR { Some(number(HEADER)?.cast_signed()) } else { None };
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((Answer { sequence: number(8)?, error }, rest))
    }
}

/// Constants of the kernel's interface, under its names.
#[allow(clippy::unreadable_literal)]
mod uapi {
    pub(super) const RTM_NEWLINK: u16 = 16;
    pub(super) const RTM_DELLINK: u16 = 17;
    pub(super) const RTM_NEWADDR: u16 = 20;
    pub(super) const RTM_DELADDR: u16 = 21;
    pub(super) const RTM_NEWROUTE: u16 = 24;
    pub(super) const RTM_DELROUTE: u16 = 25;
    pub(super) const RTM_NEWRULE: u16 = 32;
    pub(super) const RTM_DELRULE: u16 = 33;

    pub(super) const NLM_F_REQUEST: u16 = 0x1;
    pub(super) const NLM_F_ACK: u16 = 0x4;
    pub(super) const NLM_F_REPLACE: u16 = 0x100;
    pub(super) const NLM_F_EXCL: u16 = 0x200;
    pub(super) const NLM_F_CREATE: u16 = 0x400;

    pub(super) const AF_INET: u8 = 2;
    pub(super) const IFF_UP: u32 = 0x1;
    pub(super) const IFF_NOARP: u32 = 0x80;

    pub(super) const IFLA_ADDRESS: u16 = 1;
    pub(super) const IFLA_IFNAME: u16 = 3;
    pub(super) const IFLA_LINKINFO: u16 = 18;
    pub(super) const IFLA_NET_NS_FD: u16 = 28;
    pub(super) const IFLA_GSO_MAX_SEGS: u16 = 40;
    pub(super) const IFLA_INFO_KIND: u16 = 1;
    pub(super) const IFLA_INFO_DATA: u16 = 2;
    pub(super) const VETH_INFO_PEER: u16 = 1;

    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_LOCAL: u16 = 2;

    pub(super) const RTA_DST: u16 = 1;
    pub(super) const RTA_OIF: u16 = 4;
    pub(super) const RTA_GATEWAY: u16 = 5;
    pub(super) const RTA_PREFSRC: u16 = 7;
    pub(super) const RTA_TABLE: u16 = 15;
    pub(super) const RTPROT_STATIC: u8 = 4;
    pub(super) const RT_SCOPE_UNIVERSE: u8 = 0;
    pub(super) const RT_SCOPE_LINK: u8 = 253;
    pub(super) const RT_SCOPE_HOST: u8 = 254;
    pub(super) const RT_SCOPE_NOWHERE: u8 = 255;
    pub(super) const RTN_UNICAST: u8 = 1;
    pub(super) const RTN_LOCAL: u8 = 2;
    pub(super) const RTN_BLACKHOLE: u8 = 6;

    pub(super) const FRA_SRC: u16 = 2;
    pub(super) const FRA_IIFNAME: u16 = 3;
    pub(super) const FRA_PRIORITY: u16 = 6;
    pub(super) const FRA_TABLE: u16 = 15;
    pub(super) const FR_ACT_TO_TBL: u8 = 1;
    pub(super) const FR_ACT_BLACKHOLE: u8 = 6;
}

use uapi::{
    AF_INET, FR_ACT_BLACKHOLE, FR_ACT_TO_TBL, FRA_IIFNAME, FRA_PRIORITY, FRA_SRC, FRA_TABLE, IFA_ADDRESS, IFA_LOCAL,
    IFF_NOARP, IFF_UP, IFLA_ADDRESS, IFLA_GSO_MAX_SEGS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO,
    IFLA_NET_NS_FD, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, RT_SCOPE_HOST, RT_SCOPE_LINK,
    RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC, RTA_TABLE, RTM_DELADDR,
    RTM_DELLINK, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RTM_NEWRULE, RTN_BLACKHOLE,
    RTN_LOCAL, RTN_UNICAST, RTPROT_STATIC, VETH_INFO_PEER,
};

impl Request<'_> {
    fn encode(&self, sequence: u32, message: &mut Vec<u8>) {
        match self {
            Request::AddPair { index, name, peer } => {
                header(message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence, |body| {
                    link(body, *index, IFF_UP | IFF_NOARP);
                    named(body, name);
                    attribute(body, IFLA_LINKINFO, |info| {
                        attribute(info, IFLA_INFO_KIND, |kind| kind.extend_from_slice(b"veth"));
                        attribute(info, IFLA_INFO_DATA, |data| {
                            attribute(data, VETH_INFO_PEER, |second| {
                                link(second, peer.index, IFF_NOARP);
                                named(second, &peer.name);
                                let file = peer.namespace.as_raw_fd().to_ne_bytes();
                                attribute(second, IFLA_NET_NS_FD, |value| value.extend_from_slice(&file));
                            });
                        });
                    });
                });
            }
            Request::SetUp { index } => header(message, RTM_NEWLINK, 0, sequence, |body| link(body, *index, IFF_UP)),
            Request::DeleteLink { index } => header(message, RTM_DELLINK, 0, sequence, |body| link(body, *index, 0)),
            Request::SetSegments { index, most } => header(message, RTM_NEWLINK, 0, sequence, |body| {
                link(body, *index, IFF_UP);
                number(body, IFLA_GSO_MAX_SEGS, *most);
            }),
            Request::AddAddress { index, address, bits } => {
                header(message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sequence, |body| {
                    interface_address(body, *index, *address, *bits);
                });
            }
            Request::DeleteAddress { index, address, bits } => {
                header(message, RTM_DELADDR, 0, sequence, |body| interface_address(body, *index, *address, *bits));
            }
            Request::SetRoute(of) => {
                header(message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sequence, |body| route(body, of, true));
            }
            Request::DeleteRoute(of) => header(message, RTM_DELROUTE, 0, sequence, |body| route(body, of, false)),
            Request::AddRule(of) => {
                header(message, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sequence, |body| rule(body, of));
            }
            Request::DeleteRule(of) => header(message, RTM_DELRULE, 0, sequence, |body| rule(body, of)),
        }
    }
}

fn header(message: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&[0; 4]);
    body(message);
    let length = (message.len() - start) as u32;
    message[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// Appends an attribute. Its length excludes the padding.
fn attribute(message: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend_from_slice(&[0; 2]);
    message.extend_from_slice(&kind.to_ne_bytes());
    value(message);
    let length = (message.len() - start) as u16;
    message[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    message.resize(start + usize::from(length).next_multiple_of(4), 0);
}

fn number(message: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(message, kind, |bytes| bytes.extend_from_slice(&value.to_ne_bytes()));
}

fn address(message: &mut Vec<u8>, kind: u16, value: Ipv4Addr) {
    attribute(message, kind, |bytes| bytes.extend_from_slice(&value.octets()));
}

fn text(message: &mut Vec<u8>, kind: u16, value: &str) {
    attribute(message, kind, |bytes| {
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    });
}

/// `struct ifinfomsg`.
fn link(message: &mut Vec<u8>, index: u32, flags: u32) {
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&index.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
}

fn named(message: &mut Vec<u8>, name: &str) {
    text(message, IFLA_IFNAME, name);
    attribute(message, IFLA_ADDRESS, |bytes| bytes.extend_from_slice(&HARDWARE_ADDRESS));
}

/// `struct ifaddrmsg`.
fn interface_address(message: &mut Vec<u8>, index: u32, of: Ipv4Addr, bits: u32) {
    let scope = if index == LOOPBACK { RT_SCOPE_HOST } else { RT_SCOPE_UNIVERSE };
    message.extend_from_slice(&[AF_INET, bits as u8, 0, scope]);
    message.extend_from_slice(&index.to_ne_bytes());
    address(message, IFA_LOCAL, of);
    address(message, IFA_ADDRESS, of);
}

/// `struct rtmsg`. To delete a route, its destination and table are enough.
fn route(message: &mut Vec<u8>, of: &Route, is_complete: bool) {
    let (scope, kind) = match of.hop {
        _ if !is_complete => (RT_SCOPE_NOWHERE, 0),
        Hop::Link { gateway: Some(_), .. } => (RT_SCOPE_UNIVERSE, RTN_UNICAST),
        Hop::Link { gateway: None, .. } => (RT_SCOPE_LINK, RTN_UNICAST),
        Hop::Blackhole => (RT_SCOPE_UNIVERSE, RTN_BLACKHOLE),
        Hop::Local => (RT_SCOPE_HOST, RTN_LOCAL),
    };
    let protocol = if is_complete { RTPROT_STATIC } else { 0 };
    // Numbers above 255 are in an attribute of their own.
    let table = u8::try_from(of.table).unwrap_or_default();
    message.extend_from_slice(&[AF_INET, of.destination.bits() as u8, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]);
    number(message, RTA_TABLE, of.table);
    if of.destination.bits() > 0 {
        address(message, RTA_DST, of.destination.address(0));
    }
    if !is_complete {
        return;
    }
    match of.hop {
        Hop::Link { index, gateway, source } => {
            number(message, RTA_OIF, index);
            for (kind, value) in [(RTA_GATEWAY, gateway), (RTA_PREFSRC, source)] {
                if let Some(value) = value {
                    address(message, kind, value);
                }
            }
        }
        Hop::Local => number(message, RTA_OIF, LOOPBACK),
        Hop::Blackhole => {}
    }
}

/// `struct fib_rule_hdr`.
fn rule(message: &mut Vec<u8>, of: &Rule) {
    let action = match of.action {
        Action::Table(_) => FR_ACT_TO_TBL,
        Action::Blackhole => FR_ACT_BLACKHOLE,
    };
    let source_bits = if of.source.is_some() { 32 } else { 0 };
    message.extend_from_slice(&[AF_INET, 0, source_bits, 0, 0, 0, 0, action, 0, 0, 0, 0]);
    number(message, FRA_PRIORITY, of.priority);
    if let Some(input) = &of.input {
        text(message, FRA_IIFNAME, input);
    }
    if let Some(source) = of.source {
        attribute(message, FRA_SRC, |value| value.extend_from_slice(&source.octets()));
    }
    if let Action::Table(table) = of.action {
        number(message, FRA_TABLE, table);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::cidr::Cidr;

    #[test]
    fn a_message_contains_its_length_and_aligned_attributes() {
        let hop = Hop::Link { index: 7, gateway: None, source: None };
        let route = Route { table: 1000, destination: Cidr::parse("10.0.0.0/8").unwrap(), hop };
        let mut message = Vec::new();
        Request::SetRoute(route).encode(3, &mut message);
        assert_eq!(message.len(), 16 + 12 + 3 * 8);
        assert_eq!(message[..4], 52_u32.to_ne_bytes());
        assert_eq!(message[16..20], [AF_INET, 8, 0, 0]);
        let name = Rule { priority: 200, input: Some("e7".to_owned()), source: None, action: Action::Blackhole };
        let mut message = Vec::new();
        Request::AddRule(&name).encode(4, &mut message);
        assert_eq!(message.len(), 16 + 12 + 8 + 8, "the name is padded");
    }

    #[test]
    fn truncated_answers_are_ignored() {
        let mut answer = vec![36, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff];
        assert!(Answer::decode(&answer).is_none());
        answer.resize(36, 0);
        let (decoded, rest) = Answer::decode(&answer).unwrap();
        assert_eq!((decoded.sequence, decoded.error, rest.len()), (5, Some(-2), 0));
        assert!(Answer::decode(&[0; 16]).is_none());
    }
}
