//! `stack local status`

use super::{answer, running};
use crate::{
    failure::Failure,
    render::{style, text},
    session::Session,
};
use clap::Args;
use console::{Style, Term};
use infra_core::diagnostic::Diagnostic;
use infra_local::{
    ConfinementStatus, Fault, InstanceStatus, NetworkStatus, RecordedStatus, RegionStatus, Status, TargetGroupStatus,
};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Interval of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Time for which a terminated instance is shown, in seconds. EC2 describes it for an hour.
const TERMINATED_SECONDS: u64 = 60;

/// Show the resources of the local cloud and their health
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Update the output every second until Ctrl-C
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &StatusArgs) -> Result<(), Failure> {
    if arguments.watch {
        return watch(session, directory).await;
    }
    let status = running(directory).await?.status().await?;
    answer(session, &status, || describe(&status))
}

/// Updates the status in place, until Ctrl-C or until the cloud stops.
async fn watch(session: &Session<'_>, directory: &Path) -> Result<(), Failure> {
    let terminal = Term::stdout();
    if session.json || !terminal.is_term() {
        let refused = Diagnostic::error("`--watch` draws on a terminal, neither as JSON nor into a file");
        return Err(Failure::wrong_use(refused.hint("without `--watch` the status is printed once")));
    }
    // Registered before the first request, so that a Ctrl-C during it is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    terminal.clear_screen()?;
    loop {
        let status = running(directory).await?.status().await?;
        let (rows, columns) = terminal.size();
        terminal.write_str(&frame(&describe(&status), rows.into(), columns.into()))?;
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
    }
}

/// Returns the escape sequences that replace the text on the screen.
fn frame(text: &str, rows: usize, columns: usize) -> String {
    let lines = text.lines().take(rows.saturating_sub(1));
    let lines = lines.flat_map(|line| [console::truncate_str(line, columns, "…"), "\x1b[K\n".into()]);
    format!("\x1b[H{}\x1b[J", lines.collect::<String>())
}

fn describe(status: &Status) -> String {
    let mut text =
        format!("{} (process {}, {}, account {})\n", status.endpoint, status.pid, status.cloud_id, status.account);
    text.extend(["instances are confined: ", &confinement(&status.confinement), "\n"]);
    text.extend(["instances are connected by: ", &network(&status.network), "\n"]);
    let bundle = status.certificate_bundle.to_string_lossy();
    // A cloud of an earlier version has none.
    if !bundle.is_empty() {
        text.extend(["certificates of databases are verified with: ", &bundle, "\n"]);
    }
    if let Some(url) = &status.delegate {
        text.extend(["other services are delegated to: ", url, "\n"]);
    }
    for (position, fault) in status.faults.iter().enumerate() {
        // A cloud of an earlier version lists no ends.
        let number = match status.active_faults.get(position).and_then(|fault| fault.end.as_ref()) {
            Some(Fault::End { number }) => format!(" {number}"),
            _ => String::new(),
        };
        text.extend(["injected fault", &number, ": ", fault, "\n"]);
    }
    let global = others(&status.counts);
    if !global.is_empty() {
        text.extend(["\nin all regions\n", &global]);
    }
    for (name, region) in &status.regions {
        let tables = [instances, groups, balancers, databases, clusters, recorded].map(|table| table(region)).concat();
        let others = others(&region.counts);
        if !tables.is_empty() || !others.is_empty() {
            text.extend(["\n", name, "\n", &tables, &others]);
        }
    }
    if status.is_empty() {
        text.push_str("\nno resources\n");
    }
    text.trim_end().to_owned()
}

/// Describes the network, and the reason for the loopback interface.
fn network(status: &NetworkStatus) -> String {
    match &status.reason {
        _ if status.namespaces => "network namespaces".to_owned(),
        Some(reason) => format!("the loopback interface, without security groups between instances ({reason})"),
        None => "the loopback interface, without security groups between instances".to_owned(),
    }
}

