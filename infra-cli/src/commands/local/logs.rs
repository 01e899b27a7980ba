//! `stack local logs`

use super::running;
use crate::{
    failure::Failure,
    local_cloud::{self, tail},
};
use infra_core::diagnostic::Diagnostic;
use std::path::Path;

pub(super) async fn run(directory: &Path, instance: Option<&str>, lines: usize) -> Result<(), Failure> {
    let Some(wanted) = instance else {
        let log = local_cloud::log(directory);
        let text = tail(&log, lines).map_err(|error| {
            let missing = Diagnostic::error(format!("there is no log: {error}")).about(log.display());
            Failure::wrong_use(missing.hint("the local cloud has not run in this directory"))
        })?;
        text.iter().for_each(|line| say!("{line}"));
        return Ok(());
    };
    let status = running(directory).await?.status().await?;
    let instances: Vec<_> = status
        .regions
        .values()
        .flat_map(|region| &region.instances)
        .filter(|instance| instance.id == wanted || instance.name.as_deref() == Some(wanted))
        .collect();
    if instances.is_empty() {
        return Err(unknown_instance(wanted));
    }
    for instance in instances {
        for service in &instance.services {
            say!("{} {} {}", instance.id, service.name, service.log.display());
            tail(&service.log, lines)?.iter().for_each(|line| say!("  {line}"));
        }
    }
    Ok(())
}

pub(super) fn unknown_instance(wanted: &str) -> Failure {
    let unknown = Diagnostic::error(format!("there is no instance `{wanted}`"));
    Failure::wrong_use(unknown.hint("`stack local status` lists them"))
}
