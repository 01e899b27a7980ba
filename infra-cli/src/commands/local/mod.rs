//! `stack local`: one file per subcommand.

mod env;
mod exec;
mod fault;
mod follow;
mod forward;
mod logs;
mod reach;
mod reset;
mod shell;
mod start;
mod status;

use crate::{failure::Failure, local_cloud, session::Session};
use clap::Subcommand;
use infra_core::diagnostic::Diagnostic;
use infra_local::daemon::{self, Running};
use std::{path::Path, process::ExitCode};

/// Manage the local cloud of the directory
#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    Start(start::StartArgs),
    Status(status::StatusArgs),
    Env(env::EnvArgs),
    Logs(logs::LogsArgs),
    Reach(reach::ReachArgs),
    Exec(exec::ExecArgs),
    Shell(shell::ShellArgs),
    Forward(forward::ForwardArgs),
    /// Stop the local cloud; the next start resumes everything in it
    Stop,
    Reset(reset::ResetArgs),
    #[command(subcommand)]
    Fault(fault::FaultCommand),
    /// Serve in this process, as the background process does
    #[command(hide = true)]
    Serve,
}

pub(super) async fn run(session: &Session<'_>, command: LocalCommand) -> Result<ExitCode, Failure> {
    let directory = session.cloud_directory();
    match command {
        LocalCommand::Start(arguments) => start::run(session, &directory, &arguments).await?,
        LocalCommand::Status(arguments) => status::run(session, &directory, &arguments).await?,
        LocalCommand::Env(arguments) => env::run(session, &directory, &arguments).await?,
        LocalCommand::Logs(arguments) => logs::run(session, &directory, &arguments).await?,
        LocalCommand::Exec(arguments) => return exec::run(session, &directory, &arguments).await,
        LocalCommand::Shell(arguments) => return shell::run(session, &directory, &arguments).await,
        LocalCommand::Forward(arguments) => forward::run(session, &directory, &arguments).await?,
        LocalCommand::Reach(arguments) => reach::run(session, &directory, &arguments).await?,
        LocalCommand::Stop => {
            let stopped = local_cloud::stop(&directory).await?;
            let text = if stopped { "the local cloud has stopped" } else { "the local cloud is not running" };
            answer(session, &serde_json::json!({ "stopped": stopped }), || text.to_owned())?;
        }
        LocalCommand::Reset(arguments) => reset::run(session, &directory, &arguments).await?,
        LocalCommand::Fault(command) => fault::run(session, &directory, command).await?,
        LocalCommand::Serve => local_cloud::serve(&directory).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(session: &Session<'_>, json: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(json).map_err(std::io::Error::from)?);
    } else {
        print_line!("{}", text());
    }
    Ok(())
}

async fn running(directory: &Path) -> Result<Running, Failure> {
    daemon::find(directory).await.ok_or_else(|| {
        let nothing = Failure::failed("the local cloud is not running");
        nothing.hint("start it with `stack local start` or `stack up`")
    })
}

fn unknown_instance(wanted: &str) -> Failure {
    let unknown = Diagnostic::error(format!("there is no instance `{wanted}`"));
    Failure::wrong_use(unknown.hint("`stack local status` lists them"))
}