/// Describes the enforced restrictions, and the reasons of missing ones.
fn confinement(status: &ConfinementStatus) -> String {
    let parts = [
        ("files", status.files),
        ("signals", status.signals),
        ("sockets", status.sockets),
        ("privileges", status.privileges),
    ];
    let named = |wanted: bool| {
        let names: Vec<&str> =
            parts.iter().filter(|(_, enforced)| *enforced == wanted).map(|(name, _)| *name).collect();
        names.join(", ")
    };
    match (named(true), named(false)) {
        (enforced, missing) if missing.is_empty() => enforced,
        (enforced, missing) => {
            let enforced = if enforced.is_empty() { "no".to_owned() } else { enforced };
            format!("{enforced}; not {missing} ({})", status.reasons.join("; "))
        }
    }
}

/// Kinds with their own table.
const IN_TABLES: [&str; 6] =
    ["instances", "auto_scaling_groups", "load_balancers", "databases", "database_clusters", "recorded"];

/// Returns the numbers of resources of the other kinds.
fn others(counts: &BTreeMap<String, usize>) -> String {
    let others = counts.iter().filter(|(kind, count)| **count > 0 && !IN_TABLES.contains(&kind.as_str()));
    let others: Vec<_> = others.map(|(kind, count)| format!("{} {count}", kind.replace('_', " "))).collect();
    if others.is_empty() { String::new() } else { text::wrap(&others.join(", "), style::output_width()) + "\n" }
}

/// Returns a state or a health in its colour.
fn coloured(state: &str) -> String {
    let style = match state.split(':').next().unwrap_or_default() {
        "running" | "active" | "available" | "healthy" => Style::new().green(),
        "failed" | "impaired" | "unhealthy" => Style::new().red(),
        "terminated" | "stopped" => Style::new().dim(),
        _ => Style::new().yellow(),
    };
    style.apply_to(state).to_string()
}

/// Lists the resources of types that the local cloud knows by their schema alone.
fn recorded(region: &RegionStatus) -> String {
    let line = |it: &RecordedStatus| format!("{} {}: recorded, not running\n", it.type_name, it.identifier);
    region.recorded.iter().map(line).collect()
}

fn instances(region: &RegionStatus) -> String {
    let is_shown = |instance: &&InstanceStatus| instance.terminated_seconds.is_none_or(|ago| ago < TERMINATED_SECONDS);
    let mut instances: Vec<_> = region.instances.iter().filter(is_shown).collect();
    // Terminated instances come last.
    instances.sort_by_key(|instance| (instance.state == "terminated", &instance.name));
    let rows = instances.into_iter().map(|instance| {
        let services = instance.services.iter().map(|service| {
            let port = service.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}{port} {}{}", service.name, coloured(&service.state), restarts(service.restarts))
        });
        let services = services.collect::<Vec<_>>().join("; ");
        let public = instance.public_address.filter(|public| *public != instance.address);
        let public = public.map_or_else(String::new, |public| format!(" {public}"));
        let (name, address) = (instance.name.clone().unwrap_or_default(), format!("{}{public}", instance.address));
        [instance.id.clone(), name, coloured(&instance.state), instance.zone.clone(), address, services]
    });
    style::table(["INSTANCE", "NAME", "STATE", "ZONE", "ADDRESS", "SERVICES"], rows)
}

fn restarts(count: u32) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        _ => format!(", {count} restarts"),
    }
}

fn groups(region: &RegionStatus) -> String {
    let rows = region.groups.iter().map(|group| {
        let size = format!("{} of {} ({} to {})", group.in_service, group.desired, group.min, group.max);
        [group.name.clone(), size, group.refresh.clone().unwrap_or_default()]
    });
    style::table(["GROUP", "IN SERVICE", "REFRESH"], rows)
}

