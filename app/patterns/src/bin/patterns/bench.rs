//! `patterns bench`: queries per second of the standalone database and of the cluster.
//!
//! The cluster runs reads on a worker that is drawn for each query, and writes on the manager.

use std::{sync::Arc, time::Duration};

use clap::Args;
use kit::settings::environment;
use patterns::cluster::{Access, Database, Pool, QueryError, Settings, SettingsError, migrate};
use sea_orm::sqlx;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::table::{self, Latencies};

/// Query of the readers.
const READ: &str = "SELECT id, column1, column2 FROM random_table ORDER BY id DESC LIMIT 20";
/// Insertion of the writers.
const WRITE: &str = "INSERT INTO random_table (column1, column2) VALUES ('column1_value', 'column2_value')";
/// Writes among 10 queries of the mixed load.
const WRITES_OF_TEN: usize = 2;
/// Load before each measurement.
const WARM_UP: Duration = Duration::from_millis(500);
/// Time limit for the workers to replicate the tables.
const REPLICATION: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Duration of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Numbers of concurrent queries, of which each is measured
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 8, 32], num_args = 1..=8, value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: Vec<u32>,
}

/// Error of the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("STANDALONE_URL is not set; write the URL of the database to compare with")]
    NoStandalone,
    #[error("the tables of {database} cannot be created: {source}")]
    Migrate { database: String, source: sqlx::Error },
    #[error("{database} has not replicated the tables within {REPLICATION:?}: {source}")]
    Replicate { database: String, source: QueryError },
    #[error("{0} queries failed; the last error was: {1}")]
    Failed(usize, QueryError),
    #[error("the threads cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Databases that share a load.
struct Target {
    name: &'static str,
    readers: Vec<Pool>,
    writer: Pool,
}

/// Result of a measurement.
#[derive(Default)]
struct Measured {
    latencies: Latencies,
    errors: usize,
    last_error: Option<QueryError>,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), BenchError> {
    let settings = Settings::from(&environment)?;
    tokio::runtime::Runtime::new()?.block_on(compare(arguments, settings))
}

async fn compare(arguments: Arguments, settings: Settings) -> Result<(), BenchError> {
    let Settings { manager, workers, standalone, statement, .. } = settings;
    let standalone = standalone.ok_or(BenchError::NoStandalone)?;
    for database in [&manager, &standalone] {
        let failed = |source| BenchError::Migrate { database: database.to_string(), source };
        migrate(database).await.map_err(failed)?;
    }
    let connections = arguments.concurrency.iter().copied().max().unwrap_or(1);
    let open = |database: &Database, access| database.open(access, connections, statement);
    let read = |database: &Database| open(database, Access::Read);
    let targets = [
        Target { name: "standalone", readers: vec![read(&standalone)], writer: open(&standalone, Access::Write) },
        Target { name: "cluster", readers: workers.iter().map(read).collect(), writer: open(&manager, Access::Write) },
    ];
    for target in &targets {
        for pool in target.readers.iter().chain([&target.writer]) {
            pool.warm().await;
        }
    }
    for (pool, database) in targets[1].readers.iter().zip(&workers) {
        wait_for_tables(pool, database).await?;
    }
    let seconds = Duration::from_secs(arguments.seconds);
    let head = ["database", "load", "concurrency", "queries/s", "median ms", "p95 ms", "errors"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut errors, mut last_error) = (0, None);
    let [standalone, cluster] = targets.map(Arc::new);
    for (load, writes) in [("read-only", 0), ("mixed", WRITES_OF_TEN)] {
        for concurrency in &arguments.concurrency {
            for target in [&standalone, &cluster] {
                println!("{} of {}, {concurrency} at once …", load, target.name);
                measure(target, writes, *concurrency, WARM_UP).await;
                let Measured { mut latencies, errors: failed, last_error: error } =
                    measure(target, writes, *concurrency, seconds).await;
                errors += failed;
                last_error = error.or(last_error);
                latencies.sort();
                let rate = latencies.len() as f64 / seconds.as_secs_f64();
                let cells = [target.name.to_owned(), load.to_owned(), concurrency.to_string(), format!("{rate:.0}")];
                let measured = [latencies.percentile(50), latencies.percentile(95), failed.to_string()];
                rows.push(cells.into_iter().chain(measured).collect());
            }
        }
    }
    println!("\n{}", table::lines(&rows));
    match last_error {
        Some(error) => Err(BenchError::Failed(errors, error)),
        None => Ok(()),
    }
}

async fn wait_for_tables(pool: &Pool, database: &Database) -> Result<(), BenchError> {
    let deadline = Instant::now() + REPLICATION;
    while let Err(source) = pool.read(READ).await {
        if Instant::now() >= deadline {
            return Err(BenchError::Replicate { database: database.to_string(), source });
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Runs queries, as many at once as `concurrency`, until the time has passed.
async fn measure(target: &Arc<Target>, writes: usize, concurrency: u32, time: Duration) -> Measured {
    let deadline = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..concurrency {
        clients.spawn(query_until(Arc::clone(target), writes, deadline));
    }
    let mut total = Measured::default();
    while let Some(client) = clients.join_next().await {
        // A client has no reason to panic, and is never aborted.
        if let Ok(Measured { latencies, errors, last_error }) = client {
            total.latencies.extend(latencies);
            total.errors += errors;
            total.last_error = last_error.or(total.last_error);
        }
    }
    total
}

async fn query_until(target: Arc<Target>, writes: usize, deadline: Instant) -> Measured {
    let mut measured = Measured::default();
    while Instant::now() < deadline {
        let start = Instant::now();
        let result = if fastrand::usize(..10) < writes {
            target.writer.write(WRITE).await
        } else {
            let reader = &target.readers[fastrand::usize(..target.readers.len())];
            reader.read(READ).await.map(drop)
        };
        match result {
            Ok(()) => measured.latencies.push(start.elapsed()),
            Err(error) => {
                measured.errors += 1;
                measured.last_error = Some(error);
            }
        }
    }
    measured
}
