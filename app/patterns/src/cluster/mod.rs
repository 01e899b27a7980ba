//! The database cluster: a manager, which accepts writes, and workers, which replicate from it.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `MANAGER_URL` | required | `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `mysql://…` |
//! | `WORKER_URLS` | required | URLs of the workers, separated by spaces or commas |
//! | `STANDALONE_URL` | not set | a separate database for comparisons, which gets the same tables |
//! | `STATEMENT_SECONDS` | 3 | time limit of a statement; a whole request takes at most one second more |
//! | `NODE_CONNECTIONS` | 10 | connections to a node for reads, and to the manager also for writes |
//!
//! Every node is measured all the time ([`node`]). Sessions for reads are read-only, on the manager too. A read whose node
//! stops answering is repeated on another node, if the mode permits another one. A write is never repeated.

mod access;
mod database;
mod error;
mod mysql;
pub mod node;
mod postgres;
mod rows;
mod schema;
mod settings;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::web::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

pub use access::Access;
pub use database::{Database, DatabaseUrlError, Pool};
pub use error::{ClusterError, QueryError};
pub use rows::{MAX_BYTES, MAX_ROWS, Rows, TooLarge};
pub use schema::migrate;
pub use settings::{Settings, SettingsError};

use crate::operation::Mode;
use node::{Node, State};

/// Name of the node that accepts writes.
pub const MANAGER: &str = "manager";

/// Time for which a request may wait for a connection, in addition to its statement.
const ACQUIRE: Duration = Duration::from_secs(1);

/// Time for which the manager may be away before the proxy is unhealthy.
const ABSENCE: Duration = Duration::from_secs(2);

/// Pause between attempts to apply the migrations.
const MIGRATION_PAUSE: Duration = Duration::from_millis(500);

/// A running cluster.
pub struct Cluster {
    manager: Arc<Node>,
    workers: Vec<Arc<Node>>,
    /// Whether the manager has the tables.
    is_migrated: Arc<AtomicBool>,
    /// Time limit of a request.
    time: Duration,
    /// Measurements and migrations, which stop with the cluster.
    tasks: Mutex<JoinSet<()>>,
}

impl Cluster {
    /// Starts to measure the nodes and to apply the migrations. No node has to answer yet.
    pub fn start(settings: Settings) -> Self {
        let Settings { manager, workers, standalone, statement, connections } = settings;
        let read = |database: &Database| database.open(Access::Read, connections, statement);
        let is_migrated = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(migrate_until_done(MANAGER, manager.clone(), Arc::clone(&is_migrated)));
        if let Some(standalone) = standalone {
            tasks.spawn(migrate_until_done("standalone", standalone, Arc::default()));
        }
        let (reader, writer) = (read(&manager), manager.open(Access::Write, connections, statement));
        let manager = Arc::new(Node::new(MANAGER.to_owned(), manager, reader, Some(writer)));
        let workers: Vec<_> = workers
            .into_iter()
            .enumerate()
            .map(|(number, database)| {
                let reader = read(&database);
                Arc::new(Node::new(format!("worker-{number}"), database, reader, None))
            })
            .collect();
        for node in workers.iter().chain([&manager]) {
            tasks.spawn(Arc::clone(node).measure());
        }
        Self { manager, workers, is_migrated, time: statement + ACQUIRE, tasks: Mutex::new(tasks) }
    }

