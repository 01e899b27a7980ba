//! Sessions and statements of MariaDB and MySQL.
//!
//! Statements use the text protocol, whose values are texts for every type. As with PostgreSQL, it would also run several
//! statements at once.

use std::time::Duration;

use futures::TryStreamExt;
use sea_orm::sqlx::{self, AssertSqlSafe, Column, Row, TypeInfo};
use sqlx_mysql::{MySqlConnection, MySqlPool, MySqlRow};

use super::{
    access::Access,
    error::QueryError,
    rows::{Kind, Rows},
};

/// Applies the settings of a session.
pub(super) async fn session(
    connection: &mut MySqlConnection,
    access: Access,
    statement: Duration,
) -> Result<(), sqlx::Error> {
    // Texts, quoted identifiers, `||` and an ID of 0 as in standard SQL. Values that do not fit are refused.
    let modes = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO";
    run(connection, format!("SET SESSION sql_mode = CONCAT(@@sql_mode, ',{modes}')")).await?;
    let seconds = statement.as_secs().max(1);
    run(connection, format!("SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")).await?;
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *connection).await?;
    let limit = if version.contains("MariaDB") {
        format!("SET SESSION max_statement_time = {}", statement.as_secs_f64())
    } else {
        format!("SET SESSION max_execution_time = {}", statement.as_millis())
    };
    run(connection, limit).await?;
    if access == Access::Read {
        run(connection, "SET SESSION TRANSACTION READ ONLY".to_owned()).await?;
    }
    Ok(())
}

async fn run(connection: &mut MySqlConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

pub(super) async fn read(pool: &MySqlPool, sql: &str) -> Result<Rows, QueryError> {
    let mut connection = pool.acquire().await.map_err(|error| QueryError::away(&error))?;
    let rows = collect(&mut connection, sql).await;
    if matches!(rows, Err(QueryError::TooLarge(_))) {
        // The connection would have to read the rest of the result.
        connection.close_on_drop();
    }
    rows
}

async fn collect(connection: &mut MySqlConnection, sql: &str) -> Result<Rows, QueryError> {
    let mut rows = Rows::default();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = stream.try_next().await? {
        let values = (0..row.len()).map(|at| value(&row, at)).collect::<Result<Vec<_>, _>>()?;
        rows.push(values.into_iter())?;
    }
    Ok(rows)
}

fn value(row: &MySqlRow, at: usize) -> Result<(Kind, Option<&str>), QueryError> {
    let name = row.column(at).type_info().name();
    let kind = match name {
        // TINYINT(1), which may have other values than 0 and 1.
        "BOOLEAN" => Kind::Boolean,
        "FLOAT" | "DOUBLE" => Kind::Float,
        _ if name.contains("INT") || name == "YEAR" => Kind::Integer,
        _ => Kind::Text,
    };
    // The type is not compared, because all values of this protocol are texts.
    let text = row.try_get_unchecked::<Option<&str>, _>(at);
    let text = text.map_err(|error| QueryError::Refused { reason: error.to_string() })?;
    Ok((kind, text))
}

pub(super) async fn write(pool: &MySqlPool, sql: &str) -> Result<(), QueryError> {
    let mut connection = pool.acquire().await.map_err(|error| QueryError::away(&error))?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    Ok(())
}
