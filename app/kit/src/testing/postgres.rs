//! A PostgreSQL server for one test.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt, fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::skip::skip;

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
            skip("no initdb and pg_ctl in PATH or /usr/lib/postgresql/*/bin");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let is_root = fs::metadata(directory.path()).unwrap().uid() == 0;
        let user = is_root.then(unprivileged_user);
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let postgres = Self { binaries, directory, user };
        postgres.call("initdb", &["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        postgres.resume();
        Some(postgres)
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

    fn call(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program, arguments).status().unwrap();
        let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?}: {status}\n{}", log());
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

fn find_binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = installed.map(|version| version.path().join("bin"));
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    env::split_paths(&path).chain(installed).find(complete)
}

/// Returns the user `postgres`, or else `nobody`.
fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string(Path::new("/etc/passwd")).unwrap();
    let ids = |name: &str| {
        let mut fields =
            users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .expect("a user named `postgres` or `nobody`, since PostgreSQL refuses root")
}
