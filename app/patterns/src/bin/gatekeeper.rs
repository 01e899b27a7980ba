//! The gatekeeper. Environment variables are the only configuration, see `patterns::tier::gatekeeper` and `kit`.

use std::{error::Error, process::ExitCode};

use kit::settings::environment;
use patterns::tier::{Gatekeeper, TierService};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("gatekeeper", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let gatekeeper = Gatekeeper::from(&environment)?;
    kit::serve("gatekeeper", async |_| Ok(TierService(gatekeeper)))?;
    Ok(())
}
