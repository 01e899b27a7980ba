//! The policy that the machine of a local target can run the declared resources.

use crate::{BakedImage, Instance, LaunchTemplate, Listener, Machine};
#[cfg(feature = "rds")]
use crate::{DbCluster, DbInstance};
use infra_core::{
    diff::Action,
    policy::{Declared, Enforcement, Policy, Violation},
    target::Host,
};
use std::collections::BTreeSet;

/// Name of the host's feature that PostgreSQL servers need, and the server's name.
const POSTGRESQL: (&str, &str) = ("postgresql", "PostgreSQL");

/// Name of the host's feature that MariaDB servers need, and the server's name.
const MARIADB: (&str, &str) = ("mariadb", "MariaDB");

/// Minimum disk space of any stack, in addition to its servers and hosts.
const LEAST_BYTES: u64 = 64 << 20;

/// Disk space of a new database server: system tables and the first segments of its write-ahead log.
const SERVER_BYTES: u64 = 128 << 20;

/// Disk space of the log that a server with replication keeps for absent standbys.
const REPLICATION_BYTES: u64 = 128 << 20;

/// Disk space of a new host: programs and logs.
const HOST_BYTES: u64 = 32 << 20;

/// Returns the policy that the machine of a local target can run the resources that a plan creates or changes: PostgreSQL
/// or MariaDB is installed if needed, the ports are free, and the disk has enough space. Otherwise the plan is refused.
/// [`region`](crate::region) adds it to every stack with a local target.
pub fn runs_on(host: Host) -> Policy {
    Policy::graph("runs-on-this-machine", Enforcement::Mandatory, move |all| violations(&host, all))
}

/// Requirements of a resource on the machine.
#[derive(Default)]
struct Needs {
    /// Number of database servers.
    servers: u64,
    /// The features that they need.
    features: BTreeSet<(&'static str, &'static str)>,
    /// Number of those with replication.
    replicated: u64,
    /// Number of hosts.
    hosts: u64,
    /// TCP ports to listen on.
    ports: BTreeSet<u16>,
}

impl Needs {
    fn of(declared: &Declared<'_>) -> Self {
        let machine = declared.resource::<Instance>().map(|it| it.machine);
        let machine = machine.or_else(|| declared.resource::<LaunchTemplate>().map(|it| it.machine));
        let machine = machine.or_else(|| declared.resource::<BakedImage>().map(|it| it.machine));
        if let Some(machine) = machine {
            return Self::of_machine(&machine);
        }
        let ports = declared.resource::<Listener>().map(|it| it.port).into_iter().collect();
        of_database(declared).unwrap_or(Self { ports, ..Self::default() })
    }

    fn of_machine(machine: &Machine) -> Self {
        let listens =
            machine.services.iter().flat_map(|service| service.listen.iter().chain(service.ports.values()).copied());
        let mut needs = Self { hosts: 1, ports: listens.collect(), ..Self::default() };
        for (engine, database) in machine.databases() {
            needs.servers += 1;
            needs.replicated += u64::from(database.replication.is_some());
            needs.features.insert(if engine == "mariadb" { MARIADB } else { POSTGRESQL });
            needs.ports.insert(database.port);
        }
        needs
    }
}

/// Returns the needs of a database server; `None` for other resources.
#[cfg(feature = "rds")]
fn of_database(declared: &Declared<'_>) -> Option<Needs> {
    let port = declared.resource::<DbInstance>().map(|it| it.port);
    let port = port.or_else(|| declared.resource::<DbCluster>().map(|it| it.port))?;
    let features = BTreeSet::from([POSTGRESQL]);
    Some(Needs { servers: 1, features, ports: port.into_iter().collect(), ..Needs::default() })
}

#[cfg(not(feature = "rds"))]
fn of_database(_: &Declared<'_>) -> Option<Needs> {
    None
}

fn violations(host: &Host, all: &[Declared<'_>]) -> Vec<Violation> {
    let changed =
        |declared: &&Declared<'_>| matches!(declared.action, Action::Create | Action::Replace | Action::Update);
    let needs: Vec<_> = all.iter().filter(changed).map(|declared| (declared, Needs::of(declared))).collect();
    let servers = [POSTGRESQL, MARIADB].into_iter().filter_map(|feature| {
        let (declared, _) = needs.iter().find(|(_, needs)| needs.features.contains(&feature))?;
        let obstacle = host.unavailable.get(feature.0)?;
        let text = format!("{} cannot run on this machine: {}", feature.1, obstacle.reason);
        Some(Violation::new(text).about(declared.urn).remedy(&obstacle.remedy))
    });
    let servers: Vec<_> = servers.collect();
    let mut reported = BTreeSet::new();
    let ports = needs.iter().flat_map(|(declared, needs)| needs.ports.iter().map(move |port| (*declared, *port)));
    let ports: Vec<_> = ports
        .filter_map(|(declared, port)| {
            Some(unavailable_port(host, port)?.about(declared.urn)).filter(|_| reported.insert(port))
        })
        .collect();
    servers.into_iter().chain(ports).chain(full_disk(host, &needs)).collect()
}

fn unavailable_port(host: &Host, port: u16) -> Option<Violation> {
    if host.occupied_ports.contains(&port) {
        let text = format!("port {port} is not available: another process listens on it on all addresses");
        Some(
            Violation::new(text)
                .remedy(format!("stop that process (`ss -ltnp 'sport = :{port}'`), or choose another port")),
        )
    } else if port < host.lowest_port {
        let text =
            format!("port {port} is not available: this user may only listen on ports from {}", host.lowest_port);
        let setting = format!("sysctl net.ipv4.ip_unprivileged_port_start={port}");
        Some(Violation::new(text).remedy(format!("choose another port, or allow this one as root: `{setting}`")))
    } else {
        None
    }
}

/// Returns a violation when the disk has too little space. Plans that create no server and no host need almost none and are
/// always accepted.
fn full_disk(host: &Host, needs: &[(&Declared<'_>, Needs)]) -> Option<Violation> {
    let created = || needs.iter().filter(|(declared, _)| declared.action != Action::Update);
    let (first, _) = created().find(|(_, needs)| needs.servers + needs.hosts > 0)?;
    let needed = created().map(|(_, needs)| {
        needs.servers * SERVER_BYTES + needs.replicated * REPLICATION_BYTES + needs.hosts * HOST_BYTES
    });
    let needed = LEAST_BYTES + needed.sum::<u64>();
    (host.free_bytes < needed).then(|| {
        let (free, needed) = (host.free_bytes >> 20, needed >> 20);
        Violation::new(format!(
            "the disk of the local cloud has {free} MiB free; this plan needs at least {needed} MiB"
        ))
        .about(first.urn)
        .remedy("free disk space, or move the local cloud to another disk: `--directory PATH`")
    })
}
