//! Command-line client of the Tasks service.

mod arguments;
mod paint;
mod place;
mod service;
mod shell;
mod tokens;
mod verbs;

use std::{
    io::{self, IsTerminal, stderr, stdin, stdout},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use arguments::{Arguments, Command, Login};
use paint::{GREEN, RED, paint};
use service::{Failure, Service};

fn main() -> ExitCode {
    let Arguments { command, url } = Arguments::parse();
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "client", &mut stdout());
            ExitCode::SUCCESS
        }
        Command::Login(login) => finish(sign_in(&service(url), &login)),
        Command::Shell { url: given } => finish(shell::run(service(given.or(url)))),
        Command::Verb(verb) => verb.run(&service(url)),
    }
}

/// Returns the service at the given or found URL. Without one, the command line is invalid.
fn service(url: Option<String>) -> Service {
    match place::find(url).and_then(|url| Service::at(&url)) {
        Ok(service) => service,
        Err(why) => Arguments::command().error(ErrorKind::MissingRequiredArgument, why).exit(),
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print_failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn print_success(message: &str) {
    println!("{}", paint(GREEN, message, stdout().is_terminal()));
}

fn print_failure(failure: &Failure) {
    let message = format!("Something went wrong! Try Again. ({failure})");
    eprintln!("{}", paint(RED, &message, stderr().is_terminal()));
}

fn sign_in(service: &Service, login: &Login) -> Result<(), Failure> {
    let username = match &login.username {
        Some(username) => username.clone(),
        None => shell::ask("Username: ")?.unwrap_or_default(),
    };
    let password = password()?;
    if login.register {
        service.register(&username, &password)?;
    }
    service.sign_in(&username, &password)?;
    print_success(&format!("Signed in as {username}."));
    Ok(())
}

/// Asks for a password on the terminal without echo. Without a terminal, reads a line of the input.
fn password() -> io::Result<String> {
    if stdin().is_terminal() {
        return rpassword::prompt_password("Password: ");
    }
    Ok(shell::line()?.unwrap_or_default())
}
