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
    arguments::{Global, TargetName},
    exit::Exit,
    failure::Failure,
    render::{Detail, Renderer},
    session::Session,
};
use clap::{Parser, Subcommand};
use infra_core::{
    diagnostic::Diagnostic,
    event::Event,
    execute::{Interrupt, Report},
};
use question::{is_at_terminal, says_yes};
use std::{process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

/// Declare infrastructure in Rust and deploy it to AWS or to this machine
#[derive(Debug, Parser)]
#[command(name = "stack", version, propagate_version = true, disable_help_subcommand = true, after_help = Exit::help())]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Preview(preview::PreviewArgs),
    Up(up::UpArgs),
    Destroy(destroy::DestroyArgs),
    Refresh(refresh::RefreshArgs),
    Import(import::ImportArgs),
    Output(output::OutputArgs),
    History(history::HistoryArgs),
    Rollback(rollback::RollbackArgs),
    Graph(graph::GraphArgs),
    #[command(subcommand)]
    State(state::StateCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    Unlock(unlock::UnlockArgs),
    /// Show the AWS identity, account and region of the target
    LoginCheck,
    /// List the programs
    Programs,
    /// List the stacks of all programs in the backend
    Ls,
    New(new::NewArgs),
    #[command(subcommand)]
    Local(local::LocalCommand),
    Completions(completions::CompletionsArgs),
}

pub(crate) async fn run(arguments: Arguments, cli: &Cli) -> Result<ExitCode, Failure> {
    let Arguments { global, command } = arguments;
    let serving = matches!(command, Command::Local(local::LocalCommand::Serve));
    // s3s logs the errors of clients as its own.
    log(if serving { "info,s3s=off" } else { "error" });
    let session = || Session::new(&global, cli);
    match command {
        Command::Preview(args) => preview::run(&session().await?, &args).await,
        Command::Up(args) => up::run(&session().await?, &args).await,
        Command::Destroy(args) => destroy::run(&session().await?, &args).await,
        Command::Refresh(args) => refresh::run(&session().await?, &args).await,
        Command::Import(args) => import::run(&session().await?, &args).await,
        Command::Output(args) => output::run(&session().await?, &args).await,
        Command::History(args) => history::run(&session().await?, &args).await,
        Command::Rollback(args) => rollback::run(&session().await?, &args).await,
        Command::Graph(args) => graph::run(&session().await?, &args).await,
        Command::State(command) => state::run(&session().await?, &command).await,
        Command::Config(command) => config::run(&session().await?, command).await,
        Command::Secrets(command) => secrets::run(&session().await?, command).await,
        Command::Unlock(args) => unlock::run(&session().await?, &args).await,
        Command::LoginCheck => login_check::run(&session().await?, cli).await,
        Command::Programs => programs::run(&session().await?, &cli.programs),
        Command::Ls => ls::run(&session().await?).await,
        Command::New(args) => new::run(&args, global.json),
        Command::Local(command) => local::run(&session().await?, command).await,
        Command::Completions(args) => completions::run(&args),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
