//! `stack exec`, `shell` and `forward` with the target `aws`, which a local cloud plays.

use crate::sshd::{Sshd, user};
use infra_aws::Aws;
use infra_local::{LocalCloud, Options};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};
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
    /// Starts a cloud without a stack. `ssh` is the script that commands find as `ssh`.
    async fn start(ssh: &str) -> Self {
        let project = Project::new();
        let directory = project.path().join("cloud");
        let cloud = LocalCloud::start(Options { control_plane_only: true, ..Options::new(&directory) }).await.unwrap();
        let programs = project.path().join("programs");
        fs::create_dir(&programs).unwrap();
        fs::write(programs.join("ssh"), ssh).unwrap();
        fs::set_permissions(programs.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { project, cloud }
    }

    fn command(&self, arguments: &[&str]) -> Command {
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
        command
    }

    fn run(&self, arguments: &[&str]) -> Completed {
        let output = self.command(arguments).output().unwrap();
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
    let stack = Deployed::start(SSH).await;
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

/// An `ssh` that connects to the test's server, whatever the address.
const REDIRECTED: &str = "#!/bin/sh\nexec /usr/bin/ssh -F \"$RECORD/ssh_config\" \"$@\"\n";

/// Returns the public half of the key pair of the instances in this region, as EC2 gives it to new instances.
async fn public_key(cloud: &LocalCloud, region: &str) -> String {
    let ec2 = Aws::new(&tests::target(cloud)).ec2(region).await;
    let pairs = ec2.describe_key_pairs().include_public_key(true).send().await.unwrap();
    pairs.key_pairs()[0].public_key().unwrap().to_owned()
}

/// Answers each line of each client in capital letters.
fn serve_lines(listener: TcpListener) {
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut line = String::new();
            BufReader::new(client.try_clone().unwrap()).read_line(&mut line).unwrap();
            client.write_all(line.to_uppercase().as_bytes()).unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_shells_and_ports_are_connected_by_a_real_ssh_server() {
    let stack = Deployed::start(REDIRECTED).await;
    stack.run(&["up", "--yes", "-c", "desired=1", "-c", "sshFrom=203.0.113.0/24"]).expect(0);
    let key = public_key(&stack.cloud, "us-east-2").await;
    let Some(mut sshd) = Sshd::start(&stack.project.path().join("sshd"), &key) else { return };
    fs::write(stack.project.path().join("ssh_config"), sshd.client_configuration()).unwrap();
    let user = user();
    let inside =
        |arguments: &[&str]| stack.run(&[&["exec", "--user", &user, "database/instance", "--"], arguments].concat());

    // The words, the outputs and the exit code are those of the command.
    let ran = inside(&["sh", "-c", "echo \"$1\"; echo 'it''s bad' >&2; exit 7", "sh", "two  words; $HOME"]);
    ran.expect(7);
    assert_eq!(ran.out, "two  words; $HOME\n");
    assert!(ran.err.contains("its bad"), "{}", ran.err);
    inside(&["true"]).expect(0);
    // Standard input reaches the command.
    let mut exec = stack.command(&["exec", "--user", &user, "database/instance", "--", "tr", "a-z", "A-Z"]);
    let mut exec = exec.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    exec.stdin.take().unwrap().write_all(b"input\n").unwrap();
    assert_eq!(exec.wait_with_output().unwrap().stdout, b"INPUT\n");

    // A shell has a terminal, and its exit code is that of the command.
    let shell = stack.command(&["shell", "--user", &user, "database/instance"]);
    let words = std::iter::once(shell.get_program()).chain(shell.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    terminal.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("SHELL", "/bin/sh");
    terminal.current_dir(shell.get_current_dir().unwrap());
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    terminal.stdin.take().unwrap().write_all(b"tty && echo $((40 + 2)) seen; exit 5\n").unwrap();
    let shown = terminal.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("/dev/pts/") && text.contains("42 seen"), "{text}");
    assert_eq!(shown.status.code(), Some(5), "{text}");

    // A port of a host that only the instance reaches.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let remote = listener.local_addr().unwrap().port();
    serve_lines(listener);
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let ports = format!("{remote}:{local}");
    let mut forward =
        stack.command(&["forward", "--user", &user, "127.0.0.1", &ports, "--through", "database/instance"]);
    let mut forward = forward.stdout(Stdio::piped()).spawn().unwrap();
    let mut client = tests::until("the port is forwarded", || TcpStream::connect((Ipv4Addr::LOCALHOST, local)).ok());
    client.write_all(b"forwarded\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "FORWARDED\n");
    kill_process(Pid::from_child(&forward), Signal::INT).unwrap();
    assert_eq!(forward.wait().unwrap().code(), Some(0), "Ctrl-C ends it");

    let left = fs::read_dir(stack.project.path().join(".infra/ssh")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["known_hosts"], "no key file is left");

    // Another host with the address of the instance gets neither the command nor the key.
    sshd.change_host_key();
    let refused = inside(&["true"]);
    refused.expect(255);
    assert!(refused.err.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{}", refused.err);
    assert!(refused.out.contains("aws ssm start-session"), "{}", refused.out);

    // A server that does not know the key of the stack refuses the login.
    fs::remove_file(stack.project.path().join(".infra/ssh/known_hosts")).unwrap();
    fs::write(stack.project.path().join("sshd/authorized_keys"), "").unwrap();
    let refused = inside(&["true"]);
    refused.expect(255);
    assert!(refused.err.contains("Permission denied (publickey)"), "{}", refused.err);

    stack.run(&["destroy", "--yes"]).expect(0);
    stack.cloud.shutdown().await;
}
