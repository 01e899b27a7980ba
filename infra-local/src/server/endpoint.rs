//! The endpoint: one port for every service. The credential scope of a request's signature selects the service.

mod admin;
mod answer;
#[cfg(test)]
mod authorisation;
mod delegate;
mod dispatch;
#[cfg(test)]
mod fuzz;
mod operations;
mod query;
mod request;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use self::admin::Admin;
use self::answer::{Answer, refusal};
use self::delegate::Delegate;
use crate::access::{Endpoint, RootKeys, Source};
use crate::domain::dns;
use crate::domain::network::ENDPOINTS;
use crate::runtime::background::PhaseWatch;
use crate::runtime::network::{NetworkHandle, Place};
use crate::server::calls::Calls;
use crate::server::calls::recording::Recording;
use crate::server::credentials::Token;
use crate::server::events::{self, Events};
use crate::services::s3;
use crate::state::Shared;
use crate::wire::body;
use crate::wire::sigv4::Signed;

/// Time limit for requests in progress when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Time limit for the head of a connection's next request, including the idle time before it.
const HEAD_LIMIT: Duration = Duration::from_mins(1);

/// Interval of attempts to listen on the internet of the cloud.
const LISTEN_RETRY: Duration = Duration::from_millis(50);

/// Conditions under which requests are authorised.
#[derive(Clone)]
pub(crate) struct Access {
    /// The keys of the account's root user.
    pub(crate) root: RootKeys,
    /// Token for the paths below `/_infra/`.
    pub(crate) token: Token,
    /// True when the policies of users and roles are enforced.
    pub(crate) enforce_iam: bool,
    /// The emulator for services that this cloud does not have.
    pub(crate) delegate: Option<Authority>,
}

/// Returns the address of the endpoint for programs of instances that have a network namespace.
fn inside(shared: &Shared) -> SocketAddr {
    (ENDPOINTS, shared.endpoint().port()).into()
}

/// Answers requests.
pub(crate) struct Server {
    shared: Shared,
    access: Access,
    /// The addresses at which clients reach the endpoint.
    endpoints: Vec<Endpoint>,
    s3: s3::Store,
    calls: Arc<Calls>,
    events: Arc<Events>,
    delegate: Option<Delegate>,
    admin: Admin,
    head_limit: Duration,
}

impl Server {
    /// Returns the server of the endpoint that `shared` is bound to, and of the same port at AWS's address on the
    /// internet of the cloud.
    pub(crate) fn new(shared: Shared, network: NetworkHandle, access: Access, stop_requested: Arc<Notify>) -> Server {
        let s3 = s3::Store::new(&shared, access.enforce_iam);
        let endpoints =
            vec![Endpoint::new(shared.endpoint()), Endpoint::inside(inside(&shared), dns::is_service_endpoint)];
        let (calls, events) = (Arc::new(Calls::default()), Arc::new(Events::default()));
        let admin = Admin {
            shared: shared.clone(),
            network,
            token: access.token.clone(),
            calls: Arc::clone(&calls),
            events: Arc::clone(&events),
            stop_requested,
        };
        let delegate = access.delegate.clone().map(Delegate::new);
        Server { shared, access, endpoints, s3, calls, events, delegate, admin, head_limit: HEAD_LIMIT }
    }

