//! Migrations, which any number of instances may start at once.
//!
//! All migrations run in one transaction that first acquires a lock: the transaction-level advisory lock of PostgreSQL, or
//! the write lock of SQLite. So a failure changes nothing, and the lock of an instance that dies is released. The other
//! instances wait, and then have no migration to apply. A migration cannot use statements that PostgreSQL refuses in a
//! transaction, such as `CREATE INDEX CONCURRENTLY`.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

/// Number of the advisory lock: "migrate" in ASCII. All instances must use the same one.
const LOCK: i64 = 0x6d_69_67_72_61_74_65;

/// Error of the migrations. The schema is unchanged.
#[derive(Debug, thiserror::Error)]
#[error(
    "the migrations failed and nothing was changed: {0}. If another instance held the lock for too long, stop that one; else correct the migration or the database user's rights"
)]
pub struct MigrateError(#[from] DbErr);

/// Applies the pending migrations.
///
/// # Errors
/// [`MigrateError`] if a migration fails, or if another instance holds the lock for five minutes.
pub async fn up<M: MigratorTrait>(database: &DatabaseConnection) -> Result<(), MigrateError> {
    // SQLite acquires its lock with BEGIN IMMEDIATE. PostgreSQL ignores that option and acquires its lock below.
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
