//! The program `tasks`: start, log, signals and invalid settings.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kit::testing::{connect, exchange, send};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tasks::entity::user;
use tempfile::TempDir;

use crate::{PASSWORD, block_on};

/// Database in the directory of the program.
const DATABASE_URL: &str = "sqlite:tasks.sqlite?mode=rwc";

/// The program in its own directory, killed when dropped.
struct Program {
    child: Child,
    directory: TempDir,
}

impl Program {
    fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), environment)
    }

    fn start_in(directory: TempDir, environment: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.env("LISTEN", "127.0.0.1:0").env("DATABASE_URL", DATABASE_URL).envs(environment.iter().copied());
        command.current_dir(directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), directory }
    }

    /// Waits for the line with the address of the listener.
    fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("tasks listens on http://").unwrap_or_else(|| panic!("{line:?}"));
        address.trim_end().parse().unwrap()
    }

    /// Waits for the exit. Returns the exit code, unless a signal stopped the program, and its standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

/// Returns the program without settings.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasks"));
    for name in [
        "ADMIN_PASSWORD",
        "ADMIN_USERNAME",
        "AUTH",
        "AUTH_KEYS",
        "DATABASE_READER_URL",
        "DATABASE_URL",
        "METRICS_LISTEN",
        "RUST_LOG",
        "TRUSTED_PROXIES",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command of the program in a directory. Returns whether it succeeded, and its output.
fn administer(directory: &TempDir, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = command();
    command.env("DATABASE_URL", DATABASE_URL);
    command.args(arguments).current_dir(directory.path()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may exit without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Sends a request with a JSON body to a program.
fn post(address: SocketAddr, path: &str, authorization: &str, body: &Value) -> (u16, Value) {
    let headers = [("Authorization", authorization)];
    let answer = send(address, &format!("POST {path}"), &headers, &body.to_string());
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serves_logs_and_stops() {
    for signal in ["-TERM", "-INT"] {
        let mut program = Program::start(&[]);
        let address = program.address();
        let request =
            "GET /tasks/?password=s3cret HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(address, request).body, "[]");
        assert!(program.directory.path().join("tasks.sqlite").is_file());

        let start = Instant::now();
        let kill = Command::new("kill").args([signal, &program.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(start.elapsed() < Duration::from_secs(10), "{log}");

        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let [line] = &lines[..] else { panic!("one request, but: {log}") };
        assert_eq!(line["span"]["request_id"], "abc");
        let logged = (&line["method"], &line["path"], &line["status"], &line["client"]);
        assert_eq!(logged, (&"GET".into(), &"/tasks/".into(), &200.into(), &"127.0.0.1".into()));
        assert!(line["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0), "{line}");
        assert!(!log.contains("s3cret"), "{log}");
    }
}

#[test]
fn invalid_settings_are_named() {
    let taken = kit::listen::bind("LISTEN", "127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (name, value, expected) in [
        ("AUTH", "some", "tasks: AUTH=some is not off, writes or all"),
        ("LISTEN", "nowhere", "tasks: LISTEN=nowhere is not <host>:<port>"),
        ("LISTEN", "", "tasks: LISTEN= is not <host>:<port>"),
        ("METRICS_LISTEN", "9090", "tasks: METRICS_LISTEN=9090 is not <host>:<port>"),
        ("METRICS_LISTEN", &taken, &format!("tasks: {taken} is in use by another process")),
        ("TRUSTED_PROXIES", "10.1.0.0/99", "tasks: TRUSTED_PROXIES=10.1.0.0/99 is not a list of addresses"),
        ("TRUSTED_PROXIES", "", "tasks: TRUSTED_PROXIES= is not a list of addresses"),
        ("AUTH", "", "tasks: AUTH= is not off, writes or all"),
        ("AUTH_KEYS", "", "tasks: AUTH_KEYS"),
        ("ADMIN_PASSWORD", "", "tasks: ADMIN_PASSWORD is set and ADMIN_USERNAME is not"),
        ("DATABASE_READER_URL", "", "tasks: DATABASE_READER_URL starts with neither"),
        ("DATABASE_URL", "", "tasks: DATABASE_URL is not set; write postgres://"),
        ("LISTEN", &taken, &format!("tasks: {taken} is in use by another process")),
        ("AUTH_KEYS", "k1:czNjcmV0", "tasks: AUTH_KEYS: a key has fewer than 32 bytes"),
        ("ADMIN_USERNAME", "ana", "tasks: ADMIN_USERNAME is set and ADMIN_PASSWORD is not"),
        ("DATABASE_READER_URL", "mysql://u:s3cret@h/d", "tasks: DATABASE_READER_URL starts with neither"),
        ("DATABASE_URL", "mysql://u:s3cret@h/d", "tasks: DATABASE_URL starts with neither"),
        ("DATABASE_URL", "sqlite:no/such/file", "tasks: cannot open the SQLite file no/such/file"),
        ("LIMIT_SECONDS", "soon", "tasks: LIMIT_SECONDS=soon is not a whole number"),
    ] {
        let (code, stderr) = Program::start(&[(name, value)]).end();
        assert_eq!(code, Some(1), "{name}={value}: {stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("s3cret"), "{name}={value}: {stderr}");
    }
}

#[test]
fn the_database_has_no_default() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["rotate-keys"], &["create-user", "ana"]] {
        let mut command = command();
        command.args(arguments).env("LISTEN", "127.0.0.1:0").current_dir(directory.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let (what, development) = ("tasks: DATABASE_URL is not set", "sqlite:tasks.sqlite?mode=rwc");
        let asks_for_password = arguments.contains(&"ana");
        assert!(asks_for_password || stderr.contains(what) && stderr.contains(development), "{arguments:?}: {stderr}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn metrics_have_a_separate_listener() {
    let mut program = Program::start(&[("METRICS_LISTEN", "127.0.0.1:0")]);
    let mut lines = BufReader::new(program.child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (listens, serves) = (lines.next().unwrap(), lines.next().unwrap());
    let address = listens.strip_prefix("tasks listens on http://").unwrap().parse().unwrap();
    let metrics = serves.strip_prefix("tasks serves metrics on http://").unwrap().strip_suffix("/metrics").unwrap();
    assert_eq!(send(address, "GET /metrics", &[], "").status, 404);
    let shown = send(metrics.parse().unwrap(), "GET /metrics", &[], "");
    assert!(shown.status == 200 && shown.body.contains("http_requests_total"), "{shown:?}");
}

#[test]
fn commands_create_users_and_keys() {
    let directory = tempfile::tempdir().unwrap();
    let output = administer(&directory, &["create-user", "--staff", "root"], "correct horse\n");
    assert_eq!(output, (true, "created staff user root with id 1\n".into()));
    let output = administer(&directory, &["create-user", "ana"], "correct horse");
    assert_eq!(output, (true, "created user ana with id 2\n".into()));
    let output = administer(&directory, &["create-user", "--superuser", "admin"], "correct horse");
    assert_eq!(output, (true, "created superuser admin with id 3\n".into()));
    for (name, password, why) in [
        ("ana", PASSWORD, "tasks: username: A user with that username already exists."),
        ("a b", PASSWORD, "tasks: username: Enter a valid username."),
        ("eva", "s3cret", "tasks: password: This password is too short."),
        ("eva", "", "tasks: password: This password is too short."),
    ] {
        let (done, output) = administer(&directory, &["create-user", name], password);
        assert!(!done && output.starts_with(why) && !output.contains("s3cret"), "{name}: {output}");
    }

    let mut program = Program::start_in(directory, &[]);
    let address = program.address();
    let (status, tokens) = post(address, "/auth/token", "", &json!({ "username": "ana", "password": PASSWORD }));
    assert_eq!(status, 200, "{tokens}");
    let (done, output) = administer(&program.directory, &["rotate-keys"], "");
    assert!(done && output.starts_with("key ") && output.ends_with(" signs from now on\n"), "{output}");
    let (status, refreshed) = post(address, "/auth/refresh", "", &json!({ "refresh": tokens["refresh"] }));
    assert_eq!(status, 200, "{refreshed}");
    for token in [&tokens, &refreshed] {
        let authorization = format!("Bearer {}", token["access"].as_str().unwrap());
        assert_eq!(post(address, "/tasks/", &authorization, &json!({})).0, 400, "signed in, and nothing to add");
    }
}

#[test]
fn the_administrator_is_created_once() {
    let mut directory = tempfile::tempdir().unwrap();
    for password in [PASSWORD, "another horse"] {
        let environment = [("ADMIN_USERNAME", "root"), ("ADMIN_PASSWORD", password)];
        let mut program = Program::start_in(directory, &environment);
        let credentials = json!({ "username": "root", "password": PASSWORD });
        assert_eq!(post(program.address(), "/auth/token", "", &credentials).0, 200);
        let url = format!("sqlite:{}/tasks.sqlite", program.directory.path().display());
        let users = block_on(async { user::Entity::find().all(&connect(&url).await).await.unwrap() });
        let [root] = &users[..] else { panic!("{users:?}") };
        assert!(root.username == "root" && root.is_staff && root.is_superuser && root.is_active);
        directory = std::mem::replace(&mut program.directory, tempfile::tempdir().unwrap());
    }
}

#[test]
fn the_log_contains_no_secrets() {
    let key = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let environment = [
        ("RUST_LOG", "debug"),
        ("AUTH_KEYS", key),
        ("ADMIN_USERNAME", "root"),
        ("ADMIN_PASSWORD", "horse of an admin"),
    ];
    let mut program = Program::start(&environment);
    let address = program.address();
    let credentials = json!({ "username": "ana", "password": PASSWORD });
    assert_eq!(post(address, "/auth/register", "", &credentials).0, 201);
    assert_eq!(post(address, "/auth/token", "", &json!({ "username": "ana", "password": "wrong horse" })).0, 401);
    let (_, first) = post(address, "/auth/token", "", &credentials);
    let (_, second) = post(address, "/auth/refresh", "", &json!({ "refresh": first["refresh"] }));
    assert_eq!(post(address, "/auth/refresh", "", &json!({ "refresh": first["refresh"] })).0, 401);
    let access = second["access"].as_str().unwrap();
    assert_eq!(post(address, &format!("/tasks/?token={access}"), &format!("Bearer {access}"), &json!({})).0, 400);
    assert_eq!(post(address, "/tasks/", "Bearer f0rged.t0ken.here", &json!({})).0, 401);

    let kill = Command::new("kill").arg(program.child.id().to_string()).status();
    assert!(kill.unwrap().success());
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("/auth/token") && log.contains("a refresh token was used twice"), "{log}");
    let tokens = [&first["access"], &first["refresh"], &second["access"], &second["refresh"]];
    let tokens = tokens.map(|token| token.as_str().unwrap());
    let others = ["horse", "f0rged", "t0ken", "AAECAwQF", "$argon2id"];
    for secret in tokens.iter().chain(&others) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
