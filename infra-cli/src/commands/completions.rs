//! `stack completions`

use crate::{arguments::Arguments, exit::Exit, failure::Failure};
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // `generate` panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    show!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Done.into())
}
