//! The orchestrator in its own directory, with its own address and database.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use kit::testing::{Answer, send, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use super::engine::{Engine, IMAGE};

/// Runtime of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Processes,
    Containers,
}

/// Port of the first instance.
pub(super) const FIRST_PORT: u16 = 8000;

/// A running orchestrator, stopped when dropped.
pub(super) struct System {
    pub(super) address: SocketAddr,
    pub(super) child: Child,
    pub(super) engine: Option<Engine>,
    pub(super) directory: TempDir,
}

impl System {
    /// Starts an orchestrator with short times, and with these settings.
    pub(super) fn start(kind: Kind, settings: &[(&str, &str)]) -> Self {
        Self::start_at(free_host(), kind, settings)
    }

    /// Starts an orchestrator at an address of this machine.
    pub(super) fn start_at(host: Ipv4Addr, kind: Kind, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = (kind == Kind::Containers).then(|| Engine::start(directory.path().join("docker.sock")));
        let (child, address) = spawn(&format!("{host}:0"), directory.path(), engine.as_ref(), settings);
        Self { address, child, engine, directory }
    }

    /// Kills the orchestrator without notice, and starts another one at its address.
    pub(super) fn kill_and_start_again(&mut self, settings: &[(&str, &str)]) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let listen = self.address.to_string();
        (self.child, self.address) = spawn(&listen, self.directory.path(), self.engine.as_ref(), settings);
    }

    /// Sends a request such as `("GET /", "")`.
    pub(super) fn send(&self, request: &str, body: &str) -> Answer {
        send(self.address, request, &[], body)
    }

    /// Returns the status of the orchestrator.
    pub(super) fn status(&self) -> Value {
        serde_json::from_str(&self.send("GET /_orchestrator", "").body).unwrap()
    }

    /// Returns the instances of the status.
    pub(super) fn instances(&self) -> Vec<Value> {
        self.status()["instances"].as_array().unwrap().clone()
    }

    /// Waits until this number of instances exists, all of them healthy.
    pub(super) fn wait_for(&self, instances: usize) {
        wait_until(&format!("{instances} instances are healthy"), || {
            let shown = self.instances();
            shown.len() == instances && shown.iter().all(|instance| instance["healthy"] == true)
        });
    }

    /// Returns a counter of the status.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.status()["counts"][name].as_u64().unwrap()
    }

    /// Kills the process of an instance without notice.
    pub(super) fn kill_instance(&self, id: &str) {
        match &self.engine {
            Some(engine) => engine.kill(id),
            None => signal("-KILL", id),
        }
    }

    /// Sends a signal to the orchestrator, and returns its exit status.
    pub(super) fn stop(&mut self, name: &str) -> ExitStatus {
        signal(name, &self.child.id().to_string());
        self.child.wait().unwrap()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // It may have stopped already.
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", &self.child.id().to_string());
            let deadline = Instant::now() + Duration::from_secs(20);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(super) fn signal(name: &str, id: &str) {
    assert!(Command::new("kill").args([name, id]).status().unwrap().success());
}

/// Returns whether a process runs. A zombie does not.
pub(super) fn runs(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// Writes an executable script into the directory of a test.
pub(super) fn script(directory: &Path, lines: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("script");
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn spawn(listen: &str, directory: &Path, engine: Option<&Engine>, settings: &[(&str, &str)]) -> (Child, SocketAddr) {
    let mut command = command(listen, directory);
    if let Some(engine) = engine {
        command.env("RUNTIME", "docker").env("IMAGE", IMAGE).env("DOCKER_HOST", engine.host());
    }
    command.envs(settings.iter().copied()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("orchestrator listens on http://").unwrap_or_else(|| panic!("{line:?}"));
    let address = address.trim_end().parse().unwrap();
    (child, address)
}

/// Returns the orchestrator with short times.
pub(super) fn command(listen: &str, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    for name in ["METRICS_LISTEN", "TRUSTED_PROXIES", "DATABASE_READER_URL", "DOCKER_HOST", "IMAGE", "ORIGIN"] {
        command.env_remove(name);
    }
    command
        .env("LISTEN", listen)
        .env("FIRST_PORT", FIRST_PORT.to_string())
        .env("PROGRAM", env!("CARGO_BIN_EXE_acts"))
        .env("DATABASE_URL", format!("sqlite:{}/test.sqlite?mode=rwc", directory.display()))
        .env("USERS_URL", "http://127.0.0.1:9")
        .env("ALLOW_CRASH", "true")
        .env("WINDOW_SECONDS", "3600")
        .env("HEALTH_SECONDS", "0.1")
        .env("RUST_LOG", "warn");
    command
}

/// Returns a loopback address on which the ports of instances are free, and which no other test of this process uses.
pub(super) fn free_host() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    loop {
        let next = NEXT.fetch_add(1, Relaxed);
        let host = Ipv4Addr::new(127, 200 + (process % 50) as u8, (process / 50 % 250) as u8, 1 + (next % 250) as u8);
        if (FIRST_PORT..FIRST_PORT + 10).all(|port| TcpListener::bind((host, port)).is_ok()) {
            return host;
        }
    }
}