    /// Accepts connections until the cloud stops, and then finishes the requests in progress.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, mut phase: PhaseWatch) {
        let head_limit = self.head_limit;
        let server = self;
        let connections = GracefulShutdown::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
                _ = phase.ended() => break,
            };
            let _ = stream.set_nodelay(true);
            let server = Arc::clone(&server);
            let service = service_fn(move |request| {
                let server = Arc::clone(&server);
                async move { server.answer(request).await }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
            builder.http1().timer(TokioTimer::new()).header_read_timeout(head_limit);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let connection = connections.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
            tracing::warn!("connections were still busy when the endpoint closed");
        }
    }

    /// Returns the recorded requests.
    pub(crate) fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    /// Records the events of the cloud until it stops.
    pub(crate) async fn record_events(self: Arc<Self>, phase: PhaseWatch) {
        events::run(self.shared.clone(), Arc::clone(&self.events), phase).await;
    }

    /// Serves on the internet of the cloud, once it is connected.
    pub(crate) async fn run_inside(self: Arc<Self>, network: NetworkHandle, mut phase: PhaseWatch) {
        if !network.is_private() {
            return;
        }
        let site = network.site(Place::Internet);
        let mut generation = network.generation();
        loop {
            match site.listen(inside(&self.shared)).await {
                Ok(listener) => tokio::select! {
                    () = Arc::clone(&self).run(listener, phase.clone()) => return,
                    // The namespaces were created again, so a new socket is needed.
                    Ok(()) = generation.changed() => continue,
                },
                Err(error) => tracing::debug!(%error, "the endpoint cannot listen on the internet of the cloud yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(LISTEN_RETRY) => {}
                _ = phase.ended() => return,
            }
        }
    }

    /// Responds to a request, unless a fault drops the response.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Lost> {
        let request_id = Uuid::new_v4().to_string();
        let (head, body) = request.into_parts();
        if !self.endpoints.iter().any(|endpoint| endpoint.is_addressed_by(&head)) {
            tracing::warn!(host = ?head.headers.get(HOST), "refused a request that names another host");
            return Ok(refusal(&head, OTHER_HOST, &request_id));
        }
        let source = Source::of(&head);
        if let Some(path) = head.uri.path().strip_prefix("/_infra/") {
            let path = path.to_owned();
            return Ok(self.admin.answer(Request::from_parts(head, body), &source, &path).await);
        }
        // With a signature this is a request for the bucket `health`.
        if head.uri == "/health" && !head.headers.contains_key(AUTHORIZATION) {
            return Ok(self.admin.answer(Request::from_parts(head, body), &source, "health").await);
        }
        if source != Source::Program {
            return self.answer_page(Request::from_parts(head, body), source, &request_id).await;
        }
        self.answer_program(Request::from_parts(head, body), &request_id).await
    }

    /// Responds to a request of a web page: only for S3, and only if the bucket's CORS configuration admits the page.
    async fn answer_page(&self, request: Request<Incoming>, source: Source, request_id: &str) -> Result<Answer, Lost> {
        let Source::Page { origin: Some(origin) } = source else {
            tracing::warn!(path = request.uri().path(), "refused a request of a web page");
            return Ok(refusal(&request.into_parts().0, OTHER_ORIGIN, request_id));
        };
        let bucket = s3::bucket_of(request.uri());
        if request.method() == Method::OPTIONS {
            return Ok(self.s3.preflight(request.headers(), &origin, bucket, request_id));
        }
        let Some(granted) = self.s3.cors(bucket, &origin, request.method()).filter(|_| is_for_s3(&request)) else {
            tracing::warn!(path = request.uri().path(), origin, "refused a request of a web page");
            return Ok(refusal(&request.into_parts().0, OTHER_ORIGIN, request_id));
        };
        let mut answer = self.answer_program(request, request_id).await?;
        granted.mark(answer.headers_mut());
        Ok(answer)
    }

    /// Dispatches a request, and records it with its response.
    async fn answer_program(&self, request: Request<Incoming>, request_id: &str) -> Result<Answer, Lost> {
        let mut recording = Recording::new(request_id);
        recording.client(request.headers());
        let (request, remains) = body::share(request);
        let mut done = self.dispatch(request, request_id, &mut recording).await;
        let mut call = recording.finish(&done.answer);
        if done.is_dropped {
            call.lose_response();
            tracing::info!(%call, "the response is dropped");
        } else {
            tracing::debug!(%call, "request");
        }
        self.calls.push(call);
        if done.is_dropped {
            return Err(Lost);
        }
        remains.settle(&mut done.answer).await;
        Ok(done.answer)
    }
}

/// A response that a fault drops: the connection is closed instead.
#[derive(Debug, thiserror::Error)]
#[error("an injected fault drops the response")]
struct Lost;

const OTHER_HOST: &str = "The Host header does not name this endpoint: use the URL that `stack local env` prints";
const OTHER_ORIGIN: &str = "The local cloud answers no web page of another origin, except S3 for the origins in a bucket's \
                            CORS configuration";

/// Returns whether the request is signed for S3, or is an upload by a form.
fn is_for_s3(request: &Request<Incoming>) -> bool {
    s3::is_form(request.method(), request.headers())
        || Signed::of(request.headers(), request.uri()).is_ok_and(|signed| signed.scope.service == "s3")
}

/// Binds the loopback address with the requested port, or else the recorded one, or else any.
pub(crate) async fn bind(demanded: Option<u16>, remembered: Option<u16>) -> std::io::Result<TcpListener> {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    if let Some(port) = demanded {
        return TcpListener::bind(loopback(port)).await;
    }
    if let Some(port) = remembered {
        match TcpListener::bind(loopback(port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => tracing::warn!(port, %error, "the endpoint's former port is taken; another one is used"),
        }
    }
    TcpListener::bind(loopback(0)).await
}
