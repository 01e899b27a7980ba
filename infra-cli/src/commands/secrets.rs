//! `stack secrets`

use crate::{failure::Failure, passphrase, session::Session};
use clap::{Args, Subcommand};
use infra_core::{
    diagnostic::Diagnostic,
    store::{Kdf, KeyStatus, StoreError, Unlock, Wrapping, key_status, rewrap, rotate},
};
use serde_json::json;
use std::process::ExitCode;

/// Manage the key that encrypts the secrets of the backend
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Show how the key is protected, and whether a rotation is unfinished
    Status,
    /// Encrypt all secrets with a new key, or finish an interrupted rotation
    Rotate,
    /// Protect the key in another way, without encrypting the secrets again
    Rewrap(RewrapArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RewrapArgs {
    /// Wrap the key with a passphrase, from INFRA_NEW_PASSPHRASE, INFRA_NEW_PASSPHRASE_FILE or the terminal
    #[arg(long)]
    passphrase: bool,
    /// Wrap the key with an AWS KMS key
    #[arg(long, value_name = "KEY_ARN")]
    kms: Option<String>,
    /// Store the key unencrypted, protected only by the mode of its file
    #[arg(long)]
    plain: bool,
}

pub(super) async fn run(session: &Session<'_>, command: SecretsCommand) -> Result<ExitCode, Failure> {
    match command {
        SecretsCommand::Status => match key_status(session.store()).await? {
            Some(status) => show(session, &status),
            None if session.json => print_line!("null"),
            None => print_line!("no key yet: the first secret or the first `up` creates it"),
        },
        SecretsCommand::Rotate => rotated(session).await?,
        SecretsCommand::Rewrap(arguments) => {
            let wrapping = wrapping(session, &arguments).await?;
            let status = rewrap(session.store(), wrapping).await?;
            show(session, &status);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotated(session: &Session<'_>) -> Result<(), Failure> {
    let rotation = rotate(session.store()).await.map_err(|error| Failure::of(error.diagnostic()))?;
    if session.json {
        print_line!(
            "{}",
            json!({
                "from": rotation.from, "to": rotation.to, "stacks": rotation.stacks, "finished": rotation.finished,
            })
        );
        return Ok(());
    }
    let (from, to, stacks) = (rotation.from, rotation.to, rotation.stacks);
    let stacks = if stacks == 1 { "1 stack".to_owned() } else { format!("{stacks} stacks") };
    print_line!("the secrets of {stacks} are encrypted with the key {to}; the key {from} was deleted");
    if rotation.finished {
        print_line!("this finished an earlier rotation; run it again for another key");
    }
    Ok(())
}

async fn wrapping(session: &Session<'_>, arguments: &RewrapArgs) -> Result<Wrapping, Failure> {
    if arguments.plain {
        return Ok(Wrapping::Plain);
    }
    if let Some(key) = &arguments.kms {
        let url = key_url(key)?;
        let unlock: &Unlock = session.unlock();
        let wrapper = unlock.wrapper_at(&url).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            Failure::wrong_use(Diagnostic::error(error.to_string()).hint(hint))
        })?;
        return Ok(Wrapping::Key(wrapper));
    }
    let status = key_status(session.store()).await?;
    let current_needs_one = status.is_some_and(|status| status.wrapped_by == "passphrase");
    let passphrase = passphrase::chosen(current_needs_one)?;
    if passphrase.as_str().is_empty() {
        return Err(StoreError::from(infra_core::store::KeyError::EmptyPassphrase).into());
    }
    Ok(Wrapping::Passphrase(passphrase, Kdf::default()))
}

/// Returns the URL of a key: `awskms://ARN` for an ARN. URLs are returned unchanged.
fn key_url(key: &str) -> Result<String, Failure> {
    if key.contains("://") {
        return Ok(key.to_owned());
    }
    if key.starts_with("arn:") && key.contains(":kms:") {
        return Ok(format!("awskms://{key}"));
    }
    let unknown = Diagnostic::error(format!("`{key}` is not the ARN or URL of a key"));
    Err(Failure::wrong_use(
        unknown.hint("specify an ARN such as arn:aws:kms:us-east-1:123456789012:key/…, or a URL such as awskms://…"),
    ))
}

fn show(session: &Session<'_>, status: &KeyStatus) {
    let KeyStatus { place, wrapped_by, current, retiring } = status;
    if session.json {
        print_line!("{}", json!({"place": place, "wrapped_by": wrapped_by, "current": current, "retiring": retiring}));
        return;
    }
    print_line!("stored in   {place}");
    print_line!("wrapped by  {wrapped_by}");
    print_line!("key in use  {current}");
    if let Some(retiring) = retiring {
        print_line!("retiring    {retiring}  (a rotation is unfinished: run `secrets rotate` again)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_arns_or_urls() {
        let urls = ["arn:aws:kms:us-east-1:1:key/a", "vault://transit/x"].map(|key| key_url(key).ok());
        assert_eq!(urls, [Some("awskms://arn:aws:kms:us-east-1:1:key/a".into()), Some("vault://transit/x".into())]);
        for wrong in ["alias/x", "arn:aws:s3:::bucket", ""] {
            assert!(key_url(wrong).is_err(), "{wrong}");
        }
    }
}
