//! The service `users`. Environment variables are the only configuration, see `selfieless::users` and `kit`.

use std::{error::Error, process::ExitCode};

use kit::Context;
use selfieless::{
    settings::{Operation, with_defaults},
    users::{Migrations, Users},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kit::exit("users", serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Operation::from(&with_defaults)?;
    let start = async move |context: Context| Ok(Users::start(settings, &context));
    kit::run_with::<Migrations, _>("users", &with_defaults, start)?;
    Ok(())
}
