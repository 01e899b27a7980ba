//! Whether the machine behind a local target can run what is declared.

use crate::{BakedImage, Instance, LaunchTemplate, Listener, Machine};
#[cfg(feature = "rds")]
use crate::{DbCluster, DbInstance};
use infra_core::{
    diff::Action,
    policy::{Declared, Enforcement, Policy, Violation},
    target::Host,
};
use std::collections::BTreeSet;

/// The feature that a PostgreSQL server needs.
const POSTGRESQL: &str = "postgresql";

/// What any system takes on disk, besides its servers and hosts.
const LEAST_BYTES: u64 = 64 << 20;

/// What a new PostgreSQL server takes: an empty cluster and its first segments of the write-ahead log.
const POSTGRESQL_BYTES: u64 = 128 << 20;

/// What a new host takes: programs and logs.
const HOST_BYTES: u64 = 32 << 20;

/// The machine of a local target can run everything that a plan creates or changes: PostgreSQL is there, ports are free,
/// and so is space on the disk. Otherwise the plan is refused. [`region`](crate::region) asks it of every stack that is
/// deployed to such a target.
pub fn runs_on(host: Host) -> Policy {
    Policy::graph("runs-on-this-machine", Enforcement::Mandatory, move |all| violations(&host, all))
}

/// What a resource needs of the machine.
#[derive(Default)]
struct Needs {
    /// How many PostgreSQL servers.
    servers: u64,
    /// How many hosts.
    hosts: u64,
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
        match database(declared) {
            Some(port) => Self { servers: 1, hosts: 0, ports: port.into_iter().collect() },
            None => Self { ports, ..Self::default() },
        }
    }

    fn of_machine(machine: &Machine) -> Self {
        let server = machine.postgres.as_ref().map(|postgres| postgres.port);
        let ports = machine.services.iter().filter_map(|service| service.listen).chain(server).collect();
        Self { servers: server.is_some().into(), hosts: 1, ports }
    }
}

/// The port of a database server, if the resource is one; without a port, the engine's own.
#[cfg(feature = "rds")]
fn database(declared: &Declared<'_>) -> Option<Option<u16>> {
    let instance = declared.resource::<DbInstance>().map(|it| it.port);
    instance.or_else(|| declared.resource::<DbCluster>().map(|it| it.port))
}

#[cfg(not(feature = "rds"))]
fn database(_: &Declared<'_>) -> Option<Option<u16>> {
    None
}

fn violations(host: &Host, all: &[Declared<'_>]) -> Vec<Violation> {
    let changed =
        |declared: &&Declared<'_>| matches!(declared.action, Action::Create | Action::Replace | Action::Update);
    let needs: Vec<_> = all.iter().filter(changed).map(|declared| (declared, Needs::of(declared))).collect();
    let server = needs.iter().find(|(_, needs)| needs.servers > 0);
    let server = server.zip(host.unavailable.get(POSTGRESQL)).map(|((declared, _), obstacle)| {
        Violation::new(format!("PostgreSQL cannot run on this machine: {}", obstacle.reason))
            .about(declared.urn)
            .remedy(&obstacle.remedy)
    });
    let mut told = BTreeSet::new();
    let ports = needs.iter().flat_map(|(declared, needs)| needs.ports.iter().map(move |port| (*declared, *port)));
    let ports: Vec<_> = ports
        .filter_map(|(declared, port)| Some(closed_port(host, port)?.about(declared.urn)).filter(|_| told.insert(port)))
        .collect();
    server.into_iter().chain(ports).chain(full_disk(host, &needs)).collect()
}

fn closed_port(host: &Host, port: u16) -> Option<Violation> {
    if host.occupied_ports.contains(&port) {
        let text = format!("port {port} cannot be listened on: another process listens on it at every address");
        Some(
            Violation::new(text)
                .remedy(format!("stop that process (`ss -ltnp 'sport = :{port}'`), or choose another port")),
        )
    } else if port < host.lowest_port {
        let text =
            format!("port {port} cannot be listened on: this user may listen on ports from {}", host.lowest_port);
        let setting = format!("sysctl net.ipv4.ip_unprivileged_port_start={port}");
        Some(Violation::new(text).remedy(format!("choose another port, or allow this one as root: `{setting}`")))
    } else {
        None
    }
}

/// Judges only plans that create servers or hosts: what is left takes next to nothing.
fn full_disk(host: &Host, needs: &[(&Declared<'_>, Needs)]) -> Option<Violation> {
    let created = || needs.iter().filter(|(declared, _)| declared.action != Action::Update);
    let (first, _) = created().find(|(_, needs)| needs.servers + needs.hosts > 0)?;
    let taken = created().map(|(_, needs)| needs.servers * POSTGRESQL_BYTES + needs.hosts * HOST_BYTES);
    let wanted = LEAST_BYTES + taken.sum::<u64>();
    (host.free_bytes < wanted).then(|| {
        let (free, wanted) = (host.free_bytes >> 20, wanted >> 20);
        Violation::new(format!("the disk of the local cloud has {free} MiB left, and this takes at least {wanted} MiB"))
            .about(first.urn)
            .remedy("make room, or keep everything on another disk: `--directory PATH`")
    })
}
