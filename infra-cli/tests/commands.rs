//! Configuration and secrets as the command line shows them. The test runs itself as the `stack` command.
#![allow(clippy::unwrap_used, missing_docs)]

use infra_core::{
    Config, Options, Result, Stack,
    diff::Action,
    options::{Hook, HookContext},
    random::Password,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    time::Duration,
};

#[path = "commands/runs.rs"]
mod runs;

const AS_STACK: &str = "INFRA_TEST_AS_STACK";

type Test = (&'static str, fn(&Place));

/// Needs no cloud: all it declares lives in the state.
fn program(stack: &Stack, config: &Config) -> Result {
    let port = config.get_or("port", 80_u16)?;
    let zones: Vec<String> = config.object("zones")?.unwrap_or_default();
    let token = config.secret("token")?.unwrap_or_else(|| "none".into());
    let password = stack.add("password", Password::of_length(config.get_or("length", 20_u32)?));
    stack.relaunchable("password", &password.value, "another password");
    if let Some(gate) = config.get::<PathBuf>("gate")? {
        let waits = move |_: HookContext| {
            let gate = gate.clone();
            async move {
                while !gate.exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(())
            }
        };
        let gated = Options::new().hook(Hook::before(Action::Create, waits));
        let gated = stack.with(gated).add("gated", Password::of_length(20));
        stack.with(Options::new().depends_on(&gated.value)).add("afterwards", Password::of_length(20));
    }
    stack.export("port", port.into());
    stack.export("zones", zones.into());
    stack.export("token", token);
    stack.export("password", password.value);
    Ok(())
}

fn main() -> ExitCode {
    infra_local::enable_launcher();
    if std::env::var_os(AS_STACK).is_some() {
        return infra_cli::run([infra_cli::program("p", program)]);
    }
    let tests: &[Test] = &[
        ("values_are_set_shown_and_removed", values_are_set_shown_and_removed),
        ("wrong_use_changes_nothing", wrong_use_changes_nothing),
        ("programs_read_what_was_set", programs_read_what_was_set),
        ("a_passphrase_wraps_the_key", a_passphrase_wraps_the_key),
        ("the_key_is_rotated", the_key_is_rotated),
        ("a_damaged_state_is_restored", a_damaged_state_is_restored),
        ("a_lost_key_is_not_replaced", a_lost_key_is_not_replaced),
        ("no_secret_is_shown", no_secret_is_shown),
        ("ctrl_c_once_finishes_what_runs", ctrl_c_once_finishes_what_runs),
        ("ctrl_c_twice_stops_at_once", ctrl_c_twice_stops_at_once),
        ("destruction_is_confirmed_at_a_terminal", runs::destruction_is_confirmed_at_a_terminal),
        ("relaunches_are_offered_below_the_plan", runs::relaunches_are_offered_below_the_plan),
        ("an_interrupted_run_leaves_no_spinner", runs::an_interrupted_run_leaves_no_spinner),
        ("a_plan_that_fails_leaves_no_empty_cloud", runs::a_plan_that_fails_leaves_no_empty_cloud),
        (
            "configuration_is_stored_by_runs_that_passed_planning",
            runs::configuration_is_stored_by_runs_that_passed_planning,
        ),
        ("nothing_is_written_for_an_unknown_stack", runs::nothing_is_written_for_an_unknown_stack),
        ("a_rollback_can_be_pinned", runs::a_rollback_can_be_pinned),
    ];
    let filter = std::env::args().nth(1).filter(|filter| !filter.starts_with('-')).unwrap_or_default();
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        test(&Place(tempfile::tempdir().unwrap()));
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// A directory with everything in it.
struct Place(tempfile::TempDir);

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for variable in std::env::vars().filter(|(name, _)| name.starts_with("INFRA_")) {
            command.env_remove(variable.0);
        }
        command.args(["--directory", self.path().to_str().unwrap()]);
        if !arguments.contains(&"--target") {
            command.args(["--target", "aws"]);
        }
        command.args(arguments);
        command.env(AS_STACK, "1");
        command
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended before.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join("state").join(file)).unwrap_or_default()
    }
}

