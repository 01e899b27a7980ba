//! `stack console`
//!
//! - `source`: the stack of the command line as the console's source
//! - `running`: the file that describes the running console
//! - `browser`: start of the user's browser
//! - `memory`: the allocator of a long-running process

mod browser;
pub(crate) mod memory;
mod running;
mod source;

pub(super) use source::SessionSource;

use crate::{exit::Exit, failure::Failure, session::Session};
use clap::Args;
use infra_console::{Console, Settings};
use infra_core::diagnostic::Diagnostic;
use running::RunningConsole;
use serde_json::json;
use std::{io, path::Path, process::ExitCode, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};

/// Serve a web page that shows the stack and the local cloud
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Port of the page; 0 selects a free one [default: 7171]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Allow the page to change something: approve plans, inject faults, start and stop resources
    #[arg(long)]
    allow_changes: bool,
    /// Print the URL without opening a browser
    #[arg(long)]
    no_browser: bool,
}

pub(super) async fn run(session: Session<'static>, arguments: &ConsoleArgs) -> Result<ExitCode, Failure> {
    let (directory, json) = (session.directory.clone(), session.json);
    std::fs::create_dir_all(&directory)?;
    let settings = Settings { port: arguments.port, allow_changes: arguments.allow_changes };
    let console = match Console::bind(Arc::new(SessionSource::new(session)), settings).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            return show_running(&directory, arguments, json).await;
        }
        console => console?,
    };
    let url = console.url()?;
    let description = RunningConsole::this(&console);
    description.write(&directory)?;
    show(&url, arguments, &directory, json);
    let mut terminated = signal(SignalKind::terminate())?;
    let served = tokio::select! {
        served = console.serve() => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminated.recv() => Ok(()),
    };
    description.remove(&directory);
    served?;
    Ok(Exit::Done.into())
}

/// Shows a sign-in URL of the console that runs already.
async fn show_running(directory: &Path, arguments: &ConsoleArgs, json: bool) -> Result<ExitCode, Failure> {
    let Some(running) = RunningConsole::find(directory) else {
        let taken = Diagnostic::error("the port of the console is in use by another program");
        return Err(Failure::of(taken.hint("choose another one with `--port PORT`, or a free one with `--port 0`")));
    };
    let url = running.invite().await?;
    if !json {
        print_error!("the console of this directory already runs (process {})", running.pid);
    }
    show(&url, arguments, directory, json);
    Ok(Exit::Done.into())
}

fn show(url: &str, arguments: &ConsoleArgs, directory: &Path, json: bool) {
    if json {
        print_line!("{}", json!({ "url": url }));
        return;
    }
    let opened = !arguments.no_browser && browser::open(url, directory);
    if opened {
        print_line!("The console is open in the browser. For another one: {url}");
    } else {
        print_line!("Open {url}");
    }
}
