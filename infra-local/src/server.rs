//! The endpoint: one port for every service, told apart by the credential scope of the signature.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::body::{self, RequestBody};
use crate::cloud::Shared;
use crate::data::background::PhaseWatch;
use crate::status::Status;
use crate::wire::operation::Run;
use crate::wire::sigv4::Scope;
use crate::wire::{ApiError, Call, Node, Operation, Outcome, Params, Protocol, xml};
use crate::{autoscaling, ec2, elasticloadbalancing, iam, rds, s3, ssm, sts};

/// The largest request of any service but S3.
const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// How long connections may finish what they do when the server ends.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// An answer on its way out; S3's bodies are streams.
type Answer = Response<s3s::Body>;

/// A table of operations, by resource kind.
type QueryTable = &'static [&'static [Operation<Params, Node>]];

/// A service of the endpoint and how it is spoken to.
#[derive(Clone, Copy)]
enum Service {
    Query { protocol: Protocol, operations: QueryTable, always: &'static [&'static str] },
    Json { target: &'static str, operations: &'static [&'static [Operation<Value, Value>]] },
    S3,
}

impl Service {
    /// The service of a credential scope.
    fn named(name: &str) -> Option<Service> {
        let query = |namespace, operations| Service::Query {
            protocol: Protocol::Query { namespace },
            operations,
            always: &["Action", "Version"],
        };
        Some(match name {
            "ec2" => Service::Query { protocol: Protocol::Ec2, operations: ec2::OPERATIONS, always: ec2::ALWAYS },
            "iam" => query("https://iam.amazonaws.com/doc/2010-05-08/", iam::OPERATIONS),
            "sts" => query("https://sts.amazonaws.com/doc/2011-06-15/", sts::OPERATIONS),
            "autoscaling" => query("http://autoscaling.amazonaws.com/doc/2011-01-01/", autoscaling::OPERATIONS),
            "elasticloadbalancing" => {
                query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", elasticloadbalancing::OPERATIONS)
            }
            "rds" => query("http://rds.amazonaws.com/doc/2014-10-31/", rds::OPERATIONS),
            "ssm" => Service::Json { target: "AmazonSSM", operations: ssm::OPERATIONS },
            "s3" => Service::S3,
            _ => return None,
        })
    }

    fn protocol(self) -> Protocol {
        match self {
            Service::Query { protocol, .. } => protocol,
            Service::Json { .. } => Protocol::Json,
            Service::S3 => Protocol::RestXml,
        }
    }
}

/// What answers requests.
pub(crate) struct Server {
    shared: Shared,
    s3: s3::Store,
    /// Told when somebody asks the cloud to stop over the admin path.
    stop_requested: Arc<Notify>,
}

impl Server {
    pub(crate) fn new(shared: Shared, stop_requested: Arc<Notify>) -> Server {
        let s3 = s3::Store::new(&shared);
        Server { shared, s3, stop_requested }
    }

    /// Accepts connections until the cloud ends, then lets running requests finish.
    pub(crate) async fn run(self, listener: TcpListener, mut phase: PhaseWatch) {
        let server = Arc::new(self);
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
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = connections.watch(connection);
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

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Some(path) = request.uri().path().strip_prefix("/_infra/") {
            return self.admin(request.method(), path);
        }
        let request_id = Uuid::new_v4().to_string();
        let began = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let (request, remains) = body::share(request);
        let (mut answer, what) = self.dispatch(request, &request_id).await;
        remains.settle(&mut answer).await;
        tracing::debug!(
            %method, path, operation = what, request_id, status = answer.status().as_u16(),
            milliseconds = began.elapsed().as_millis() as u64, "request"
        );
        answer
    }

    /// Answers, and says which operation it was.
    async fn dispatch(&self, request: Request<RequestBody>, request_id: &str) -> (Answer, String) {
        let scope = match Scope::of(request.headers(), request.uri().query()) {
            Ok(scope) => scope,
            Err(error) => return (failure(guess_protocol(&request), &error, request_id), "?".to_owned()),
        };
        let Some(service) = Service::named(&scope.service) else {
            let error = ApiError::new(
                "UnknownService",
                format!("The local cloud has no service '{}' (from the request's credential scope)", scope.service),
            );
            return (failure(guess_protocol(&request), &error, request_id), scope.service);
        };
        if let Err(error) = self.shared.read(|cloud| cloud.region(&scope.region).map(|_| ())) {
            return (failure(service.protocol(), &error, request_id), scope.service);
        }
        match service {
            Service::S3 => (self.s3.answer(request, &scope, request_id).await, "s3".to_owned()),
            Service::Query { protocol, operations, always } => {
                let (outcome, name) = self.query(request, &scope, protocol, operations, always, request_id).await;
                let answer = outcome.unwrap_or_else(|error| failure(protocol, &error, request_id));
                (answer, format!("{}:{name}", scope.service))
            }
            Service::Json { target, operations } => {
                let (outcome, name) = self.json(request, &scope, target, operations, request_id).await;
                let answer = outcome.unwrap_or_else(|error| failure(Protocol::Json, &error, request_id));
                (answer, format!("{}:{name}", scope.service))
            }
        }
    }

    async fn query(
        &self,
        request: Request<RequestBody>,
        scope: &Scope,
        protocol: Protocol,
        operations: QueryTable,
        always: &[&str],
        request_id: &str,
    ) -> (Outcome<Answer>, String) {
        let in_url = request.uri().query().map(|query| query.as_bytes().to_vec());
        let body = match read_body(request).await {
            Ok(body) => body,
            Err(error) => return (Err(error), "?".to_owned()),
        };
        let params = match in_url {
            Some(query) if body.is_empty() => Params::parse(&query),
            _ => Params::parse(&body),
        };
        let name = params.optional("Action").unwrap_or_default().to_owned();
        let outcome = (|| {
            let operation = find_operation(operations, &name)?;
            operation.check(&params, always)?;
            let dry_run = params.flag("DryRun")?;
            let fields = self.execute(operation.run, params, scope, dry_run)?;
            if dry_run {
                return Err(ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
                    .with_status(412));
            }
            let text = match protocol {
                Protocol::Query { namespace } => xml::query_answer(namespace, operation.name, request_id, &fields),
                _ => xml::ec2_answer(operation.name, request_id, &fields),
            };
            Ok(response(StatusCode::OK, protocol, text, request_id))
        })();
        (outcome, name)
    }

    async fn json(
        &self,
        request: Request<RequestBody>,
        scope: &Scope,
        target: &str,
        operations: &'static [&'static [Operation<Value, Value>]],
        request_id: &str,
    ) -> (Outcome<Answer>, String) {
        let header = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = header.strip_prefix(target).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default().to_owned();
        let body = match read_body(request).await {
            Ok(body) => body,
            Err(error) => return (Err(error), name),
        };
        let outcome = (|| {
            let operation = find_operation(operations, &name)?;
            let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
            let mut input: Value = serde_json::from_slice(body).map_err(|error| {
                ApiError::new("SerializationException", format!("the request is not JSON: {error}"))
            })?;
            operation.check(&mut input)?;
            let output = self.execute(operation.run, input, scope, false)?;
            Ok(response(StatusCode::OK, Protocol::Json, output.to_string(), request_id))
        })();
        (outcome, name)
    }

    fn execute<I, O>(&self, run: Run<I, O>, input: I, scope: &Scope, dry_run: bool) -> Outcome<O> {
        let call = Call {
            input,
            region: &scope.region,
            access_key: &scope.access_key,
            now: Utc::now(),
            addresses: self.shared.addresses(),
            directory: self.shared.directory(),
        };
        match run {
            Run::Reads(run) => self.shared.read(|cloud| run(cloud, &call)),
            Run::Writes(run) if dry_run => self.shared.rehearse(|cloud| run(cloud, &call)),
            Run::Writes(run) => self.shared.write(|cloud| run(cloud, &call)),
        }
    }

    fn admin(&self, method: &Method, path: &str) -> Answer {
        let (status, body) = match (method, path) {
            (&Method::GET, "status") => match serde_json::to_string(&Status::of(&self.shared)) {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, serde_json::json!({"error": error.to_string()}).to_string())
                }
            },
            (&Method::POST, "shutdown") => {
                self.stop_requested.notify_one();
                (StatusCode::ACCEPTED, "{}".to_owned())
            }
            _ => (
                StatusCode::NOT_FOUND,
                r#"{"error":"there are GET /_infra/status and POST /_infra/shutdown"}"#.to_owned(),
            ),
        };
        let mut answer = Response::new(s3s::Body::from(body));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

