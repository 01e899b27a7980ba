//! The server: everything around a service's routes, from the first setting to the last request.

use std::{fmt::Display, future::Future, io, net::TcpListener, process::ExitCode, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    http::header::X_CONTENT_TYPE_OPTIONS,
    middleware::{DefaultHeaders, from_fn},
    web::{Data, PayloadConfig},
};
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
    settings::{SettingError, environment},
};

/// How long a graceful shutdown lets running requests finish, in seconds: within 10 s all is over.
const SHUTDOWN_SECONDS: u64 = 8;
/// How long it then lets the application finish.
const FINISH: Duration = Duration::from_millis(1500);
/// How long it waits for the databases to say goodbye.
const CLOSE: Duration = Duration::from_millis(500);

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
    /// The application does not start.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// The operating system refused something.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// Runs a service, configured by environment variables alone, until SIGTERM or SIGINT.
///
/// Connects to the database, applies the migrations, starts the application, and takes requests when all connections
/// to the database are open; prints the address of each listener on a line of its own.
///
/// # Errors
/// [`StartError`]: each says what to change.
pub fn run<M: MigratorTrait, A: Application>(
    name: &str,
    start: impl AsyncFnOnce(Context) -> Result<A, ApplicationError>,
) -> Result<(), StartError> {
    log::start(&environment);
    let limits = Limits::from(&environment)?;
    let proxies = TrustedProxies::from(&environment)?;
    let configured = Database::from(&environment)?;
    let replica = Database::reader_from(&environment)?;
    actix_web::rt::System::new().block_on(async {
        // The ports first: when one is taken, nothing has been touched. Until the server runs, connections queue.
        let listener = listen::from(&environment)?;
        let metrics_listener = listen::metrics_from(&environment)?;
        let address = listener.local_addr()?;
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
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        println!("{name} listens on http://{address}");
        if let Some(listener) = &metrics_listener {
            println!("{name} serves metrics on http://{}/metrics", listener.local_addr()?);
        }
        Service { listener, metrics_listener, context, limits, proxies, application }.run_until(stop).await?;
        Ok(())
    })
}

/// Turns the end of a program into its exit code; what is left of the log and an error are printed on stderr.
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

/// A service that has its port and its database.
pub struct Service<A> {
    /// Where it listens for clients.
    pub listener: TcpListener,
    /// Where it serves its metrics, if anywhere.
    pub metrics_listener: Option<TcpListener>,
    /// Its database and metrics.
    pub context: Context,
    /// What a request may cost.
    pub limits: Limits,
    /// Proxies between clients and the service.
    pub proxies: TrustedProxies,
    /// Its own part.
    pub application: A,
}

impl<A: Application> Service<A> {
    /// Serves until `stop` is ready; then refuses what is new, finishes what runs, lets the application finish, and
    /// closes the database.
    ///
    /// # Errors
    /// What the operating system says when it refuses threads or the listener.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { listener, metrics_listener, context, limits, proxies, application } = self;
        let Context { database, reader, metrics } = context;
        let metrics_server = match metrics_listener {
            Some(listener) => Some(metrics::serve(listener, Arc::clone(&metrics), limits)?),
            None => None,
        };
        let data = (Data::new(database.clone()), Data::new(reader.clone()), Data::from(metrics), Data::new(limits));
        let proxies = Data::new(proxies);
        let shared = application.clone();
        let app = move || {
            let (database, reader, metrics, limits) = data.clone();
            let observing = shared.clone();
            let observer = Data::new(Observer(Box::new(move |answered| observing.answered(answered))));
            let body_limit = PayloadConfig::new(limits.body_bytes);
            App::new()
                .app_data(database)
                .app_data(reader)
                .app_data(metrics)
                .app_data(limits)
                .app_data(body_limit)
                .app_data(observer)
                .app_data(proxies.clone())
                .wrap(DefaultHeaders::new().add((X_CONTENT_TYPE_OPTIONS, "nosniff")))
                .wrap(from_fn(limits::enforce))
                .wrap(from_fn(metrics::count))
                .wrap(from_fn(log::request))
                .wrap(from_fn(connection::track))
                .configure(|app| application::configure(app, &shared))
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
            tracing::error!("the application did not finish within {FINISH:?}; what it had left to do is lost");
        }
        // A connection on which the database hangs is not waited for.
        let _ = timeout(CLOSE, async { tokio::join!(database.close(), reader.close()) }).await;
        Ok(())
    }
}
