//! The program `tasks`: starts with nothing set, logs, stops when told, and says what is wrong.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kit::testing::exchange;
use serde_json::Value;
use tempfile::TempDir;

/// The program in a directory of its own; ended when dropped.
struct Program {
    child: Child,
    directory: TempDir,
}

impl Program {
    fn start(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tasks"));
        for name in
            ["DATABASE_URL", "DATABASE_READER_URL", "AUTH", "AUTH_KEYS", "ADMIN_USERNAME", "ADMIN_PASSWORD", "RUST_LOG"]
        {
            command.env_remove(name);
        }
        command.env("LISTEN", "127.0.0.1:0").envs(environment.iter().copied());
        command.current_dir(directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), directory }
    }

    /// Waits for the line that says where it listens.
    fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("tasks listens on http://").unwrap_or_else(|| panic!("{line:?}"));
        address.trim_end().parse().unwrap()
    }

    /// Waits for its end; gives the exit code, if it was not a signal, and what it wrote on stderr.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
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

        let asked = Instant::now();
        let kill = Command::new("kill").args([signal, &program.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{log}");

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
fn says_what_is_wrong_and_ends() {
    let taken = kit::listen::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (name, value, expected) in [
        ("AUTH", "some", "tasks: AUTH=some is not off, writes or all"),
        ("LISTEN", "nowhere", "tasks: LISTEN=nowhere is not <host>:<port>"),
        ("LISTEN", &taken, &format!("tasks: {taken} is taken by another process")),
        ("DATABASE_URL", "mysql://u:s3cret@h/d", "tasks: DATABASE_URL starts with neither"),
        ("DATABASE_URL", "sqlite:no/such/file", "tasks: cannot open the SQLite file no/such/file"),
        ("LIMIT_SECONDS", "soon", "tasks: LIMIT_SECONDS=soon is not a whole number"),
    ] {
        let (code, stderr) = Program::start(&[(name, value)]).end();
        assert_eq!(code, Some(1), "{name}={value}: {stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("s3cret"), "{name}={value}: {stderr}");
    }
}
