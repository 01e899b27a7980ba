//! `stack local`

use crate::{
    arguments::Local,
    failure::Failure,
    local_cloud::{self, tail},
    render::style,
    session::Session,
};
use infra_core::diagnostic::Diagnostic;
use infra_local::{RegionStatus, Status, daemon};
use std::{path::Path, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, command: Local) -> Result<ExitCode, Failure> {
    let directory = session.cloud_directory();
    match command {
        Local::Serve => local_cloud::serve(&directory).await?,
        Local::Start => {
            let running = local_cloud::ensure(&directory).await?;
            answer(session, &running, || {
                format!("the local cloud answers at {} (process {})", running.endpoint, running.pid)
            })?;
        }
        Local::Stop => {
            let stopped = local_cloud::stop(&directory).await?;
            let text = if stopped { "the local cloud has stopped" } else { "the local cloud does not run" };
            answer(session, &serde_json::json!({ "stopped": stopped }), || text.to_owned())?;
        }
        Local::Status => status(session, &directory).await?,
        Local::Logs { instance, lines } => logs(&directory, instance.as_deref(), lines).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(session: &Session<'_>, json: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if session.json {
        say!("{}", serde_json::to_string_pretty(json).map_err(std::io::Error::from)?);
    } else {
        say!("{}", text());
    }
    Ok(())
}

async fn running(directory: &Path) -> Result<Status, Failure> {
    let Some(running) = daemon::find(directory).await else {
        let nothing = Failure::failed("the local cloud does not run");
        return Err(nothing.hint("`stack local start` starts it, and so does `stack up`"));
    };
    Ok(running.status().await?)
}

async fn status(session: &Session<'_>, directory: &Path) -> Result<(), Failure> {
    let status = running(directory).await?;
    answer(session, &status, || describe(&status))
}

fn describe(status: &Status) -> String {
    let mut text = format!("{} (process {})\n", status.endpoint, status.pid);
    for (name, region) in &status.regions {
        let tables = instances(region) + &groups(region) + &balancers(region);
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

async fn logs(directory: &Path, instance: Option<&str>, lines: usize) -> Result<(), Failure> {
    let Some(wanted) = instance else {
        let log = local_cloud::log(directory);
        let text = tail(&log, lines).map_err(|error| {
            let missing = Diagnostic::error(format!("there is no log: {error}")).about(log.display());
            Failure::wrong_use(missing.hint("the local cloud has not run in this directory"))
        })?;
        text.iter().for_each(|line| say!("{line}"));
        return Ok(());
    };
    let status = running(directory).await?;
    let instances: Vec<_> = status
        .regions
        .values()
        .flat_map(|region| &region.instances)
        .filter(|instance| instance.id == wanted || instance.name.as_deref() == Some(wanted))
        .collect();
    if instances.is_empty() {
        let unknown = Diagnostic::error(format!("there is no instance `{wanted}`"));
        return Err(Failure::wrong_use(unknown.hint("`stack local status` lists them")));
    }
    for instance in instances {
        for service in &instance.services {
            say!("{} {} {}", instance.id, service.name, service.log.display());
            tail(&service.log, lines)?.iter().for_each(|line| say!("  {line}"));
        }
    }
    Ok(())
}
