//! The `stack` command: `cargo run --bin stack -- up`.

use infra_aws::key;
use infra_cli::{Cli, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    let programs = [program("multicloud-orm", stacks::multicloud_orm::multicloud_orm)];
    Cli::new(programs).wrapper(key::SCHEME, key::factory()).run()
}
