//! The programs `users` and `acts`: start, signals and invalid settings.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use kit::testing::{send, wait_until};

/// Returns a program with a database in a directory.
fn command(program: &str, directory: &tempfile::TempDir) -> Command {
    let mut command = Command::new(program);
    for name in ["METRICS_LISTEN", "DATABASE_READER_URL", "TRUSTED_PROXIES", "ORIGIN", "RUST_LOG"] {
        command.env_remove(name);
    }
    let url = format!("sqlite:{}/test.sqlite?mode=rwc", directory.path().display());
    command.env("LISTEN", "127.0.0.1:0").env("DATABASE_URL", url).env("USERS_URL", "http://127.0.0.1:9");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns the address of a program's line.
fn address(child: &mut Child, name: &str) -> std::net::SocketAddr {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix(&format!("{name} listens on http://"));
    address.unwrap_or_else(|| panic!("{line:?}")).trim_end().parse().unwrap()
}

#[test]
fn programs_serve_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    for (name, program, path) in
        [("users", env!("CARGO_BIN_EXE_users"), "users"), ("acts", env!("CARGO_BIN_EXE_acts"), "categories")]
    {
        let mut child = command(program, &directory).spawn().unwrap();
        let address = address(&mut child, name);
        assert_eq!(send(address, &format!("GET /api/v1/{path}"), &[], "").status, 204);
        assert_eq!(send(address, "GET /healthz", &[], "").status, 200);
        assert_eq!(send(address, "GET /metrics", &[], "").status, 404);
        assert_eq!(send(address, "POST /api/v1/_crash", &[], "").status, 404, "crashes are not allowed");
        // A picture is larger than the default limit of the kit.
        assert_eq!(send(address, &format!("POST /api/v1/{path}"), &[], &"x".repeat(1024 * 1024)).status, 400);
        assert_eq!(send(address, &format!("POST /api/v1/{path}"), &[], &"x".repeat(1024 * 1024 + 1)).status, 413);
        let kill = Command::new("kill").arg(child.id().to_string()).status();
        assert!(kill.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn invalid_settings_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (users, acts) = (env!("CARGO_BIN_EXE_users"), env!("CARGO_BIN_EXE_acts"));
    for (program, name, value, expected) in [
        (users, "ALLOW_CRASH", "yes", "users: ALLOW_CRASH=yes is not true or false"),
        (users, "DATABASE_URL", "", "users: DATABASE_URL is not set"),
        (acts, "USERS_URL", "balancer", "acts: USERS_URL=balancer is not a base URL"),
        (acts, "ORIGIN", "", "acts: ORIGIN=\"\" is not an origin"),
        (acts, "LIMIT_BODY_BYTES", "0", "acts: LIMIT_BODY_BYTES=0 is not a whole number above zero"),
        (acts, "EXIT_WITH_PARENT", "parent", "acts: EXIT_WITH_PARENT=parent is not the ID of a process"),
        (acts, "EXIT_WITH_PARENT", "-1", "acts: EXIT_WITH_PARENT=-1 is not the ID of a process"),
        (acts, "EXIT_WITH_PARENT", "1", "acts: the parent process 1 has terminated"),
    ] {
        let output = command(program, &directory).env(name, value).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}={value}: {stderr}");
        assert!(stderr.starts_with(expected), "{name}={value}: {stderr}");
    }
}

#[test]
fn an_instance_terminates_with_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = command("/bin/sh", &directory);
    // The shell is the parent, and prints the ID of the instance.
    shell.args(["-c", "EXIT_WITH_PARENT=$$ \"$0\" 2>&1 & echo $!; wait", env!("CARGO_BIN_EXE_acts")]);
    let mut shell = shell.spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines().map(Result::unwrap);
    let id = lines.next().unwrap();
    let line = lines.next().unwrap();
    assert!(line.starts_with("acts listens on http://"), "{line}");
    shell.kill().unwrap();
    shell.wait().unwrap();
    wait_until("the instance is gone", || !std::path::Path::new(&format!("/proc/{id}")).exists());
}
