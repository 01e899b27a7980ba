//! Database servers of hosts.

use super::{ParameterReference, Replication};
use infra_core::Input;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};

/// The settings that PostgreSQL and MariaDB have in common: a database, and a role that owns it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Database {
    /// TCP port of the server.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Name of the role that owns the database.
    pub user: String,
    /// Parameter with the role's password; set when the host is declared.
    pub password: Option<ParameterReference>,
    /// Role in a replication; a single server when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    #[serde(skip)]
    pub(crate) secret: Option<Input<String>>,
}

/// A PostgreSQL server with a database, and a role that owns it.
///
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack, random::Password};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let password = stack.add("password", Password::of_length(32)).value;
/// # let standbys = stack.add("standbys", Password::of_length(32)).value;
/// let server = || Postgres::new("tasks", "cloud", password.clone());
/// let primary = server().replication(Replication::primary(standbys.clone()));
/// let primary = virginia.add("primary", Instance {
///     machine: Machine::debian().postgres(primary),
///     ..Instance::new("t3.micro")
/// });
/// let standby = server().replication(Replication::standby_of(primary.private_ip, standbys));
/// virginia.add("standby", Instance {
///     machine: Machine::debian().postgres(standby),
///     ..Instance::new("t3.micro")
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Postgres(Database);

/// A MariaDB server with a database, and a user that owns it. Its replication uses global transaction ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MariaDb(Database);

impl Database {
    fn new(port: u16, database: String, user: String, password: Input<String>) -> Self {
        Self { port, database, user, password: None, replication: None, secret: Some(password) }
    }

    /// Returns the role's password before the host is declared; afterwards an empty text.
    pub(crate) fn secret(&self) -> Input<String> {
        self.secret.clone().unwrap_or_else(|| "".into())
    }

    /// Returns true for a standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.replication.as_ref().is_some_and(Replication::is_standby)
    }
}

impl Postgres {
    /// Creates a server on port 5432 with this database, owned by a role with this password. The database, role and password
    /// of a standby must be those of its primary.
    pub fn new(database: impl Into<String>, user: impl Into<String>, password: impl Into<Input<String>>) -> Self {
        Self(Database::new(5432, database.into(), user.into(), password.into()))
    }

    /// Sets the TCP port.
    pub fn port(mut self, port: u16) -> Self {
        self.0.port = port;
        self
    }

    /// Sets the server's role in streaming replication.
    pub fn replication(mut self, replication: Replication) -> Self {
        self.0.replication = Some(replication);
        self
    }
}

impl MariaDb {
    /// Creates a server on port 3306 with this database, owned by a user with this password. The database, user and password
    /// of a standby must be those of its primary.
    pub fn new(database: impl Into<String>, user: impl Into<String>, password: impl Into<Input<String>>) -> Self {
        Self(Database::new(3306, database.into(), user.into(), password.into()))
    }

    /// Sets the TCP port.
    pub fn port(mut self, port: u16) -> Self {
        self.0.port = port;
        self
    }

    /// Sets the server's role in a replication.
    pub fn replication(mut self, replication: Replication) -> Self {
        self.0.replication = Some(replication);
        self
    }
}

impl Deref for Postgres {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Database {
        &mut self.0
    }
}

impl Deref for MariaDb {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl DerefMut for MariaDb {
    fn deref_mut(&mut self) -> &mut Database {
        &mut self.0
    }
}

impl From<Database> for Postgres {
    fn from(database: Database) -> Self {
        Self(database)
    }
}

impl From<Database> for MariaDb {
    fn from(database: Database) -> Self {
        Self(database)
    }
}
