//! The AWS identity that a target would use.

use crate::{client::Aws, error::SdkContext};
use aws_credential_types::Credentials;
use chrono::{DateTime, Utc};
use infra_core::{Target, diagnostic::Diagnostic};
use std::error::Error;

/// Returns the account, identity and key of the credentials, as the rows of a table.
///
/// Finds the credentials the way every command does (environment, profiles with SSO and roles, container, instance) and
/// calls `GetCallerIdentity`, which needs no permission. `infra_cli::Cli::new(programs).login(login::identity)` enables the
/// command `login-check`.
pub async fn identity(target: Target) -> Result<Vec<(&'static str, String)>, Diagnostic> {
    let aws = Aws::new(&target);
    let credentials = aws.credentials().await.map_err(|error| {
        let causes = std::iter::successors(error.source(), |&error| error.source());
        let reason = causes.map(ToString::to_string).last().unwrap_or_else(|| error.to_string());
        Diagnostic::error("no AWS credentials were found").because(reason).hint(MISSING)
    })?;
    let sts = aws.sts("us-east-1").await;
    let identity = sts.get_caller_identity().send().await.context("GetCallerIdentity");
    let identity = identity.map_err(|error| {
        Diagnostic::error(format!("AWS does not accept the access key {}", short(credentials.access_key_id())))
            .because(error.to_string())
            .hint("renew the key, or choose other credentials with AWS_PROFILE")
    })?;
    let or_unknown = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
    Ok(vec![
        ("account", or_unknown(identity.account())),
        ("identity", or_unknown(identity.arn())),
        ("key", short(credentials.access_key_id())),
        ("valid until", validity(&credentials)),
        ("endpoint", target.endpoint.unwrap_or_else(|| "AWS".into())),
        ("regions", "as declared by the program".into()),
    ])
}

const MISSING: &str =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE and run `aws sso login` or `aws configure`";

/// Shortens the id of an access key so that it can still be recognised.
fn short(key: &str) -> String {
    format!("{}…{}", key.get(..4).unwrap_or_default(), key.get(key.len().saturating_sub(4)..).unwrap_or_default())
}

fn validity(credentials: &Credentials) -> String {
    match credentials.expiry() {
        Some(time) => DateTime::<Utc>::from(time).to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        None => "the key is revoked".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::target::Credentials as Keys;

    #[test]
    fn access_key_id_is_shortened() {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "EnvironmentVariable");
        assert_eq!(short(credentials.access_key_id()), "AKIA…MPLE");
        assert_eq!(validity(&credentials), "the key is revoked");
    }

    #[tokio::test]
    async fn identity_is_unavailable_when_sts_is_unreachable() {
        let keys = Keys { access_key: "AKIAIOSFODNN7EXAMPLE".into(), secret_key: "secret".into() };
        let target = Target::local("http://127.0.0.1:1", keys);
        let error = identity(target).await.unwrap_err();
        assert!(error.summary.contains("does not accept") && !format!("{error:?}").contains("secret"), "{error}");
    }
}
