//! `stack local logs`

use super::{follow, running, unknown_instance};
use crate::{
    failure::Failure,
    local_cloud::{self, tail},
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use std::path::Path;

/// Show the log of the local cloud or of an instance, or follow all logs
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// ID of the instance, or the name of its declaration
    instance: Option<String>,
    /// Number of lines to show of each log
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Print the logs of all services, or those of the instance, as they grow
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &LogsArgs) -> Result<(), Failure> {
    let (instance, lines) = (arguments.instance.as_deref(), arguments.lines);
    if arguments.follow {
        return follow::run(session, directory, instance, lines).await;
    }
    let Some(name) = instance else {
        let log = local_cloud::log(directory);
        let text = tail(&log, 0, lines).map_err(|error| {
            let missing = Diagnostic::error(format!("there is no log: {error}")).about(log.display());
            Failure::wrong_use(missing.hint("the local cloud has not run in this directory"))
        })?;
        text.iter().for_each(|line| print_line!("{line}"));
        return Ok(());
    };
    let status = running(directory).await?.status().await?;
    let instances: Vec<_> = status
        .regions
        .values()
        .flat_map(|region| &region.instances)
        .filter(|instance| instance.id == name || instance.name.as_deref() == Some(name))
        .collect();
    if instances.is_empty() {
        return Err(unknown_instance(name));
    }
    for instance in instances {
        for service in &instance.services {
            print_line!("{} {} {}", instance.id, service.name, service.log.display());
            tail(&service.log, 0, lines)?.iter().for_each(|line| print_line!("  {line}"));
        }
    }
    Ok(())
}
