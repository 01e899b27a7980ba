//! `stack config`

use crate::{failure::Failure, passphrase, render::style, session::Session, settings};
use clap::Subcommand;
use infra_core::{
    config::{ConfigError, ConfigKey, ConfigValue},
    diagnostic::{Diagnostic, did_you_mean},
    store::{ConfigChange, StoredValue},
};
use serde_json::json;
use std::{io, process::ExitCode};

/// Show or change the configuration of the stack
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the values; secrets are masked
    List,
    /// List the keys that the program reads, with their types and defaults
    Keys,
    /// Show a value
    Get {
        /// Name of the value
        key: String,
        /// Show the value even if it is secret
        #[arg(long)]
        show_secrets: bool,
    },
    /// Set a value
    Set {
        /// Name of the value
        key: String,
        /// New value; without it, a secret is read from the terminal or from standard input
        #[arg(required_unless_present = "secret", allow_hyphen_values = true)]
        value: Option<String>,
        /// Store the value encrypted and mask it in all output
        #[arg(long)]
        secret: bool,
        /// Set the value even if the program does not read it or needs another type
        #[arg(long)]
        force: bool,
    },
    /// Remove a value
    Unset {
        /// Name of the value
        key: String,
    },
}

pub(super) async fn run(session: &Session<'_>, command: ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::List => list(session).await?,
        ConfigCommand::Get { key, show_secrets } => get(session, &key, show_secrets).await?,
        ConfigCommand::Keys => keys(session).await?,
        ConfigCommand::Set { key, value, secret, force } => {
            // Checked before a secret is asked for.
            if !force {
                ensure_read(session, &key, value.as_deref(), secret).await?;
            }
            let value = match value {
                Some(value) if secret => ConfigValue::Secret(value),
                Some(value) => ConfigValue::Plain(value),
                None => ConfigValue::Secret(passphrase::value(&key)?),
            };
            session.change_config(&[ConfigChange::Set(key, value)]).await?;
        }
        ConfigCommand::Unset { key } => session.change_config(&[ConfigChange::Unset(key)]).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a key that the program does not read, and a value of another type than it needs.
async fn ensure_read(session: &Session<'_>, key: &str, value: Option<&str>, secret: bool) -> Result<(), Failure> {
    if let Some(setting) = settings::find(key) {
        return setting.check(value.filter(|_| !secret));
    }
    let value = match value {
        Some(value) if !secret => ConfigValue::Plain(value.to_owned()),
        value => ConfigValue::secret(value.unwrap_or_default()),
    };
    let reads = session.config_reads(&[ConfigChange::Set(key.to_owned(), value)]).await?;
    if let Some(error @ (ConfigError::Type { .. } | ConfigError::Secret(_))) = &reads.config_error
        && error.key() == key
    {
        let hint = match error {
            ConfigError::Secret(_) => format!("leave `--secret` out, or read it with `config.secret(\"{key}\")`"),
            _ => error.hint(),
        };
        return Err(Failure::wrong_use(Diagnostic::error(error.to_string()).hint(hint)));
    }
    let names = || reads.keys.iter().map(|key| key.name.as_str());
    if names().any(|name| name == key) {
        return Ok(());
    }
    let program = session.program.name();
    let near = did_you_mean(key, names());
    // A program that failed may read the key after its error is fixed.
    if let (Some(error), None) = (&reads.error, &near) {
        let unchecked = Diagnostic::warning(format!("it is not known whether the program `{program}` reads `{key}`"));
        print_error!(
            "{}",
            style::diagnostic(&unchecked.because(format!("the program failed before: {error}")), style::error_width())
        );
        return Ok(());
    }
    let unknown = Diagnostic::error(format!("the program `{program}` does not read the configuration value `{key}`"));
    let hint = near.unwrap_or_else(|| match names().collect::<Vec<_>>() {
        none if none.is_empty() => "it reads no configuration".to_owned(),
        names => format!("it reads: {}", names.join(", ")),
    });
    Err(Failure::wrong_use(unknown.hint(format!("{hint}\nuse `--force` to set it anyway"))))
}

/// Prints the keys that the program reads with the stack's configuration.
async fn keys(session: &Session<'_>) -> Result<(), Failure> {
    let reads = session.config_reads(&[]).await?;
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(&reads.keys).map_err(io::Error::from)?);
    } else {
        if reads.keys.is_empty() {
            print_line!("the program `{}` reads no configuration", session.program.name());
        }
        let stored = session.stored_config().await?;
        let row = |key: &ConfigKey| {
            let kind = if key.secret { "secret" } else { key.expected.as_str() };
            let default = match &key.default {
                Some(default) => default.as_str(),
                None if key.required => "(required)",
                None => "",
            };
            let value = match stored.values().get(&key.name) {
                Some(StoredValue::Plain(text)) => text.as_str(),
                Some(StoredValue::Sealed(_)) => "[secret]",
                None => "",
            };
            [&key.name, kind, default, value].map(str::to_owned)
        };
        let setting = |setting: &settings::Setting| {
            let value = match stored.values().get(setting.name) {
                Some(StoredValue::Plain(text)) => text,
                Some(StoredValue::Sealed(_)) | None => "",
            };
            [setting.name, "setting", setting.values[0], value].map(str::to_owned)
        };
        let rows = reads.keys.iter().map(row).chain(settings::SETTINGS.iter().map(setting));
        print_text!("{}", style::table(["KEY", "TYPE", "DEFAULT", "VALUE"], rows));
    }
    if let Some(error) = reads.error {
        let unchecked = Diagnostic::warning("the program may read more keys: it failed");
        print_error!("{}", style::diagnostic(&unchecked.because(error.to_string()), style::error_width()));
    }
    Ok(())
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
        print_line!("{}", serde_json::to_string_pretty(&document).map_err(io::Error::from)?);
        return Ok(());
    }
    if config.values().is_empty() {
        print_line!("the stack `{}` of `{}` has no configuration", session.stack, session.program.name());
    }
    let width = config.values().keys().map(|key| key.chars().count()).max().unwrap_or_default();
    for (key, value) in config.values() {
        let shown = match value {
            StoredValue::Plain(text) => text.as_str(),
            StoredValue::Sealed(_) => "[secret]",
        };
        print_line!("{key:width$}  {shown}");
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
        print_line!("{}", json!(text));
    } else {
        print_line!("{text}");
    }
    Ok(())
}
