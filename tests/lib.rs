//! What the tests of the whole share: a place of their own, the `stack` command as a child process, HTTP.

use infra_core::{Target, target::Credentials};
use infra_local::LocalCloud;
use serde_json::Value as Json;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take before a test gives up. No test passes or fails by being faster than this.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Cargo, as if called from a shell: what `cargo test` says of its package would make build scripts run again.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_CRATE_NAME"] {
        command.env_remove(name);
    }
    command
}

/// Builds the programs that tests run, once, and says where they are.
pub fn binary(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let output = cargo()
            .args(["build", "--bin", "stack", "--bin", "tasks", "--bin", "client", "--message-format", "json"])
            .current_dir(workspace())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "the programs do not build");
        let executable =
            |line: &str| serde_json::from_str::<Json>(line).ok()?["executable"].as_str().map(PathBuf::from);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let any = text.lines().find_map(executable).expect("cargo tells where it puts programs");
        any.parent().map(Path::to_owned).unwrap_or_default()
    });
    directory.join(name)
}

/// The target of a local cloud in this process.
pub fn target(cloud: &LocalCloud) -> Target {
    let key = cloud.credentials();
    Target::local(cloud.endpoint(), Credentials::new(key.access_key_id, key.secret_access_key))
}

/// A directory of its own with a stack in it. Whatever still runs in it ends with it.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// An empty place.
    pub fn new() -> Self {
        // Database servers run as another user when the tests run as root, and must be able to enter it.
        let open = std::fs::Permissions::from_mode(0o711);
        let directory = tempfile::Builder::new().permissions(open).tempdir();
        Self { directory: directory.expect("a temporary directory") }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The `stack` command, to be run in this place.
    pub fn stack(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(binary("stack"));
        command
            .arg("--directory")
            .arg(self.path().join(".infra"))
            .args(arguments)
            .env("INFRA_ARTIFACT_TASKS", binary("tasks"))
            .env("NO_COLOR", "1")
            .current_dir(workspace())
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.stack(arguments).output().expect("the command runs");
        Ran::new(arguments, output)
    }

    /// Runs the command with `--json` and returns its events; it must succeed.
    pub fn events(&self, arguments: &[&str]) -> Vec<Json> {
        let ran = self.run(&[&["--json"], arguments].concat());
        ran.expect(0);
        ran.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Begins the command with `--json`.
    pub fn begin(&self, arguments: &[&str]) -> Begun {
        let mut child =
            self.stack(["--json"]).args(arguments).stdout(Stdio::piped()).spawn().expect("the command runs");
        let out = BufReader::new(child.stdout.take().expect("its output is piped"));
        Begun { child, out }
    }

    /// The JSON that the command answers with.
    pub fn json(&self, arguments: &[&str]) -> Json {
        let ran = self.run(&[&["--json"], arguments].concat());
        ran.expect(0);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
    }

    /// One output of the stack, secrets in the clear.
    pub fn output(&self, name: &str) -> String {
        let ran = self.run(&["output", name, "--show-secrets"]);
        ran.expect(0);
        ran.out.trim_end().to_owned()
    }

    /// What runs in the local cloud, or nothing when there is none.
    pub fn status(&self) -> Option<Json> {
        let ran = self.run(&["--json", "local", "status"]);
        (ran.code == Some(0)).then(|| serde_json::from_str(&ran.out).expect("a JSON document"))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that failed leaves its cloud running; one that succeeded has none.
        let _ = self.stack(["local", "stop"]).output();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// How it was called.
    pub arguments: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it complained about.
    pub err: String,
}

impl Ran {
    fn new(arguments: &[&str], output: Output) -> Self {
        Self {
            arguments: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the command ended with this code.
    #[track_caller]
    pub fn expect(&self, code: i32) {
        assert_eq!(self.code, Some(code), "stack {}\n{}\n{}", self.arguments, self.out, self.err);
    }
}

/// A command that runs and prints events.
pub struct Begun {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Begun {
    /// The next event; none when the command has ended.
    pub fn next_event(&mut self) -> Option<Json> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).expect("its output can be read");
        (read > 0).then(|| serde_json::from_str(&line).expect("a line of JSON"))
    }

    /// Ends it the way a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Option<i32> {
        while self.next_event().is_some() {}
        self.child.wait().expect("it ends").code()
    }
}

/// Asks until the answer is `Some`.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One HTTP exchange: the status and the body, or none when nobody answers.
pub fn http(method: &str, url: &str, body: Option<&str>) -> Option<(u16, String)> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let request = ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    let mut answer = match body {
        Some(body) => agent.run(request.body(body.to_owned()).ok()?),
        None => agent.run(request.body(()).ok()?),
    }
    .ok()?;
    Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
}

/// The text with what differs from run to run taken out: ids, hashes, addresses, durations, the suffixes of names.
pub fn stable(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
            word.push(c);
        } else {
            out.push_str(&stable_word(&word));
            word.clear();
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

fn stable_word(word: &str) -> String {
    let hexadecimal = |text: &str| text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    let suffix = |text: &str| text.len() == 7 && text.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7'));
    match word.len() {
        64 if hexadecimal(word) => return "<sha256>".to_owned(),
        16 if hexadecimal(word) => return "<id>".to_owned(),
        _ => {}
    }
    if word.starts_with("127.") && word.split('.').count() == 4 {
        return "127.x.x.x".to_owned();
    }
    match word.rsplit_once('-') {
        Some((kind, id)) if id.len() == 17 && hexadecimal(id) => format!("{kind}-<id>"),
        Some((name, id)) if suffix(id) && !name.is_empty() => format!("{name}-<suffix>"),
        _ => word.to_owned(),
    }
}
