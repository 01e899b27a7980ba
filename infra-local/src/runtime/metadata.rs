//! The instance metadata service.
//!
//! Where instances have network namespaces, it listens on 169.254.169.254, port 80, as on AWS ([`routers`]). On the
//! loopback interface it listens on each instance's address and [`PORT`], which the SDKs read from
//! `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
//!
//! Source: EC2 User Guide, "Use instance metadata", versions 1 and 2.

mod routers;
mod tree;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::background::PhaseWatch;
use super::network::NetworkHandle;
use crate::access::{Endpoint, Source};
use crate::model::Cloud;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::state::Shared;

/// Port of the service, as in AWS's mock of the service.
pub(crate) const PORT: u16 = 1338;

/// Interval of attempts to listen on an unavailable address.
const RETRY: Duration = Duration::from_secs(1);

/// Time limit for the head of a connection's next request.
const HEAD_LIMIT: Duration = Duration::from_mins(1);

const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// Number of valid tokens of an instance; the oldest are forgotten.
const TOKENS_LIMIT: usize = 1024;

/// An instance's region and id.
type Key = (String, String);

/// The service of one instance, which stops when this is dropped.
struct Served {
    address: Ipv4Addr,
    _task: JoinSet<()>,
}

/// Serves the metadata of all running instances until the cloud stops.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, phase: PhaseWatch) {
    if network.is_private() {
        routers::run(shared, network, phase).await;
    } else {
        run_at_instances(shared, phase).await;
    }
}

/// Serves at the addresses of instances.
async fn run_at_instances(shared: Shared, mut phase: PhaseWatch) {
    let mut changes = shared.changes_of_instances();
    // Services by the ids of instances.
    let mut served: HashMap<String, Served> = HashMap::new();
    loop {
        changes.borrow_and_update();
        let (stopped, new) = shared.read(|cloud| differences(cloud, &served));
        stopped.iter().for_each(|id| drop(served.remove(id)));
        let mut missing = false;
        for (key, address) in new {
            match TcpListener::bind((address, PORT)).await {
                Ok(listener) => {
                    let service =
                        Arc::new(Service::new(shared.clone(), key.clone(), Endpoint::new((address, PORT).into())));
                    let mut task = JoinSet::new();
                    task.spawn(serve(listener, service));
                    served.insert(key.1, Served { address, _task: task });
                }
                Err(error) => {
                    missing = true;
                    tracing::debug!(%error, %address, "the metadata of an instance cannot be served");
                }
            }
        }
        let pause = if missing { RETRY } else { Duration::from_hours(1) };
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = phase.ended() => return,
        }
    }
}

/// Returns the ids of instances to stop serving, and the instances to start serving. Both lists are short compared to
/// all instances.
fn differences(cloud: &Cloud, served: &HashMap<String, Served>) -> (Vec<String>, Vec<(Key, Ipv4Addr)>) {
    let asks = |instance: &Instance| {
        matches!(instance.state, InstanceState::Pending | InstanceState::Running) && !instance.runtime.impaired
    };
    let (mut kept, mut new) = (0, Vec::new());
    for (name, region) in &cloud.regions {
        for instance in region.ec2.instances.values().filter(|instance| asks(instance)) {
            match served.get(&instance.id) {
                Some(served) if served.address == instance.address => kept += 1,
                _ => new.push(((name.clone(), instance.id.clone()), instance.address)),
            }
        }
    }
    if kept == served.len() {
        return (Vec::new(), new);
    }
    let stays = |(id, served): (&String, &Served)| {
        let mut regions = cloud.regions.values();
        let instance = regions.find_map(|region| region.ec2.instances.get(id));
        instance.is_some_and(|instance| asks(instance) && served.address == instance.address)
    };
    let stopped = served.iter().filter(|entry| !stays(*entry)).map(|(id, _)| id.clone());
    (stopped.collect(), new)
}

/// Accepts connections, which are closed when the future is dropped.
async fn serve(listener: TcpListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(RETRY).await;
                    continue;
                };
                connections.spawn(answer(stream, Arc::clone(&service)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves a connection.
async fn answer(stream: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request| {
        let answer = service.answer(request);
        async move { Ok::<_, Infallible>(answer) }
    });
    if let Err(error) = builder().serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a connection to the metadata service ended early");
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    builder
}

/// The service of one instance.
struct Service {
    shared: Shared,
    key: Key,
    endpoint: Endpoint,
    /// Tokens with their expiry, in the order of their creation.
    tokens: Mutex<Vec<(String, Instant)>>,
}

impl Service {
    fn new(shared: Shared, key: Key, endpoint: Endpoint) -> Service {
        Service { shared, key, endpoint, tokens: Mutex::default() }
    }

    fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        if !self.endpoint.is_addressed_by(&head) || Source::of(&head) != Source::Program {
            return status(StatusCode::FORBIDDEN);
        }
        self.answer_program(&Request::from_parts(head, ()))
    }

    fn answer_program(&self, request: &Request<()>) -> Response<Full<Bytes>> {
        let (region, id) = &self.key;
        let instance = self.shared.read(|cloud| cloud.region(region).ok()?.ec2.instances.get(id).cloned());
        let Some(instance) = instance else {
            return status(StatusCode::NOT_FOUND);
        };
        if instance.metadata_options.http_endpoint == "disabled" {
            return status(StatusCode::FORBIDDEN);
        }
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::PUT, "/latest/api/token") => self.issue_token(request),
            (&Method::GET | &Method::HEAD, _) => {
                if !self.is_admitted(request, &instance) {
                    return status(StatusCode::UNAUTHORIZED);
                }
                match tree::read(&self.shared, region, &instance, path) {
                    Some(text) => text_answer(text),
                    None => status(StatusCode::NOT_FOUND),
                }
            }
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn issue_token(&self, request: &Request<()>) -> Response<Full<Bytes>> {
        // A proxy on the instance may have forwarded the request of another host.
        if request.headers().contains_key("x-forwarded-for") {
            return status(StatusCode::FORBIDDEN);
        }
        let seconds = request.headers().get(&TTL).and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(seconds) = seconds.filter(|seconds| (1..=21_600_u64).contains(seconds)) else {
            return status(StatusCode::BAD_REQUEST);
        };
        let token = format!("{}==", crate::model::ids::secret_key());
        let now = Instant::now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(_, end)| *end > now);
        if tokens.len() >= TOKENS_LIMIT {
            tokens.remove(0);
        }
        tokens.push((token.clone(), now + Duration::from_secs(seconds)));
        let mut answer = text_answer(token);
        answer.headers_mut().insert(TTL, HeaderValue::from(seconds));
        answer
    }

    /// Returns whether a request has a valid token, or needs none by the instance's options.
    fn is_admitted(&self, request: &Request<()>, instance: &Instance) -> bool {
        let Some(given) = request.headers().get(&TOKEN) else {
            return instance.metadata_options.http_tokens != "required";
        };
        let now = Instant::now();
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().any(|(token, end)| given.as_bytes() == token.as_bytes() && *end > now)
    }
}

fn text_answer(text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut answer = text_answer(format!("{} - {reason}\n", status.as_u16()));
    *answer.status_mut() = status;
    answer
}
