//! `stack shell`

use super::exec::{PlaceArgs, run_inside};
use crate::{Cli, failure::Failure, remote::Purpose, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::Program;
use std::{path::PathBuf, process::ExitCode};

/// Open a shell in an instance, with the network, files and environment of a service
#[derive(Debug, Args)]
#[command(
    after_help = "`exit` or Ctrl-D closes the shell. On AWS, it is opened by SSH with the stack's key if a security group \
                  admits SSH (`sshFrom`). Otherwise the command of Session Manager is printed, and the exit code is 1."
)]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn run(session: &Session<'_>, arguments: &ShellArgs, cli: &Cli) -> Result<ExitCode, Failure> {
    let ShellArgs { place } = arguments;
    if !session.is_local() && place.service.is_some() {
        let unable =
            Diagnostic::error("a shell on AWS is the login shell of the user, without the environment of a service");
        return Err(Failure::wrong_use(
            unable.hint("run a shell with it: `stack exec INSTANCE --service NAME -- bash`"),
        ));
    }
    run_inside(session, cli, place, shell(&place.instance), &Purpose::Shell).await
}

/// The shell, which shows the instance in its prompt. The system's directories are visible in an instance.
fn shell(instance: &str) -> Program {
    let bash = PathBuf::from("/bin/bash");
    let (path, arguments) =
        if bash.exists() { (bash, vec!["--norc".to_owned()]) } else { ("/bin/sh".into(), vec!["-i".to_owned()]) };
    Program { path, arguments, environment: [("PS1".to_owned(), format!("[{instance}] $ "))].into() }
}
