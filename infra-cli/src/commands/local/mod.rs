//! `stack local`: one file per subcommand.

mod env;
mod fault;
mod follow;
mod logs;
mod reach;
mod reset;
mod start;
mod status;

use super::{exec, forward, shell};
use crate::{
    Cli,
    failure::Failure,
    local_cloud::{self, running},
    session::Session,
};
use clap::Subcommand;
use infra_core::diagnostic::Diagnostic;
use std::process::ExitCode;

/// Manage the local cloud of the directory
#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    Start(start::StartArgs),
    Status(status::StatusArgs),
    Env(env::EnvArgs),
    Logs(logs::LogsArgs),
    Reach(reach::ReachArgs),
    /// Stop the local cloud; the next start resumes everything in it
    Stop,
    Reset(reset::ResetArgs),
    #[command(subcommand)]
    Fault(fault::FaultCommand),
    /// Earlier name of `stack exec`
    #[command(hide = true)]
    Exec(exec::ExecArgs),
    /// Earlier name of `stack shell`
    #[command(hide = true)]
    Shell(shell::ShellArgs),
    /// Earlier name of `stack forward`
    #[command(hide = true)]
    Forward(forward::ForwardArgs),
    /// Serve in this process, as the background process does
    #[command(hide = true)]
    Serve,
}

pub(super) async fn run(session: &Session<'_>, command: LocalCommand, cli: &Cli) -> Result<ExitCode, Failure> {
    let directory = session.cloud_directory();
    match command {
        LocalCommand::Start(arguments) => start::run(session, &directory, &arguments).await?,
        LocalCommand::Status(arguments) => status::run(session, &directory, &arguments).await?,
        LocalCommand::Env(arguments) => env::run(session, &directory, &arguments).await?,
        LocalCommand::Logs(arguments) => logs::run(session, &directory, &arguments).await?,
        LocalCommand::Reach(arguments) => reach::run(session, &directory, &arguments).await?,
        LocalCommand::Stop => {
            let stopped = local_cloud::stop(&directory).await?;
            let text = if stopped { "the local cloud has stopped" } else { "the local cloud is not running" };
            answer(session, &serde_json::json!({ "stopped": stopped }), || text.to_owned())?;
        }
        LocalCommand::Reset(arguments) => reset::run(session, &directory, &arguments).await?,
        LocalCommand::Fault(command) => fault::run(session, &directory, command).await?,
        LocalCommand::Exec(arguments) => return exec::run(session, &arguments, cli).await,
        LocalCommand::Shell(arguments) => return shell::run(session, &arguments, cli).await,
        LocalCommand::Forward(arguments) => return forward::run(session, &arguments, cli).await,
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

fn unknown_instance(wanted: &str) -> Failure {
    let unknown = Diagnostic::error(format!("there is no instance `{wanted}`"));
    Failure::wrong_use(unknown.hint("`stack local status` lists them"))
}
