//! The trusted host. Environment variables are the only configuration, see `patterns::tier::trusted_host` and `kit`.

use std::{error::Error, process::ExitCode};

use kit::settings::environment;
use patterns::tier::{TierService, TrustedHost};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("trusted-host", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let trusted_host = TrustedHost::from(&environment)?;
    kit::serve("trusted-host", async |_| Ok(TierService(trusted_host)))?;
    Ok(())
}
