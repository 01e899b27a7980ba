//! The service `acts`. Environment variables are the only configuration, see `selfieless::acts` and `kit`.

use std::{error::Error, process::ExitCode};

use kit::Context;
use selfieless::{
    acts::{Acts, Migrations, Settings, parent},
    settings::with_defaults,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("acts", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    parent::exit_with(&with_defaults)?;
    let settings = Settings::from(&with_defaults)?;
    let start = async move |context: Context| Ok(Acts::start(settings, &context));
    kit::run_with::<Migrations, _>("acts", &with_defaults, start)?;
    Ok(())
}
