//! The ID of a request in the log of PostgreSQL.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    web::{self, Data, ServiceConfig},
};
use kit::{
    Context,
    batch::Batch,
    held::Held,
    limits::Limits,
    testing::{Postgres, Served},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, sqlx};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct NoMigrations;

impl MigratorTrait for NoMigrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

const LIMITS: Limits = Limits { body_bytes: 1000, head_bytes: 2000, time: Duration::from_secs(20) };

/// The prefix of the local cloud.
const PREFIX: &str = "log_line_prefix = '%m [%p] %quser=%u,db=%d,app=%a,client=%h '";

/// Executes the SQL in the body.
async fn execute(database: Data<DatabaseConnection>, sql: String) -> HttpResponse {
    match database.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

/// Executes the SQL in the body on a connection that later requests of the same thread use as well.
async fn execute_held(held: Data<Sequence>, sql: String) -> HttpResponse {
    held.0
        .run(sql)
        .await
        .map_or_else(|error| HttpResponse::BadRequest().body(error.to_string()), |()| HttpResponse::Ok().finish())
}

/// Statements of the requests of a thread, on a held connection.
struct Sequence(Batch<String, ()>);

impl Sequence {
    fn on(database: &DatabaseConnection) -> Self {
        let held = Arc::new(Held::of(database).unwrap());
        let run = move |statements: Vec<String>| {
            let held = Arc::clone(&held);
            async move {
                for statement in &statements {
                    held.run(async |connection| {
                        sqlx::Executor::execute(connection, sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone()))).await
                    })
                    .await?;
                }
                Ok::<_, DbErr>(vec![(); statements.len()])
            }
        };
        Self(Batch::new(run, || ()))
    }
}

async fn start(context: Context) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |app: &mut ServiceConfig| {
        app.app_data(Data::new(Sequence::on(&context.database)))
            .route("/", web::post().to(execute))
            .route("/held", web::post().to(execute_held));
    }
}

/// Sends a statement in a request with this ID, and returns the status.
fn send(service: &Served, path: &str, id: &str, sql: &str) -> u16 {
    service.send_with(&format!("POST {path}"), &[("x-request-id", id)], sql).status
}

/// Returns the names of the applications whose log lines contain a text.
fn names(log: &str, text: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(text));
    let name = |line: &str| Some(line.split_once(",app=")?.1.split_once(",client=")?.0.to_owned());
    lines.filter_map(name).collect()
}

#[test]
fn statements_are_found_from_the_id_of_their_request() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.configure(&format!("{PREFIX}\nlog_min_duration_statement = 100ms"));
    let service = Served::start::<NoMigrations, _>(&postgres.url(), LIMITS, start);
    assert_eq!(send(&service, "/", "slow-1", "SELECT pg_sleep(0.2)"), 200);
    assert_eq!(send(&service, "/", "wrong-1", "SELECT * FROM nowhere"), 400);
    assert_eq!(send(&service, "/", "quick-1", "SELECT 1 AS quick"), 200);
    let log = postgres.log();
    assert_eq!(names(&log, "pg_sleep(0.2)"), ["request_id=slow-1"], "{log}");
    assert_eq!(names(&log, "relation \"nowhere\" does not exist"), ["request_id=wrong-1"], "{log}");
    assert!(!log.contains("AS quick"), "{log}");

    // With this setting, the log contains every statement. The restart also closes the connections.
    postgres.configure("log_min_duration_statement = 0");
    for number in 0..20 {
        assert_eq!(send(&service, "/", &format!("id-{number}"), &format!("SELECT {number} AS again")), 200);
    }
    let log = postgres.log();
    for number in 0..20 {
        let statement = format!("SELECT {number} AS again");
        assert!(names(&log, &statement).contains(&format!("request_id=id-{number}")), "{statement}: {log}");
    }
}

#[test]
fn a_held_connection_is_labelled_for_its_first_statement_only() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.configure(&format!("{PREFIX}\nlog_min_duration_statement = 0"));
    let service = Served::start::<NoMigrations, _>(&postgres.url(), LIMITS, start);
    // Either thread of the service may hold a connection already.
    for number in 0..12 {
        assert_eq!(send(&service, "/held", &format!("id-{number}"), &format!("SELECT {number} AS held")), 200);
    }
    let log = postgres.log();
    let mut labelled = 0;
    for number in 0..12 {
        let name = names(&log, &format!("SELECT {number} AS held")).concat();
        let is_labelled = name == format!("request_id=id-{number}");
        // The name of a connection that was opened without one.
        assert!(is_labelled || name == "[unknown]", "{name}: {log}");
        labelled += usize::from(is_labelled);
    }
    assert!((1..12).contains(&labelled), "{log}");
}
