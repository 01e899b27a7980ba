//! Copies of running servers, from which standbys start.
//!
//! mariadb-backup reads the files of a server and cannot copy them over a network, so a copy is a consistent dump.

use std::ffi::OsStr;
use std::time::Duration;

use tokio::time::Instant;

use super::server::{Server, client_arguments, client_environment, setup};
use super::{MariaDbError, stop};
use crate::runtime::network::Site;
use crate::runtime::server_home::Login;

/// File in the data directory of a copy.
pub(super) const COPIED: &str = "infra-copied";

/// Limit until the server that loads a copy accepts its client.
const LOAD_START: Duration = Duration::from_mins(1);

impl Server {
    /// Replaces the data directory by a copy of a running server's, with the position in its log. The previous data is kept
    /// until the copy is complete.
    pub(super) async fn copy_from(&self, site: &Site, from: &Login) -> Result<(), MariaDbError> {
        let dump = self.home.empty("dump.sql")?;
        let result = format!("--result-file={}", dump.display());
        let fixed = ["--all-databases", "--single-transaction", "--gtid", "--master-data=1", "--flush-privileges"];
        let more = ["--routines", "--events", "--hex-blob", &result];
        let mut arguments = client_arguments(from);
        arguments.extend(fixed.into_iter().chain(more).map(str::to_owned));
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let output = self.home.tool_at(site, &self.binaries.dump, &arguments, &client_environment(from)).await?;
        if !output.success {
            return Err(setup("mariadb-dump", &output));
        }
        let partial = self.install("data.new").await?;
        // Without grant tables, which the dump replaces, and without a network.
        let settings = ["--skip-grant-tables", "--skip-networking"].map(str::to_owned);
        let process = self.spawn(&Site::Host, &partial, &settings).await?;
        let loaded = self.load(&format!("source {}", dump.display())).await;
        stop(process).await;
        loaded?;
        self.home.empty("dump.sql")?;
        self.home.become_data(&partial)?;
        Ok(self.home.write(COPIED, "")?)
    }

    /// Executes a command in the server that runs on `data.new`.
    async fn load(&self, command: &str) -> Result<(), MariaDbError> {
        let run = async |command: &str| {
            let execute = format!("--execute={command}");
            // The path is relative, because the length of the path of a socket is limited.
            let arguments = ["--no-defaults", "--socket=data.new/mariadb.sock", "--batch", &execute].map(OsStr::new);
            self.home.tool(&self.binaries.client, &arguments, &[], "").await
        };
        let deadline = Instant::now() + LOAD_START;
        loop {
            let answer = run("SELECT 1").await?;
            if answer.success {
                break;
            }
            if Instant::now() >= deadline {
                return Err(setup("starting the copy", &answer));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let output = run(command).await?;
        if output.success { Ok(()) } else { Err(setup("loading the copy", &output)) }
    }
}
