//! The `stack` command: `cargo run --bin stack -- up`.

use infra_cli::program;
use std::process::ExitCode;

fn main() -> ExitCode {
    infra_cli::run([program("multicloud-orm", stacks::multicloud_orm::multicloud_orm)])
}
