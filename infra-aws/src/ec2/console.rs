//! The console output of instances, by which a deployment observes the setup of a host.

use crate::prelude::*;
use aws_sdk_ec2::Client;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Text that the setup script writes when it gives up.
const SETUP_FAILED: &str = "infra-setup failed";

/// Text that a host writes once its standby streams: part of the Machine document's format.
const STREAMING: &str = "infra: the standby streams from its primary";

/// Number of lines in an error message.
const LINES: usize = 15;

/// Returns whether the standby of a host streams. Fails when its setup has failed.
pub(super) async fn has_streaming_standby(ec2: &Client, instance: &str) -> Result<bool> {
    let console = read(ec2, instance).await?;
    if console.contains(STREAMING) {
        return Ok(true);
    }
    match failure(&console) {
        None => Ok(false),
        Some(last) => Err(ProviderError::refused(format!(
            "the instance {instance} could not configure itself; its console ends with:\n{last}"
        ))
        .hint("correct the machine, and run the same command again")),
    }
}

/// Returns the last lines of the console of a host whose setup has failed.
pub(super) async fn setup_failure(ec2: &Client, instance: &str) -> Result<Option<String>> {
    Ok(failure(&read(ec2, instance).await?))
}

fn failure(console: &str) -> Option<String> {
    console.contains(SETUP_FAILED).then(|| {
        let lines: Vec<&str> = console.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    })
}

/// Returns the console output: empty before EC2 has some, and where only completed output can be read.
async fn read(ec2: &Client, instance: &str) -> Result<String> {
    let latest = ec2.get_console_output().instance_id(instance).latest(true).send().await.context("GetConsoleOutput");
    let response = match latest {
        Err(error) if error.has_code(&["UnsupportedOperation", "InvalidParameterCombination"]) => {
            ec2.get_console_output().instance_id(instance).send().await.context("GetConsoleOutput")?
        }
        latest => latest?,
    };
    let output = response.output().and_then(|output| STANDARD.decode(output).ok()).unwrap_or_default();
    Ok(String::from_utf8_lossy(&output).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_found_with_the_last_lines() {
        assert_eq!(failure("infra-setup: again\n"), None);
        let lines: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
        let last = failure(&format!("{}\ninfra-setup failed\n", lines.join("\n"))).unwrap_or_default();
        assert_eq!((last.lines().count(), last.lines().next()), (LINES, Some("line 6")));
    }
}