impl Ran {
    #[track_caller]
    fn says(self, out: &str) {
        assert_eq!((self.code, self.out.trim_end()), (Some(0), out), "{}", self.err);
    }

    #[track_caller]
    fn complains(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in: {}", self.err);
        }
        assert_eq!(self.err.matches("error:").count(), 1, "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

fn values_are_set_shown_and_removed(place: &Place) {
    place.run(&["config", "list"]).says("the stack `dev` of `p` has no configuration");
    place.run(&["config", "set", "port", "8080"]).says("");
    place.run(&["config", "set", "--force", "below", "-1"]).says("");
    place.run_with(&["config", "set", "--secret", "token"], &[], "hunter2\n").says("");
    place.run(&["config", "set", "--force", "--secret", "other", "hunter3"]).says("");
    place.run(&["config", "list"]).says("below  -1\nother  [secret]\nport   8080\ntoken  [secret]");
    let list = place.run(&["--json", "config", "list"]);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["port"], serde_json::json!({"value": "8080", "secret": false}));
    assert_eq!(list["token"], serde_json::json!({"secret": true}));
    place.run(&["config", "get", "port"]).says("8080");
    place.run(&["config", "get", "token", "--show-secrets"]).says("hunter2");
    place.run(&["--json", "config", "get", "token", "--show-secrets"]).says("\"hunter2\"");
    assert!(!place.read("p/dev/config.json").contains("hunter"));
    place.run(&["config", "unset", "token"]).says("");
    place.run(&["config", "get", "token"]).complains(2, &["no value `token`", "below, other, port"]);
    place.run(&["--stack", "two", "config", "list"]).says("the stack `two` of `p` has no configuration");
}

fn wrong_use_changes_nothing(place: &Place) {
    place.run(&["config", "set", "--secret", "token", "hunter2"]).says("");
    let before = place.read("p/dev/config.json");
    place.run(&["config", "get", "token"]).complains(2, &["`token` is secret", "--show-secrets"]);
    place.run(&["config", "set", "token", "x"]).complains(2, &["`token` is secret", "--secret token"]);
    place.run(&["config", "set", "a=b", "x"]).complains(2, &["`a=b`", "neither blanks nor"]);
    place.run(&["local", "status", "--watch"]).complains(2, &["`--watch`", "terminal"]);
    let told = place.run(&["--json", "local", "status", "--watch"]);
    assert!(told.code == Some(2) && told.out.contains("`--watch`"), "{}", told.out);
    place.run(&["config", "set", "port"]).complains(2, &["VALUE"]);
    place.run(&["config", "set", "--force", "--secret", "empty"]).complains(2, &["no value was entered for `empty`"]);
    place.run(&["config", "set", "x", "y", "--sekret"]).complains(2, &["--sekret"]);
    place.run(&["preview", "-c", "token=x"]).complains(2, &["`token` is secret"]);
    place.run(&["preview", "-c", "port=many"]).complains(2, &["`port` is `many`", "u16", "config set port"]);
    place.run(&["up", "--yes", "-c", "zones=[1]"]).complains(2, &["zones", "JSON", "expected a string"]);
    assert_eq!(place.read("p/dev/config.json"), before);
    assert_eq!(place.read("p/dev/state.json"), "");

    // A secret that the program reads in the clear.
    place.run(&["config", "set", "--force", "--secret", "port", "81"]).says("");
    place.run(&["preview"]).complains(2, &["`port` is secret", "config.secret(\"port\")"]);
}

fn programs_read_what_was_set(place: &Place) {
    place.run(&["config", "set", "zones", r#"["a", "b"]"#]).says("");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).says("");
    let preview = place.run(&["--json", "preview", "-c", "port=81"]);
    assert_eq!(preview.code, Some(0), "{}{}", preview.out, preview.err);
    assert!(!preview.out.contains("hunter2"), "{}", preview.out);
    // A preview changes nothing, and that is remembered neither.
    place.run(&["config", "get", "port"]).complains(2, &["no value `port`"]);
    let up = place.run(&["up", "--yes", "-c", "port=81"]);
    assert_eq!(up.code, Some(0), "{}{}", up.out, up.err);
    assert!(!up.out.contains("hunter2") && up.out.contains("[secret]"), "{}", up.out);
    place.run(&["output", "port"]).says("81");
    place.run(&["output", "token"]).complains(1, &["secret"]);
    place.run(&["output", "token", "--show-secrets"]).says("hunter2");
    for entry in std::fs::read_dir(place.path().join("state/p/dev")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{}", path.display());
    }
}

fn a_passphrase_wraps_the_key(place: &Place) {
    let right = [("INFRA_PASSPHRASE", "correct horse")];
    let wrong = [("INFRA_PASSPHRASE", "battery staple")];
    place.run(&["secrets", "status"]).says("no key yet: one is made with the first secret or the first `up`");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).says("");
    let status = |place: &Place| -> serde_json::Value {
        serde_json::from_str(&place.run(&["--json", "secrets", "status"]).out).unwrap()
    };
    assert_eq!(status(place)["wrapped_by"], "nothing");
    place.run(&["secrets", "rewrap"]).complains(2, &["--passphrase", "--kms", "--plain"]);
    place.run(&["secrets", "rewrap", "--passphrase"]).complains(2, &["no new passphrase", "INFRA_NEW_PASSPHRASE"]);
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1";
    place.run(&["secrets", "rewrap", "--kms", arn]).complains(2, &["built without `awskms://`"]);
    place.run(&["secrets", "rewrap", "--kms", "alias/x"]).complains(2, &["`alias/x` names no key", "ARN"]);
    assert_eq!(place.run_with(&["secrets", "rewrap", "--passphrase"], &right, "").code, Some(0));
    assert_eq!(status(place)["wrapped_by"], "passphrase");

    let document = place.read("secrets.key");
    let get = ["config", "get", "token", "--show-secrets"];
    place.run(&get).complains(1, &["wrapped by a passphrase", "secrets.key", "INFRA_PASSPHRASE"]);
    place.run_with(&get, &wrong, "").complains(1, &["does not open the key", "secrets.key", "INFRA_PASSPHRASE"]);
    place.run_with(&["secrets", "rotate"], &wrong, "").complains(1, &["does not open the key"]);
    place.run_with(&["up", "--yes"], &wrong, "").complains(1, &["does not open the key"]);
    assert_eq!(place.read("secrets.key"), document);
    place.run_with(&get, &right, "").says("hunter2");
    place.run(&["config", "list"]).says("token  [secret]");
    let file = place.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let by_file = [("INFRA_PASSPHRASE_FILE", file.to_str().unwrap())];
    place.run_with(&get, &by_file, "").says("hunter2");
    place.run_with(&get, &[("INFRA_PASSPHRASE_FILE", "/nonexistent/file")], "").complains(1, &["/nonexistent/file"]);

    let weak = [right[0], ("INFRA_NEW_PASSPHRASE", "short")];
    place.run_with(&["secrets", "rewrap", "--passphrase"], &weak, "").complains(1, &["too weak", "12 characters"]);
    place.run_with(&get, &right, "").says("hunter2");
    let renew = [right[0], ("INFRA_NEW_PASSPHRASE", "another horse")];
    assert_eq!(place.run_with(&["secrets", "rewrap", "--passphrase"], &renew, "").code, Some(0));
    place.run_with(&get, &right, "").complains(1, &["does not open the key"]);
    let new = [("INFRA_PASSPHRASE", "another horse")];
    assert_eq!(place.run_with(&["secrets", "rewrap", "--plain"], &new, "").code, Some(0));
    place.run(&get).says("hunter2");
}

fn the_key_is_rotated(place: &Place) {
    place.run(&["config", "set", "--secret", "token", "hunter2"]).says("");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    let password = place.run(&["output", "password", "--show-secrets"]).out;
    let rotated = place.run(&["--json", "secrets", "rotate"]);
    let rotated: serde_json::Value = serde_json::from_str(&rotated.out).unwrap();
    assert_eq!((&rotated["stacks"], &rotated["finished"]), (&1.into(), &false.into()));
    let (from, to) = (rotated["from"].as_str().unwrap(), rotated["to"].as_str().unwrap());
    for file in ["p/dev/state.json", "p/dev/config.json"] {
        let text = place.read(file);
        assert!(text.contains(to) && !text.contains(&format!("{from}:")), "{file}: {text}");
    }
    place.run(&["output", "password", "--show-secrets"]).says(password.trim_end());
    place.run(&["config", "get", "token", "--show-secrets"]).says("hunter2");
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
    assert_eq!(place.run(&["destroy", "--yes"]).code, Some(0));
}

fn a_damaged_state_is_restored(place: &Place) {
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["up", "--yes", "-c", "port=81"]).code, Some(0));
    place.run(&["state", "restore"]).says("the files of the stack are sound: there is nothing to restore");
    let path = place.path().join("state/p/dev/state.json");
    let password = place.run(&["output", "password", "--show-secrets"]).out;

