//! `stack exec`

use crate::{
    Cli,
    failure::Failure,
    local_cloud,
    remote::{Login, Purpose, Remote, USER},
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::Program;
use std::{os::unix::process::ExitStatusExt, path::PathBuf, process::ExitCode};

/// Exit code of a command that a signal has stopped, before the signal's number is added, as shells report it.
const SIGNALLED: i32 = 128;

/// Run a command in an instance, with the network, files and environment of a service
#[derive(Debug, Args)]
#[command(
    after_help = "The command has this terminal as its input and output, and its exit code is the exit code of `exec`. On \
                  AWS, it is run by SSH with the stack's key if a security group admits SSH (`sshFrom`). Otherwise the \
                  command of Session Manager is printed, and the exit code is 1."
)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The instance of a program, and the service whose environment the program has.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Instance, by id, name or address
    pub(super) instance: String,
    /// Service whose environment to use [default: the only service of the instance; none on AWS, where it needs `sudo`]
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    #[command(flatten)]
    pub(super) login: LoginArgs,
}

/// Options of the SSH connection to an instance on AWS.
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// User of the SSH connection on AWS
    #[arg(long, value_name = "NAME", default_value = USER)]
    user: String,
    /// Private key of the SSH connection on AWS [default: the stack's key pair, or those of `ssh`]
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
}

impl LoginArgs {
    pub(super) fn login(&self) -> Login {
        Login { user: self.user.clone(), key_file: self.key_file.clone() }
    }
}

pub(super) async fn run(session: &Session<'_>, arguments: &ExecArgs, cli: &Cli) -> Result<ExitCode, Failure> {
    let ExecArgs { place, command } = arguments;
    let Some((program, rest)) = command.split_first() else { return Ok(ExitCode::SUCCESS) };
    let program = Program { path: program.into(), arguments: rest.to_vec(), ..Program::default() };
    let purpose = Purpose::Command { words: command.clone(), service: place.service.clone() };
    run_inside(session, cli, place, program, &purpose).await
}

/// Runs a program in an instance of the local cloud, or connects to one on AWS for the same purpose, and returns the exit
/// code.
pub(super) async fn run_inside(
    session: &Session<'_>,
    cli: &Cli,
    place: &PlaceArgs,
    mut program: Program,
    purpose: &Purpose,
) -> Result<ExitCode, Failure> {
    if session.json {
        let unable = Diagnostic::error("the command in an instance prints its own output, which is not JSON");
        return Err(Failure::wrong_use(unable.hint("leave out `--json`")));
    }
    if !session.is_local() {
        let remote = Remote::find(session, cli, &place.instance).await?;
        return remote.connect(session, &place.login.login(), purpose).await;
    }
    // Programs that draw on the terminal need its type.
    if let Ok(terminal) = std::env::var("TERM") {
        program.environment.insert("TERM".to_owned(), terminal);
    }
    let directory = session.cloud_directory();
    let status = local_cloud::running(&directory)
        .await?
        .session(&place.instance, place.service.as_deref())
        .await
        .map_err(Failure::named)?
        .run(&directory, &program)
        .await?;
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
