//! Reads and writes of a request, on a writer and a reader.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use kit::{
    Context,
    endpoints::{self, Commit, Endpoints, Scope, TransactionError},
    limits::Limits,
    testing::{Served, connect, sqlite_url},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct NoMigrations;

impl MigratorTrait for NoMigrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

/// Error of the transactions of this test.
#[derive(Debug)]
enum Failure {
    Database(DbErr),
    Unknown,
    Refused,
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl TransactionError for Failure {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::Unknown | Self::Refused => None,
        }
    }

    fn unknown_outcome(_: DbErr) -> Self {
        Self::Unknown
    }
}

async fn notes(database: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let select = Statement::from_string(database.get_database_backend(), "SELECT text FROM note ORDER BY text");
    database.query_all_raw(select).await?.iter().map(|row| row.try_get("", "text")).collect()
}

async fn read(scope: &Scope) -> String {
    scope.read(async |database: &DatabaseConnection| notes(database).await).await.unwrap().join(",")
}

/// Reads, writes, and reads again. A refused transaction is no write.
async fn write(scope: Scope, refused: web::Path<bool>) -> HttpResponse {
    let before = read(&scope).await;
    let written = scope
        .transaction(Commit::Once, async |transaction| {
            let insert = "INSERT INTO note VALUES ('new')";
            transaction.execute_raw(Statement::from_string(transaction.get_database_backend(), insert)).await?;
            let inside = notes(transaction).await?.join(",");
            if *refused { Err(Failure::Refused) } else { Ok(inside) }
        })
        .await;
    let inside = match written {
        Ok(inside) => inside,
        Err(Failure::Refused) => "refused".to_owned(),
        Err(failure) => panic!("{failure:?}"),
    };
    HttpResponse::Ok().body(format!("{before} {inside} {}", read(&scope).await))
}

#[test]
fn a_request_reads_its_own_writes() {
    let (written, read_from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (writer, reader) = (sqlite_url(&written), sqlite_url(&read_from));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (url, text) in [(&writer, "writer"), (&reader, "reader")] {
            let create = format!("CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('{text}')");
            connect(url).await.execute_unprepared(&create).await.unwrap();
        }
    });
    let start = async |context: Context| {
        let endpoints = Data::new(Endpoints::new(context.database.clone(), &context.reader, &context.metrics));
        move |app: &mut ServiceConfig| {
            let scope = web::scope("").app_data(endpoints.clone()).wrap(from_fn(endpoints::track));
            app.service(
                scope
                    .route("/write/{refused}", web::post().to(write))
                    .route("/", web::get().to(async |scope: Scope| read(&scope).await)),
            );
        }
    };
    let limits = Limits { body_bytes: 1000, head_bytes: 2000, time: Duration::from_secs(20) };
    let service = Served::start_with_reader::<NoMigrations, _>(&writer, Some(&reader), limits, start);

    let answer = service.send("POST /write/true", "");
    assert_eq!((answer.body.as_str(), answer.header("set-cookie")), ("reader refused reader", None));
    let answer = service.send("POST /write/false", "");
    assert_eq!(answer.body, "reader new,writer new,writer");
    let cookie = answer.header("set-cookie").unwrap();
    assert_eq!(cookie, "recent_write=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax");
    assert!(cookie.contains(&format!("; Max-Age={};", endpoints::RECENT.as_secs())));

    assert_eq!(service.send("GET /", "").body, "reader");
    assert_eq!(service.send_with("GET /", &[("Cookie", "a=b; recent_write=1")], "").body, "new,writer");
    let metrics = service.metrics();
    // Two transactions with two statements each, and one read after the write and one with the cookie.
    for line in [
        r#"database_queries_total{endpoint="reader"} 4"#,
        r#"database_queries_total{endpoint="writer"} 6"#,
        "database_retries_total 0",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}\nis not in\n{metrics}");
    }
}
