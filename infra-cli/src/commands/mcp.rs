//! `stack mcp`

use super::console::SessionSource;
use crate::{exit::Exit, failure::Failure, session::Session};
use rustix::{io::fcntl_dupfd_cloexec, stdio};
use std::{
    fs,
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
};
use tokio::fs::File;

/// The first descriptor after the standard ones.
const FIRST: i32 = 3;

pub(super) async fn run(session: Session<'static>) -> Result<ExitCode, Failure> {
    if io::stdin().is_terminal() {
        print_error!("reading MCP messages from the terminal; editors and agents start this command themselves:");
        print_error!("  claude mcp add infra -- cargo run --bin stack -- mcp");
    }
    let (input, output) = take_standard_streams()?;
    infra_console::serve_mcp(Arc::new(SessionSource::new(session)), input, output).await?;
    Ok(Exit::Done.into())
}

/// Returns standard input and output for the messages. Everything else in the process, such as a program that prints or
/// a build that it starts, reads nothing and writes to standard error.
fn take_standard_streams() -> io::Result<(File, File)> {
    let input = fcntl_dupfd_cloexec(stdio::stdin(), FIRST)?;
    let output = fcntl_dupfd_cloexec(stdio::stdout(), FIRST)?;
    stdio::dup2_stdin(fs::File::open("/dev/null")?)?;
    stdio::dup2_stdout(stdio::stderr())?;
    Ok((File::from_std(input.into()), File::from_std(output.into())))
}
