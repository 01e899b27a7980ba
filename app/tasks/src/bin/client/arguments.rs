//! What may stand on the command line.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::verbs::Verb;

/// Reads and changes tasks.
#[derive(Parser)]
#[command(name = "client", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Where the service is, for example http://127.0.0.1:8080 [default: the output `url` of the stack in this directory]
    #[arg(long, env = "TASKS_URL", hide_env_values = true, global = true)]
    pub(crate) url: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(Verb),
    /// Sign in; the token is kept for the next calls
    Login(Login),
    /// Ask for one thing after another
    Shell {
        /// Where the service is
        #[arg(value_name = "URL", id = "place")]
        url: Option<String>,
    },
    /// Write a script that completes this command's arguments
    Completions {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct Login {
    /// The name; asked for if it is not given. The password is asked for, or read from standard input
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Create the user first
    #[arg(long)]
    pub(crate) register: bool,
}
