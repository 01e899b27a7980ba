//! A MariaDB server for one test, and its replicas.

use std::{
    env,
    fs::{self, File},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use super::{relay::Relay, skip::skip, user, wait_until};
use crate::listen;

/// Scripts of the system tables, in the directory of MariaDB's shared files. Their prefix depends on the version.
const SYSTEM: [&str; 3] = ["system_tables.sql", "performance_tables.sql", "system_tables_data.sql"];

/// Statements of a new server: the database and the user of [`MariaDb::url`].
const PRIMARY: &str = "CREATE DATABASE main_db;\n\
                       CREATE USER 'cloud'@'%' IDENTIFIED BY 'secret';\n\
                       GRANT ALL PRIVILEGES ON *.* TO 'cloud'@'%';\n";

/// A MariaDB server with an empty database, in its own directory.
pub struct MariaDb {
    binary: PathBuf,
    directory: TempDir,
    user: Option<(u32, u32)>,
    /// Identity of the server in the replication.
    number: u16,
    port: u16,
    process: Mutex<Child>,
}

impl MariaDb {
    /// Starts a server. If MariaDB is not installed, reports that the test is skipped and returns `None`.
    pub fn start() -> Option<Self> {
        let Some(binary) = find_binary() else {
            skip("no mariadbd in PATH or /usr/sbin");
            return None;
        };
        Some(Self::start_with(binary, 1, PRIMARY))
    }

    /// Starts a server that replicates from this one. `number` differs from that of other replicas.
    #[must_use]
    pub fn replicate(&self, number: u16) -> Self {
        let follow = format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'cloud', \
             MASTER_PASSWORD = 'secret', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;\nSTART SLAVE;\n",
            self.port
        );
        Self::start_with(self.binary.clone(), number + 1, &follow)
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> String {
        format!("mysql://cloud:secret@127.0.0.1:{}/main_db?ssl-mode=DISABLED", self.port)
    }

    /// Starts a relay to the server, and returns the URL of the database through it.
    pub fn relay(&self) -> (Relay, String) {
        let relay = Relay::to_socket(self.directory.path().join("socket"));
        let url = format!("mysql://cloud:secret@{}/main_db?ssl-mode=DISABLED", relay.address);
        (relay, url)
    }

    /// Kills the server.
    pub fn suspend(&self) {
        let mut process = self.process.lock().unwrap();
        // The process may already have stopped.
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Starts the server again.
    pub fn resume(&self) {
        let mut process = serve(&self.binary, &self.directory, self.user, self.number, self.port);
        assert!(is_ready(&mut process, self.directory.path()), "another process uses port {}", self.port);
        *self.process.lock().unwrap() = process;
    }

    fn start_with(binary: PathBuf, number: u16, statements: &str) -> Self {
        let (directory, user) = user::directory("my");
        let first = directory.path().join("init.sql");
        fs::write(&first, statements).unwrap();
        initialise(&binary, &directory, user);
        loop {
            // Another process may use the port before the server does, which then stops.
            let listener = listen::bind("LISTEN", "127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let mut process = serve(&binary, &directory, user, number, port);
            if is_ready(&mut process, directory.path()) {
                // Later starts must not repeat the statements.
                fs::write(first, "").unwrap();
                return Self { binary, directory, user, number, port, process: Mutex::new(process) };
            }
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The process may already have stopped.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Creates the system tables.
fn initialise(binary: &Path, directory: &TempDir, user: Option<(u32, u32)>) {
    let mut script = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n".to_owned();
    for file in SYSTEM {
        let paths = ["mysql", "mariadb"].map(|prefix| shared(binary).join(format!("{prefix}_{file}")));
        script += &paths.iter().find_map(|path| fs::read_to_string(path).ok()).expect(file);
    }
    let path = directory.path().join("system.sql");
    fs::write(&path, script).unwrap();
    let mut command = command(binary, directory, user);
    command.args(["--bootstrap", "--skip-networking", "--enforce-storage-engine=", "--innodb-log-file-size=8M"]);
    let status = command.stdin(File::open(path).unwrap()).status().unwrap();
    assert!(status.success(), "mariadbd --bootstrap: {status}\n{}", log(directory.path()));
}

fn serve(binary: &Path, directory: &TempDir, user: Option<(u32, u32)>, number: u16, port: u16) -> Child {
    let here = directory.path().display();
    let mut command = command(binary, directory, user);
    command.args([
        format!("--socket={here}/socket"),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--server-id={number}"),
        "--log-bin=binlog".to_owned(),
        "--sync-binlog=0".to_owned(),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
        format!("--init-file={here}/init.sql"),
    ]);
    command.stdin(Stdio::null()).spawn().unwrap()
}

/// Returns the server with the options of every start. Its log is a file, which each start empties.
fn command(binary: &Path, directory: &TempDir, user: Option<(u32, u32)>) -> Command {
    let log = File::create(directory.path().join("log")).unwrap();
    // Servers delete each other's temporary files in a shared directory.
    let [data, temporary] = ["data", "tmp"].map(|name| directory.path().join(name));
    for path in [&data, &temporary] {
        if !path.exists() {
            fs::create_dir(path).unwrap();
            if let Some((uid, gid)) = user {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
    }
    let shared = shared(binary);
    let mut command = Command::new(binary);
    command.arg("--no-defaults").current_dir(directory.path()).stdout(Stdio::null()).stderr(log);
    command.arg(format!("--tmpdir={}", temporary.display()));
    command.arg(format!("--datadir={}", data.display())).arg("--innodb-buffer-pool-size=16M");
    command.arg(format!("--lc-messages-dir={}", shared.display()));
    command.arg(format!("--character-sets-dir={}/charsets", shared.display()));
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Waits for the server. Returns `false` if it stops instead.
fn is_ready(process: &mut Child, directory: &Path) -> bool {
    let mut has_stopped = false;
    wait_until("MariaDB is ready or has stopped", || {
        has_stopped = process.try_wait().unwrap().is_some();
        has_stopped || log(directory).contains("ready for connections")
    });
    let log = log(directory);
    assert!(!has_stopped || log.contains("Address already in use"), "MariaDB has stopped:\n{log}");
    !has_stopped
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// Returns the directory of MariaDB's shared files, next to that of its server.
fn shared(binary: &Path) -> PathBuf {
    let root = binary.parent().and_then(Path::parent).unwrap();
    ["share/mysql", "share/mariadb"].map(|name| root.join(name)).into_iter().find(|path| path.is_dir()).unwrap()
}

fn find_binary() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join("mariadbd"))
        .find(|path| path.is_file())
}