    let damaged = place.read("p/dev/state.json").replacen("\"length\": 20", "\"length\": 21", 1);
    std::fs::write(&path, &damaged).unwrap();
    for command in [&["preview"][..], &["up", "--yes"], &["state", "verify"], &["destroy", "--yes"]] {
        place.run(command).complains(1, &["state.json", "random:Password::password", "checksum", "`state restore`"]);
    }
    place.run(&["state", "restore"]).complains(2, &["confirmation", "state.json.previous + journal", "`--yes`"]);
    assert_eq!(place.read("p/dev/state.json"), damaged, "nothing is restored without a confirmation");
    let restored = place.run(&["state", "restore", "--yes"]);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    for part in ["serial", "1 resources", "state.json.damaged-1"] {
        assert!(restored.out.contains(part), "{part} is missing in: {}", restored.out);
    }
    assert_eq!(place.read("p/dev/state.json.damaged-1"), damaged);
    place.run(&["output", "password", "--show-secrets"]).says(password.trim_end());
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));

    std::fs::remove_file(&path).unwrap();
    for command in [&["preview"][..], &["up", "--yes"], &["destroy", "--yes"]] {
        place.run(command).complains(1, &["state.json is missing", "history.json", "`state restore`"]);
    }
    let json = place.run(&["--json", "state", "restore", "--yes"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["restored"], &json["resources"], &json["unused_lines"]), (&true.into(), &1.into(), &0.into()));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
    assert_eq!(place.run(&["destroy", "--yes"]).code, Some(0));
}

