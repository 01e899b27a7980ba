//! Helpers of the end-to-end tests: a temporary project, the `stack` command as a child process, HTTP requests; and the
//! code of the book.

#[cfg(doctest)]
mod book;

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

/// Timeout of every wait. It only affects tests that fail.
pub const TIMEOUT: Duration = Duration::from_mins(3);

/// Returns the root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Returns a `cargo` command without the variables that `cargo test` sets for its package, which would cause build scripts
/// to run again.
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

/// Services of the programs in stacks/.
const SERVICES: [&str; 9] =
    ["tasks", "users", "acts", "orchestrator", "bookstore", "gatekeeper", "trusted-host", "proxy", "patterns"];

/// Returns the name of the variable with the path of a service's executable, which `up` does not have to build then.
fn variable(service: &str) -> String {
    format!("INFRA_ARTIFACT_{}", service.to_ascii_uppercase().replace('-', "_"))
}

/// Builds the executables of the tests once, and returns the path of one of them.
pub fn binary(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let output = cargo()
            .args(["build", "--bins", "--message-format", "json"])
            .current_dir(workspace())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "the executables do not build");
        let executable =
            |line: &str| serde_json::from_str::<Json>(line).ok()?["executable"].as_str().map(PathBuf::from);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let any = text.lines().find_map(executable).expect("cargo prints the paths of executables");
        any.parent().map(Path::to_owned).unwrap_or_default()
    });
    directory.join(name)
}

/// Returns the target of a local cloud in this process.
pub fn target(cloud: &LocalCloud) -> Target {
    let key = cloud.credentials();
    Target::local(cloud.endpoint(), Credentials::new(key.access_key_id, key.secret_access_key))
}

/// A temporary directory for a stack. Its local cloud is stopped when it is dropped.
pub struct Project {
    directory: TempDir,
}

impl Project {
    /// Creates an empty project.
    pub fn new() -> Self {
        // Database servers run as another user when the tests run as root, and must be able to enter the directory.
        let permissions = std::fs::Permissions::from_mode(0o711);
        let directory = tempfile::Builder::new().permissions(permissions).tempdir();
        Self { directory: directory.expect("a temporary directory") }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the `stack` command for this project.
    pub fn stack(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(binary("stack"));
        command
            .arg("--directory")
            .arg(self.path().join(".infra"))
            .args(arguments)
            .envs(SERVICES.map(|name| (variable(name), binary(name))))
            .env("NO_COLOR", "1")
            .current_dir(workspace())
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to completion.
    pub fn run(&self, arguments: &[&str]) -> Completed {
        let output = self.stack(arguments).output().expect("the command runs");
        Completed::new(arguments, output)
    }

    /// Runs the command with `--json` and returns its events; it must succeed.
    pub fn events(&self, arguments: &[&str]) -> Vec<Json> {
        let completed = self.run(&[&["--json"], arguments].concat());
        completed.expect(0);
        completed.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Starts the command with `--json`.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let mut child =
            self.stack(["--json"]).args(arguments).stdout(Stdio::piped()).spawn().expect("the command runs");
        let out = BufReader::new(child.stdout.take().expect("its output is piped"));
        Running { child, out }
    }

    /// Runs the command with `--json` and returns its result; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Json {
        let completed = self.run(&[&["--json"], arguments].concat());
        completed.expect(0);
        serde_json::from_str(&completed.out).unwrap_or_else(|error| panic!("{error}: {}", completed.out))
    }

    /// Returns an output of the stack, with secrets unmasked.
    pub fn output(&self, name: &str) -> String {
        let completed = self.run(&["output", name, "--show-secrets"]);
        completed.expect(0);
        completed.out.trim_end().to_owned()
    }

    /// Returns the status of the local cloud; `None` when it does not run.
    pub fn status(&self) -> Option<Json> {
        let completed = self.run(&["--json", "local", "status"]);
        (completed.code == Some(0)).then(|| serde_json::from_str(&completed.out).expect("a JSON document"))
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A failed test leaves its cloud running; after a successful one there is none.
        let _ = self.stack(["local", "stop"]).output();
    }
}

/// A finished command.
#[derive(Debug)]
pub struct Completed {
    /// Arguments of the command.
    pub arguments: String,
    /// Exit code; `None` when a signal terminated the process.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Completed {
    fn new(arguments: &[&str], output: Output) -> Self {
        Self {
            arguments: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts that the command exited with this code.
    #[track_caller]
    pub fn expect(&self, code: i32) {
        assert_eq!(self.code, Some(code), "stack {}\n{}\n{}", self.arguments, self.out, self.err);
    }
}

/// A running command that prints events.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    /// Returns the next event; `None` when the command has finished.
    pub fn next_event(&mut self) -> Option<Json> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).expect("its output can be read");
        (read > 0).then(|| serde_json::from_str(&line).expect("a line of JSON"))
    }

    /// Kills the command by SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process terminates");
    }

    /// Waits until the command has finished and returns its exit code.
    pub fn wait(mut self) -> Option<i32> {
        while self.next_event().is_some() {}
        self.child.wait().expect("the process terminates").code()
    }
}

/// Polls until the result is `Some`. `condition` describes it for the error message.
#[track_caller]
pub fn until<T>(condition: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(result) = poll() {
            return result;
        }
        assert!(started.elapsed() < TIMEOUT, "timed out while waiting until {condition}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends an HTTP request and returns the status and the body; `None` without a response.
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

/// Replaces the parts of a text that differ between runs: ids, hashes, addresses and the suffixes of names.
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
