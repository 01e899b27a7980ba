//! Copies of running servers, from which standbys start.

use std::ffi::OsStr;

use super::{PostgresError, Server};
use crate::runtime::network::Site;
use crate::runtime::server_home::Login;

/// The file whose presence makes a server a standby; promotion removes it.
pub(super) const SIGNAL: &str = "standby.signal";

impl Server {
    /// Returns whether the data directory is that of a standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.data().join(SIGNAL).exists()
    }

    /// Makes the data directory that of a standby.
    pub(crate) fn become_standby(&self) -> Result<(), PostgresError> {
        Ok(self.write(SIGNAL, "")?)
    }

    /// Replaces the data directory by a copy of a running server's, which is connected to from this site. The previous data
    /// is kept until the copy is complete.
    pub(crate) async fn copy_from(&self, site: &Site, from: &Login) -> Result<(), PostgresError> {
        let target = self.empty("data.new")?;
        let connection = [format!("--host={}", from.address), format!("--port={}", from.port)];
        let user = format!("--username={}", from.user);
        let fixed = ["--wal-method=stream", "--checkpoint=fast", "--no-password", "--no-sync", &user, "--pgdata"];
        let mut arguments: Vec<&OsStr> = connection.iter().map(|text| OsStr::new(text.as_str())).collect();
        arguments.extend(fixed.into_iter().map(OsStr::new));
        arguments.push(target.as_os_str());
        let output = self.tool_at(site, "pg_basebackup", &arguments, &from.environment()).await?;
        if !output.success {
            return Err(PostgresError::Setup { step: "pg_basebackup", output: output.text() });
        }
        Ok(self.become_data(&target)?)
    }
}