    /// Runs a query on a node that the mode selects. Returns the name of the node and the rows as JSON.
    ///
    /// # Errors
    /// [`ClusterError`] if the database refuses the query, or if no node answers in time.
    pub async fn read(&self, mode: Mode, sql: String) -> Result<(String, Bytes), ClusterError> {
        let sql = Arc::from(sql);
        let deadline = Instant::now() + self.time;
        let mut conflict = None;
        let mut candidates = self.candidates(mode).into_iter().peekable();
        while let Some(node) = candidates.next() {
            let name = node.name.clone();
            let has_alternative = candidates.peek().is_some_and(|next| !next.state().is_away());
            let read =
                async { if has_alternative { node.read_unless_away(&sql).await } else { node.read(&sql).await } };
            match timeout_at(deadline, read).await {
                Ok(Ok(rows)) => return Ok((name, rows)),
                Ok(Err(QueryError::Away { cause } | QueryError::Lost { cause })) => {
                    tracing::warn!(node = name, cause, "a read failed");
                }
                // A replica cancels queries that need rows which the manager has removed.
                Ok(Err(error @ QueryError::Conflict { .. })) => {
                    conflict = Some(ClusterError::Query { node: name, error })
                }
                Ok(Err(error)) => return Err(ClusterError::Query { node: name, error }),
                Err(_) => {
                    tracing::warn!(node = name, "a read took too long");
                    break;
                }
            }
        }
        let away = if mode == Mode::Direct { ClusterError::ManagerAway } else { ClusterError::NoNode };
        Err(conflict.unwrap_or(away))
    }

    /// Runs an insertion on the manager. Returns the name of the node.
    ///
    /// # Errors
    /// [`ClusterError`] if the database refuses the insertion, or if the manager does not answer in time.
    pub async fn write(&self, sql: &str) -> Result<String, ClusterError> {
        let written = timeout_at(Instant::now() + self.time, self.manager.write(sql)).await;
        match written {
            Ok(Ok(())) => Ok(self.manager.name.clone()),
            Ok(Err(QueryError::Away { cause })) => {
                tracing::error!(cause, "a write was not started");
                Err(ClusterError::ManagerAway)
            }
            Ok(Err(QueryError::Lost { cause })) => {
                tracing::error!(cause, "a write failed");
                Err(ClusterError::WriteLost)
            }
            Ok(Err(error)) => Err(ClusterError::Query { node: self.manager.name.clone(), error }),
            Err(_) => {
                tracing::error!("a write took too long");
                Err(ClusterError::WriteLost)
            }
        }
    }

    /// Checks that the manager answers and has its tables.
    ///
    /// # Errors
    /// [`ClusterError`] if not.
    pub fn check(&self) -> Result<(), ClusterError> {
        match self.manager.state() {
            State::Answers(_) if self.is_migrated.load(Relaxed) => Ok(()),
            State::Answers(_) => Err(ClusterError::NotMigrated),
            State::Away(since) if since.elapsed() < ABSENCE && self.is_migrated.load(Relaxed) => Ok(()),
            State::Unknown | State::Away(_) => Err(ClusterError::ManagerAway),
        }
    }

    /// Stops the measurements and closes all connections.
    pub async fn close(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        for node in self.workers.iter().chain([&self.manager]) {
            node.close().await;
        }
    }

    /// Returns the nodes that may run a read, the preferred one first. Nodes that are away are the last resort.
    fn candidates(&self, mode: Mode) -> Vec<&Arc<Node>> {
        let mut nodes: Vec<&Arc<Node>> = match mode {
            Mode::Direct => vec![&self.manager],
            Mode::Random => {
                let mut workers: Vec<_> = self.workers.iter().collect();
                fastrand::shuffle(&mut workers);
                workers.push(&self.manager);
                workers
            }
            Mode::Customized => self.workers.iter().chain([&self.manager]).collect(),
        };
        if mode == Mode::Customized {
            nodes.sort_by_key(|node| node.state().latency());
        }
        // The sort is stable.
        nodes.sort_by_key(|node| node.state().is_away());
        nodes
    }
}

/// Applies the migrations to a database as soon as it answers.
async fn migrate_until_done(name: &'static str, database: Database, is_migrated: Arc<AtomicBool>) {
    let mut is_logged = false;
    while let Err(error) = migrate(&database).await {
        if !is_logged {
            tracing::warn!(node = name, %database, %error, "the migrations have to wait");
            is_logged = true;
        }
        sleep(MIGRATION_PAUSE).await;
    }
    tracing::info!(node = name, %database, "the tables exist");
    is_migrated.store(true, Relaxed);
}
