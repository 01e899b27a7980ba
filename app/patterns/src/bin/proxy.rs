//! The proxy. Environment variables are the only configuration, see `patterns::tier::proxy` and `kit`.

use std::{error::Error, process::ExitCode};

use kit::settings::environment;
use patterns::tier::{Proxy, TierService, proxy::ProxySettings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("proxy", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let settings = ProxySettings::from(&environment)?;
    kit::serve("proxy", async |_| Ok(TierService(Proxy::start(settings))))?;
    Ok(())
}
