//! A data directory, its programs, and the server that runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::binaries::Binaries;
use super::{LOG, PostgresError, find_binaries, identifier, stop};
use crate::model::process::ProcessIdentity;
use crate::runtime::network::Site;
use crate::runtime::server_home::{CertificateAuthority, Finished, ServerCertificate, ServerHome};

/// Limit until a server accepts connections, including recovery after a crash.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A data directory and its programs.
pub(crate) struct Server {
    binaries: Binaries,
    home: ServerHome,
}

impl Deref for Server {
    type Target = ServerHome;

    fn deref(&self) -> &ServerHome {
        &self.home
    }
}

/// Parameters of a start.
pub(crate) struct Launch<'a> {
    /// Where it runs.
    pub(crate) site: &'a Site,
    /// The only address it listens on.
    pub(crate) address: Ipv4Addr,
    /// TCP port.
    pub(crate) port: u16,
    /// User of the connection that checks whether the server accepts connections.
    pub(crate) user: &'a str,
    /// Database of that connection.
    pub(crate) database: &'a str,
    /// Settings `name=value` that override the data directory's configuration file.
    pub(crate) settings: &'a [&'a str],
    /// TLS of its connections.
    pub(crate) tls: Tls<'a>,
}

/// TLS of the connections of a server.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tls<'a> {
    /// The authority that signs the certificate, and the addresses of the server. Without an authority, the certificate is
    /// self-signed.
    pub(crate) certified: Option<(&'a CertificateAuthority, &'a BTreeSet<Ipv4Addr>)>,
    /// The only user that may connect without TLS; `None` if all users may.
    pub(crate) plaintext_user: Option<&'a str>,
}

impl Server {
    /// Prepares a directory for `data/` and `postgres.log`.
    pub(crate) fn open(directory: &Path) -> Result<Server, PostgresError> {
        let binaries = find_binaries()?;
        let installation = binaries.postgres.parent().and_then(Path::parent);
        let readable = installation.map(Path::to_owned).into_iter().collect();
        Ok(Server { home: ServerHome::open(directory, LOG, readable)?, binaries })
    }

    /// Returns whether the data directory exists.
    pub(crate) fn has_data(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// Stops a server that survived a killed cloud and still holds the data directory.
    pub(crate) async fn stop_leftover(&self) {
        self.home.stop_leftover("postmaster.pid", Signal::INT).await;
    }

    /// Creates the data directory if it does not exist, under a temporary name, so that an incomplete one is never
    /// used.
    pub(crate) async fn initialise(&self, superuser: &str) -> Result<(), PostgresError> {
        if self.has_data() {
            return Ok(());
        }
        let partial = self.empty("data.new")?;
        // The server never uses the method `trust`: the access rules are replaced before it listens.
        let fixed = ["--auth=trust", "--encoding=UTF8", "--data-checksums", "--locale=C", "--no-sync", "--pgdata"];
        let arguments = ["--username", superuser].into_iter().chain(fixed);
        let arguments: Vec<&OsStr> = arguments.map(OsStr::new).chain([partial.as_os_str()]).collect();
        let output = self.home.tool(&self.binaries.initdb, &arguments, &[], "").await?;
        if !output.success {
            return Err(PostgresError::Setup { step: "initdb", output: output.text() });
        }
        Ok(self.become_data(&partial)?)
    }

    /// Executes statements while the server does not run, in single-user mode. The statements, one per line, are sent
    /// through a pipe, so that passwords appear neither in a command line nor in a log. A failed statement is skipped;
    /// the last one has to return `ready`.
    pub(crate) async fn single_user(&self, step: &'static str, statements: &str) -> Result<(), PostgresError> {
        let data = self.data();
        let settings = ["log_min_error_statement=panic", "log_statement=none", "password_encryption=scram-sha-256"];
        let mut arguments = vec![OsStr::new("--single"), OsStr::new("-D"), data.as_os_str()];
        arguments.extend(settings.iter().flat_map(|setting| ["-c", *setting]).map(OsStr::new));
        arguments.push(OsStr::new("postgres"));
        let output = self.home.tool(&self.binaries.postgres, &arguments, &[], statements).await?;
        if output.success && output.stdout.contains("\"ready\"") {
            return Ok(());
        }
        Err(PostgresError::Setup { step, output: output.stderr })
    }

    /// Runs a program of PostgreSQL as the server's user, and waits for its result.
    pub(crate) async fn tool(
        &self,
        name: &str,
        arguments: &[&OsStr],
        environment: &[(&str, &str)],
        input: &str,
    ) -> Result<Finished, PostgresError> {
        let program = self.binaries.postgres.with_file_name(name);
        Ok(self.home.tool(&program, arguments, environment, input).await?)
    }

    /// Runs a program of PostgreSQL at a site; see [`ServerHome::tool_at`].
    pub(crate) async fn tool_at(
        &self,
        site: &Site,
        name: &str,
        arguments: &[&OsStr],
        environment: &[(&str, &str)],
    ) -> Result<Finished, PostgresError> {
        let program = self.binaries.postgres.with_file_name(name);
        Ok(self.home.tool_at(site, &program, arguments, environment).await?)
    }

    /// Copies a directory as the server's user.
    pub(crate) async fn copy(&self, from: &Path, to: &Path) -> Result<(), PostgresError> {
        let output = self.home.copy(from, to).await?;
        if output.success {
            return Ok(());
        }
        Err(PostgresError::Setup { step: "copying the data", output: output.text() })
    }

    /// Starts the server, and returns once it accepts connections. Clients need a password, and can connect only over
    /// TCP. In the network of this machine, only loopback addresses are admitted; in a network namespace, the network
    /// filters the clients.
    pub(crate) async fn launch(&self, launch: &Launch<'_>) -> Result<ProcessIdentity, PostgresError> {
        let tls = self.secure(launch.site, launch.tls).await?;
        let (address, port) = (launch.address, launch.port);
        self.home.check_address(launch.site, address, port).await?;
        let settings = [
            format!("listen_addresses={address}"),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "password_encryption=scram-sha-256".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
            "fsync=on".to_owned(),
        ];
        let own = launch.settings.iter().map(|setting| (*setting).to_owned());
        let settings = settings.into_iter().chain(tls).chain(own);
        let mut arguments = vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()];
        arguments.extend(settings.flat_map(|setting| ["-c".to_owned(), setting]));
        let data = self.data();
        let program = &self.binaries.postgres;
        let identity = self.home.spawn(launch.site, program, arguments, &data, BTreeMap::new()).await?;
        self.accepting(launch, identity).await
    }

