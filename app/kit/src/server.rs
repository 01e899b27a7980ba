//! The server: everything around a service's routes, from the first setting to the last request.

use std::{fmt::Display, future::Future, io, net::TcpListener, process::ExitCode, time::Duration};

use actix_web::{
    App, HttpServer,
    http::StatusCode,
    middleware::from_fn,
    web::{self, Data, PayloadConfig, ServiceConfig},
};
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    database::{Database, DatabaseError},
    health,
    limits::{self, Limits},
    listen::{self, ListenError},
    log,
    metrics::{self, Metrics},
    migrate::{self, MigrateError},
    reply,
    settings::{SettingError, environment},
};

/// How long a graceful shutdown lets running requests finish, in seconds: within 10 s all is over.
const SHUTDOWN_SECONDS: u64 = 9;

/// Why a service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There is no port to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The schema is not up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The operating system refused something.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// Runs a service, configured by environment variables alone, until SIGTERM or SIGINT.
///
/// Connects to the database, applies the migrations, and then listens; prints one line that says where.
///
/// # Errors
/// [`StartError`]: each says what to change.
pub fn run<M: MigratorTrait>(
    name: &str,
    default_database_url: &str,
    routes: fn(&mut ServiceConfig),
) -> Result<(), StartError> {
    log::start(&environment);
    let limits = Limits::from(&environment)?;
    let database = Database::from(&environment, default_database_url)?;
    actix_web::rt::System::new().block_on(async {
        // The port first: when it is taken, nothing has been touched. Until the server runs, connections queue.
        let listener = listen::from(&environment)?;
        let address = listener.local_addr()?;
        let database = database.connect().await?;
        migrate::up::<M>(&database).await?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        println!("{name} listens on http://{address}");
        Service { listener, database, limits, routes }.run_until(stop).await?;
        Ok(())
    })
}

/// Turns the end of a program into its exit code; an error is printed on stderr.
pub fn exit(name: &str, result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A service that has its port and its database.
pub struct Service {
    /// Where it listens.
    pub listener: TcpListener,
    /// Its database, migrated.
    pub database: DatabaseConnection,
    /// What a request may cost.
    pub limits: Limits,
    /// Its own routes. `Data<DatabaseConnection>` is there for the handlers.
    pub routes: fn(&mut ServiceConfig),
}

impl Service {
    /// Serves until `stop` is ready; then refuses what is new, finishes what runs, and closes the database.
    ///
    /// # Errors
    /// What the operating system says when it refuses threads or the listener.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { listener, database, limits, routes } = self;
        let data = (Data::new(database.clone()), Data::new(limits), Data::new(Metrics::default()));
        let app = move || {
            let (database, limits, metrics) = data.clone();
            let body_limit = PayloadConfig::new(limits.body_bytes);
            App::new()
                .app_data(database)
                .app_data(limits)
                .app_data(metrics)
                .app_data(body_limit)
                .wrap(from_fn(limits::enforce))
                .wrap(from_fn(metrics::count))
                .wrap(from_fn(log::request))
                .route("/healthz", web::get().to(health::check))
                .route("/metrics", web::get().to(metrics::show))
                .configure(routes)
                .default_service(web::to(|| async { reply::detail(StatusCode::NOT_FOUND, "Not found.") }))
        };
        let server = HttpServer::new(app)
            .shutdown_signal(stop)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .client_request_timeout(limits.time)
            .listen(listener)?;
        server.run().await?;
        // A connection on which the database hangs is not waited for.
        let _ = timeout(Duration::from_millis(500), database.close()).await;
        Ok(())
    }
}
