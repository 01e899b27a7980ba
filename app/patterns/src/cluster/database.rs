//! A database with a URL, and pools of connections to it.

use std::{fmt, str::FromStr, time::Duration};

use sea_orm::sqlx::{
    self, ConnectOptions,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use sqlx_mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};

use super::{ACQUIRE, access::Access, error::QueryError, mysql, postgres, rows::Rows};

/// Error for a URL that is not one of a database. It contains no password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatabaseUrlError {
    /// The scheme is not supported.
    #[error(
        "{0} starts with neither postgres:// nor mysql:// ; correct it (it is not shown, because it may contain a password)"
    )]
    UnknownKind(&'static str),
    /// The URL has a supported scheme and is malformed.
    #[error(
        "{0} cannot be read; write postgres://user:password@host:5432/main_db or mysql://user:password@host:3306/main_db, \
         with special characters in the password percent-encoded (it is not shown, because it may contain a password)"
    )]
    Malformed(&'static str),
}

/// A database with a URL. Its `Debug` and `Display` outputs contain no password.
#[derive(Clone)]
pub enum Database {
    /// A PostgreSQL server.
    Postgres(Box<PgConnectOptions>),
    /// A MariaDB or MySQL server.
    MySql(Box<MySqlConnectOptions>),
}

/// Connections to a database.
#[derive(Debug, Clone)]
pub enum Pool {
    /// Connections to PostgreSQL.
    Postgres(PgPool),
    /// Connections to MariaDB or MySQL.
    MySql(MySqlPool),
}

impl Database {
    /// Parses the URL in a variable.
    ///
    /// # Errors
    /// [`DatabaseUrlError`], which names the variable.
    pub fn parse(url: &str, variable: &'static str) -> Result<Self, DatabaseUrlError> {
        let malformed = |_| DatabaseUrlError::Malformed(variable);
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(malformed)?;
            Ok(Self::Postgres(Box::new(options.disable_statement_logging())))
        } else if url.starts_with("mysql://") {
            let options = MySqlConnectOptions::from_str(url).map_err(malformed)?;
            Ok(Self::MySql(Box::new(options.disable_statement_logging())))
        } else {
            Err(DatabaseUrlError::UnknownKind(variable))
        }
    }

    /// Returns whether both databases have the same kind, so that one can replicate from the other.
    pub fn has_kind_of(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Postgres(_), Self::Postgres(_)) | (Self::MySql(_), Self::MySql(_)))
    }

    /// Returns a pool of at most `connections`, which are opened when they are needed. `statement` limits the time of a
    /// statement.
    pub fn open(&self, access: Access, connections: u32, statement: Duration) -> Pool {
        match self {
            Self::Postgres(options) => {
                let pool =
                    PgPoolOptions::new().max_connections(connections).idle_timeout(None).acquire_timeout(ACQUIRE);
                Pool::Postgres(pool.connect_lazy_with(postgres::session(options, access, statement)))
            }
            Self::MySql(options) => {
                let pool = MySqlPoolOptions::new().max_connections(connections).idle_timeout(None);
                let pool = pool.acquire_timeout(ACQUIRE);
                let pool =
                    pool.after_connect(move |connection, _| Box::pin(mysql::session(connection, access, statement)));
                Pool::MySql(pool.connect_lazy_with(options.as_ref().clone()))
            }
        }
    }

    /// Opens a connection for measurements.
    pub(super) async fn probe(&self) -> Result<Probe, sqlx::Error> {
        Ok(match self {
            Self::Postgres(options) => Probe::Postgres(Box::new(options.connect().await?)),
            Self::MySql(options) => Probe::MySql(Box::new(options.connect().await?)),
        })
    }
}

impl Pool {
    /// Runs a query.
    ///
    /// # Errors
    /// [`QueryError`] if the database refuses the query or does not answer, or if the result is too large.
    pub async fn read(&self, sql: &str) -> Result<Rows, QueryError> {
        match self {
            Self::Postgres(pool) => postgres::read(pool, sql).await,
            Self::MySql(pool) => mysql::read(pool, sql).await,
        }
    }

    /// Runs an insertion.
    ///
    /// # Errors
    /// [`QueryError`] if the database refuses the insertion or does not answer.
    pub async fn write(&self, sql: &str) -> Result<(), QueryError> {
        match self {
            Self::Postgres(pool) => postgres::write(pool, sql).await,
            Self::MySql(pool) => mysql::write(pool, sql).await,
        }
    }

    /// Opens all connections. Otherwise the first requests would open them at once, which takes longer than their time limit
    /// on a busy machine. If a connection fails, requests open it later.
    pub async fn warm(&self) {
        match self {
            Self::Postgres(pool) => fill(pool).await,
            Self::MySql(pool) => fill(pool).await,
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }
}

async fn fill<D: sqlx::Database>(pool: &sqlx::Pool<D>) {
    let mut held = Vec::new();
    while held.len() < pool.options().get_max_connections() as usize {
        match pool.acquire().await {
            Ok(connection) => held.push(connection),
            Err(_) => return,
        }
    }
}

/// A connection that measures the latency of its database.
pub(super) enum Probe {
    Postgres(Box<sqlx::PgConnection>),
    MySql(Box<sqlx_mysql::MySqlConnection>),
}

impl Probe {
    /// Runs the smallest query.
    pub(super) async fn ask(&mut self) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql("SELECT 1");
        match self {
            Self::Postgres(connection) => query.execute(&mut **connection).await.map(drop),
            Self::MySql(connection) => query.execute(&mut **connection).await.map(drop),
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or(options.get_username());
                write!(f, "PostgreSQL database {database} of {} at ", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display()),
                    None => write!(f, "{}:{}", options.get_host(), options.get_port()),
                }
            }
            Self::MySql(options) => {
                let database = options.get_database().unwrap_or_default();
                write!(f, "MySQL database {database} of {} at ", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display()),
                    None => write!(f, "{}:{}", options.get_host(), options.get_port()),
                }
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}
