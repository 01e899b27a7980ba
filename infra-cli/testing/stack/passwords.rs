//! A program of passwords, with values of each kind.

use crate::variables::PRINT;
use infra_cli::StackOutputs;
use infra_core::{
    Config, Options, Result, Stack,
    diagnostic::Diagnostic,
    diff::Action,
    options::{Hook, HookContext},
    random::Password,
};
use std::{path::PathBuf, time::Duration};

/// Prints the port; fails for port 1.
pub(crate) async fn demonstrate(outputs: StackOutputs) -> Result<(), Diagnostic> {
    let port = outputs["port"].to_json();
    eprintln!("demonstration at port {port}");
    if port == 1 { Err(Diagnostic::error("port 1 is closed")) } else { Ok(()) }
}

/// Declares passwords, which exist in the state alone and need no cloud. With the value `gate`, the creation of `gated`
/// waits until that file exists.
pub(crate) fn declare(stack: &Stack, config: &Config) -> Result {
    if let Ok(text) = std::env::var(PRINT) {
        println!("{text}");
    }
    let port = config.get_or("port", 80_u16)?;
    let zones: Vec<String> = config.object("zones")?.unwrap_or_default();
    let token = config.secret("token")?.unwrap_or_else(|| "none".into());
    let password = stack.add("password", Password::of_length(config.get_or("length", 20_u32)?));
    stack.relaunchable("password", &password.value, "another password");
    if let Some(gate) = config.get::<PathBuf>("gate")? {
        let waits = move |_: HookContext| {
            let gate = gate.clone();
            async move {
                while !gate.exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(())
            }
        };
        let gated = Options::new().hook(Hook::before(Action::Create, waits));
        let gated = stack.with(gated).add("gated", Password::of_length(20));
        stack.with(Options::new().depends_on(&gated.value)).add("afterwards", Password::of_length(20));
    }
    stack.export("port", port.into());
    stack.export("zones", zones.into());
    stack.export("token", token);
    stack.export("password", password.value);
    Ok(())
}