    /// Writes the access rules and the certificate, which a running server reads when it is signalled. Returns the settings
    /// with which a server accepts connections over TLS; none if it was built without TLS, and demands none then.
    pub(crate) async fn secure(&self, site: &Site, tls: Tls<'_>) -> Result<Vec<String>, PostgresError> {
        let settings = self.tls_settings(tls).await?;
        let clients = if site.is_inside() { "0.0.0.0/0" } else { "127.0.0.0/8" };
        let rule = |kind: &str, user: &str| {
            let rules = ["all", "replication"].map(|what| format!("{kind} {what} {user} {clients} scram-sha-256\n"));
            rules.concat()
        };
        let rules = match tls.plaintext_user {
            Some(user) if !settings.is_empty() => rule("host", &identifier(user)) + &rule("hostssl", "all"),
            _ => rule("host", "all"),
        };
        self.write("pg_hba.conf", &rules)?;
        Ok(settings)
    }

    async fn tls_settings(&self, tls: Tls<'_>) -> Result<Vec<String>, PostgresError> {
        let data = self.data();
        let arguments = ["-D".as_ref(), data.as_os_str(), "-C".as_ref(), "ssl_library".as_ref()];
        let library = self.home.tool(&self.binaries.postgres, &arguments, &[], "").await?;
        if library.stdout.trim().is_empty() {
            return Ok(Vec::new());
        }
        let ServerCertificate { certificate, private_key } = match tls.certified {
            Some((authority, addresses)) => self.home.certify(authority, addresses)?,
            None => self.home.certificate()?,
        };
        Ok(vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", private_key.display()),
        ])
    }

    async fn accepting(
        &self,
        launch: &Launch<'_>,
        identity: ProcessIdentity,
    ) -> Result<ProcessIdentity, PostgresError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut pause = Duration::from_millis(10);
        loop {
            let address = (launch.address, launch.port).into();
            let what = if accepts(launch.site, address, launch.user, launch.database).await {
                return Ok(identity);
            } else if !identity.is_alive() {
                "ended while starting".to_owned()
            } else if Instant::now() >= deadline {
                stop(identity).await;
                format!("did not accept within {} s", START_LIMIT.as_secs())
            } else {
                // Each check is a line in the server's log.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
                continue;
            };
            let (address, port) = (launch.address, launch.port);
            return Err(PostgresError::NotAccepting { address, port, what, log: self.log_tail() });
        }
    }
}

/// Returns whether the server requests the password of this user and database, as `pg_isready` checks it.
pub(super) async fn accepts(site: &Site, address: SocketAddr, user: &str, database: &str) -> bool {
    const PROTOCOL_3: u32 = 196_608;
    let mut body = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", user, "database", database] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let Ok(length) = u32::try_from(body.len() + 4) else {
        return false;
    };
    let ask = async {
        let mut stream = site.connect(address).await?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&body).await?;
        stream.read_u8().await
    };
    // `R` asks for authentication; `E` says that it is still starting.
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(b'R')))
}
