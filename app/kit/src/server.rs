//! Runs a service, from its settings to its last request.

use std::{fmt::Display, future::Future, io, net::TcpListener, process::ExitCode, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    http::header::X_CONTENT_TYPE_OPTIONS,
    middleware::{DefaultHeaders, from_fn},
    web::{Data, PayloadConfig},
};
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    application::{self, Application, ApplicationError, Context},
    client::TrustedProxies,
    connection,
    database::{Database, DatabaseError},
    limits::{self, Limits},
    listen::{self, ListenError},
    log::{self, Observer},
    metrics::{self, Metrics},
    migrate::{self, MigrateError},
    reader::Reader,
    settings::{SettingError, Variables, environment},
};

/// Time limit of running requests in a graceful shutdown, in seconds. The whole shutdown takes at most 10 s.
const SHUTDOWN_SECONDS: u64 = 8;
/// Time limit of [`Application::finish`].
const FINISH: Duration = Duration::from_millis(1500);
/// Time limit of closing the database connections.
const CLOSE: Duration = Duration::from_millis(500);

/// Error of a service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The port cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The database is unavailable.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The migrations have failed.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The application has failed to start.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// The operating system has refused the threads or the listener.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// Runs a service until SIGTERM or SIGINT. Environment variables are its only configuration. [`run_with`] describes the
/// steps.
///
/// # Errors
/// As [`run_with`].
pub fn run<M: MigratorTrait, A: Application>(
    name: &str,
    start: impl AsyncFnOnce(Context) -> Result<A, ApplicationError>,
) -> Result<(), StartError> {
    run_with::<M, A>(name, &environment, start)
}

/// Runs a service until SIGTERM or SIGINT, with settings such as the environment variables and the service's own defaults.
///
/// Connects to the database, applies the migrations, starts the application, and accepts requests once all connections
/// to the database are open. Prints the address of each listener on a line.
///
/// # Errors
/// [`StartError`], which names the setting to change.
pub fn run_with<M: MigratorTrait, A: Application>(
    name: &str,
    variables: Variables,
    start: impl AsyncFnOnce(Context) -> Result<A, ApplicationError>,
) -> Result<(), StartError> {
    log::start(variables);
    let front = Front::from(variables)?;
    let configured = Database::from(variables)?;
    let replica = Database::reader_from(variables)?;
    actix_web::rt::System::new().block_on(async {
        // The ports first: if one is used, the database is unchanged. Connections queue until the server runs.
        let ports = Ports::from(variables)?;
        let database = configured.connect().await?;
        migrate::up::<M>(&database).await?;
        let replica = match replica {
            Some(replica) => Some(replica.open().await?),
            None => None,
        };
        let metrics = Arc::new(Metrics::default());
        let reader = Reader::new(database.clone(), replica, &metrics);
        let context = Context { database, reader, metrics };
        let application = start(context.clone()).await?;
        configured.warm(&context.database).await;
        let Context { database, reader, metrics } = context;
        let storage = Some(Storage { database, reader });
        Service { ports, front, storage, metrics, application }.run_until_signal(name).await
    })
}

/// Runs a service without a database until SIGTERM or SIGINT, otherwise as [`run`].
///
/// # Errors
/// [`StartError`], which names the setting to change.
pub fn serve<A: Application>(
    name: &str,
    start: impl AsyncFnOnce(Arc<Metrics>) -> Result<A, ApplicationError>,
) -> Result<(), StartError> {
    log::start(&environment);
    let front = Front::from(&environment)?;
    actix_web::rt::System::new().block_on(async {
        let ports = Ports::from(&environment)?;
        let metrics = Arc::new(Metrics::default());
        let application = start(Arc::clone(&metrics)).await?;
        Service { ports, front, storage: None, metrics, application }.run_until_signal(name).await
    })
}

