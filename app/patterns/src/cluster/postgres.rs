//! Sessions and statements of PostgreSQL.
//!
//! Statements use the simple protocol, whose values are texts for every type. It would also run several statements at once,
//! which the check of [`crate::sql`] excludes.

use std::time::Duration;

use futures::TryStreamExt;
use sea_orm::sqlx::{
    self, AssertSqlSafe, Column, Row, TypeInfo, ValueRef,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgRow},
};

use super::{
    access::Access,
    error::QueryError,
    rows::{Kind, Rows},
};

/// Returns options with the settings of a session.
pub(super) fn session(options: &PgConnectOptions, access: Access, statement: Duration) -> PgConnectOptions {
    let limit = statement.as_millis().to_string();
    let read_only = match access {
        Access::Read => "on",
        Access::Write => "off",
    };
    options.clone().application_name("proxy").options([
        ("statement_timeout", limit.as_str()),
        ("lock_timeout", limit.as_str()),
        ("default_transaction_read_only", read_only),
        // With `off`, a backslash would be an escape.
        ("standard_conforming_strings", "on"),
    ])
}

pub(super) async fn read(pool: &PgPool, sql: &str) -> Result<Rows, QueryError> {
    let mut connection = pool.acquire().await.map_err(|error| QueryError::away(&error))?;
    let rows = collect(&mut connection, sql).await;
    if matches!(rows, Err(QueryError::TooLarge(_))) {
        // The connection would have to read the rest of the result.
        connection.close_on_drop();
    }
    rows
}

async fn collect(connection: &mut PgConnection, sql: &str) -> Result<Rows, QueryError> {
    let mut rows = Rows::default();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = stream.try_next().await? {
        let values = (0..row.len()).map(|at| value(&row, at)).collect::<Result<Vec<_>, _>>()?;
        rows.push(values.into_iter())?;
    }
    Ok(rows)
}

fn value(row: &PgRow, at: usize) -> Result<(Kind, Option<&str>), QueryError> {
    let raw = row.try_get_raw(at)?;
    let kind = match row.column(at).type_info().name() {
        "BOOL" => Kind::Boolean,
        "INT2" | "INT4" | "INT8" | "OID" => Kind::Integer,
        "FLOAT4" | "FLOAT8" => Kind::Float,
        _ => Kind::Text,
    };
    if raw.is_null() {
        return Ok((kind, None));
    }
    let text = raw.as_str().map_err(|error| QueryError::Refused { reason: error.to_string() })?;
    Ok((kind, Some(text)))
}

pub(super) async fn write(pool: &PgPool, sql: &str) -> Result<(), QueryError> {
    let mut connection = pool.acquire().await.map_err(|error| QueryError::away(&error))?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    Ok(())
}
