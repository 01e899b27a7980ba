//! The `stack` command that the tests of this crate run, with the programs of these modules.
#![allow(clippy::unwrap_used, reason = "a program that panics fails its test")]

mod http;
mod notes;
mod passwords;
mod shop;
mod variables;

use infra_cli::{Cli, program};
use infra_core::diagnostic::Diagnostic;
use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::new([
        program("passwords", passwords::declare),
        program("notes", notes::declare),
        program("shop", shop::declare),
        program("demanding", shop::declare_nothing),
        program("panicking", |_, _| panic!("the shelf is empty")),
        program("demonstrated", passwords::declare)
            .about("passwords, with a demonstration")
            .demo(passwords::demonstrate),
    ]);
    if env::var("INFRA_PROGRAM").as_deref() != Ok("notes") {
        return cli.run();
    }
    let login = async |_| match env::var(variables::ACCOUNT) {
        Ok(account) => Ok(vec![("account", account)]),
        Err(_) => Err(Diagnostic::error("there are no credentials")),
    };
    cli.login(login).run()
}
