//! The orchestrator of `acts`: starts instances, forwards requests to them, and replaces those that fail.
//!
//! | route | response |
//! |---|---|
//! | `/api/v1/…` | that of an instance |
//! | `GET /` and `/static/…` | the web pages |
//! | `GET /_orchestrator` | the instances, the window and counts, as JSON |
//! | `GET /healthz` | 200 while an instance is healthy, else 503 |
//!
//! Requests are distributed strictly in turn. Instances have consecutive ports. One that fails a health check, or refuses a
//! connection, receives no more requests and is replaced on the same port. Each window, the number of instances becomes
//! requests / `REQUESTS_PER_INSTANCE` + 1.
//!
//! # Settings
//!
//! Environment variables. `LISTEN`, `METRICS_LISTEN`, `LIMIT_*`, `TRUSTED_PROXIES` and `RUST_LOG` are the kit's. All
//! variables are passed to the instances, except `LISTEN` and `METRICS_LISTEN`: an instance listens on the host of `LISTEN`
//! and on its own port, and has its metrics on the port of `METRICS_LISTEN` plus 1, plus 2 and so on.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `RUNTIME` | `process` | `process` or `docker` |
//! | `PROGRAM` | `acts` beside the orchestrator | executable of an instance, if `RUNTIME=process` |
//! | `IMAGE` | required by Docker | image of an instance |
//! | `DOCKER_HOST` | `unix:///var/run/docker.sock` | Docker engine: `unix://…`, `tcp://…` or `http://…` |
//! | `DOCKER_NETWORK` | `bridge` | network of the containers; with `host`, ports are not published |
//! | `CONTAINER_MEMORY_BYTES`, `CONTAINER_CPUS` | no limit | limits of a container |
//! | `FIRST_PORT` | 8000 | port of the first instance |
//! | `MINIMUM`, `MAX_INSTANCES` | 1, 10 | smallest and largest number of instances |
//! | `WINDOW_SECONDS` | 120 | length of a window; the first one starts with the first request |
//! | `REQUESTS_PER_INSTANCE` | 20 | requests in a window per instance |
//! | `HEALTH_SECONDS` | 1 | time between health checks |
//! | `HEALTH_TIMEOUT_SECONDS` | 2 | time limit of a health check |
//! | `START_SECONDS` | 60 | time limit of a start, until the first successful health check |
//! | `DRAIN_SECONDS` | 10 | time limit of the requests of an instance that is no longer needed |

mod backend;
mod fleet;
pub mod program;
mod proxy;
mod runtime;
mod scaling;
pub mod settings;
mod status;
mod supervisor;

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use kit::{Application, ApplicationError, reply::only};

pub use program::run;
pub use settings::Settings;

use self::{fleet::Fleet, scaling::Scaling};
use crate::pages;

/// The routes of the orchestrator.
#[derive(Clone)]
struct Orchestrator {
    fleet: Arc<Fleet>,
    scaling: Arc<Scaling>,
}

impl Application for Orchestrator {
    fn routes(&self, app: &mut ServiceConfig) {
        app.app_data(Data::from(Arc::clone(&self.fleet)))
            .app_data(Data::from(Arc::clone(&self.scaling)))
            .service(web::resource("/api/v1/{path:.*}").to(proxy::forward))
            .service(
                web::resource("/_orchestrator")
                    .route(web::get().to(status::show))
                    .route(web::head().to(status::show))
                    .default_service(only("GET, HEAD")),
            )
            .configure(pages::routes);
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        if self.fleet.healthy() > 0 { Ok(()) } else { Err("no instance is healthy".into()) }
    }

    async fn finish(self) {}
}
