//! A network namespace.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::config::{Change, Config};
use super::netlink::{LOOPBACK, Netlink, Request};
use super::routing::{Action, Hop, LOCAL_TABLE, MAIN_TABLE, Route, Rule};
use crate::model::cidr::Cidr;

/// Connections that wait to be accepted, as for tokio's listeners.
const BACKLOG: i32 = 1024;

/// Index of the link in an interface's namespace.
const ETH0: u32 = 2;

/// Priority of the rules of an instance's further interfaces. They precede the main table.
const DEVICE_PRIORITY: u32 = 100;

/// Settings of all links. `all` and `default` are combined in ways that differ by setting, so both are written.
const LINK_SETTINGS: &[(&str, &str)] = &[
    ("route_localnet", "1"),
    ("rp_filter", "0"),
    ("send_redirects", "0"),
    ("accept_redirects", "0"),
    ("accept_local", "0"),
    ("log_martians", "0"),
];

/// The loopback addresses that stay local. The others are ordinary addresses, among them the cloud's public ones.
const LOOPBACK_RANGE: &str = "127.0.0.0/16";
const ROUTED_LOOPBACK_RANGE: &str = "127.0.0.0/8";

/// A network namespace, which exists as long as this value, a socket or a process in it.
#[derive(Debug)]
pub(super) struct Space {
    file: OwnedFd,
    netlink: Mutex<Netlink>,
}

impl Space {
    /// Creates a namespace and moves the calling thread into it.
    pub(super) fn create() -> io::Result<Space> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Space::of_this_thread()
    }

    /// Prepares the namespace of the calling thread.
    pub(super) fn of_this_thread() -> io::Result<Space> {
        for (setting, value) in LINK_SETTINGS {
            for links in ["all", "default"] {
                set(&format!("ipv4/conf/{links}/{setting}"), value)?;
            }
        }
        for links in ["all", "default"] {
            match set(&format!("ipv6/conf/{links}/disable_ipv6"), "1") {
                // The kernel has no IPv6.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        let file = File::open("/proc/thread-self/ns/net")?.into();
        let mut netlink = Netlink::open()?;
        let local = |range: &str| {
            let destination = Cidr::parse(range).ok_or(io::ErrorKind::InvalidInput)?;
            Ok::<_, io::Error>(Route { table: LOCAL_TABLE, destination, hop: Hop::Local })
        };
        netlink.apply_all(&[
            Request::SetUp { index: LOOPBACK },
            Request::DeleteRoute(local(ROUTED_LOOPBACK_RANGE)?),
            Request::SetRoute(local(LOOPBACK_RANGE)?),
        ])?;
        Ok(Space { file, netlink: Mutex::new(netlink) })
    }

    /// Moves the calling thread into the namespace.
    pub(super) fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.file, CloneFlags::CLONE_NEWNET)?)
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn netlink(&self) -> MutexGuard<'_, Netlink> {
        self.netlink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings addresses, routes and rules in line. Records in `applied` what the kernel has, and returns the failures.
    pub(super) fn configure(&self, applied: &mut Config, desired: &Config) -> Vec<String> {
        let changes = applied.changes(desired);
        let requests: Vec<Request<'_>> = changes.iter().map(Change::request).collect();
        let outcomes = match self.netlink().apply(&requests) {
            Ok(outcomes) => outcomes,
            Err(error) => return vec![error.to_string()],
        };
        let mut errors = Vec::new();
        for (change, outcome) in changes.iter().zip(outcomes) {
            match outcome {
                Err(error) if !change.removes() => errors.push(format!("{change:?}: {error}")),
                _ => applied.record(change),
            }
        }
        errors
    }

    /// Opens a listener.
    pub(super) fn listen(&self, address: SocketAddrV4) -> io::Result<OwnedFd> {
        self.enter()?;
        let listener = TcpListener::bind(address)?;
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener.into())
    }

    /// Creates a TCP socket that is not connected.
    pub(super) fn socket(&self) -> io::Result<OwnedFd> {
        self.enter()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
    }

    /// Opens a UDP socket.
    pub(super) fn datagrams(&self, address: SocketAddrV4) -> io::Result<OwnedFd> {
        self.enter()?;
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

/// Lets the namespace of the calling thread forward packets.
pub(super) fn enable_forwarding() -> io::Result<()> {
    set("ipv4/ip_forward", "1")
}

/// Lets the namespace of the calling thread forward packets that enter by an interface, or not.
pub(super) fn set_forwarding(device: u32, forwards: bool) -> io::Result<()> {
    set(&format!("ipv4/conf/eth{device}/forwarding"), if forwards { "1" } else { "0" })
}

/// Lets programs of every user open low ports and send echo requests, in the namespace of the calling thread.
pub(super) fn permit_programs() -> io::Result<()> {
    set("ipv4/ip_unprivileged_port_start", "0")?;
    let all = if rustix::process::geteuid().is_root() { (0, i32::MAX.cast_unsigned()) } else { own_group() };
    set("ipv4/ping_group_range", &format!("{} {}", all.0, all.1))
}

/// A user namespace contains no other group.
fn own_group() -> (u32, u32) {
    let group = rustix::process::getegid().as_raw();
    (group, group)
}

/// Index of the link of an instance's interface, by the number of its device. The kernel assigns low indices itself.
pub(super) fn link_index(device: u32) -> u32 {
    if device == 0 { ETH0 } else { 100 + device }
}

/// Returns the policy rule by which packets from an address of a further interface leave by this interface: the default
/// route is the primary interface's.
pub(super) fn device_rule(device: u32, address: Ipv4Addr) -> Rule {
    Rule { priority: DEVICE_PRIORITY, input: None, source: Some(address), action: Action::Table(device_table(device)) }
}

/// Returns the policy rule by which packets that enter by a further interface leave by it.
pub(super) fn forwarding_rule(device: u32) -> Rule {
    let input = Some(format!("eth{device}"));
    Rule { priority: DEVICE_PRIORITY, input, source: None, action: Action::Table(device_table(device)) }
}

fn device_table(device: u32) -> u32 {
    1000 + device
}

/// Requests that connect a further interface of a namespace to the router.
pub(super) fn device_requests(device: u32, address: Ipv4Addr, bits: u32, router: Ipv4Addr) -> [Request<'static>; 3] {
    let index = link_index(device);
    let hop = Hop::Link { index, gateway: Some(router), source: Some(address) };
    let route = Route { table: device_table(device), destination: Cidr::EVERYWHERE, hop };
    [Request::SetUp { index }, Request::AddAddress { index, address, bits }, Request::SetRoute(route)]
}

/// Requests that connect an interface's namespace to the router.
pub(super) fn interface_requests(index: u32, address: Ipv4Addr, bits: u32, router: Ipv4Addr) -> [Request<'static>; 3] {
    let hop = Hop::Link { index, gateway: Some(router), source: Some(address) };
    let route = Route { table: MAIN_TABLE, destination: Cidr::EVERYWHERE, hop };
    [Request::SetUp { index }, Request::AddAddress { index, address, bits }, Request::SetRoute(route)]
}

/// Writes a setting of the network namespace that the calling thread is in.
fn set(name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}
