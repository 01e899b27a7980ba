//! The orchestrator of `acts`. Environment variables are the only configuration, see `selfieless::orchestrator`.

use std::process::ExitCode;

use selfieless::{orchestrator, settings::with_defaults};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("orchestrator", orchestrator::run(&with_defaults))
}
