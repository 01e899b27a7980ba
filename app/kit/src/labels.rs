//! Labels connections to PostgreSQL with the request that they serve, so that the server's log lines name it.
//!
//! While a request uses a connection, the connection's `application_name` is `request_id=ID`. PostgreSQL writes it into each
//! line of its log if `log_line_prefix` contains `%a`, and shows it in `pg_stat_activity`. So a slow, failed or blocked
//! statement is found from the ID of its request.
//!
//! The name is set when the pool hands out a connection, by the statement that also tests it. A comment in each statement
//! would need no statement of its own, but gives each statement another text, so that none would be prepared twice. A
//! connection that is held from one statement to the next ([`crate::held`]) is labelled for the first one only.
//!
//! `DATABASE_REQUEST_IDS=false` switches the labels off, for example behind RDS Proxy, which would dedicate a connection to
//! each client that sets a parameter
//! (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html>).

use std::{future::Future, sync::Arc};

use sea_orm::sqlx::{self, AssertSqlSafe, Executor, PgConnection};

tokio::task_local! {
    /// ID of the request that a task serves.
    static REQUEST: Arc<str>;
}

/// Runs the work of a request with this ID, which must be plain: letters, digits and `-_.:`.
pub(crate) async fn serving<T>(id: Arc<str>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(id, work).await
}

/// Runs work that another task does for the request of this task, if it serves one.
pub(crate) fn on_behalf<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let id = REQUEST.try_with(Arc::clone).ok();
    async move {
        match id {
            Some(id) => serving(id, work).await,
            None => work.await,
        }
    }
}

/// Labels a connection with the request of this task, or removes its label.
pub(crate) fn label(connection: &mut PgConnection) -> impl Future<Output = Result<(), sqlx::Error>> + Send + '_ {
    let statement = REQUEST.try_with(|id| format!("SET application_name TO 'request_id={id}'"));
    let statement = statement.unwrap_or_else(|_| REMOVE.to_owned());
    execute(connection, statement)
}

/// Removes the label of a connection.
pub(crate) async fn remove(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    execute(connection, REMOVE.to_owned()).await
}

const REMOVE: &str = "RESET application_name";

async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // The only variable part is a plain ID.
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.map(drop)
}
