//! `stack completions`

use crate::{arguments::Arguments, failure::Failure};
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
