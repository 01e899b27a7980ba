//! The client of the tiers.

mod bench;
mod send_requests;
mod service;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Send requests to the gatekeeper, or measure the databases
#[derive(Parser)]
#[command(name = "patterns", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write 20 rows to each table, read 20 times in each mode, and print the latencies
    #[command(alias = "send_requests")]
    SendRequests(send_requests::Arguments),
    /// Compare the standalone database with the cluster under load; runs on the proxy's host
    ///
    /// Reads MANAGER_URL, WORKER_URLS and STANDALONE_URL from the environment. Adds rows to random_table.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::SendRequests(arguments) => send_requests::run(&arguments).map_err(|error| error.to_string()),
        Command::Bench(arguments) => bench::run(arguments).map_err(|error| error.to_string()),
    };
    kit::exit("patterns", result)
}
