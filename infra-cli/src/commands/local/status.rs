//! `stack local status`

use super::{answer, running};
use crate::{failure::Failure, render::style, session::Session};
use infra_local::{RegionStatus, Status};
use std::path::Path;

pub(super) async fn run(session: &Session<'_>, directory: &Path) -> Result<(), Failure> {
    let status = running(directory).await?.status().await?;
    answer(session, &status, || describe(&status))
}

fn describe(status: &Status) -> String {
    let mut text = format!("{} (process {})\n", status.endpoint, status.pid);
    for fault in &status.faults {
        text.extend(["on demand: ", fault, "\n"]);
    }
    for (name, region) in &status.regions {
        let tables = [instances, groups, balancers, databases, clusters].map(|table| table(region)).concat();
        if !tables.is_empty() {
            text.extend(["\n", name, "\n", &tables]);
        }
    }
    text.trim_end().to_owned()
}

fn instances(region: &RegionStatus) -> String {
    let rows = region.instances.iter().map(|instance| {
        let services = instance.services.iter().map(|service| {
            let port = service.port.map(|port| format!(":{port}")).unwrap_or_default();
            let restarts =
                if service.restarts > 0 { format!(", {} restarts", service.restarts) } else { String::new() };
            format!("{}{port} {}{restarts}", service.name, service.state)
        });
        let services = services.collect::<Vec<_>>().join("; ");
        let (name, address) = (instance.name.clone().unwrap_or_default(), instance.address.to_string());
        [instance.id.clone(), name, instance.state.clone(), instance.zone.clone(), address, services]
    });
    style::table(["INSTANCE", "NAME", "STATE", "ZONE", "ADDRESS", "SERVICES"], rows)
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
        let targets = balancer.target_groups.iter().map(|group| {
            let healthy = group.targets.values().filter(|health| *health == "healthy").count();
            format!("{healthy} of {} healthy, {} requests", group.targets.len(), group.requests)
        });
        let state = balancer.reason.as_ref().unwrap_or(&balancer.state);
        [balancer.name.clone(), state.clone(), ports.join(" "), targets.collect::<Vec<_>>().join("; ")]
    });
    style::table(["BALANCER", "STATE", "LISTENS", "TARGETS"], rows)
}

fn databases(region: &RegionStatus) -> String {
    let rows = region.databases.iter().map(|database| {
        let restarts = if database.restarts > 0 { format!(", {} restarts", database.restarts) } else { String::new() };
        let role = database.cluster.as_ref().map_or_else(
            || database.role.clone(),
            |cluster| format!("{} of {cluster}", if database.role == "primary" { "writer" } else { "reader" }),
        );
        let state = database.reason.as_ref().map_or(database.state.clone(), |why| format!("{}: {why}", database.state));
        [database.id.clone(), state, database.zone.clone(), database.endpoint.clone(), format!("{role}{restarts}")]
    });
    style::table(["DATABASE", "STATE", "ZONE", "ENDPOINT", "ROLE"], rows)
}

fn clusters(region: &RegionStatus) -> String {
    let rows = region.database_clusters.iter().map(|cluster| {
        let writer = cluster.writer.clone().unwrap_or_else(|| "nobody".to_owned());
        let (writes, reads) = (cluster.writer_endpoint.clone(), cluster.reader_endpoint.clone());
        [cluster.id.clone(), cluster.state.clone(), writes, writer, reads]
    });
    style::table(["CLUSTER", "STATE", "WRITES", "BY", "READS"], rows)
}
