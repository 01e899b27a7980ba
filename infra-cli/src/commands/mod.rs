//! The commands, one file each.

mod completions;
mod config;
mod destroy;
mod graph;
mod history;
mod import;
mod local;
mod login_check;
mod ls;
mod new;
mod output;
mod preview;
mod programs;
mod question;
mod refresh;
mod rollback;
mod secrets;
mod state;
mod unlock;
mod up;

use crate::{
    Cli,
    arguments::{Arguments, Command, Local, TargetName},
    exit::Exit,
    failure::Failure,
    render::{Detail, Renderer},
    session::Session,
};
use infra_core::{
    diagnostic::Diagnostic,
    event::Event,
    execute::{Interrupt, Report},
};
use question::{is_at_terminal, says_yes};
use std::{process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

pub(crate) async fn run(arguments: Arguments, cli: &Cli) -> Result<ExitCode, Failure> {
    let serving = matches!(arguments.command, Command::Local(Local::Serve));
    // s3s calls it an error when a client does something wrong.
    log(if serving { "info,s3s=off" } else { "error" });
    match &arguments.command {
        Command::New(new) => return new::run(new, arguments.global.json),
        Command::Completions { shell } => return completions::run(*shell),
        _ => {}
    }
    let session = Session::new(&arguments.global, cli).await?;
    match arguments.command {
        Command::New(_) | Command::Completions { .. } => Ok(Exit::Done.into()),
        Command::Ls => ls::run(&session).await,
        Command::Preview(preview) => preview::run(&session, &preview).await,
        Command::Up(up) => up::run(&session, &up).await,
        Command::Destroy(destroy) => destroy::run(&session, &destroy).await,
        Command::Refresh(refresh) => refresh::run(&session, &refresh).await,
        Command::Import(import) => import::run(&session, &import).await,
        Command::History { lines } => history::run(&session, lines).await,
        Command::Rollback(rollback) => rollback::run(&session, &rollback).await,
        Command::Graph(graph) => graph::run(&session, &graph).await,
        Command::Output(output) => output::run(&session, &output).await,
        Command::State(state) => state::run(&session, &state).await,
        Command::Config(config) => config::run(&session, config).await,
        Command::Secrets(secrets) => secrets::run(&session, secrets).await,
        Command::Unlock { yes } => unlock::run(&session, yes).await,
        Command::LoginCheck => login_check::run(&session, cli).await,
        Command::Programs => programs::run(&session, &cli.programs),
        Command::Local(local) => local::run(&session, local).await,
    }
}

fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A program that embeds the command may have its own subscriber.
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // Reporting that standard error is closed would panic.
    let _ = subscriber.log_internal_errors(false).try_init();
}

/// Ctrl-C once: nothing new begins. Twice: the process ends at once, which the journal makes safe.
fn watch_ctrl_c(interrupt: Interrupt, renderer: Arc<dyn Renderer>) {
    tokio::spawn(async move {
        let say = |text: &str| renderer.show(&Event::Message(Diagnostic::note(text)));
        while tokio::signal::ctrl_c().await.is_ok() {
            renderer.interrupted();
            if interrupt.is_interrupted() {
                renderer.finish();
                say("stopped; the next run settles what was under way");
                std::process::exit(i32::from(Exit::Stopped.code()));
            }
            say("finishing what runs, beginning nothing new; press Ctrl-C again to stop at once");
            interrupt.interrupt();
        }
    });
}

/// A plan that is confirmed as a whole is shown as a whole.
fn detail(session: &Session<'_>, yes: bool) -> Detail {
    if session.target == TargetName::Aws && !yes { Detail::Everything } else { Detail::Changes }
}

/// The exit code of a run. The renderer has shown its failures.
fn exit_code(report: &Report) -> ExitCode {
    if report.is_success() { ExitCode::SUCCESS } else { Exit::Failed.into() }
}
