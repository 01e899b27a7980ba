//! The Tasks service, and commands for its administrator. Environment variables are the only configuration, see `kit` for
//! most of them.

use std::{
    error::Error,
    io::{IsTerminal, stdin},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use kit::{Context, database::Database, migrate, settings::environment};
use sea_orm::DatabaseConnection;
use tasks::{
    Migrations, Settings, Tasks,
    auth::keys,
    users::{NewUser, Role},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serve tasks until SIGTERM or SIGINT
#[derive(Parser)]
#[command(name = "tasks", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Create a user, with a password from the terminal or from standard input
    CreateUser {
        /// Letters, digits and @ . + - _
        username: String,
        /// Let the user sign in to the admin site, which grants the permissions
        #[arg(long)]
        staff: bool,
        /// Grant the user all permissions in the admin site
        #[arg(long, conflicts_with = "staff")]
        superuser: bool,
    },
    /// Create a new key that signs access tokens; the service may be running
    RotateKeys,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        None => serve(),
        Some(command) => administer(command),
    };
    kit::exit("tasks", result)
}

fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from(&environment)?;
    let start = async move |context: Context| Tasks::start(settings, &context).await;
    kit::run::<Migrations, _>("tasks", start)?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn administer(command: Command) -> Result<(), Box<dyn Error>> {
    kit::log::start(&environment);
    match command {
        Command::CreateUser { username, staff, superuser } => {
            let (role, kind) = match (superuser, staff) {
                (true, _) => (Role::Superuser, "superuser"),
                (false, true) => (Role::Staff, "staff user"),
                (false, false) => (Role::User, "user"),
            };
            let user = NewUser::new(&username, &password()?, role)?;
            let user = user.create(&database().await?).await?;
            println!("created {kind} {} with id {}", user.username, user.id);
        }
        Command::RotateKeys => {
            let settings = Settings::from(&environment)?;
            if settings.auth.keys.is_some() {
                return Err(
                    "AUTH_KEYS is set, so the keys are not in the database; add a new key at its beginning".into()
                );
            }
            let id = keys::rotate(&database().await?, settings.auth.access).await?;
            println!("key {id} signs from now on");
        }
    }
    Ok(())
}

async fn database() -> Result<DatabaseConnection, Box<dyn Error>> {
    let database = Database::from(&environment)?.connect().await?;
    migrate::up::<Migrations>(&database).await?;
    Ok(database)
}

/// Asks for a password on the terminal, twice and without echo. Without a terminal, reads the first line of the input.
fn password() -> Result<String, Box<dyn Error>> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Password again: ")? != password {
        return Err("the two passwords are not the same; try again".into());
    }
    Ok(password)
}
