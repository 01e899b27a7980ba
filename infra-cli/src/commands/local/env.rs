//! `stack local env`

use super::{answer, running};
use crate::{failure::Failure, posix_shell::quoted, session::Session};
use clap::Args;
use serde_json::{Map, Value};
use std::path::Path;

/// Unsets variables that would take precedence over the exported ones, or be sent with them.
const UNSET: &str = "unset AWS_PROFILE AWS_SESSION_TOKEN";

/// Variable with the path of the certificates with which clients verify databases.
const BUNDLE: &str = "INFRA_LOCAL_RDS_BUNDLE";

/// Print environment variables that connect AWS tools to the local cloud
#[derive(Debug, Args)]
#[command(after_help = "Example: eval \"$(stack local env)\"")]
pub(crate) struct EnvArgs {
    /// Region to use
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    region: String,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &EnvArgs) -> Result<(), Failure> {
    let status = running(directory).await?.status().await?;
    let endpoint = status.endpoint;
    let bundle = status.certificate_bundle.to_string_lossy();
    let key = infra_local::credentials(directory)?;
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &key.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret_access_key),
        ("AWS_REGION", &arguments.region),
        ("AWS_DEFAULT_REGION", &arguments.region),
    ];
    // A cloud of an earlier version has no authority. A variable of libpq would also apply to other databases.
    if !bundle.is_empty() {
        variables.push((BUNDLE, &bundle));
    }
    let json: Map<_, _> = variables.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    answer(session, &json, || exports(&variables))
}

/// Returns the lines for a POSIX shell.
fn exports(variables: &[(&str, &str)]) -> String {
    let lines = variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    lines.collect::<String>() + UNSET
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::process::Command;

    #[test]
    fn shell_evaluates_the_lines_to_the_exact_values() {
        let values = ["http://127.0.0.1:4000", "it's $HOME `id` \"x\"", "a b\\", ""];
        let names = ["ONE", "TWO", "THREE", "FOUR"];
        let variables: Vec<_> = names.into_iter().zip(values).collect();
        let script =
            format!("{}\nprintf '%s|' \"$ONE\" \"$TWO\" \"$THREE\" \"$FOUR\" \"$AWS_PROFILE\"", exports(&variables));
        let output = Command::new("sh").arg("-c").arg(script).env("AWS_PROFILE", "other").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}||", values.join("|")));
    }
}
