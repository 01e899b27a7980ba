//! Connection to the database of `DATABASE_URL`: PostgreSQL or SQLite.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `DATABASE_URL` or `WRITE_ENGINE` | required | `postgres://…` or `sqlite:…` |
//! | `DATABASE_READER_URL` or `READER_ENGINE` | not set | a replica; see [`crate::reader`] |
//! | `DATABASE_WAIT_SECONDS` | 60 | time to wait for PostgreSQL at the start |
//! | `DATABASE_MAX_CONNECTIONS` | 10 | size of the pool, which is filled before requests are accepted (SQLite always has one connection) |
//! | `DATABASE_ACQUIRE_SECONDS` | 3 | time limit of a request for a connection |
//! | `DATABASE_STATEMENT_SECONDS` | 5 | time limit of a statement (PostgreSQL) |
//! | `DATABASE_REQUEST_IDS` | true | PostgreSQL's log names the request of a statement, if `log_line_prefix` contains `%a` |

use std::{fmt, str::FromStr, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection, Executor, PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqlitePoolOptions},
    },
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    labels,
    settings::{self, SettingError, Variables},
};

/// Error of the connection to the database. No variant contains a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// `DATABASE_URL` is not set, or empty. There is no default: a service without its settings must not start with an
    /// empty database.
    #[error(
        "DATABASE_URL is not set; write postgres://user:password@host:5432/name, or for development sqlite:tasks.sqlite?mode=rwc"
    )]
    NotSet,
    /// Two variables have the same meaning.
    #[error("{0} and {1} are both set; remove one of them")]
    Twice(&'static str, &'static str),
    /// The scheme of the variable's URL is not supported.
    #[error(
        "{0} starts with neither postgres:// nor sqlite: ; correct it (it is not shown, because it may contain a \
         password)"
    )]
    UnknownKind(&'static str),
    /// The variable's URL has a supported scheme and is malformed.
    #[error(
        "{0} cannot be read; write postgres://user:password@host:5432/name, with special characters in the password \
         percent-encoded, or sqlite:file?mode=rwc (it is not shown, because it may contain a password)"
    )]
    Malformed(&'static str),
    /// Another setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database did not answer in time.
    #[error(
        "{place} did not answer within {waited:?}: {source}. Start it or correct DATABASE_URL; DATABASE_WAIT_SECONDS sets how long to wait"
    )]
    NoAnswer {
        /// URL of the database, without its password.
        place: String,
        /// Time since the first attempt.
        waited: Duration,
        /// Error of the last attempt.
        source: sqlx::Error,
    },
    /// The database does not exist, and cannot be created.
    #[error(
        "{place} does not exist and cannot be created: {source}. Create it, or grant the user CREATEDB and the right to connect to the database `postgres`"
    )]
    NotCreated {
        /// URL of the database, without its password.
        place: String,
        /// Error of the server.
        source: sqlx::Error,
    },
    /// The SQLite file cannot be opened.
    #[error(
        "cannot open the SQLite file {file}: {source}. Check that its folder exists and can be written; `?mode=rwc` at the end of DATABASE_URL creates the file"
    )]
    NoFile {
        /// Path of the file.
        file: String,
        /// Error of SQLite.
        source: sqlx::Error,
    },
}

/// Settings of a database. Its `Debug` output contains no password.
#[derive(Clone)]
pub struct Database {
    kind: Kind,
    wait: Duration,
    max_connections: u32,
    acquire: Duration,
    labels_requests: bool,
}

#[derive(Clone)]
enum Kind {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Database {
    /// Reads the settings. `DATABASE_URL` or `WRITE_ENGINE` is required.
    ///
    /// # Errors
    /// [`DatabaseError`] if a setting is missing or invalid. No connection is opened.
    pub fn from(variables: Variables) -> Result<Self, DatabaseError> {
        match either(variables, "DATABASE_URL", "WRITE_ENGINE")? {
            Some(("DATABASE_URL", url)) if url.is_empty() => Err(DatabaseError::NotSet),
            Some((variable, url)) => Self::at(&url, variable, variables),
            None => Err(DatabaseError::NotSet),
        }
    }

