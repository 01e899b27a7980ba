//! The `stack` command: `cargo run --bin stack -- up`.

use infra_aws::{key, login, objects};
use infra_cli::{Cli, program};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let programs = [program("multicloud-orm", stacks::multicloud_orm::multicloud_orm)];
    Cli::new(programs)
        .wrapper(key::SCHEME, key::factory())
        .backend(objects::SCHEME, objects::open)
        .login(login::identity)
        .run()
}
