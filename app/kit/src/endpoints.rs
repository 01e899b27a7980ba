//! The endpoints of a database with one writer and replicas, for the reads and writes of a request.
//!
//! | statement | endpoint |
//! |---|---|
//! | a write, and a read in the transaction of a write | writer |
//! | a read after a write of the same request | writer |
//! | a read within [`RECENT`] after a write of the same client | writer |
//! | a read that has found no row at the reader ([`Scope::find`]) | writer |
//! | any other read | reader, and the writer while the reader is away ([`crate::reader`]) |
//!
//! A replica lags behind. After a write, the client receives a cookie that expires after [`RECENT`]; the cookie has no
//! content that another client could use, and the lag of a healthy replica is far shorter. So the page after a redirect
//! shows the client's own data, at every instance. A client without cookies still finds its own rows by their keys.
//!
//! # Failover of the writer
//!
//! A server that stops closes its connections, and one that becomes a replica refuses writes (25006) on connections that
//! stay open. After such an error, the idle connections of the pool are closed, so that the next ones are opened to the
//! server that the endpoint's name then denotes. Reads, and transactions that the server has refused before their commit, are
//! repeated until one second before the time limit of the request.
//!
//! The response to a commit may be lost, and then its outcome is unknown: [`Commit`] says whether the transaction is
//! repeated.
//!
//! `database_queries_total` counts the statements of each endpoint, `database_retries_total` the repetitions.

use std::{
    cell::Cell,
    future::{Ready, ready},
    hash::Hash,
    iter,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::ErrorInternalServerError,
    http::header::{HeaderValue, SET_COOKIE},
    middleware::Next,
    web::Data,
};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, TransactionTrait, sqlx};
use tokio::time::{Instant, sleep};

use crate::{combine::Combiner, limits::Limits, metrics::Metrics, reader::Reader, reply, session::cookie};

/// Time after a client's write for which its reads use the writer.
pub const RECENT: Duration = Duration::from_secs(5);

/// Cookie of a client that has written within [`RECENT`], and its attributes.
const COOKIE: &str = "recent_write";
const SET: &str = "recent_write=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax";

/// Pauses before repetitions: the first one and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Time between the last repetition and the time limit of the request.
const MARGIN: Duration = Duration::from_secs(1);

/// Writer and reader of a service, which handlers use through [`Scope`].
#[derive(Clone)]
pub struct Endpoints {
    writer: DatabaseConnection,
    reader: Reader,
    retries: Arc<AtomicU64>,
}

impl Endpoints {
    /// Returns the endpoints, and registers their counters.
    pub fn new(mut writer: DatabaseConnection, reader: &Reader, metrics: &Metrics) -> Self {
        let [written, read] = ["writer", "reader"].map(|endpoint| {
            let help = "Statements sent to each endpoint of the database.";
            metrics.labelled_counter("database_queries_total", help, ("endpoint", endpoint))
        });
        writer.set_metric_callback(move |_| {
            written.fetch_add(1, Relaxed);
        });
        let help = "Reads and transactions that were repeated because the database was unavailable.";
        let retries = metrics.counter("database_retries_total", help);
        Self { reader: reader.counted(writer.clone(), read), writer, retries }
    }

    /// Runs a query, on the writer or on the reader.
    async fn read<T>(
        &self,
        uses_writer: bool,
        query: impl AsyncFn(&DatabaseConnection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        if uses_writer { query(&self.writer).await } else { self.reader.read(query).await }
    }

    /// Closes the idle connections to the writer.
    fn close_idle_connections(&self) {
        if self.writer.get_database_backend() == DbBackend::Postgres {
            let pool = self.writer.get_postgres_connection_pool();
            // Collected first, since the pool would return a closed one's replacement.
            let idle: Vec<_> = iter::from_fn(|| pool.try_acquire()).take(pool.size() as usize).collect();
            for mut connection in idle {
                connection.close_on_drop();
            }
        }
    }
}

/// Reads that concurrent requests share ([`Scope::read_together`]). A part of the key is whether they use the writer.
pub type Together<K, A> = Combiner<(bool, K), A>;

/// Repetition of a transaction whose commit has an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Never: the transaction could take effect twice. The result is [`TransactionError::unknown_outcome`].
    Once,
    /// The transaction recognises that it has taken effect, for example by a unique value.
    Repeatable,
}

/// Error of a transaction.
pub trait TransactionError: From<DbErr> {
    /// Returns the error of the database, if it is the cause.
    fn database(&self) -> Option<&DbErr>;

    /// Returns the error for a commit whose response was lost, so that its outcome is unknown.
    fn unknown_outcome(error: DbErr) -> Self;
}

/// Reads and writes of one request. Handlers extract it; [`track`] must wrap them.
pub struct Scope {
    endpoints: Data<Endpoints>,
    state: Rc<State>,
    deadline: Instant,
}

/// State of a request, in its extensions.
struct State {
    start: Instant,
    uses_writer: Cell<bool>,
    has_written: Cell<bool>,
}

