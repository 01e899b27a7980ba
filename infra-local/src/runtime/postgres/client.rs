//! Queries to a running server, by the `psql` of the same installation.

use std::ffi::OsStr;

use super::{PostgresError, Server, server};
use crate::runtime::network::Site;
use crate::runtime::server_home::{Finished, Login};

impl Login {
    /// Executes statements in the database `postgres` without logging them, and returns the result of the last one.
    /// Neither the password nor the statements are part of a command line.
    pub(crate) async fn query(&self, server: &Server, statements: &str) -> Result<String, PostgresError> {
        let disable_logging = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; \
                     SET log_min_duration_statement = -1;\n";
        let input = format!("{disable_logging}{statements}\n");
        let arguments = self.arguments();
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let output = server.tool("psql", &arguments, &self.environment(), &input).await?;
        answer(output)
    }

    /// Executes a statement without secrets from a site, and returns its result.
    pub(crate) async fn ask(&self, server: &Server, site: &Site, statement: &str) -> Result<String, PostgresError> {
        let mut arguments = self.arguments();
        arguments.push(format!("--command={statement}"));
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        answer(server.tool_at(site, "psql", &arguments, &self.environment()).await?)
    }

    /// Returns whether the server accepts connections from a site.
    pub(crate) async fn accepts(&self, site: &Site) -> bool {
        server::accepts(site, (self.address, self.port).into(), &self.user, "postgres").await
    }

    /// Returns the arguments of `psql`.
    fn arguments(&self) -> Vec<String> {
        let fixed = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"];
        let connection = [format!("--host={}", self.address), format!("--port={}", self.port)];
        let identity = [format!("--username={}", self.user), "--dbname=postgres".to_owned()];
        fixed.map(str::to_owned).into_iter().chain(connection).chain(identity).collect()
    }

    /// Returns the environment variables for PostgreSQL's own programs.
    pub(crate) fn environment(&self) -> [(&str, &str); 3] {
        [("PGPASSWORD", &self.password), ("PGCONNECT_TIMEOUT", "5"), ("PGSSLMODE", "disable")]
    }

    /// Returns the connection string of a standby that follows this server. It contains a password, so the file that
    /// holds it must be private.
    pub(crate) fn following(&self, name: &str) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        format!(
            "host={} port={} user={} password={} sslmode=disable connect_timeout=5 application_name={}",
            self.address,
            self.port,
            quoted(&self.user),
            quoted(&self.password),
            quoted(name)
        )
    }
}

fn answer(output: Finished) -> Result<String, PostgresError> {
    if output.success {
        return Ok(output.stdout.trim().to_owned());
    }
    Err(PostgresError::Setup { step: "asking the server", output: output.text() })
}