    /// Reads the settings of the replica, if there is one. A request waits at most one second for it, so that enough time
    /// remains for the writer.
    ///
    /// # Errors
    /// As [`Database::from`].
    pub fn reader_from(variables: Variables) -> Result<Option<Self>, DatabaseError> {
        let Some((variable, url)) = either(variables, "DATABASE_READER_URL", "READER_ENGINE")? else {
            return Ok(None);
        };
        let reader = Self::at(&url, variable, variables)?;
        Ok(Some(Self { acquire: reader.acquire.min(Duration::from_secs(1)), ..reader }))
    }

    fn at(url: &str, variable: &'static str, variables: Variables) -> Result<Self, DatabaseError> {
        let statement = settings::seconds(variables, "DATABASE_STATEMENT_SECONDS", 5)?;
        let kind = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| DatabaseError::Malformed(variable))?
                .options([
                    ("statement_timeout", statement.as_millis()),
                    ("idle_in_transaction_session_timeout", IDLE_TRANSACTION.as_millis()),
                ])
                .disable_statement_logging();
            Kind::Postgres(Box::new(options))
        } else if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|_| DatabaseError::Malformed(variable))?;
            Kind::Sqlite(Box::new(options.disable_statement_logging()))
        } else {
            return Err(DatabaseError::UnknownKind(variable));
        };
        Ok(Self {
            kind,
            wait: settings::seconds(variables, "DATABASE_WAIT_SECONDS", 60)?,
            max_connections: settings::positive(variables, "DATABASE_MAX_CONNECTIONS", 10)?,
            acquire: settings::seconds(variables, "DATABASE_ACQUIRE_SECONDS", 3)?,
            labels_requests: settings::switch(variables, "DATABASE_REQUEST_IDS", true)?,
        })
    }

    /// Connects. While PostgreSQL does not respond, retries until the time to wait has passed.
    ///
    /// The pool replaces a dead connection at the next request.
    ///
    /// # Errors
    /// [`DatabaseError::NoAnswer`] with PostgreSQL, [`DatabaseError::NoFile`] with SQLite.
    pub async fn connect(&self) -> Result<DatabaseConnection, DatabaseError> {
        if let Kind::Postgres(options) = &self.kind {
            self.wait_for(options, false).await?;
        }
        self.open().await
    }

    /// Creates the database if it does not exist. Waits for the server as [`Self::connect`] does. Several instances may do
    /// so at once. SQLite creates its file when it is opened.
    ///
    /// # Errors
    /// [`DatabaseError::NotCreated`] if the user may not create it, [`DatabaseError::NoAnswer`] without a server.
    pub async fn create_if_missing(&self) -> Result<(), DatabaseError> {
        match &self.kind {
            Kind::Postgres(options) => self.wait_for(options, true).await,
            Kind::Sqlite(_) => Ok(()),
        }
    }

    /// Opens a pool without a connection to PostgreSQL: requests open them.
    ///
    /// # Errors
    /// [`DatabaseError::NoFile`] with SQLite.
    pub async fn open(&self) -> Result<DatabaseConnection, DatabaseError> {
        match &self.kind {
            Kind::Postgres(options) => {
                // Open connections stay open, see `warm`.
                let pool = PgPoolOptions::new().max_connections(self.max_connections);
                let pool = pool.min_connections(self.max_connections).idle_timeout(None);
                let pool = without_silent_connections(pool.acquire_timeout(self.acquire), self.labels_requests);
                let pool = pool.connect_lazy_with(options.as_ref().clone());
                Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
            }
            Kind::Sqlite(options) => {
                // One permanent connection: requests queue instead of failing at the lock of the file.
                let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
                let pool = pool.acquire_timeout(self.acquire).connect_with(options.as_ref().clone()).await;
                let pool = pool.map_err(|source| {
                    let file = options.get_filename().display().to_string();
                    DatabaseError::NoFile { file, source }
                })?;
                Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
            }
        }
    }

    /// Opens all connections of a PostgreSQL pool, one after another. Otherwise the first requests would open them all at
    /// once, which exceeds their time limit on a busy machine.
    ///
    /// If a connection fails, requests open it later.
    pub async fn warm(&self, pool: &DatabaseConnection) {
        if let Kind::Postgres(_) = self.kind {
            let pool = pool.get_postgres_connection_pool();
            let mut held = Vec::new();
            while held.len() < self.max_connections as usize {
                match pool.acquire().await {
                    Ok(connection) => held.push(connection),
                    Err(error) => {
                        tracing::warn!(%error, open = held.len(), "not all connections to the database could be opened");
                        return;
                    }
                }
            }
        }
    }

    async fn wait_for(&self, options: &PgConnectOptions, create: bool) -> Result<(), DatabaseError> {
        let deadline = Instant::now() + self.wait;
        let mut pause = Duration::from_millis(50);
        loop {
            let source = match timeout_at(deadline, options.connect()).await {
                Ok(Ok(connection)) => {
                    // The attempt succeeded; an error of its close is irrelevant.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Ok(Err(error)) if create && has_code(&error, &[NO_DATABASE]) => match self.create(options).await {
                    Ok(()) => return Ok(()),
                    Err(source) if matches!(source, sqlx::Error::Database(_)) => {
                        return Err(DatabaseError::NotCreated { place: self.to_string(), source });
                    }
                    // The server has stopped meanwhile.
                    Err(error) => error,
                },
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::PoolTimedOut,
            };
            if Instant::now() + pause >= deadline {
                return Err(DatabaseError::NoAnswer { place: self.to_string(), waited: self.wait, source });
            }
            tracing::warn!(database = %self, error = %source, "waiting for the database");
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Creates the database through the database `postgres`, which every server has.
    async fn create(&self, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
        let name = options.get_database().unwrap_or(options.get_username()).replace('"', "\"\"");
        let mut server = options.clone().database("postgres").connect().await?;
        let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
        let created = server.execute(sqlx::raw_sql(statement)).await;
        // An error of the close is irrelevant.
        let _ = server.close().await;
        match created {
            Ok(_) => {
                tracing::info!(database = %self, "created the database");
                Ok(())
            }
            // Another instance was faster.
            Err(error) if has_code(&error, &CREATED_BY_ANOTHER) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Time after which the server ends an abandoned transaction, whose locks would block others: that of a service whose
/// machine or network has failed. No transaction of a service waits for a client for that long.
const IDLE_TRANSACTION: Duration = Duration::from_mins(1);

/// Time limit of the test of a connection.
const TEST: Duration = Duration::from_secs(1);

/// Closes connections that do not respond to a test. The server's machine or the network may fail without closing them.
/// The pool's own tests have no time limit: they would occupy its connections until TCP gives up, after 15 minutes. A
/// connection that was tested a moment ago, when it was released, is not tested again. The statement that labels a
/// connection with its request is a test as well.
fn without_silent_connections(pool: PgPoolOptions, labels_requests: bool) -> PgPoolOptions {
    let pool = if labels_requests {
        pool.before_acquire(|connection, _| Box::pin(within_limit(labels::label(connection))))
            .after_connect(|connection, _| Box::pin(labels::label(connection)))
    } else {
        pool.before_acquire(|connection, state| {
            Box::pin(async move { if state.idle_for < RECENT { Ok(true) } else { responds(connection).await } })
        })
    };
    pool.test_before_acquire(false).after_release(|connection, _| Box::pin(responds(connection)))
}

/// Time after a test during which a connection counts as tested.
const RECENT: Duration = Duration::from_millis(100);

async fn responds(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    within_limit(connection.ping()).await
}

async fn within_limit(test: impl Future<Output = Result<(), sqlx::Error>>) -> Result<bool, sqlx::Error> {
    timeout(TEST, test).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(true)
}

/// PostgreSQL's code for a database that does not exist.
const NO_DATABASE: &str = "3D000";
/// Codes of `CREATE DATABASE` for a database that exists, and for one that is created at the same time.
const CREATED_BY_ANOTHER: [&str; 2] = ["42P04", "23505"];

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    match error {
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| codes.contains(&code.as_ref())),
        _ => false,
    }
}

/// Returns the value of one of two variables with the same meaning, and its name.
fn either(
    variables: Variables,
    one: &'static str,
    other: &'static str,
) -> Result<Option<(&'static str, String)>, DatabaseError> {
    match (variables(one), variables(other)) {
        (Some(_), Some(_)) => Err(DatabaseError::Twice(one, other)),
        (Some(url), None) => Ok(Some((one, url))),
        (None, Some(url)) => Ok(Some((other, url))),
        (None, None) => Ok(None),
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Postgres(options) => {
                let database = options.get_database().unwrap_or(options.get_username());
                write!(f, "PostgreSQL database {database} of {} at ", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display()),
                    None => write!(f, "{}:{}", options.get_host(), options.get_port()),
                }
            }
            Kind::Sqlite(options) => write!(f, "SQLite file {}", options.get_filename().display()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(settings: &'static [(&'static str, &'static str)]) -> Result<Database, DatabaseError> {
        let variables =
            |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Database::from(&variables)
    }

    #[test]
    fn the_database_has_no_default() {
        for missing in [&[][..], &[("DATABASE_URL", "")], &[("DATABASE_READER_URL", "sqlite:replica.sqlite")]] {
            let error = with(missing).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL is not set; write postgres://"), "{error}");
        }
    }

    #[test]
    fn debug_output_and_errors_contain_no_password() {
        let url = "postgres://cloud:s3cret@db.internal:6432/tasks?password=s3cret";
        let variables = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
        let database = Database::from(&variables).unwrap();
        assert_eq!(database.to_string(), "PostgreSQL database tasks of cloud at db.internal:6432");
        assert!(!format!("{database:?}").contains("s3cret"));

        for wrong in
            ["postgres://cloud:s3cret@db:port/x", "mysql://cloud:s3cret@db/x", "s3cret", "sqlite:x?mode=s3cret"]
        {
            let error = Database::from(&|name| (name == "DATABASE_URL").then(|| wrong.to_owned())).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn an_invalid_number_is_refused() {
        let error =
            with(&[("DATABASE_URL", "sqlite::memory:"), ("DATABASE_MAX_CONNECTIONS", "lots")]).unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_MAX_CONNECTIONS=lots is not"), "{error}");
    }

    #[test]
    fn engines_are_other_names_of_the_urls() {
        let variables = |name: &str| match name {
            "WRITE_ENGINE" => Some("postgres://u@writer/shop".to_owned()),
            "READER_ENGINE" => Some("postgres://u@reader/shop".to_owned()),
            _ => None,
        };
        assert_eq!(Database::from(&variables).unwrap().to_string(), "PostgreSQL database shop of u at writer:5432");
        let reader = Database::reader_from(&variables).unwrap().unwrap();
        assert_eq!(reader.to_string(), "PostgreSQL database shop of u at reader:5432");
        for twice in [["DATABASE_URL", "WRITE_ENGINE"], ["DATABASE_READER_URL", "READER_ENGINE"]] {
            let variables = |name: &str| (twice.contains(&name)).then(|| "sqlite::memory:".to_owned());
            let error = match twice[0] {
                "DATABASE_URL" => Database::from(&variables).unwrap_err(),
                _ => Database::reader_from(&variables).unwrap_err(),
            };
            assert_eq!(error.to_string(), format!("{} and {} are both set; remove one of them", twice[0], twice[1]));
        }
    }

    #[tokio::test]
    async fn instances_create_a_missing_database_concurrently() {
        let Some(postgres) = crate::testing::Postgres::start() else {
            return;
        };
        let url = postgres.url().replacen("/postgres?", "/a%22b?", 1);
        let database = with_url(&url);
        let created = futures::future::join_all((0..4).map(|_| database.create_if_missing())).await;
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        database.create_if_missing().await.unwrap();
        let connection = database.connect().await.unwrap();
        let name = sqlx::query_scalar("SELECT current_database()::text");
        let name: String = name.fetch_one(connection.get_postgres_connection_pool()).await.unwrap();
        assert_eq!(name, "a\"b");
    }

    #[tokio::test]
    async fn the_error_for_a_database_that_cannot_be_created_names_it() {
        let Some(postgres) = crate::testing::Postgres::start() else {
            return;
        };
        let server = with_url(&postgres.url()).connect().await.unwrap();
        let create = sqlx::raw_sql("CREATE USER guest");
        server.get_postgres_connection_pool().execute(create).await.unwrap();
        let url = postgres.url().replacen("postgres@localhost/postgres?", "guest@localhost/shop?", 1);
        let error = with_url(&url).create_if_missing().await.unwrap_err().to_string();
        assert!(error.starts_with("PostgreSQL database shop of guest at "), "{error}");
        assert!(
            error.contains(" does not exist and cannot be created: ") && error.contains("permission denied"),
            "{error}"
        );
    }

    fn with_url(url: &str) -> Database {
        Database::from(&|name| (name == "DATABASE_URL").then(|| url.to_owned())).unwrap()
    }

    #[tokio::test]
    async fn the_error_for_a_missing_sqlite_file_says_how_to_create_it() {
        let error = with(&[("DATABASE_URL", "sqlite:no/such/folder.sqlite")]).unwrap().connect().await.unwrap_err();
        assert!(error.to_string().starts_with("cannot open the SQLite file no/such/folder.sqlite"), "{error}");
    }

    #[tokio::test]
    async fn the_wait_is_limited_and_its_error_names_the_cause() {
        // A free port, on which no server listens.
        let address = crate::listen::bind("LISTEN", "127.0.0.1:0").unwrap().local_addr().unwrap();
        let variables = |name: &str| match name {
            "DATABASE_URL" => Some(format!("postgres://cloud:s3cret@{address}/tasks")),
            "DATABASE_WAIT_SECONDS" => Some("1".to_owned()),
            _ => None,
        };
        let error = Database::from(&variables).unwrap().connect().await.unwrap_err().to_string();
        let start = format!("PostgreSQL database tasks of cloud at {address} did not answer within 1s: ");
        assert!(error.starts_with(&start) && error.contains("refused") && !error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn a_warm_pool_has_all_connections() {
        let Some(postgres) = crate::testing::Postgres::start() else {
            return;
        };
        let url = postgres.url();
        let variables = |name: &str| match name {
            "DATABASE_URL" => Some(url.clone()),
            "DATABASE_MAX_CONNECTIONS" => Some("4".to_owned()),
            "DATABASE_ACQUIRE_SECONDS" => Some("1".to_owned()),
            _ => None,
        };
        let configured = Database::from(&variables).unwrap();
        let database = configured.connect().await.unwrap();
        configured.warm(&database).await;
        let pool = database.get_postgres_connection_pool();
        assert_eq!(pool.size(), 4);
        // The pool opens them again.
        let back = async {
            while pool.num_idle() < 4 {
                tokio::task::yield_now().await;
            }
        };
        timeout_at(Instant::now() + Duration::from_secs(30), back).await.unwrap();

        // Without a database, the call returns soon.
        let database = configured.connect().await.unwrap();
        postgres.suspend();
        configured.warm(&database).await;
        assert_eq!(database.get_postgres_connection_pool().size(), 0);
    }
}
