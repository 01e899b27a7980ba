//! Serves tasks. Configured by environment variables alone; see `kit` for most of them.

use std::{error::Error, process::ExitCode};

use tasks::{DEFAULT_DATABASE_URL, Migrations, auth::Auth, routes};

fn main() -> ExitCode {
    kit::exit("tasks", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    Auth::from(&kit::settings::environment)?;
    kit::run::<Migrations>("tasks", DEFAULT_DATABASE_URL, routes)?;
    Ok(())
}
