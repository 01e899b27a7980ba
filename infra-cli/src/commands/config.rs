//! `stack config`

use crate::{arguments, failure::Failure, passphrase, session::Session};
use infra_core::{
    config::ConfigValue,
    diagnostic::Diagnostic,
    store::{ConfigChange, StoredValue},
};
use serde_json::json;
use std::{io, process::ExitCode};

pub(super) async fn run(session: &Session<'_>, command: arguments::Config) -> Result<ExitCode, Failure> {
    match command {
        arguments::Config::List => list(session).await?,
        arguments::Config::Get { key, show_secrets } => get(session, &key, show_secrets).await?,
        arguments::Config::Set { key, value, secret } => {
            let value = match value {
                Some(value) if secret => ConfigValue::Secret(value),
                Some(value) => ConfigValue::Plain(value),
                None => ConfigValue::Secret(passphrase::value(&key)?),
            };
            session.change_config(&[ConfigChange::Set(key, value)]).await?;
        }
        arguments::Config::Unset { key } => session.change_config(&[ConfigChange::Unset(key)]).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let config = session.stored_config().await?;
    if session.json {
        let shown = config.values().iter().map(|(key, value)| {
            let shown = match value {
                StoredValue::Plain(text) => json!({"value": text, "secret": false}),
                StoredValue::Sealed(_) => json!({"secret": true}),
            };
            (key.clone(), shown)
        });
        let document: serde_json::Map<_, _> = shown.collect();
        say!("{}", serde_json::to_string_pretty(&document).map_err(io::Error::from)?);
        return Ok(());
    }
    if config.values().is_empty() {
        say!("the stack `{}` of `{}` has no configuration", session.stack, session.program.name());
    }
    let width = config.values().keys().map(|key| key.chars().count()).max().unwrap_or_default();
    for (key, value) in config.values() {
        let shown = match value {
            StoredValue::Plain(text) => text.as_str(),
            StoredValue::Sealed(_) => "[secret]",
        };
        say!("{key:width$}  {shown}");
    }
    Ok(())
}

async fn get(session: &Session<'_>, key: &str, show_secrets: bool) -> Result<(), Failure> {
    let stored = session.stored_config().await?;
    let text = match stored.value(key) {
        Ok(StoredValue::Plain(text)) => text.clone(),
        Ok(StoredValue::Sealed(_)) if show_secrets => {
            let opened = session.config(&[]).await?;
            opened.get(key).map(|value| value.text().to_owned()).unwrap_or_default()
        }
        Ok(StoredValue::Sealed(_)) => {
            let secret = Diagnostic::error(format!("the configuration value `{key}` is secret"));
            return Err(Failure::wrong_use(secret.hint("add `--show-secrets`")));
        }
        Err(problem) => {
            let hint = problem.hint();
            return Err(Failure::wrong_use(Diagnostic::error(problem.to_string()).hint(hint)));
        }
    };
    if session.json {
        say!("{}", json!(text));
    } else {
        say!("{text}");
    }
    Ok(())
}
