//! A PostgreSQL server for one test, and its replicas.

use std::{
    env, fs,
    io::Write as _,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{relay::Relay, skip::skip, user};

/// A PostgreSQL server with an empty database, in its own directory, which contains its socket.
pub struct Postgres {
    binaries: PathBuf,
    directory: TempDir,
    /// User and group of the server if the test runs as root, which PostgreSQL refuses.
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Starts a server. If PostgreSQL is not installed, reports that the test is skipped and returns `None`.
    pub fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            skip("no initdb, pg_ctl and pg_basebackup in PATH or /usr/lib/postgresql/*/bin");
            return None;
        };
        let (directory, user) = user::directory("pg");
        let postgres = Self { binaries, directory, user };
        postgres.call("initdb", &["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        postgres.resume();
        Some(postgres)
    }

    /// Starts a read-only server that replicates from this one.
    #[must_use]
    pub fn replicate(&self) -> Self {
        let (directory, user) = user::directory("pg");
        let replica = Self { binaries: self.binaries.clone(), directory, user };
        let primary = self.directory.path().display().to_string();
        let copy = ["-h", &primary, "-U", "postgres", "-D", "data", "-R", "-X", "stream", "-c", "fast", "--no-sync"];
        replica.call("pg_basebackup", &copy);
        replica.resume();
        replica
    }

    /// Starts a relay to the server, and returns the URL of the database through it.
    pub fn relay(&self) -> (Relay, String) {
        let relay = Relay::to_socket(self.directory.path().join(".s.PGSQL.5432"));
        let url = format!("postgres://postgres@{}/postgres?sslmode=disable", relay.address);
        (relay, url)
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.directory.path().display())
    }

    /// Stops the server and closes its connections.
    pub fn suspend(&self) {
        self.call("pg_ctl", &["-D", "data", "-w", "-m", "fast", "stop"]);
    }

    /// Starts the server again.
    pub fn resume(&self) {
        let options = format!("-F -c listen_addresses='' -k '{}'", self.directory.path().display());
        self.call("pg_ctl", &["-D", "data", "-w", "-l", "log", "-o", &options, "start"]);
    }

    /// Adds lines to the server's configuration, and restarts it.
    pub fn configure(&self, lines: &str) {
        self.suspend();
        let path = self.directory.path().join("data/postgresql.conf");
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{lines}").unwrap();
        self.resume();
    }

    /// Returns the server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn call(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program, arguments).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}: {status}\n{}", self.log());
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).current_dir(self.directory.path()).stdout(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A suspended server cannot be stopped.
        let mut stop = self.command("pg_ctl", &["-D", "data", "-w", "-m", "immediate", "stop"]);
        let _ = stop.stderr(Stdio::null()).status();
    }
}

/// Returns the folder of the executables. A folder in `PATH` may contain links to some of them.
fn find_binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = installed.map(|version| version.path().join("bin"));
    let original = |folder: PathBuf| Some(fs::canonicalize(folder.join("initdb")).ok()?.parent()?.to_path_buf());
    let is_complete = |folder: &PathBuf| ["pg_ctl", "pg_basebackup"].iter().all(|name| folder.join(name).is_file());
    env::split_paths(&path).chain(installed).filter_map(original).find(is_complete)
}