impl Scope {
    /// Runs a query, on the reader unless the client has written recently.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn read<T>(&self, query: impl AsyncFn(&DatabaseConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        let attempt = async || self.endpoints.read(self.state.uses_writer.get(), &query).await;
        self.repeat(attempt, |error| Some(error)).await
    }

    /// Runs a query as [`Self::read`] does, and shares it with concurrent requests for the same data that use the same
    /// endpoint. All requests for a key must pass the same query.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn read_together<K, A>(
        &self,
        together: &Together<K, A>,
        key: K,
        query: impl AsyncFn(&DatabaseConnection) -> Result<A, DbErr> + Clone + 'static,
    ) -> Result<A, DbErr>
    where
        K: Clone + Eq + Hash + 'static,
        A: Clone + 'static,
    {
        let attempt = async || {
            let uses_writer = self.state.uses_writer.get();
            let (endpoints, query) = (self.endpoints.clone(), query.clone());
            let read = move || {
                let (endpoints, query) = (endpoints.clone(), query.clone());
                async move { endpoints.read(uses_writer, &query).await }
            };
            together.run((uses_writer, key.clone()), read).await
        };
        self.repeat(attempt, |error| Some(error)).await
    }

    /// Runs a query for a row by its key as [`Self::read`] does. A row that the reader does not have is searched at the
    /// writer, since it may be new.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn find<T>(
        &self,
        query: impl AsyncFn(&DatabaseConnection) -> Result<Option<T>, DbErr>,
    ) -> Result<Option<T>, DbErr> {
        let found = self.read(&query).await?;
        if found.is_some() || self.state.uses_writer.get() || !self.endpoints.reader.has_replica() {
            return Ok(found);
        }
        self.repeat(async || query(&self.endpoints.writer).await, |error| Some(error)).await
    }

    /// Runs a transaction on the writer, and commits it if the work succeeds.
    ///
    /// The work is repeated if the database is unavailable, and must have no other effects than those of its statements.
    ///
    /// # Errors
    /// The error of the work, of the database, or [`TransactionError::unknown_outcome`].
    pub async fn transaction<T, E: TransactionError>(
        &self,
        commit: Commit,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let attempt = async || {
            let transaction = self.endpoints.writer.begin().await?;
            let done = work(&transaction).await?;
            self.state.uses_writer.set(true);
            match transaction.commit().await {
                Ok(()) => {
                    self.state.has_written.set(true);
                    Ok(done)
                }
                Err(error) if commit == Commit::Repeatable || !is_lost(&error) => Err(error.into()),
                Err(error) => {
                    self.state.has_written.set(true);
                    tracing::error!(%error, "the response to a commit was lost");
                    Err(E::unknown_outcome(error))
                }
            }
        };
        self.repeat(attempt, E::database).await
    }

    /// Runs an attempt until it succeeds, fails for another reason than an unavailable database, or time is up.
    async fn repeat<T, E>(
        &self,
        attempt: impl AsyncFn() -> Result<T, E>,
        cause: impl Fn(&E) -> Option<&DbErr>,
    ) -> Result<T, E> {
        let mut pause = PAUSES.0;
        loop {
            let failure = match attempt().await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let Some(error) = cause(&failure).filter(|error| may_succeed_later(error)) else {
                return Err(failure);
            };
            let has_moved = is_lost(error) || code(error).is_some_and(|code| code == READ_ONLY);
            tracing::warn!(%error, has_moved, "the writer is unavailable");
            // Closes the connections even without another attempt, for the next request.
            sleep(pause.min(self.deadline.saturating_duration_since(Instant::now()))).await;
            if has_moved {
                self.endpoints.close_idle_connections();
            }
            if Instant::now() >= self.deadline {
                return Err(failure);
            }
            self.endpoints.retries.fetch_add(1, Relaxed);
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

impl FromRequest for Scope {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let endpoints = request.app_data::<Data<Endpoints>>().cloned();
        let limits = request.app_data::<Data<Limits>>();
        let state = request.extensions().get::<Rc<State>>().cloned();
        ready(match (endpoints, limits, state) {
            (Some(endpoints), Some(limits), Some(state)) => {
                let deadline = state.start + limits.time.saturating_sub(MARGIN);
                Ok(Self { endpoints, state, deadline })
            }
            _ => Err(ErrorInternalServerError("the service has no endpoints, or `endpoints::track` is missing")),
        })
    }
}

/// Middleware of handlers that use a [`Scope`]: recognises clients that have written recently.
pub async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let has_written_recently = cookie(request.headers(), COOKIE).is_some();
    let state = Rc::new(State {
        start: Instant::now(),
        uses_writer: Cell::new(has_written_recently),
        has_written: Cell::new(false),
    });
    request.extensions_mut().insert(Rc::clone(&state));
    let mut response = next.call(request).await?;
    if state.has_written.get() {
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(SET));
    }
    Ok(response)
}

/// Code for a write on a read-only server or in a read-only transaction.
const READ_ONLY: &str = "25006";
/// Codes of a statement that the time limit has ended, which a repetition would exceed again.
const CANCELLED: &str = "57014";
/// Codes of transactions that conflicted with others.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

fn may_succeed_later(error: &DbErr) -> bool {
    match code(error) {
        Some(code) if CONFLICTS.contains(&code.as_str()) => true,
        Some(code) if code == CANCELLED => false,
        _ => reply::is_unavailable(error),
    }
}

/// Returns whether the connection was lost, so that the server may have run the statement.
fn is_lost(error: &DbErr) -> bool {
    match code(error) {
        Some(code) => code.len() == 5 && (code.starts_with("08") || code.starts_with("57P")),
        None => !matches!(error, DbErr::ConnectionAcquire(_)) && reply::is_unavailable(error),
    }
}

/// Returns the code of the database's error: a SQLSTATE, or a number of SQLite.
fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(source) | DbErr::Query(source) | DbErr::Conn(source)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(source) = source else {
        return None;
    };
    match &**source {
        sqlx::Error::Database(refusal) => refusal.code().map(std::borrow::Cow::into_owned),
        _ => None,
    }
}