/// Binds the loopback address: the demanded port, else the remembered one, else any.
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

fn find_operation<I, O>(
    tables: &'static [&'static [Operation<I, O>]],
    name: &str,
) -> Outcome<&'static Operation<I, O>> {
    let found = tables.iter().flat_map(|table| table.iter()).find(|operation| operation.name == name);
    found.ok_or_else(|| {
        ApiError::new("InvalidAction", format!("The action '{name}' is not one that the local cloud has"))
    })
}

async fn read_body(request: Request<RequestBody>) -> Outcome<Bytes> {
    match Limited::new(request.into_body(), BODY_LIMIT_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            Err(ApiError::new("RequestEntityTooLarge", format!("the request could not be read: {error}"))
                .with_status(413))
        }
    }
}

/// The protocol of a request that does not say which service it is for.
fn guess_protocol(request: &Request<RequestBody>) -> Protocol {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if request.headers().contains_key("x-amz-target") || content_type.starts_with("application/x-amz-json") {
        Protocol::Json
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        Protocol::Ec2
    } else {
        Protocol::RestXml
    }
}

fn failure(protocol: Protocol, error: &ApiError, request_id: &str) -> Answer {
    tracing::debug!(code = %error.code, message = error.message, request_id, "refused");
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, protocol, protocol.error(error, request_id), request_id)
}

fn response(status: StatusCode, protocol: Protocol, text: String, request_id: &str) -> Answer {
    let mut answer = Response::new(s3s::Body::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
    let name = match protocol {
        Protocol::RestXml => "x-amz-request-id",
        _ => "x-amzn-requestid",
    };
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(name), id);
    }
    answer
}