/// Returns the exit code of a program. Prints its error, after the remaining log, to standard error.
pub fn exit(name: &str, result: Result<(), impl Display>) -> ExitCode {
    log::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Open ports of a service.
pub struct Ports {
    /// Listener for clients.
    pub listener: TcpListener,
    /// Listener for metrics, if any.
    pub metrics_listener: Option<TcpListener>,
}

impl Ports {
    /// Opens the ports of `LISTEN` and `METRICS_LISTEN`.
    ///
    /// # Errors
    /// [`ListenError`], which names the variable to change.
    pub fn from(variables: Variables) -> Result<Self, ListenError> {
        Ok(Self { listener: listen::from(variables)?, metrics_listener: listen::metrics_from(variables)? })
    }
}

/// Settings of all requests.
#[derive(Debug, Clone)]
pub struct Front {
    /// Limits of requests.
    pub limits: Limits,
    /// Trusted proxies between clients and the service.
    pub proxies: TrustedProxies,
}

impl Front {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        Ok(Self { limits: Limits::from(variables)?, proxies: TrustedProxies::from(variables)? })
    }
}

/// Database of a service.
pub struct Storage {
    /// Database with an up-to-date schema.
    pub database: DatabaseConnection,
    /// Reader of lists.
    pub reader: Reader,
}

/// A service with its ports and its database.
pub struct Service<A> {
    /// Open ports.
    pub ports: Ports,
    /// Settings of all requests.
    pub front: Front,
    /// Database, if any.
    pub storage: Option<Storage>,
    /// Metrics of `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Application with the routes.
    pub application: A,
}

impl<A: Application> Service<A> {
    /// Prints the addresses, and serves until SIGTERM or SIGINT.
    async fn run_until_signal(self, name: &str) -> Result<(), StartError> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        println!("{name} listens on http://{}", self.ports.listener.local_addr()?);
        if let Some(listener) = &self.ports.metrics_listener {
            println!("{name} serves metrics on http://{}/metrics", listener.local_addr()?);
        }
        self.run_until(stop).await?;
        Ok(())
    }

    /// Serves until `stop` is ready. Then refuses new connections, completes running requests, finishes the application
    /// and closes the database.
    ///
    /// # Errors
    /// The error of the operating system, if it refuses the threads or the listener.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { ports, front, storage, metrics, application } = self;
        let (Ports { listener, metrics_listener }, Front { limits, proxies }) = (ports, front);
        let metrics_server = match metrics_listener {
            Some(listener) => Some(metrics::serve(listener, Arc::clone(&metrics), limits)?),
            None => None,
        };
        let stored = storage.as_ref().map(|Storage { database, reader }| (database.clone(), reader.clone()));
        let stored = stored.map(|(database, reader)| (Data::new(database), Data::new(reader)));
        let data = (Data::from(metrics), Data::new(limits), Data::new(proxies));
        let shared = application.clone();
        let app = move || {
            let stored = stored.clone();
            let (metrics, limits, proxies) = data.clone();
            let observing = shared.clone();
            let observer = Data::new(Observer(Box::new(move |answered| observing.answered(answered))));
            let body_limit = PayloadConfig::new(limits.body_bytes);
            App::new()
                .app_data(metrics)
                .app_data(limits)
                .app_data(body_limit)
                .app_data(observer)
                .app_data(proxies)
                .wrap(DefaultHeaders::new().add((X_CONTENT_TYPE_OPTIONS, "nosniff")))
                .wrap(from_fn(limits::enforce))
                .wrap(from_fn(metrics::count))
                .wrap(from_fn(log::request))
                .wrap(from_fn(connection::track))
                .configure(|app| {
                    if let Some((database, reader)) = stored {
                        app.app_data(database).app_data(reader);
                    }
                    application::configure(app, &shared);
                })
        };
        let server = HttpServer::new(app)
            .shutdown_signal(stop)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .client_request_timeout(limits.time)
            .keep_alive(connection::KEEP_ALIVE)
            .on_connect(move |stream, data| connection::watch(stream, data, limits.time))
            .listen(listener)?;
        server.run().await?;
        if let Some(server) = metrics_server {
            server.stop(false).await;
        }
        if timeout(FINISH, application.finish()).await.is_err() {
            tracing::error!("the application did not finish within {FINISH:?}; its remaining work was abandoned");
        }
        if let Some(Storage { database, reader }) = storage {
            // A connection whose database hangs is abandoned.
            let _ = timeout(CLOSE, async { tokio::join!(database.close(), reader.close()) }).await;
        }
        Ok(())
    }
}
