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
//! - `local_cloud`: starting and finding the local cloud
//! - `commands`: one file per command
//! - `render`: events as text, in place on a terminal, or as JSON lines
//! - `failure`: what ends a command, and with which exit code

mod arguments;
mod commands;
mod failure;
mod files;
mod local_cloud;
mod render;
mod session;

use clap::Parser;
use infra_core::{Config, Result, Stack};
use std::process::ExitCode;

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

/// Runs the command line with these programs; the first one is the default.
///
/// Exit codes: 0 done, 1 failed, 2 wrong use, 3 changes pending (`preview --expect-no-changes`).
pub fn run(programs: impl IntoIterator<Item = Program>) -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let programs: Vec<Program> = programs.into_iter().collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&failure::Failure::failed(format!("no runtime: {error}")), false),
    };
    let json = arguments.global.json;
    match runtime.block_on(commands::run(arguments, &programs)) {
        Ok(code) => code,
        Err(failure) => failure::report(&failure, json),
    }
}
