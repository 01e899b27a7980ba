//! The command line: one file per command.

mod bindings;
mod completions;
mod config;
mod console;
mod destroy;
mod exec;
mod forward;
mod graph;
mod history;
mod import;
mod local;
mod login_check;
mod ls;
mod mcp;
mod new;
mod output;
mod permissions;
mod preview;
mod programs;
mod question;
mod refresh;
mod rehearse;
mod rollback;
mod secrets;
mod shell;
mod state;
mod unlock;
mod up;
mod watch;

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
    Rehearse(rehearse::RehearseArgs),
    Permissions(permissions::PermissionsArgs),
    Destroy(destroy::DestroyArgs),
    Refresh(refresh::RefreshArgs),
    Watch(watch::WatchArgs),
    Import(import::ImportArgs),
    Output(output::OutputArgs),
    Exec(exec::ExecArgs),
    Shell(shell::ShellArgs),
    Forward(forward::ForwardArgs),
    History(history::HistoryArgs),
    Rollback(rollback::RollbackArgs),
    Graph(graph::GraphArgs),
    Console(console::ConsoleArgs),
    /// Serve the stack to editors and agents as MCP tools on standard input and output
    Mcp,
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
    Bindings(bindings::BindingsArgs),
    #[command(subcommand)]
    Local(local::LocalCommand),
    Completions(completions::CompletionsArgs),
}

pub(crate) async fn run(arguments: Arguments, cli: &'static Cli) -> Result<ExitCode, Failure> {
    let Arguments { global, command } = arguments;
    let serving = matches!(command, Command::Local(local::LocalCommand::Serve));
    // s3s logs the errors of clients as its own.
    log(if serving { "info,s3s=off" } else { "error" });
    let session = || Session::new(&global, cli);
    match command {
        Command::Preview(arguments) => preview::run(&session().await?, &arguments).await,
        Command::Up(arguments) => up::run(&session().await?, &arguments).await,
        Command::Rehearse(arguments) => rehearse::run(&session().await?, &arguments).await,
        Command::Permissions(arguments) => permissions::run(&session().await?, &arguments).await,
        Command::Destroy(arguments) => destroy::run(&session().await?, &arguments).await,
        Command::Refresh(arguments) => refresh::run(&session().await?, &arguments).await,
        Command::Watch(arguments) => watch::run(&session().await?, &arguments, cli).await,
        Command::Import(arguments) => import::run(&session().await?, &arguments).await,
        Command::Output(arguments) => output::run(&session().await?, &arguments).await,
        Command::Exec(arguments) => exec::run(&session().await?, &arguments, cli).await,
        Command::Shell(arguments) => shell::run(&session().await?, &arguments, cli).await,
        Command::Forward(arguments) => forward::run(&session().await?, &arguments, cli).await,
        Command::History(arguments) => history::run(&session().await?, &arguments).await,
        Command::Rollback(arguments) => rollback::run(&session().await?, &arguments).await,
        Command::Graph(arguments) => graph::run(&session().await?, &arguments).await,
        Command::Console(arguments) => {
            console::memory::return_freed_memory();
            console::run(session().await?, &arguments).await
        }
        Command::Mcp => mcp::run(session().await?).await,
        Command::State(command) => state::run(&session().await?, &command).await,
        Command::Config(command) => config::run(&session().await?, command).await,
        Command::Secrets(command) => secrets::run(&session().await?, command).await,
        Command::Unlock(arguments) => unlock::run(&session().await?, &arguments).await,
        Command::LoginCheck => login_check::run(&session().await?, cli).await,
        Command::Programs => programs::run(&session().await?, &cli.programs),
        Command::Ls => ls::run(&session().await?).await,
        Command::New(arguments) => new::run(&arguments, global.json),
        Command::Bindings(arguments) => bindings::run(&arguments, &global, cli).await,
        Command::Local(command) => local::run(&session().await?, command, cli).await,
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A program that embeds the command may have its own subscriber.
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // The report that standard error is closed would panic.
    let _ = subscriber.log_internal_errors(false).try_init();
}

/// Handles Ctrl-C: the first one starts no further operations, the second one exits at once, which the journal makes
/// safe.
fn watch_ctrl_c(interrupt: Interrupt, renderer: Arc<dyn Renderer>) {
    tokio::spawn(async move {
        let note = |text: &str| renderer.show(&Event::Message(Diagnostic::note(text)));
        while tokio::signal::ctrl_c().await.is_ok() {
            renderer.interrupted();
            if interrupt.is_interrupted() {
                renderer.finish();
                note("stopped; the next run settles the operations in progress");
                std::process::exit(i32::from(Exit::Stopped.code()));
            }
            note("finishing the running operations, starting no others; press Ctrl-C again to stop at once");
            interrupt.interrupt();
        }
    });
}

/// Returns the level of detail: a plan that the user confirms is shown in full.
fn detail(session: &Session<'_>, yes: bool) -> Detail {
    if session.target == TargetName::Aws && !yes { Detail::Everything } else { Detail::Changes }
}

/// Returns the exit code of a run, whose failures the renderer has shown.
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
