//! The activity log: who asked for what, when, and with what outcome, in `tasks_activity`.
//!
//! A request only puts its row into a queue. The queue is bounded: what does not fit, because the database has been
//! away for too long, is dropped and counted in `activity_dropped_total`. A graceful stop writes what is left.
//! `/healthz` and `/metrics`, which machines ask all the time, are not logged.
//!
//! `INSTANCE` names the instance in the rows; the default is the host's name and what `LISTEN` says.

pub mod routes;
mod writer;

use std::{cell::OnceCell, rc::Rc, time::Instant};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use chrono::Utc;
use kit::{Context, client, settings::Variables};
use sea_orm::ActiveValue::{NotSet, Set};

use crate::entity::activity::ActiveModel;

pub use writer::Activity;

/// The name of this instance.
pub fn instance(variables: Variables) -> String {
    let named = variables("INSTANCE").unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let listen = variables("LISTEN").unwrap_or_else(|| kit::listen::DEFAULT.to_owned());
        format!("{}/{listen}", host.trim())
    });
    cut(&named, 255)
}

/// Starts to write rows.
pub fn start(context: &Context, instance: String) -> Activity {
    Activity::start(context, instance)
}

/// Says who a request came from, if not its middleware knows already.
pub fn identify(request: &HttpRequest, username: &str) {
    if let Some(Identity(identity)) = request.extensions().get::<Identity>() {
        // Set already: by whoever knew first.
        let _ = identity.set(username.to_owned());
    }
}

/// Where a request's user will be found, when it is answered.
#[derive(Clone, Default)]
struct Identity(Rc<OnceCell<String>>);

/// Middleware that logs a request when it is answered.
pub async fn log(
    activity: Data<Activity>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (start, time) = (Instant::now(), Utc::now());
    let identity = Identity::default();
    request.extensions_mut().insert(identity.clone());
    let client = client::address(request.peer_addr().map(|peer| peer.ip()), request.headers());
    let (method, path) = (cut(request.method().as_str(), 16), cut(request.path(), 500));

    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    activity.add(ActiveModel {
        id: NotSet,
        time: Set(time),
        username: Set(identity.0.get().cloned()),
        method: Set(method),
        path: Set(path),
        status: Set(status.as_u16().cast_signed()),
        duration_us: Set(i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX)),
        client: Set(client.map(|address| address.to_string()).unwrap_or_default()),
        instance: Set(activity.instance.clone()),
    });
    answer
}

/// The first so many characters.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
