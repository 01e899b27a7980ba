//! `stack local shell`

use super::exec::{PlaceArgs, run_inside};
use crate::{failure::Failure, session::Session};
use clap::Args;
use infra_local::Program;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Open a shell in an instance, with the network, files and environment of a service
#[derive(Debug, Args)]
#[command(after_help = "`exit` or Ctrl-D closes the shell.")]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &ShellArgs) -> Result<ExitCode, Failure> {
    run_inside(session, directory, &arguments.place, shell(&arguments.place.instance)).await
}

/// The shell, which shows the instance in its prompt. The system's directories are visible in an instance.
fn shell(instance: &str) -> Program {
    let bash = PathBuf::from("/bin/bash");
    let (path, arguments) =
        if bash.exists() { (bash, vec!["--norc".to_owned()]) } else { ("/bin/sh".into(), vec!["-i".to_owned()]) };
    Program { path, arguments, environment: [("PS1".to_owned(), format!("[{instance}] $ "))].into() }
}