fn balancers(region: &RegionStatus) -> String {
    let rows = region.balancers.iter().map(|balancer| {
        let ports = balancer.ports.iter().map(|port| format!("{}:{port}", balancer.address)).collect::<Vec<_>>();
        let targets = balancer.target_groups.iter().map(describe_targets);
        let reason = balancer.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let state = &format!("{}{reason}", balancer.state);
        [balancer.name.clone(), coloured(state), ports.join(" "), targets.collect::<Vec<_>>().join("; ")]
    });
    style::table(["BALANCER", "STATE", "LISTENS", "TARGETS"], rows)
}

/// Counts draining targets separately: they are deregistered, and shown until their requests have finished.
fn describe_targets(group: &TargetGroupStatus) -> String {
    let count = |state: &str| group.targets.values().filter(|health| *health == state).count();
    let (healthy, draining) = (count("healthy"), count("draining"));
    let leaving = if draining > 0 { format!(", {draining} draining") } else { String::new() };
    let wanted = group.targets.len() - draining;
    let style = match healthy {
        _ if healthy == wanted => Style::new().green(),
        0 => Style::new().red(),
        _ => Style::new().yellow(),
    };
    let health = style.apply_to(format!("{healthy} of {wanted} healthy"));
    format!("{health}{leaving}, {} requests", group.requests)
}

fn databases(region: &RegionStatus) -> String {
    let rows = region.databases.iter().map(|database| {
        let role = database.cluster.as_ref().map_or_else(
            || database.role.clone(),
            |cluster| format!("{} of {cluster}", if database.role == "primary" { "writer" } else { "reader" }),
        );
        let state = database.reason.as_ref().map_or(database.state.clone(), |why| format!("{}: {why}", database.state));
        [
            database.id.clone(),
            coloured(&state),
            database.zone.clone(),
            database.endpoint.clone(),
            role + &restarts(database.restarts),
        ]
    });
    style::table(["DATABASE", "STATE", "ZONE", "ENDPOINT", "ROLE"], rows)
}

