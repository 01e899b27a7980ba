//! `stack local exec`

use super::running;
use crate::{failure::Failure, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::Program;
use std::{os::unix::process::ExitStatusExt, path::Path, process::ExitCode};

/// Exit code of a command that a signal has stopped, before the signal's number is added, as shells report it.
const SIGNALLED: i32 = 128;

/// Run a command in an instance, with the network, files and environment of a service
#[derive(Debug, Args)]
#[command(
    after_help = "The command has this terminal as its input and output, and its exit code is the exit code of `exec`."
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
    /// Service whose environment to use [default: the only service of the instance]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &ExecArgs) -> Result<ExitCode, Failure> {
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(ExitCode::SUCCESS) };
    let program = Program { path: program.into(), arguments: rest.to_vec(), ..Program::default() };
    run_inside(session, directory, &arguments.place, program).await
}

/// Runs a program in an instance and returns its exit code.
pub(super) async fn run_inside(
    session: &Session<'_>,
    directory: &Path,
    place: &PlaceArgs,
    mut program: Program,
) -> Result<ExitCode, Failure> {
    if session.json {
        let unable = Diagnostic::error("the command in an instance prints its own output, which is not JSON");
        return Err(Failure::wrong_use(unable.hint("leave out `--json`")));
    }
    // Programs that draw on the terminal need its type.
    if let Ok(terminal) = std::env::var("TERM") {
        program.environment.insert("TERM".to_owned(), terminal);
    }
    let status = running(directory)
        .await?
        .session(&place.instance, place.service.as_deref())
        .await?
        .run(directory, &program)
        .await?;
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
