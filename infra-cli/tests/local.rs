//! Commands on the local cloud, and which cloud a stack belongs to. The test runs itself as the `stack` command.
#![allow(clippy::unwrap_used, missing_docs)]

use infra_cli::{Cli, program};
use infra_core::{
    Config, Output, Resource, Result, Schema, Stack,
    diagnostic::Diagnostic,
    provider::{Context, Created, Handler, Prior, ProviderError, Recovery, Registry},
    random::Password,
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const AS_STACK: &str = "INFRA_TEST_AS_STACK";

/// Where notes are kept; a reset of the local cloud removes them.
const NOTES: &str = "TEST_NOTES";

/// The account that `login` reports.
const ACCOUNT: &str = "TEST_ACCOUNT";

/// A port that the program looks for among those that are occupied.
const PORT: &str = "TEST_PORT";

/// Makes the program fail.
const FAIL: &str = "TEST_FAIL";

type Test = (&'static str, fn(&Place));

/// A file in the directory of the local cloud, whose creation and deletion need the cloud for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct NoteOutputs {
    name: Output<String>,
}

/// The directory of the notes, and the cloud's endpoint.
struct Notes {
    directory: PathBuf,
    endpoint: String,
}

impl Notes {
    fn work(&self) -> std::result::Result<(), ProviderError> {
        for _ in 0..20 {
            let answer = get(&self.endpoint, "/_infra/health").map_err(|error| {
                ProviderError::refused(format!("the local cloud does not answer at {}: {error}", self.endpoint))
            })?;
            if !answer.ends_with(r#"{"status":"running"}"#) {
                return Err(ProviderError::refused(answer));
            }
        }
        Ok(())
    }
}

impl Resource for Note {
    const TYPE: &'static str = "notes:Note";
    type Outputs = NoteOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl Handler for Note {
    type Client = Notes;

    async fn create(cx: &Context<'_, Notes>, inputs: &Self) -> std::result::Result<Created<Self>, ProviderError> {
        cx.client().work()?;
        std::fs::write(cx.client().directory.join(&inputs.name), "").unwrap();
        Ok(Created::new(&inputs.name, NoteOutputs { name: inputs.name.clone().into() }))
    }

    async fn read(
        cx: &Context<'_, Notes>,
        prior: &Prior<Self>,
    ) -> std::result::Result<Option<Created<Self>>, ProviderError> {
        let exists = cx.client().directory.join(&prior.id).exists();
        Ok(exists.then(|| Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(
        _: &Context<'_, Notes>,
        prior: &Prior<Self>,
        _: &Self,
    ) -> std::result::Result<NoteOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Notes>, prior: &Prior<Self>) -> std::result::Result<(), ProviderError> {
        cx.client().work()?;
        std::fs::remove_file(cx.client().directory.join(&prior.id)).unwrap();
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

fn notes(stack: &Stack, _: &Config) -> Result {
    if std::env::var_os(FAIL).is_some() {
        return Err("the program fails on purpose".into());
    }
    if !stack.target().is_local() {
        stack.add("password", Password::of_length(20));
        return Ok(());
    }
    if let Ok(port) = std::env::var(PORT) {
        let host = stack.target().host.as_ref().unwrap();
        stack.export("occupied", host.occupied_ports.contains(&port.parse().unwrap()).into());
    }
    let directory = PathBuf::from(std::env::var_os(NOTES).unwrap());
    let endpoint = stack.target().endpoint.clone().unwrap_or_default();
    stack.provide("notes", || Arc::new(Registry::new(Notes { directory, endpoint }).resource::<Note>()));
    stack.add("note", Note { name: format!("note-{}", stack.stack_name()) });
    Ok(())
}

fn main() -> ExitCode {
    infra_local::enable_launcher();
    if std::env::var_os(AS_STACK).is_some() {
        let login = async |_| match std::env::var(ACCOUNT) {
            Ok(account) => Ok(vec![("account", account)]),
            Err(_) => Err(Diagnostic::error("there are no credentials")),
        };
        return Cli::new([program("p", notes)]).login(login).run();
    }
    let tests: [Test; 9] = [
        ("a_stack_of_a_reset_cloud_is_created_again", a_stack_of_a_reset_cloud_is_created_again),
        ("another_aws_account_is_refused", another_aws_account_is_refused),
        ("no_command_stops_the_cloud_under_another_one", no_command_stops_the_cloud_under_another_one),
        ("a_command_waits_for_a_cloud_that_is_stopping", a_command_waits_for_a_cloud_that_is_stopping),
        ("environment_and_health_are_those_of_the_cloud", environment_and_health_are_those_of_the_cloud),
        ("a_program_knows_what_the_machine_can_provide", a_program_knows_what_the_machine_can_provide),
        ("a_cloud_stops_when_its_directory_is_removed", a_cloud_stops_when_its_directory_is_removed),
        ("following_ends_with_the_cloud", following_ends_with_the_cloud),
        ("following_ends_with_ctrl_c", following_ends_with_ctrl_c),
    ];
    for (name, test) in tests {
        test(&Place(tempfile::tempdir().unwrap()));
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// A directory with everything in it. A cloud that still runs there is stopped.
struct Place(tempfile::TempDir);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.command(&["local", "stop"]).output();
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for variable in std::env::vars().filter(|(name, _)| name.starts_with("INFRA_") || name.starts_with("TEST_")) {
            command.env_remove(variable.0);
        }
        command.args(["--directory", self.path().to_str().unwrap()]).args(arguments);
        command.env(AS_STACK, "1").env(NOTES, self.path().join("local"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        let output = command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn note(&self) -> PathBuf {
        self.path().join("local/note-dev")
    }

    /// What the process of the cloud has written about itself.
    fn daemon(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path().join("local/daemon.json")).unwrap()).unwrap()
    }
}

impl Ran {
    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn is_failed_with(&self, word: &str) {
        assert!(self.code == Some(1) && self.err.contains(word), "{}{}", self.out, self.err);
    }

    #[track_caller]
    fn is_refused_with(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in: {}", self.err);
        }
    }
}

/// A command that runs and writes to standard error.
struct Begun {
    child: Child,
    err: BufReader<ChildStderr>,
}

impl Begun {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, err }
    }

    #[track_caller]
    fn until(&mut self, word: &str) {
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains(word) {
            line.clear();
            assert!(self.err.read_line(&mut line).unwrap() > 0, "it has ended without `{word}`: {all}");
            all += &line;
        }
    }

    #[track_caller]
    fn succeeds(mut self) {
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
    }
}

fn get(endpoint: &str, path: &str) -> std::io::Result<String> {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

const ANOTHER_CLOUD: &str = "was deployed to another local cloud";

fn a_stack_of_a_reset_cloud_is_created_again(place: &Place) {
    // Nothing is in the cloud that would keep it.
    place.run(&["local", "start"]).succeeds();
    place.run(&["up"]).succeeds();
    assert!(place.note().exists());
    let before = place.daemon()["cloud_id"].as_str().unwrap().to_owned();
    place.run(&["local", "stop"]).succeeds();
    let again = place.run(&["preview", "--expect-no-changes"]).succeeds();
    assert!(!again.out.contains(ANOTHER_CLOUD), "a restart is no other cloud: {}", again.out);

    place.run(&["local", "reset", "--yes"]).succeeds();
    assert!(!place.note().exists());
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(3));
    // A run that fails before it has read everything changes nothing about that.
    assert_eq!(place.run_with(&["up"], &[(FAIL, "1")]).code, Some(1));
    place.run(&["local", "start"]).succeeds();
    let up = place.run(&["up"]).succeeds();
    let after = place.daemon()["cloud_id"].as_str().unwrap().to_owned();
    for word in [ANOTHER_CLOUD, &before, &after] {
        assert!(up.out.contains(word), "`{word}` is missing in: {}", up.out);
    }
    assert!(place.note().exists(), "{}", up.out);

    let unchanged = place.run(&["preview", "--expect-no-changes"]).succeeds();
    assert!(!unchanged.out.contains(ANOTHER_CLOUD), "{}", unchanged.out);

    // What is gone with the cloud needs no deletion.
    place.run(&["local", "reset", "--yes"]).succeeds();
    let destroyed = place.run(&["destroy"]).succeeds();
    assert!(destroyed.out.contains(ANOTHER_CLOUD), "{}", destroyed.out);
    assert!(!place.run(&["state", "list"]).out.contains("note"));
}

fn another_aws_account_is_refused(place: &Place) {
    let (one, other) = ([(ACCOUNT, "111111111111")], [(ACCOUNT, "222222222222")]);
    let on_aws = |arguments: &[&str], account: &[(&str, &str)]| {
        place.run_with(&[&["--target", "aws"], arguments].concat(), account)
    };
    assert_eq!(on_aws(&["up", "--yes"], &[]).code, Some(1), "nobody knows which account this would be");
    on_aws(&["up", "--yes"], &one).succeeds();
    let state = std::fs::read(place.path().join("state/p/dev/state.json")).unwrap();
    let both = ["account 111111111111", "account 222222222222", "--stack", "state rm"];
    for command in [&["up", "--yes"][..], &["preview"], &["destroy", "--yes"], &["refresh"]] {
        on_aws(command, &other).is_refused_with(&both);
    }
    let elsewhere = ["--endpoint", "http://127.0.0.1:5000", "up", "--yes"];
    on_aws(&elsewhere, &one).is_refused_with(&["account 111111111111", "http://127.0.0.1:5000"]);
    place.run(&["up"]).is_refused_with(&["target `aws`", "--target aws"]);
    assert_eq!(std::fs::read(place.path().join("state/p/dev/state.json")).unwrap(), state);
    on_aws(&["destroy", "--yes"], &one).succeeds();
    // A stack without resources may be deployed anywhere.
    on_aws(&["up", "--yes"], &other).succeeds();
}

fn no_command_stops_the_cloud_under_another_one(place: &Place) {
    let work = |stack: &str| {
        for _ in 0..4 {
            for command in ["up", "destroy", "preview"] {
                let ran = place.run(&["--stack", stack, command]);
                assert_eq!(ran.code, Some(0), "{stack} {command}: {}{}", ran.out, ran.err);
            }
        }
    };
    std::thread::scope(|scope| {
        let stacks = ["a", "b", "c", "d", "e"].map(|stack| scope.spawn(move || work(stack)));
        stacks.into_iter().for_each(|stack| stack.join().unwrap());
    });
    // The last one has stopped it.
    assert!(place.run(&["local", "status"]).err.contains("does not run"));
}

fn a_command_waits_for_a_cloud_that_is_stopping(place: &Place) {
    place.run(&["local", "start"]).succeeds();
    let first = place.daemon();
    let process = Pid::from_raw(i32::try_from(first["pid"].as_u64().unwrap()).unwrap()).unwrap();
    // It neither answers nor ends, as when it stops a large database.
    kill_process(process, Signal::STOP).unwrap();
    let mut up = Begun::new(place.command(&["up"]));
    up.until("is stopping");
    kill_process(process, Signal::TERM).unwrap();
    kill_process(process, Signal::CONT).unwrap();
    up.succeeds();
    assert!(place.note().exists());
    assert_ne!(place.daemon()["pid"], first["pid"]);
}

fn a_cloud_stops_when_its_directory_is_removed(place: &Place) {
    place.run(&["local", "start"]).succeeds();
    let first = place.daemon();
    let process = Pid::from_raw(i32::try_from(first["pid"].as_u64().unwrap()).unwrap()).unwrap();
    std::fs::remove_dir_all(place.path().join("local")).unwrap();
    // The next cloud of the path does not wait for it, and is not disturbed by it.
    place.run(&["local", "start"]).succeeds();
    let next = place.daemon();
    assert_ne!(next["cloud_id"], first["cloud_id"]);
    let deadline = Instant::now() + Duration::from_mins(1);
    while test_kill_process(process).is_ok() {
        assert!(Instant::now() < deadline, "the cloud of the removed directory still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(place.daemon(), next);
    assert!(place.run(&["local", "status"]).succeeds().out.contains("it holds nothing"));
}

fn environment_and_health_are_those_of_the_cloud(place: &Place) {
    assert_eq!(place.run(&["local", "env"]).code, Some(1));
    place.run(&["local", "start"]).succeeds();
    let lines = place.run(&["local", "env", "--region", "eu-west-1"]).succeeds().out;
    let script = format!("{lines}\necho $AWS_ENDPOINT_URL $AWS_REGION $AWS_ACCESS_KEY_ID");
    let evaluated = Command::new("sh").args(["-c", &script]).output().unwrap();
    let evaluated = String::from_utf8(evaluated.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(&place.run(&["--json", "local", "env"]).out).unwrap();
    let endpoint = json["AWS_ENDPOINT_URL"].as_str().unwrap();
    assert_eq!(endpoint, place.daemon()["endpoint"]);
    assert_eq!(json["AWS_REGION"], "us-east-1");
    let expected = format!("{endpoint} eu-west-1 {}", json["AWS_ACCESS_KEY_ID"].as_str().unwrap());
    assert_eq!(evaluated.trim_end(), expected);
    for path in ["/health", "/_infra/health"] {
        let answer = get(endpoint, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"running"}"#), "{answer}");
    }
    assert!(place.run(&["local", "status"]).succeeds().out.contains("it holds nothing"));
}

fn a_program_knows_what_the_machine_can_provide(place: &Place) {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    // Where the kernel has no table of sockets, no port is known to be occupied.
    let known = Path::new("/proc/net/tcp").exists().to_string();
    let port = listener.local_addr().unwrap().port().to_string();
    place.run_with(&["up"], &[(PORT, &port)]).succeeds();
    assert_eq!(place.run(&["output", "occupied"]).succeeds().out.trim_end(), known);
    drop(listener);
    place.run_with(&["up"], &[(PORT, &port)]).succeeds();
    assert_eq!(place.run(&["output", "occupied"]).succeeds().out.trim_end(), "false");
}

const FOLLOWS: &str = "no service runs yet";

fn following_ends_with_the_cloud(place: &Place) {
    place.run(&["local", "logs", "--follow"]).is_failed_with("does not run");
    place.run(&["local", "start"]).succeeds();
    let mut follow = Begun::new(place.command(&["local", "logs", "--follow"]));
    follow.until(FOLLOWS);
    place.run(&["local", "stop"]).succeeds();
    follow.until("the local cloud has stopped");
    follow.succeeds();
}

fn following_ends_with_ctrl_c(place: &Place) {
    place.run(&["local", "start"]).succeeds();
    place.run(&["local", "logs", "nothing", "--follow"]).is_refused_with(&["no instance `nothing`"]);
    let mut follow = Begun::new(place.command(&["local", "logs", "--follow"]));
    follow.until(FOLLOWS);
    kill_process(Pid::from_child(&follow.child), Signal::INT).unwrap();
    follow.succeeds();
}
