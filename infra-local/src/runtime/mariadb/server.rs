//! A data directory, its programs, and the server that runs on it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::binaries::{Binaries, find_binaries};
use super::{LOG, MariaDbError, stop};
use crate::model::process::ProcessIdentity;
use crate::runtime::network::Site;
use crate::runtime::server_home::{DatabaseSpec, Finished, Login, ServerCertificate, ServerHome};

/// Limit until a server accepts connections, including recovery after a crash.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Settings of every server. Without names and the cache of hosts, clients that only check whether the server accepts
/// connections are never blocked.
const SETTINGS: &[&str] = &[
    "--pid-file=mariadb.pid",
    "--socket=mariadb.sock",
    "--skip-name-resolve",
    "--host-cache-size=0",
    "--skip-slave-start",
    "--relay-log=relay",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=16M",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
];

/// File with the statements of a start. It contains passwords, and is removed once the server has read it.
const START_FILE: &str = "start.sql";

/// A data directory and its programs.
pub(super) struct Server {
    pub(super) binaries: Binaries,
    pub(super) home: ServerHome,
}

impl Server {
    /// Prepares a directory for `data/` and `mariadb.log`.
    pub(super) fn open(directory: &Path) -> Result<Self, MariaDbError> {
        Ok(Self { binaries: find_binaries()?, home: ServerHome::open(directory, LOG, Vec::new())? })
    }

    /// Creates the data directory if it does not exist, under a temporary name, so that an incomplete one is never used.
    pub(super) async fn initialise(&self) -> Result<(), MariaDbError> {
        if self.home.data().join("mysql").exists() {
            return Ok(());
        }
        let partial = self.install("data.new").await?;
        Ok(self.home.become_data(&partial)?)
    }

    /// Creates an empty data directory with this name in the home.
    pub(super) async fn install(&self, name: &str) -> Result<std::path::PathBuf, MariaDbError> {
        let target = self.home.empty(name)?;
        let data = format!("--datadir={}", target.display());
        // At its start, a server removes the temporary tables of all servers with the same directory.
        let temporary = format!("--tmpdir={}", target.display());
        let arguments =
            ["--no-defaults", &data, &temporary, "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M"]
                .map(OsStr::new);
        let output = self.home.tool(&self.binaries.install, &arguments, &[], "").await?;
        if output.success { Ok(target) } else { Err(setup("mariadb-install-db", &output)) }
    }

    /// Starts the server, which executes the statements first, and returns once it accepts connections.
    pub(super) async fn launch(
        &self,
        spec: &DatabaseSpec,
        settings: &[String],
        statements: &str,
    ) -> Result<ProcessIdentity, MariaDbError> {
        self.home.check_address(&spec.site, spec.address, spec.port).await?;
        self.home.write(START_FILE, statements)?;
        let ServerCertificate { certificate, private_key } = self.home.certificate()?;
        let own = [
            format!("--ssl-cert={}", certificate.display()),
            format!("--ssl-key={}", private_key.display()),
            format!("--bind-address={}", spec.address),
            format!("--port={}", spec.port),
            format!("--server-id={}", u32::from(spec.address)),
            format!("--init-file={}", self.home.data().join(START_FILE).display()),
        ];
        let arguments: Vec<String> = own.into_iter().chain(settings.iter().cloned()).collect();
        let process = self.spawn(&spec.site, &self.home.data(), &arguments).await?;
        let accepting = self.accepting(&spec.site, spec.address, spec.port, process).await;
        self.home.remove(START_FILE)?;
        accepting.map(|()| process)
    }

    /// Starts a server process on a data directory in the home.
    pub(super) async fn spawn(
        &self,
        site: &Site,
        data: &Path,
        arguments: &[String],
    ) -> Result<ProcessIdentity, MariaDbError> {
        let fixed = ["--no-defaults".to_owned(), format!("--datadir={}", data.display())];
        let temporary = format!("--tmpdir={}", data.display());
        let settings = SETTINGS.iter().map(|setting| (*setting).to_owned());
        let all = fixed.into_iter().chain([temporary]).chain(settings).chain(arguments.iter().cloned()).collect();
        Ok(self.home.spawn(site, &self.binaries.server, all, data, BTreeMap::new()).await?)
    }

    async fn accepting(
        &self,
        site: &Site,
        address: Ipv4Addr,
        port: u16,
        process: ProcessIdentity,
    ) -> Result<(), MariaDbError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let what = if accepts(site, address, port).await {
                return Ok(());
            } else if !process.is_alive() {
                "ended while starting".to_owned()
            } else if Instant::now() >= deadline {
                stop(process).await;
                format!("did not accept within {} s", START_LIMIT.as_secs())
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            return Err(MariaDbError::NotAccepting { address, port, what, log: self.home.log_tail() });
        }
    }
}

/// Returns whether the server greets a client: a packet with the version 10 of the protocol.
pub(super) async fn accepts(site: &Site, address: Ipv4Addr, port: u16) -> bool {
    let greeting = async {
        let mut stream = site.connect((address, port).into()).await?;
        let mut packet = [0; 5];
        stream.read_exact(&mut packet).await.map(|_| packet[4])
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), greeting).await, Ok(Ok(10)))
}

/// Returns the arguments of a client that logs in.
pub(super) fn client_arguments(login: &Login) -> Vec<String> {
    let Login { address, port, user, .. } = login;
    let own = [format!("--host={address}"), format!("--port={port}"), format!("--user={user}")];
    ["--no-defaults", "--protocol=tcp", "--skip-ssl"].map(str::to_owned).into_iter().chain(own).collect()
}

/// Returns the environment of a client that logs in.
pub(super) fn client_environment(login: &Login) -> [(&str, &str); 1] {
    [("MYSQL_PWD", &login.password)]
}

pub(super) fn setup(step: &'static str, output: &Finished) -> MariaDbError {
    MariaDbError::Setup { step, output: output.text() }
}

/// Quotes a text as an SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Returns the account of a user from every address.
pub(super) fn account(user: &str) -> String {
    format!("{}@'%'", literal(user))
}
