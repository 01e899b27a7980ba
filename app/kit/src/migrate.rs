//! Migrations that any number of instances may start at once.
//!
//! All of them run in one transaction that first takes a lock: PostgreSQL's transaction-level advisory lock, SQLite's
//! write lock. So lock, work and release are on one connection, a failure leaves nothing behind, and an instance that
//! dies gives the lock back. The others wait, and then find nothing left to do.
//! (A migration can therefore not use what PostgreSQL refuses inside a transaction, such as `CREATE INDEX CONCURRENTLY`.)

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

/// The advisory lock's number: "migrate" in ASCII. Any will do as long as all instances agree.
const LOCK: i64 = 0x6d_69_67_72_61_74_65;

/// Why the schema could not be brought up to date. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the migrations failed and nothing was changed: {0}. If another instance held the lock for too long, stop that one; else correct the migration or the database user's rights"
)]
pub struct MigrateError(#[from] DbErr);

/// Applies the migrations that the database does not have yet.
///
/// # Errors
/// [`MigrateError`] when one fails, or when another instance has been migrating for five minutes.
pub async fn up<M: MigratorTrait>(database: &DatabaseConnection) -> Result<(), MigrateError> {
    // SQLite takes its lock with BEGIN IMMEDIATE; PostgreSQL ignores that option and is asked for one below.
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = database.begin_with_options(immediate).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        let lock = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '5min'; SELECT pg_advisory_xact_lock({LOCK})"
        );
        transaction.execute_unprepared(&lock).await?;
    }
    M::up(&transaction, None).await?;
    transaction.commit().await?;
    Ok(())
}