fn clusters(region: &RegionStatus) -> String {
    let rows = region.database_clusters.iter().map(|cluster| {
        let writer = cluster.writer.clone().unwrap_or_else(|| "none".to_owned());
        let (writes, reads) = (cluster.writer_endpoint.clone(), cluster.reader_endpoint.clone());
        [cluster.id.clone(), coloured(&cluster.state), writes, writer, reads]
    });
    style::table(["CLUSTER", "STATE", "WRITES", "BY", "READS"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra_local::{Account, BalancerStatus, GroupStatus, ServiceStatus};
    use std::net::Ipv4Addr;

    fn instance(id: &str, state: &str, last: u8) -> InstanceStatus {
        let service = ServiceStatus {
            name: "tasks".into(),
            pid: Some(1),
            state: if state == "running" { "running" } else { "stopped" }.into(),
            port: Some(8080),
            restarts: u32::from(last % 2),
            log: "tasks.log".into(),
        };
        InstanceStatus {
            id: id.into(),
            name: Some("group".into()),
            state: state.into(),
            address: Ipv4Addr::new(10, 0, 1, last),
            public_address: (last == 4).then(|| Ipv4Addr::new(127, 80, 6, last)),
            zone: "us-east-1a".into(),
            services: vec![service],
            console: "/cloud/instances/i-1/console.log".into(),
            terminated_seconds: (state == "terminated").then_some(u64::from(last) * 19),
        }
    }

    fn count((kind, count): (&str, usize)) -> (String, usize) {
        (kind.to_owned(), count)
    }

    fn status() -> Status {
        let targets = [("i-1:8080", "healthy"), ("i-2:8080", "initial"), ("i-3:8080", "draining")];
        let targets = targets.map(|(target, health)| (target.to_owned(), health.to_owned()));
        let region = RegionStatus {
            instances: vec![
                instance("i-0", "terminated", 3),
                instance("i-1", "running", 4),
                instance("i-2", "running", 5),
                instance("i-3", "terminated", 6),
            ],
            groups: vec![GroupStatus {
                name: "group-1".into(),
                min: 1,
                max: 4,
                desired: 2,
                in_service: 2,
                refresh: Some("InProgress".into()),
            }],
            balancers: vec![BalancerStatus {
                name: "balancer-1".into(),
                address: Ipv4Addr::new(127, 80, 7, 4),
                state: "active".into(),
                reason: None,
                ports: vec![8080],
                target_groups: vec![TargetGroupStatus {
                    name: "targets-1".into(),
                    targets: BTreeMap::from(targets),
                    requests: 12_345,
                    connection_errors: 0,
                }],
                log: "/cloud/balancers/us-east-1.app.balancer-1.1.log".into(),
            }],
            counts: BTreeMap::from([("instances", 2), ("security_groups", 3), ("vpcs", 0)].map(count)),
            ..RegionStatus::default()
        };
        Status {
            cloud_id: "cloud-1".into(),
            account: Account::default(),
            endpoint: "http://127.0.0.1:4000".into(),
            version: "1".into(),
            pid: 7,
            regions: BTreeMap::from([("us-east-1".to_owned(), region)]),
            counts: BTreeMap::from([("buckets", 1), ("roles", 2)].map(count)),
            faults: Vec::new(),
            active_faults: Vec::new(),
            confinement: ConfinementStatus {
                files: true,
                signals: true,
                reasons: vec!["no mount namespace".into()],
                ..ConfinementStatus::default()
            },
            network: NetworkStatus { namespaces: true, reason: None },
            certificate_bundle: "/cloud/global-bundle.pem".into(),
            delegate: None,
        }
    }

    #[test]
    fn existing_resources_are_shown_and_terminated_instances_for_a_minute() {
        insta::assert_snapshot!(console::strip_ansi_codes(&describe(&status())), @"
        http://127.0.0.1:4000 (process 7, cloud-1, account 000000000000)
        instances are confined: files, signals; not sockets, privileges (no mount namespace)
        instances are connected by: network namespaces
        certificates of databases are verified with: /cloud/global-bundle.pem

        in all regions
        buckets 1, roles 2

        us-east-1
        INSTANCE  NAME   STATE       ZONE        ADDRESS              SERVICES
        i-1       group  running     us-east-1a  10.0.1.4 127.80.6.4  tasks:8080 running
        i-2       group  running     us-east-1a  10.0.1.5             tasks:8080 running, 1 restart
        i-0       group  terminated  us-east-1a  10.0.1.3             tasks:8080 stopped, 1 restart
        GROUP    IN SERVICE       REFRESH
        group-1  2 of 2 (1 to 4)  InProgress
        BALANCER    STATE   LISTENS          TARGETS
        balancer-1  active  127.80.7.4:8080  1 of 2 healthy, 1 draining, 12345 requests
        security groups 3
        ");
    }

    #[test]
    fn empty_cloud_is_reported_as_empty() {
        let counts = BTreeMap::from([("vpcs", 0)].map(count));
        let region = RegionStatus { counts, ..RegionStatus::default() };
        let regions = BTreeMap::from([("us-east-1".to_owned(), region)]);
        insta::assert_snapshot!(describe(&Status { regions, counts: BTreeMap::new(), ..status() }), @"
        http://127.0.0.1:4000 (process 7, cloud-1, account 000000000000)
        instances are confined: files, signals; not sockets, privileges (no mount namespace)
        instances are connected by: network namespaces
        certificates of databases are verified with: /cloud/global-bundle.pem

        no resources
        ");
    }

    #[test]
    fn frame_fits_the_screen_and_replaces_the_previous_one() {
        assert_eq!(frame("abc\n\ndefgh\nij", 4, 4), "\x1b[Habc\x1b[K\n\x1b[K\ndef…\x1b[K\n\x1b[J");
        assert_eq!(frame("abc", 0, 0), "\x1b[H\x1b[J");
    }
}
