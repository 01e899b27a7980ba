//! Whether this machine can have a network of namespaces, and what to do if it cannot.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::process::{Stdio, exit};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::config::{Config, Links};
use super::netlink::{Peer, Request};
use super::space::{self, Space};
use super::{PROBE, nft, process, rules};
use crate::domain::network::{Interface, Subnet, Vpc};
use crate::model::cidr::Cidr;
use crate::runtime::executable;

/// Reason why this machine has no network of namespaces, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    #[error("this executable is no launcher: call `infra_local::enable_launcher` first in its `main`")]
    NoLauncher,
    #[error(
        "AppArmor forbids user namespaces to programs without a profile: run `sudo sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0`, or add a profile for this executable, {executable}, with \
         the rule `userns,` to /etc/apparmor.d and load it"
    )]
    AppArmor { executable: String },
    #[error("this system forbids user namespaces: run `sudo sysctl -w {setting}`, or start the local cloud as root")]
    UserNamespaces { setting: String },
    #[error("this system forbids network namespaces: run `sudo sysctl -w user.max_net_namespaces=10000`")]
    NetworkNamespaces,
    #[error("network namespaces cannot be created: {error}. A container needs the capability CAP_SYS_ADMIN")]
    Namespaces { error: String },
    #[error("network settings cannot be written: {error}. In a container, /proc/sys must be writable")]
    Settings { error: String },
    #[error("virtual Ethernet links cannot be created: {error}. Run `sudo modprobe veth`")]
    Links { error: String },
    #[error("the program `nft` was not found: run `sudo apt install nftables`")]
    NoNft,
    #[error("packet filters cannot be set: {error}. Run `sudo modprobe nf_tables nft_ct nft_chain_nat`")]
    PacketFilter { error: String },
    #[error("the test of the network did not finish: {error}")]
    Unknown { error: String },
}

/// Finds out once, in a process of its own, whether this machine can have a network of namespaces.
pub(crate) fn probe() -> Result<(), Reason> {
    static RESULT: OnceLock<Result<(), Reason>> = OnceLock::new();
    RESULT.get_or_init(run_child).clone()
}

fn run_child() -> Result<(), Reason> {
    let mut command = executable::command(PROBE).ok_or(Reason::NoLauncher)?;
    let unknown = |error: String| Reason::Unknown { error };
    let output = command.current_dir("/").stdin(Stdio::null()).output();
    let output = output.map_err(|error| unknown(error.to_string()))?;
    let result: Result<Result<(), Reason>, _> = serde_json::from_slice(&output.stdout);
    result.map_err(|error| unknown(format!("{error} ({})", String::from_utf8_lossy(&output.stderr).trim())))?
}

/// Prints the result as JSON: the child's part.
pub(super) fn run() -> ! {
    let printed = serde_json::to_string(&examine()).map(|text| println!("{text}"));
    exit(i32::from(printed.is_err()))
}

fn examine() -> Result<(), Reason> {
    process::enter_namespaces().map_err(|error| refusal(&error))?;
    // Without capabilities in its namespaces, every step fails.
    let forbidden = |error: &io::Error, reason: Reason| match error.kind() {
        io::ErrorKind::PermissionDenied if is_restricted_by_apparmor() => apparmor(),
        _ => reason,
    };
    let space = Space::of_this_thread().map_err(|error| {
        let reason = Reason::Settings { error: error.to_string() };
        forbidden(&error, reason)
    })?;
    space::enable_forwarding().map_err(|error| Reason::Settings { error: error.to_string() })?;
    let peer = Peer { index: 3, name: "v3".to_owned(), namespace: space.file() };
    let pair = Request::AddPair { index: 2, name: "e2".to_owned(), peer };
    space
        .netlink()
        .apply_all(&[pair])
        .map_err(|error| forbidden(&error, Reason::Links { error: error.to_string() }))?;
    if nft::find().is_none() {
        return Err(Reason::NoNft);
    }
    let (vpc, links, tables) = sample();
    let filter = |error: io::Error| Reason::PacketFilter { error: error.to_string() };
    nft::apply(&rules::of_router(&vpc, &links, &[])).map_err(filter)?;
    nft::apply(&rules::of_nat_gateway(Ipv4Addr::new(10, 0, 0, 4))).map_err(filter)?;
    let errors = space.configure(&mut Config::default(), &Config::of_router(&vpc, &links, &tables));
    if errors.is_empty() { Ok(()) } else { Err(Reason::Settings { error: errors.join("; ") }) }
}

/// A VPC with everything that rules consist of.
fn sample() -> (Vpc, Links, std::collections::BTreeMap<String, u32>) {
    let mut vpc = Vpc {
        range: Cidr::of(Ipv4Addr::new(10, 0, 0, 0)),
        more_ranges: Vec::new(),
        domain: String::new(),
        has_resolver: true,
        internet_gateway: Some("igw".to_owned()),
        subnets: [].into(),
        interfaces: [].into(),
        groups: [("sg".to_owned(), crate::domain::network::SecurityGroup::default())].into(),
        acls: [].into(),
    };
    let subnet = Subnet {
        range: vpc.range,
        zone: String::new(),
        route_table: String::new(),
        routes: [].into(),
        acl: String::new(),
    };
    let interface = Interface {
        owner: String::new(),
        subnet: "subnet".to_owned(),
        address: Ipv4Addr::new(10, 0, 0, 5),
        secondary: [].into(),
        device: None,
        forwards: false,
        public: Some(Ipv4Addr::new(127, 16, 0, 5)),
        groups: Some(["sg".to_owned()].into()),
        translates: false,
    };
    vpc.subnets.insert("subnet".to_owned(), subnet);
    vpc.interfaces.insert("eni".to_owned(), interface);
    let links = Links { interfaces: [("eni".to_owned(), 2)].into(), internet: Some(3), peerings: [].into() };
    (vpc, links, [("subnet".to_owned(), 1000)].into())
}

/// The reason why namespaces cannot be entered.
fn refusal(error: &io::Error) -> Reason {
    let is = |setting: &str, value: &str| {
        fs::read_to_string(format!("/proc/sys/{setting}")).is_ok_and(|text| text.trim() == value)
    };
    if is_restricted_by_apparmor() {
        apparmor()
    } else if is("kernel/unprivileged_userns_clone", "0") {
        Reason::UserNamespaces { setting: "kernel.unprivileged_userns_clone=1".to_owned() }
    } else if is("user/max_user_namespaces", "0") {
        Reason::UserNamespaces { setting: "user.max_user_namespaces=10000".to_owned() }
    } else if is("user/max_net_namespaces", "0") {
        Reason::NetworkNamespaces
    } else {
        Reason::Namespaces { error: error.to_string() }
    }
}

fn is_restricted_by_apparmor() -> bool {
    let setting = fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    !rustix::process::geteuid().is_root() && setting.is_ok_and(|text| text.trim() == "1")
}

fn apparmor() -> Reason {
    let executable = std::env::current_exe().map(|path| path.display().to_string());
    Reason::AppArmor { executable: executable.unwrap_or_default() }
}
