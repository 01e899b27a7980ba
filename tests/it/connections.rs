//! `stack exec`, `shell` and `forward` with the target `aws`, which a local cloud plays.

use infra_local::{LocalCloud, Options};
use std::{fs, net::Ipv4Addr, os::unix::fs::PermissionsExt, path::PathBuf};
use tests::{Completed, Project};

/// An `ssh` that records its arguments and the key, and exits with the code of its last word, or 0.
const SSH: &str = r#"#!/bin/sh
printf '%s\n' "$@" > "$RECORD/arguments"
previous=
for word; do
    [ "$previous" = -i ] && cp "$word" "$RECORD/key" && stat -c %a "$word" > "$RECORD/mode"
    previous=$word
done
case $previous in
    *'exit 7'*) exit 7 ;;
    *unreachable*) exit 255 ;;
esac
"#;

/// A stack that is deployed to a local cloud by the target `aws`.
struct Deployed {
    project: Project,
    cloud: LocalCloud,
}

impl Deployed {
    async fn start() -> Self {
        let project = Project::new();
        let directory = project.path().join("cloud");
        let cloud = LocalCloud::start(Options { control_plane_only: true, ..Options::new(&directory) }).await.unwrap();
        let programs = project.path().join("programs");
        fs::create_dir(&programs).unwrap();
        fs::write(programs.join("ssh"), SSH).unwrap();
        fs::set_permissions(programs.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { project, cloud }
    }

    fn run(&self, arguments: &[&str]) -> Completed {
        let key = self.cloud.credentials();
        let path = std::env::var("PATH").unwrap();
        let mut command = self.project.stack(["--target", "aws", "--endpoint", &self.cloud.endpoint()]);
        command
            .args(["--readiness", "control-plane"])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", key.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", key.secret_access_key)
            .env("PATH", format!("{}:{path}", self.project.path().join("programs").display()))
            .env("RECORD", self.project.path());
        let output = command.output().unwrap();
        Completed {
            arguments: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Reads a file that `ssh` has recorded, and removes it.
    fn recorded(&self, name: &str) -> String {
        let path: PathBuf = self.project.path().join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_use_the_stacks_key_where_ssh_is_admitted_and_session_manager_elsewhere() {
    let stack = Deployed::start().await;
    stack.run(&["up", "--yes", "-c", "desired=1"]).expect(0);

    let shell = stack.run(&["shell", "database/instance"]);
    shell.expect(1);
    assert!(shell.err.contains("admits SSH from an address range, as `sshFrom` declares"), "{}", shell.err);
    assert!(shell.out.starts_with("aws ssm start-session --region us-east-2 --target i-"), "{}", shell.out);
    assert_eq!(stack.recorded("arguments"), "", "no connection is attempted");
    let other = stack.run(&["shell", "nonesuch"]);
    other.expect(2);
    assert!(other.err.contains("has no instance `nonesuch`") && other.err.contains("(database/instance)"));

    stack.run(&["up", "--yes", "-c", "sshFrom=203.0.113.0/24"]).expect(0);
    let exec = stack.run(&["exec", "database/instance", "--", "sh", "-c", "exit 7"]);
    exec.expect(7);
    let arguments = stack.recorded("arguments");
    assert!(arguments.contains("\nIdentitiesOnly=yes\n") && arguments.contains("\n-l\nadmin\n--\n"), "{arguments}");
    assert!(arguments.ends_with("\nsh -c 'exit 7'\n"), "{arguments}");
    let key = stack.recorded("key");
    assert!(key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"), "{key}");
    assert_eq!(stack.recorded("mode"), "600\n");
    let left: Vec<_> = fs::read_dir(stack.project.path().join(".infra/ssh")).unwrap().collect();
    assert!(left.is_empty(), "the key file is removed: {left:?}");

    let refused = stack.run(&["exec", "database/instance", "--", "unreachable"]);
    refused.expect(255);
    assert!(refused.err.contains("admit SSH from 203.0.113.0/24"), "{}", refused.err);
    assert!(refused.out.contains(r#"AWS-StartInteractiveCommand --parameters '{"command":["unreachable"]}'"#));

    let forwarded = |arguments: &str| arguments.lines().skip_while(|word| *word != "-L").nth(1).unwrap().to_owned();
    stack.run(&["forward", "database/instance", "5432:47113"]).expect(0);
    let direct = forwarded(&stack.recorded("arguments"));
    let host = direct.strip_prefix("127.0.0.1:47113:").and_then(|rest| rest.strip_suffix(":5432"));
    assert!(host.is_some_and(|host| host.parse::<Ipv4Addr>().is_ok()), "its private address: {direct}");
    stack.run(&["forward", "balancer", "80:47113", "--through", "database/instance"]).expect(0);
    let through = forwarded(&stack.recorded("arguments"));
    let name = stack.run(&["state", "show", "balancer"]).out;
    let host = through.strip_prefix("127.0.0.1:47113:").and_then(|rest| rest.strip_suffix(":80"));
    assert!(host.is_some_and(|host| name.contains(host)), "the balancer's DNS name: {through}\n{name}");

    stack.run(&["destroy", "--yes"]).expect(0);
    stack.cloud.shutdown().await;
}
