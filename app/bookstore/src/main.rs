//! The Bookstore service. Environment variables are the only configuration, see `kit` for most of them.

use std::{error::Error, process::ExitCode};

use bookstore::{Bookstore, Migrations, Settings};
use kit::{
    Context,
    database::{Database, DatabaseError},
    settings::environment,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("bookstore", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    kit::log::start(&environment);
    let settings = Settings::from(&environment)?;
    create_database()?;
    kit::run::<Migrations, _>("bookstore", async move |context: Context| Bookstore::start(settings, &context).await)?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn create_database() -> Result<(), DatabaseError> {
    Database::from(&environment)?.create_if_missing().await
}
