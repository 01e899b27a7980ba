//! The AWS CLI's command for a session of Systems Manager's Session Manager, which needs no open port.
//!
//! The documents are `AWS-StartInteractiveCommand`, `AWS-StartPortForwardingSession` and
//! `AWS-StartPortForwardingSessionToRemoteHost`:
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html>

use super::{Forwarding, Purpose, shell_line};
use crate::{failure::Failure, posix_shell::command_line, session::Session};
use infra_core::{diagnostic::Diagnostic, event::Event, instances::Instance};
use serde_json::json;

/// Returns the command line of a session.
pub(super) fn command(instance: &Instance, endpoint: Option<&str>, purpose: &Purpose) -> String {
    let mut words = vec!["aws", "ssm", "start-session", "--region", &instance.region, "--target", &instance.id];
    if let Some(endpoint) = endpoint {
        words.extend(["--endpoint-url", endpoint]);
    }
    let document = match purpose {
        Purpose::Shell => None,
        Purpose::Command { words, service } => {
            let line = shell_line(words, service.as_deref());
            Some(("AWS-StartInteractiveCommand", json!({ "command": [line] })))
        }
        Purpose::Forward(Forwarding { local, host, port }) => {
            let (local, port) = (local.to_string(), port.to_string());
            Some(match host {
                None => {
                    let parameters = json!({ "portNumber": [port], "localPortNumber": [local] });
                    ("AWS-StartPortForwardingSession", parameters)
                }
                Some(host) => {
                    let parameters = json!({ "host": [host], "portNumber": [port], "localPortNumber": [local] });
                    ("AWS-StartPortForwardingSessionToRemoteHost", parameters)
                }
            })
        }
    };
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if let Some((name, parameters)) = document {
        words.extend(["--document-name", name, "--parameters", &parameters.to_string()].map(str::to_owned));
    }
    command_line(&words)
}

/// Prints the command, and the reason why it is needed to standard error.
pub(super) fn print(session: &Session<'_>, command: &str, reason: &str) -> Result<(), Failure> {
    if session.json {
        print_line!("{}", json!({ "reason": reason, "session_manager": command }));
        return Ok(());
    }
    let note = Diagnostic::note("SSH cannot connect; this command of Session Manager can").because(reason).hint(
        "it needs the AWS CLI's Session Manager plugin here, and on the instance the SSM agent and the policy \
         AmazonSSMManagedInstanceCore",
    );
    crate::render::messages().show(&Event::Message(note));
    print_line!("{command}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_document() {
        let instance = Instance { id: "i-1".into(), region: "eu-west-1".into(), ..Instance::default() };
        let forward = |host: Option<&str>| {
            Purpose::Forward(Forwarding { local: 6000, host: host.map(str::to_owned), port: 5432 })
        };
        let words = ["sh", "-c", "exit 7"].map(str::to_owned).to_vec();
        let purposes =
            [Purpose::Shell, Purpose::Command { words, service: None }, forward(None), forward(Some("db.internal"))];
        let commands = purposes.map(|purpose| command(&instance, None, &purpose)).join("\n");
        insta::assert_snapshot!(commands, @r#"
        aws ssm start-session --region eu-west-1 --target i-1
        aws ssm start-session --region eu-west-1 --target i-1 --document-name AWS-StartInteractiveCommand --parameters '{"command":["sh -c '\''exit 7'\''"]}'
        aws ssm start-session --region eu-west-1 --target i-1 --document-name AWS-StartPortForwardingSession --parameters '{"localPortNumber":["6000"],"portNumber":["5432"]}'
        aws ssm start-session --region eu-west-1 --target i-1 --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters '{"host":["db.internal"],"localPortNumber":["6000"],"portNumber":["5432"]}'
        "#);
        let with_endpoint = command(&instance, Some("http://127.0.0.1:5000"), &Purpose::Shell);
        assert!(with_endpoint.ends_with("--endpoint-url http://127.0.0.1:5000"), "{with_endpoint}");
    }
}
