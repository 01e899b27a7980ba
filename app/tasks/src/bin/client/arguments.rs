//! Command line.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::verbs::Verb;

/// Read and change tasks
#[derive(Parser)]
#[command(name = "client", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// URL of the service, such as http://127.0.0.1:8080 [default: the output `url` of the stack in this directory]
    #[arg(long, env = "TASKS_URL", hide_env_values = true, global = true)]
    pub(crate) url: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(Verb),
    /// Sign in, and store the token for further calls
    Login(Login),
    /// Run commands interactively
    Shell {
        /// URL of the service
        #[arg(value_name = "URL", id = "place")]
        url: Option<String>,
    },
    /// Print the completion script of a shell
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct Login {
    /// Name of the user [default: asked for]; the password is read from the terminal or from standard input
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Create the user first
    #[arg(long)]
    pub(crate) register: bool,
}