fn a_lost_key_is_not_replaced(place: &Place) {
    place.run(&["config", "set", "--secret", "token", "hunter2"]).says("");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    std::fs::remove_file(place.path().join("state/secrets.key")).unwrap();
    for command in [
        &["config", "set", "--force", "--secret", "other", "x"][..],
        &["up", "--yes"],
        &["preview"],
        &["state", "list"],
        &["secrets", "rotate"],
        &["secrets", "rewrap", "--plain"],
        &["--stack", "new", "up", "--yes"],
    ] {
        place.run(command).complains(1, &["secrets.key is missing", "restore it from a copy"]);
        assert_eq!(place.read("secrets.key"), "", "{command:?} has made a key");
    }
}

/// The whole life of a stack, as text and as JSON, with everything that can be logged.
fn no_secret_is_shown(place: &Place) {
    let plan = place.path().join("plan.json");
    let plan = plan.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["config", "set", "--secret", "token", "hunter2-first"],
        &["config", "list"],
        &["preview", "--diff"],
        &["preview", "--save-plan", plan],
        &["up", "--yes", "--plan", plan],
        &["output"],
        &["config", "set", "--secret", "token", "hunter2-second"],
        &["preview", "--diff", "--replace", "password"],
        &["up", "--yes", "--replace", "password"],
        &["state", "list"],
        &["state", "show", "password"],
        &["state", "verify"],
        &["graph", "--format", "json"],
        &["graph", "--format", "dot"],
        &["refresh"],
        &["history"],
        &["secrets", "rotate"],
        &["secrets", "status"],
        &["rollback", "1", "--yes"],
        &["config", "get", "token"],
        &["output", "password"],
        &["destroy", "--yes"],
        &["history"],
    ];
    let mut passwords = std::collections::BTreeSet::new();
    let (mut shown, mut masked) = (String::new(), 0);
    for json in [false, true] {
        // A plan belongs to the state that it was made of.
        let _ = std::fs::remove_file(plan);
        for command in commands {
            let arguments: Vec<&str> = json.then_some("--json").into_iter().chain(command.iter().copied()).collect();
            let ran = place.run_with(&arguments, &[("RUST_LOG", "trace")], "");
            let refused = matches!(command, ["config", "get", ..] | ["output", "password"]);
            assert_eq!(ran.code != Some(0), refused, "{arguments:?}: {}{}", ran.out, ran.err);
            let told = ran.out + &ran.err;
            masked += told.matches("[secret]").count();
            shown += &told;
            let outputs = place.run(&["--json", "output", "--show-secrets"]).out;
            let outputs: serde_json::Value = serde_json::from_str(&outputs).unwrap_or_default();
            passwords.extend(outputs["password"].as_str().map(str::to_owned));
            shown += &files(place.path());
        }
    }
    assert!(passwords.len() >= 3 && masked > 10, "{passwords:?}");
    for secret in passwords.iter().map(String::as_str).chain(["hunter2"]) {
        let line = shown.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

/// A run that has come to what the gate keeps from going on.
struct AtGate {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl AtGate {
    fn begin(place: &Place, gate: &str) -> Self {
        let mut command = place.command(&["--json", "up", "--yes", "-c", &format!("gate={gate}")]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut run = Self { child, out };
        run.until(&["step_started", "gated"]);
        run
    }

    /// Reads up to the line that has all of these words.
    #[track_caller]
    fn until(&mut self, words: &[&str]) {
        let mut line = String::new();
        while !words.iter().all(|word| line.contains(word)) {
            line.clear();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it has ended without {words:?}");
        }
    }

    fn press_ctrl_c(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    fn end(mut self) -> Option<i32> {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

const FINISHING: &str = "finishing what runs, beginning nothing new";

fn ctrl_c_once_finishes_what_runs(place: &Place) {
    let gate = place.path().join("gate");
    let mut run = AtGate::begin(place, gate.to_str().unwrap());
    run.press_ctrl_c();
    run.until(&[FINISHING]);
    std::fs::write(&gate, "").unwrap();
    assert_eq!(run.end(), Some(1));
    let list = place.run(&["state", "list"]).out;
    assert!(list.contains("gated") && !list.contains("afterwards"), "{list}");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
}

fn ctrl_c_twice_stops_at_once(place: &Place) {
    let gate = place.path().join("gate");
    let mut run = AtGate::begin(place, gate.to_str().unwrap());
    run.press_ctrl_c();
    run.until(&[FINISHING]);
    run.press_ctrl_c();
    run.until(&["stopped"]);
    assert_eq!(run.end(), Some(130));
    assert!(!place.run(&["state", "list"]).out.contains("gated"));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
}

fn files(directory: &Path) -> String {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.map(|path| match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => files(&path),
    });
    texts.collect::<Vec<_>>().join("\n")
}
