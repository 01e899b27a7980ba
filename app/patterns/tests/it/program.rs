//! The programs: start, signals, invalid settings, and the commands of the client.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use kit::testing::{Postgres, send, wait_until};

use crate::{KEY, Tiers, start_gatekeeper, url};

const GATEKEEPER: (&str, &str) = ("gatekeeper", env!("CARGO_BIN_EXE_gatekeeper"));
const TRUSTED_HOST: (&str, &str) = ("trusted-host", env!("CARGO_BIN_EXE_trusted-host"));
const PROXY: (&str, &str) = ("proxy", env!("CARGO_BIN_EXE_proxy"));

/// A program, killed when dropped.
struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    fn start((name, path): (&'static str, &str), environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path);
        command.env_clear().env("LISTEN", "127.0.0.1:0").envs(environment.iter().copied());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { name, child }
    }

    /// Waits for the line with the address of the listener.
    fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix(&format!("{} listens on http://", self.name));
        address.unwrap_or_else(|| panic!("{line:?}")).trim_end().parse().unwrap()
    }

    fn ask_to_stop(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the exit. Returns the exit code and the standard error.
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

/// Runs the client. Returns whether it succeeded, its output and its errors.
fn client(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patterns"));
    let output = command.args(arguments).env_clear().envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn three_programs_serve_and_stop() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let database = postgres.url();
    let cluster = [("SIGNING_KEY", KEY), ("MANAGER_URL", &*database), ("WORKER_URLS", &*database)];
    let mut proxy = Program::start(PROXY, &cluster);
    let proxy_url = url(proxy.address());
    let mut trusted_host = Program::start(TRUSTED_HOST, &[("SIGNING_KEY", KEY), ("PROXY_URL", &proxy_url)]);
    let trusted_host_url = url(trusted_host.address());
    let mut gatekeeper = Program::start(GATEKEEPER, &[("TRUSTED_HOST_URL", &trusted_host_url)]);
    let address = gatekeeper.address();
    wait_until("all programs are healthy", || send(address, "GET /healthz", &[], "").status == 200);
    let answer = send(address, "POST /fetch_random", &[("X-Request-Id", "abc-1")], r#"{"sql":"SELECT 1"}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, "[[1]]"));
    for program in [&mut gatekeeper, &mut trusted_host, &mut proxy] {
        program.ask_to_stop();
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains(r#""request_id":"abc-1""#), "{log}");
        assert!(!log.contains(KEY) && !log.contains("panicked"), "{log}");
    }
}

#[test]
fn invalid_settings_are_named() {
    let key = ("SIGNING_KEY", KEY);
    let manager = ("MANAGER_URL", "postgres://u:s3cret@h/d");
    let worker = ("WORKER_URLS", "postgres://u:s3cret@h/d");
    for (program, settings, expected) in [
        (GATEKEEPER, &[][..], "gatekeeper: TRUSTED_HOST_URL is not set"),
        (GATEKEEPER, &[("TRUSTED_HOST_URL", "x")], "gatekeeper: TRUSTED_HOST_URL=x is not the URL of a tier"),
        (
            GATEKEEPER,
            &[("TRUSTED_HOST_URL", "http://h"), ("FORWARD_SECONDS", "0")],
            "gatekeeper: FORWARD_SECONDS=0 is not",
        ),
        (GATEKEEPER, &[("TRUSTED_HOST_URL", "http://h"), ("LISTEN", "x")], "gatekeeper: LISTEN=x is not"),
        (TRUSTED_HOST, &[key], "trusted-host: PROXY_URL is not set"),
        (TRUSTED_HOST, &[("PROXY_URL", "http://h")], "trusted-host: SIGNING_KEY is not set"),
        (
            TRUSTED_HOST,
            &[("PROXY_URL", "http://h"), ("SIGNING_KEY", "s3cret")],
            "trusted-host: SIGNING_KEY has 6 bytes",
        ),
        (PROXY, &[manager, worker], "proxy: SIGNING_KEY is not set"),
        (PROXY, &[key, worker], "proxy: MANAGER_URL is not set"),
        (PROXY, &[key, manager], "proxy: WORKER_URLS is not set"),
        (PROXY, &[key, ("MANAGER_URL", "s3cret"), worker], "proxy: MANAGER_URL starts with neither"),
        (PROXY, &[key, manager, worker, ("SIGNING_SKEW_SECONDS", "-1")], "proxy: SIGNING_SKEW_SECONDS=-1 is not"),
    ] {
        let (code, stderr) = Program::start(program, settings).end();
        assert_eq!(code, Some(1), "{settings:?}: {stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("s3cret"), "{settings:?}: {stderr}");
    }
}

#[test]
fn the_client_prints_every_request_and_the_latencies() {
    let Some(manager) = Postgres::start() else {
        return;
    };
    let worker = manager.replicate();
    let tiers = Tiers::start(&manager.url(), &[worker.url()], &[]);
    tiers.wait_for(&["manager", "worker-0"]);
    let gatekeeper = url(tiers.gatekeeper.address);
    for arguments in [&["send-requests", "--url", &gatekeeper][..], &["send_requests", "--url", &gatekeeper]] {
        let (succeeded, output, errors) = client(arguments, &[]);
        assert!(succeeded, "{output}\n{errors}");
        for table in ["direct_table", "random_table", "customized_table"] {
            for number in 1..=20 {
                for line in [
                    format!("Write request {number}/20 to {table} successful."),
                    format!("Read request {number}/20 from {table} successful."),
                ] {
                    assert!(output.lines().any(|printed| printed == line), "{line}\nis not in\n{output}");
                }
            }
        }
        for mode in ["direct", "random", "customized"] {
            let banner = format!("===== Read requests in mode {mode} =====");
            assert!(output.contains(&banner), "{output}");
        }
        let (_, latencies) = output.split_once("===== Latencies =====\n").unwrap();
        let mut rows = latencies.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()));
        let head: Vec<_> = rows.next().unwrap().collect();
        assert_eq!(head, ["mode", "requests", "failed", "min ms", "median ms", "p95 ms", "max ms", "nodes"]);
        let rows: Vec<Vec<_>> = rows.map(Iterator::collect).collect();
        let names = [("write", "60"), ("direct", "20"), ("random", "20"), ("customized", "20")];
        assert_eq!(rows.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(), names);
        assert!(rows.iter().all(|row| row[2] == "0"), "{output}");
        let nodes = [&rows[0], &rows[1], &rows[2]].map(|row| row[7]);
        assert_eq!(nodes, ["manager (60)", "manager (20)", "worker-0 (20)"]);
        for row in rows {
            let latencies: Vec<f64> = row[3..7].iter().map(|cell| cell.parse().unwrap()).collect();
            assert!(latencies.is_sorted() && latencies[0] > 0.0, "{output}");
        }
    }
    let counted = tiers.fetch("direct", "SELECT count(*) FROM customized_table");
    assert_eq!(counted.body, "[[40]]");
}

#[test]
fn the_client_fails_with_a_failed_request() {
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", "http://127.0.0.1:1")]);
    let (succeeded, output, errors) = client(&["send-requests"], &[("PATTERNS_URL", &url(gatekeeper.address))]);
    assert!(!succeeded);
    let line = r#"502 Bad Gateway: {"error":"The trusted host does not answer"}"#;
    assert_eq!(output.matches(line).count(), 120, "{output}");
    assert!(errors.starts_with("patterns: 120 of 120 requests failed"), "{errors}");
    let (succeeded, _, errors) = client(&["send-requests", "--url", "nowhere"], &[]);
    assert!(!succeeded && errors.starts_with("patterns: nowhere is not the URL"), "{errors}");
}

#[test]
fn the_client_compares_the_cluster_with_the_standalone_database() {
    let (Some(manager), Some(standalone)) = (Postgres::start(), Postgres::start()) else {
        return;
    };
    let worker = manager.replicate();
    let (manager, worker, standalone) = (manager.url(), worker.url(), standalone.url());
    let databases = [("MANAGER_URL", &*manager), ("WORKER_URLS", &*worker)];
    let arguments = ["bench", "--seconds", "1", "--concurrency", "1,4"];
    let (succeeded, _, errors) = client(&arguments, &databases);
    assert!(!succeeded && errors.starts_with("patterns: STANDALONE_URL is not set"), "{errors}");
    let (succeeded, output, errors) =
        client(&arguments, &[&databases[..], &[("STANDALONE_URL", &*standalone)]].concat());
    assert!(succeeded, "{output}\n{errors}");
    let (_, table) = output.split_once("database").unwrap();
    let rows: Vec<Vec<_>> =
        table.lines().skip(1).filter(|line| !line.is_empty()).map(|line| line.split_whitespace().collect()).collect();
    let measured: Vec<_> = rows.iter().map(|row| row[..3].join(" ")).collect();
    let expected = [
        "standalone read-only 1",
        "cluster read-only 1",
        "standalone read-only 4",
        "cluster read-only 4",
        "standalone mixed 1",
        "cluster mixed 1",
        "standalone mixed 4",
        "cluster mixed 4",
    ];
    assert_eq!(measured, expected);
    assert!(rows.iter().all(|row| row[3].parse::<f64>().unwrap() > 0.0 && row[6] == "0"), "{output}");
}
