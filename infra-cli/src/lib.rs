//! The `stack` command for programs of one's own:
//!
//! ```no_run
//! use infra_cli::program;
//! use infra_core::{Config, Result, Stack, random::Password};
//!
//! fn secrets(stack: &Stack, _: &Config) -> Result {
//!     let password = stack.add("password", Password::of_length(32));
//!     stack.export("password", password.value);
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     infra_cli::run([program("secrets", secrets)])
//! }
//! ```
//!
//! # Layout
//! - `arguments`: the command line
//! - `session`: what a command works with: program, stack, target, directory
//! - `files`: files that only their owner may read
//! - `passphrase`: what opens the key of the secrets, and secret values
//! - `local_cloud`: starting and finding the local cloud
//! - `commands`: one file per command
//! - `render`: events as text, in place on a terminal, or as JSON lines
//! - `failure`: what ends a command, and with which exit code

mod arguments;
mod commands;
mod failure;
mod files;
mod local_cloud;
mod passphrase;
mod render;
mod session;

use clap::Parser;
use infra_core::{Config, Result, Stack, store::WrapperFactory};
use std::{collections::BTreeMap, process::ExitCode};

/// A program that the command can run.
pub struct Program {
    name: String,
    run: Box<Run>,
}

type Run = dyn Fn(&Stack, &Config) -> Result + Send + Sync;

/// A program under the name that `--program` takes.
pub fn program(name: impl Into<String>, run: impl Fn(&Stack, &Config) -> Result + Send + Sync + 'static) -> Program {
    Program { name: name.into(), run: Box::new(run) }
}

impl Program {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Runs the command line with these programs; the first one is the default.
///
/// Exit codes: 0 done, 1 failed, 2 wrong use, 3 changes pending (`preview --expect-no-changes`).
pub fn run(programs: impl IntoIterator<Item = Program>) -> ExitCode {
    Cli::new(programs).run()
}

/// A command line that is put together: [`run`] with more than programs.
pub struct Cli {
    programs: Vec<Program>,
    wrappers: BTreeMap<String, WrapperFactory>,
}

impl Cli {
    /// A command line with these programs; the first one is the default.
    pub fn new(programs: impl IntoIterator<Item = Program>) -> Self {
        Self { programs: programs.into_iter().collect(), wrappers: BTreeMap::new() }
    }

    /// Lets keys of a key service wrap the key of the secrets: those whose URLs have this scheme, such as `awskms`.
    pub fn wrapper(mut self, scheme: impl Into<String>, factory: WrapperFactory) -> Self {
        self.wrappers.insert(scheme.into(), factory);
        self
    }

    /// Runs it; see [`run`].
    pub fn run(self) -> ExitCode {
        start(&self)
    }
}

fn start(cli: &Cli) -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&failure::Failure::failed(format!("no runtime: {error}")), false),
    };
    let json = arguments.global.json;
    match runtime.block_on(commands::run(arguments, cli)) {
        Ok(code) => code,
        Err(failure) => failure::report(&failure, json),
    }
}
