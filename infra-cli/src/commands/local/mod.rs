//! `stack local`: the commands on the local cloud of a directory, one file each.

mod env;
mod fault;
mod follow;
mod logs;
mod reset;
mod start;
mod status;

use crate::{arguments::Local, failure::Failure, local_cloud, session::Session};
use infra_local::daemon::{self, Running};
use std::{path::Path, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, command: Local) -> Result<ExitCode, Failure> {
    let directory = session.cloud_directory();
    match command {
        Local::Serve => local_cloud::serve(&directory).await?,
        Local::Start(start) => start::run(session, &directory, &start).await?,
        Local::Stop => {
            let stopped = local_cloud::stop(&directory).await?;
            let text = if stopped { "the local cloud has stopped" } else { "the local cloud does not run" };
            answer(session, &serde_json::json!({ "stopped": stopped }), || text.to_owned())?;
        }
        Local::Reset { yes } => return reset::run(session, &directory, yes).await,
        Local::Fault(name) => fault::run(session, &directory, name).await?,
        Local::Status { watch: true } => status::watch(session, &directory).await?,
        Local::Status { watch: false } => status::run(session, &directory).await?,
        Local::Env { region } => env::run(session, &directory, &region).await?,
        Local::Logs { instance, lines, follow: true } => {
            follow::run(session, &directory, instance.as_deref(), lines).await?;
        }
        Local::Logs { instance, lines, follow: false } => logs::run(&directory, instance.as_deref(), lines).await?,
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

async fn running(directory: &Path) -> Result<Running, Failure> {
    daemon::find(directory).await.ok_or_else(|| {
        let nothing = Failure::failed("the local cloud does not run");
        nothing.hint("`stack local start` starts it, and so does `stack up`")
    })
}
