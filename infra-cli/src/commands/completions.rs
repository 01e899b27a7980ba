//! `stack completions`

use super::Arguments;
use crate::{exit::Exit, failure::Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

/// Print the completion script of a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete in
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // `generate` panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    print_text!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Done.into())
}
