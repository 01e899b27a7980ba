//! The program `bookstore`: start, signals and invalid settings.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use kit::testing::{Postgres, send};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shop::{KEY, PASSWORD, number_at};

/// Database in the directory of the program.
const SQLITE: &str = "sqlite:bookstore.sqlite?mode=rwc";

/// The program in its own directory, killed when dropped.
struct Program {
    child: Child,
    _directory: TempDir,
}

impl Program {
    fn start(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bookstore"));
        for name in [
            "ADMIN_EMAIL",
            "ADMIN_PASSWORD",
            "COOKIE_SECURE",
            "DATABASE_READER_URL",
            "DATABASE_URL",
            "METRICS_LISTEN",
            "READER_ENGINE",
            "RUST_LOG",
            "SECRET_KEY",
            "TRUSTED_PROXIES",
            "WRITE_ENGINE",
        ] {
            command.env_remove(name);
        }
        command.env("LISTEN", "127.0.0.1:0").envs(environment.iter().copied()).current_dir(directory.path());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, _directory: directory }
    }

    /// Waits for the lines with the addresses of the listeners.
    fn addresses<const N: usize>(&mut self) -> [SocketAddr; N] {
        let mut lines = BufReader::new(self.child.stdout.as_mut().unwrap()).lines();
        [(); N].map(|()| {
            let line = lines.next().unwrap_or_else(|| panic!("no address")).unwrap();
            let address = line.split_once("http://").unwrap().1;
            address.trim_end_matches("/metrics").parse().unwrap()
        })
    }

    /// Waits for the exit. Returns the exit code, unless a signal stopped the program, and its standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn instances_create_a_missing_database_and_serve_it() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.url().replacen("/postgres?", "/shop?", 1);
    let environment = [
        ("WRITE_ENGINE", url.as_str()),
        ("READER_ENGINE", url.as_str()),
        ("SECRET_KEY", KEY),
        ("ADMIN_EMAIL", "Admin@example.org"),
        ("ADMIN_PASSWORD", PASSWORD),
        ("METRICS_LISTEN", "127.0.0.1:0"),
    ];
    let mut programs = [(); 2].map(|()| Program::start(&environment));
    let [one, other] = programs.each_mut().map(Program::addresses::<2>);
    let credentials = json!({ "email": "admin@example.org", "password": PASSWORD }).to_string();
    let answer = send(one[0], "POST /api/login", &[], &credentials);
    let token: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &token["user"]["is_admin"]), (200, &json!(true)));
    // The other instance accepts the token.
    let authorization = format!("Bearer {}", token["token"].as_str().unwrap());
    let answer = send(other[0], "GET /api/check_login", &[("Authorization", &authorization)], "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(send(one[0], "GET /metrics", &[], "").status, 404);
    let metrics = send(other[1], "GET /metrics", &[], "").body;
    assert!(metrics.contains("database_queries_total{endpoint=\"reader\"} 1\n"), "{metrics}");
    assert_eq!(number_at(&url, "SELECT COUNT(*) FROM bookstore_delivery_provider"), 4);
    assert_eq!(number_at(&url, "SELECT COUNT(*) FROM bookstore_user"), 1);
}

#[test]
fn the_program_serves_logs_and_stops() {
    let environment = [
        ("WRITE_ENGINE", SQLITE),
        ("SECRET_KEY", KEY),
        ("RUST_LOG", "debug"),
        ("ADMIN_EMAIL", "admin@example.org"),
        ("ADMIN_PASSWORD", PASSWORD),
    ];
    let mut program = Program::start(&environment);
    let [address] = program.addresses();
    let login = json!({ "email": "admin@example.org", "password": PASSWORD }).to_string();
    let answer = send(address, "POST /api/login", &[("X-Request-Id", "abc")], &login);
    let token: Value = serde_json::from_str(&answer.body).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    send(address, "GET /book/catalog?next=s3cret", &[], "");
    let kill = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains(r#""path":"/api/login","status":200"#) && log.contains(r#""request_id":"abc""#), "{log}");
    for secret in ["horse", KEY, "argon2id", "s3cret", &token] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn invalid_settings_are_named() {
    for (settings, expected) in [
        (&[("SECRET_KEY", KEY)][..], "bookstore: WRITE_ENGINE is not set; write postgres://"),
        (&[("WRITE_ENGINE", SQLITE)], "bookstore: SECRET_KEY is not set; set it to at least 32 random bytes"),
        (&[("WRITE_ENGINE", SQLITE), ("SECRET_KEY", "s3cret")], "bookstore: SECRET_KEY has 6 bytes; at least 32"),
        (&[("WRITE_ENGINE", ""), ("SECRET_KEY", KEY)], "bookstore: WRITE_ENGINE starts with neither"),
        (
            &[("WRITE_ENGINE", "mysql://u:s3cret@h/d"), ("SECRET_KEY", KEY)],
            "bookstore: WRITE_ENGINE starts with neither",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("DATABASE_URL", SQLITE), ("SECRET_KEY", KEY)],
            "bookstore: DATABASE_URL and WRITE_ENGINE are both set",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("READER_ENGINE", ""), ("SECRET_KEY", KEY)],
            "bookstore: READER_ENGINE starts with neither",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("SECRET_KEY", KEY), ("COOKIE_SECURE", "yes")],
            "bookstore: COOKIE_SECURE=yes is not true or false",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("SECRET_KEY", KEY), ("SESSION_SECONDS", "0")],
            "bookstore: SESSION_SECONDS=0 is not a whole number above zero",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("SECRET_KEY", KEY), ("ADMIN_EMAIL", "a@example.org")],
            "bookstore: ADMIN_EMAIL is set and ADMIN_PASSWORD is not",
        ),
        (
            &[("WRITE_ENGINE", SQLITE), ("SECRET_KEY", KEY), ("ADMIN_EMAIL", "a"), ("ADMIN_PASSWORD", "s3cret")],
            "bookstore: ADMIN_EMAIL and ADMIN_PASSWORD cannot be used: email: Enter an email address",
        ),
    ] {
        let (code, stderr) = Program::start(settings).end();
        assert_eq!(code, Some(1), "{settings:?}: {stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("s3cret"), "{settings:?}: {stderr}");
    }
}
