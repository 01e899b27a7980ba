//! The endpoint: one port for every service, told apart by the credential scope of the signature.

#[cfg(test)]
mod fuzz;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::access::{self, Identity, Wish};
use crate::body::{self, RequestBody};
use crate::cloud::Shared;
use crate::data::background::PhaseWatch;
use crate::faults::Fault;
use crate::options::Credentials;
use crate::status::Status;
use crate::wire::operation::Run;
use crate::wire::sigv4::{self, Scope, Signed};
use crate::wire::{ApiError, Call, JsonVersion, Node, Operation, Outcome, Params, Protocol, compression, leaves, xml};
use crate::{acm, autoscaling, cloudcontrol, cloudwatch, ec2, elasticloadbalancing, iam, logs, rds, s3, ssm, sts};

/// The largest request of any service but S3.
const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// How long connections may finish what they do when the server ends.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// An answer on its way out; S3's bodies are streams.
type Answer = Response<s3s::Body>;

/// A table of operations, by resource kind.
type QueryTable = &'static [&'static [Operation<Params, Node>]];

/// The same of operations that work on values.
type ValueTable = &'static [&'static [Operation<Value, Value>]];

/// A service of the endpoint and how it is spoken to.
#[derive(Clone, Copy)]
enum Service {
    Query {
        protocol: Protocol,
        operations: QueryTable,
        always: &'static [&'static str],
    },
    Json {
        version: JsonVersion,
        target: &'static str,
        operations: ValueTable,
    },
    /// Spoke Query once, and speaks CBOR and JSON as well today, by one table; see [`Protocol`].
    QueryCompatible {
        namespace: &'static str,
        target: &'static str,
        operations: ValueTable,
        /// What an error's code is called outside of Query.
        shape: fn(&str) -> &str,
    },
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
        let json = |target, operations| Service::Json { version: JsonVersion::V1_1, target, operations };
        Some(match name {
            "ec2" => Service::Query { protocol: Protocol::Ec2, operations: ec2::OPERATIONS, always: ec2::ALWAYS },
            "iam" => query("https://iam.amazonaws.com/doc/2010-05-08/", iam::OPERATIONS),
            "sts" => query("https://sts.amazonaws.com/doc/2011-06-15/", sts::OPERATIONS),
            "autoscaling" => query("http://autoscaling.amazonaws.com/doc/2011-01-01/", autoscaling::OPERATIONS),
            "elasticloadbalancing" => {
                query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", elasticloadbalancing::OPERATIONS)
            }
            "monitoring" => Service::QueryCompatible {
                namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
                target: "GraniteServiceVersion20100801",
                operations: cloudwatch::OPERATIONS,
                shape: cloudwatch::error_shape,
            },
            "cloudcontrolapi" => Service::Json {
                version: JsonVersion::V1_0,
                target: "CloudApiService",
                operations: cloudcontrol::OPERATIONS,
            },
            "acm" => json("CertificateManager", acm::OPERATIONS),
            "logs" => json("Logs_20140328", logs::OPERATIONS),
            "rds" => query("http://rds.amazonaws.com/doc/2014-10-31/", rds::OPERATIONS),
            "ssm" => json("AmazonSSM", ssm::OPERATIONS),
            "s3" => Service::S3,
            _ => return None,
        })
    }

    /// The protocol of a request to it.
    fn protocol(self, request: &Request<RequestBody>) -> Protocol {
        match self {
            Service::Query { protocol, .. } => protocol,
            Service::Json { version, .. } => Protocol::Json(version),
            Service::QueryCompatible { namespace, .. } => match guess_protocol(request) {
                Protocol::Ec2 | Protocol::RestXml => Protocol::Query { namespace },
                Protocol::Json(_) => Protocol::Json(JsonVersion::V1_0),
                other => other,
            },
            Service::S3 => Protocol::RestXml,
        }
    }
}

/// Whose requests are carried out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// The account's own key; any key when none is demanded.
    pub(crate) credentials: Option<Credentials>,
    /// Whether the policies of users and roles decide.
    pub(crate) enforce_iam: bool,
}

/// What answers requests.
pub(crate) struct Server {
    shared: Shared,
    access: Access,
    s3: s3::Store,
    /// Told when somebody asks the cloud to stop over the admin path.
    stop_requested: Arc<Notify>,
}

impl Server {
    pub(crate) fn new(shared: Shared, access: Access, stop_requested: Arc<Notify>) -> Server {
        let s3 = s3::Store::new(&shared, access.enforce_iam);
        Server { shared, access, s3, stop_requested }
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
                async move { server.answer(request).await }
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

    /// Answers, unless the answer gets lost.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Lost> {
        if let Some(path) = request.uri().path().strip_prefix("/_infra/") {
            let path = path.to_owned();
            return Ok(self.admin(request, &path).await);
        }
        let request_id = Uuid::new_v4().to_string();
        let began = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let (request, remains) = body::share(request);
        let done = self.dispatch(request, &request_id).await;
        let microseconds = began.elapsed().as_micros() as u64;
        let Done { answer: Some(mut answer), operation } = done else {
            tracing::info!(%method, path, operation = done.operation, request_id, microseconds, "the answer is dropped");
            return Err(Lost);
        };
        remains.settle(&mut answer).await;
        let status = answer.status().as_u16();
        tracing::debug!(%method, path, operation, request_id, status, microseconds, "request");
        Ok(answer)
    }

    async fn dispatch(&self, request: Request<RequestBody>, request_id: &str) -> Done {
        let signed = match Signed::of(request.headers(), request.uri()) {
            Ok(signed) => signed,
            Err(error) => return Done::early(failure(guess_protocol(&request), &error, request_id), "?"),
        };
        let scope = &signed.scope;
        let Some(service) = Service::named(&scope.service) else {
            let error = ApiError::new(
                "UnknownService",
                format!("The local cloud has no service '{}' (from the request's credential scope)", scope.service),
            );
            return Done::early(failure(guess_protocol(&request), &error, request_id), &scope.service);
        };
        let protocol = service.protocol(&request);
        if let Err(error) = self.shared.read(|cloud| cloud.region(&scope.region).map(|_| ())) {
            return Done::early(failure(protocol, &error, request_id), &scope.service);
        }
        let (head, body) = request.into_parts();
        if let Service::S3 = service {
            return self.object_store(&signed, head, body, request_id).await;
        }
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(error) => return Done::early(failure(protocol, &error, request_id), &scope.service),
        };
        let digest = sigv4::digest(&body);
        let body = match compression::decoded(&head.headers, body, BODY_LIMIT_BYTES) {
            Ok(body) => body,
            Err(error) => return Done::early(failure(protocol, &error, request_id), &scope.service),
        };
        let asked = Asked { signed: &signed, head: &head, body: &body, digest, protocol, request_id };
        let name = asked.operation(service);
        let operation = format!("{}:{name}", scope.service);
        let trouble = self.shared.trouble(&operation);
        trouble.delay().await;
        let outcome = match trouble.error(protocol) {
            Some(error) => Err(error),
            None => match service {
                Service::Query { operations, always, .. } => self.query(&asked, operations, always, &name),
                Service::Json { operations, .. } | Service::QueryCompatible { operations, .. } => {
                    self.values(&asked, operations, &name)
                }
                Service::S3 => Err(ApiError::internal("S3 is answered elsewhere")),
            },
        };
        let answer = outcome.unwrap_or_else(|error| match service {
            Service::QueryCompatible { shape, .. } => compatible_failure(protocol, error, shape, request_id),
            _ => failure(protocol, &error, request_id),
        });
        Done { answer: (!trouble.drop_answer).then_some(answer), operation }
    }

    async fn object_store(&self, signed: &Signed, head: Parts, body: RequestBody, request_id: &str) -> Done {
        let operation = format!("s3:{}", head.method);
        let trouble = self.shared.trouble(&operation);
        trouble.delay().await;
        let payload = head.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
        let payload = payload.unwrap_or(sigv4::UNSIGNED_PAYLOAD).to_owned();
        let identity = match trouble.error(Protocol::RestXml) {
            Some(error) => Err(error),
            None => self.identify(signed, &head, &payload, Protocol::RestXml),
        };
        let answer = match identity {
            Ok(identity) => {
                let demanded = self.access.credentials.as_ref();
                let chunks = self.shared.read(|cloud| {
                    let secret = access::secret(cloud, demanded, &signed.scope.access_key);
                    secret.and_then(|secret| signed.chunks(secret, &payload))
                });
                self.s3.answer(Request::from_parts(head, body), &signed.scope, identity, chunks, request_id).await
            }
            Err(error) => failure(Protocol::RestXml, &error, request_id),
        };
        Done { answer: (!trouble.drop_answer).then_some(answer), operation }
    }

    fn query(&self, asked: &Asked<'_>, operations: QueryTable, always: &[&str], name: &str) -> Outcome<Answer> {
        let identity = self.identify(asked.signed, asked.head, &asked.digest, asked.protocol)?;
        let params = asked.params();
        let operation = find_operation(operations, name)?;
        operation.check(&params, always)?;
        self.permit(&identity, asked, name, || params.patterns())?;
        let dry_run = params.flag("DryRun")?;
        let fields = self.execute(operation.run, params, &asked.signed.scope, dry_run)?;
        if dry_run {
            return Err(ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
                .with_status(412));
        }
        let text = match asked.protocol {
            Protocol::Query { namespace } => xml::query_answer(namespace, operation.name, asked.request_id, &fields),
            _ => xml::ec2_answer(operation.name, asked.request_id, &fields),
        };
        Ok(response(StatusCode::OK, asked.protocol, text.into_bytes(), asked.request_id))
    }

    fn values(&self, asked: &Asked<'_>, operations: ValueTable, name: &str) -> Outcome<Answer> {
        let Asked { signed, head, body, protocol, request_id, .. } = *asked;
        let identity = self.identify(signed, head, &asked.digest, protocol)?;
        let operation = find_operation(operations, name)?;
        let mut input = protocol.read(body)?;
        operation.check(&mut input)?;
        self.permit(&identity, asked, name, || leaves(&input))?;
        let output = self.execute(operation.run, input, &signed.scope, false)?;
        Ok(response(StatusCode::OK, protocol, protocol.write(operation.name, &output, request_id), request_id))
    }

    /// Who signed a request.
    fn identify(&self, signed: &Signed, head: &Parts, payload: &str, protocol: Protocol) -> Outcome<Identity> {
        let demanded = self.access.credentials.as_ref();
        let found = self.shared.read(|cloud| access::identify(cloud, demanded, signed, head, payload, Utc::now()));
        found.map_err(|refusal| refusal.in_words_of(protocol))
    }

    /// Whether they may do it.
    fn permit(
        &self,
        identity: &Identity,
        asked: &Asked<'_>,
        operation: &str,
        parameters: impl FnOnce() -> Vec<(String, String)>,
    ) -> Outcome<()> {
        if !self.access.enforce_iam || matches!(identity, Identity::Root { .. }) {
            return Ok(());
        }
        let Scope { service, region, .. } = &asked.signed.scope;
        // What endpoints are called is not always what actions are called.
        let service = match service.as_str() {
            "monitoring" => "cloudwatch",
            "cloudcontrolapi" => "cloudformation",
            other => other,
        };
        let parameters = parameters();
        let type_name = parameters.iter().find(|(name, _)| service == "cloudformation" && name == "TypeName");
        let needed = type_name.map_or(&[][..], |(_, kind)| cloudcontrol::needed_actions(operation, kind));
        self.shared.read(|cloud| {
            let resources = access::resources(&cloud.iam, service, operation, region, &parameters);
            let actions = needed.iter().map(|action| (*action).to_owned());
            for action in std::iter::once(format!("{service}:{operation}")).chain(actions) {
                let wish = Wish { action: &action, resources: &resources, region, now: Utc::now() };
                access::authorise(cloud, identity, &wish).map_err(|refusal| refusal.in_words_of(asked.protocol))?;
            }
            Ok(())
        })
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
            Run::Reads(run) => self.shared.read_late(|cloud| run(cloud, &call)),
            Run::Writes(run) if dry_run => self.shared.rehearse(|cloud| run(cloud, &call)),
            Run::Writes(run) => self.shared.write(|cloud| run(cloud, &call)),
        }
    }

    async fn admin(&self, request: Request<Incoming>, path: &str) -> Answer {
        let json = |value: &Value| value.to_string();
        let (status, body) = match (request.method(), path) {
            (&Method::GET, "status") => match serde_json::to_string(&Status::of(&self.shared)) {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, json(&serde_json::json!({"error": error.to_string()})))
                }
            },
            (&Method::POST, "shutdown") => {
                self.stop_requested.notify_one();
                (StatusCode::ACCEPTED, "{}".to_owned())
            }
            (&Method::POST, "fault") => match self.fault(request).await {
                Ok(said) => (StatusCode::OK, json(&serde_json::json!({ "done": said }))),
                Err(why) => (StatusCode::BAD_REQUEST, json(&serde_json::json!({ "error": why }))),
            },
            _ => (
                StatusCode::NOT_FOUND,
                r#"{"error":"there are GET /_infra/status, POST /_infra/fault and POST /_infra/shutdown"}"#.to_owned(),
            ),
        };
        let mut answer = Response::new(s3s::Body::from(body));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    async fn fault(&self, request: Request<Incoming>) -> Result<String, String> {
        let body =
            Limited::new(request.into_body(), BODY_LIMIT_BYTES).collect().await.map_err(|error| error.to_string())?;
        let fault: Fault = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
        self.shared.inject(&fault).map_err(|error| error.to_string())
    }
}

/// An answer that a client does not get: its connection is closed instead.
#[derive(Debug, thiserror::Error)]
#[error("the answer is dropped, as was asked for")]
struct Lost;

/// What became of a request.
struct Done {
    /// `None` when the client is to get none.
    answer: Option<Answer>,
    operation: String,
}

impl Done {
    fn early(answer: Answer, operation: &str) -> Done {
        Done { answer: Some(answer), operation: operation.to_owned() }
    }
}

/// A request of any service but S3.
struct Asked<'a> {
    signed: &'a Signed,
    head: &'a Parts,
    body: &'a [u8],
    /// Of the body as it was sent.
    digest: String,
    protocol: Protocol,
    request_id: &'a str,
}

impl Asked<'_> {
    /// The operation it names, if any.
    fn operation(&self, service: Service) -> String {
        match (service, self.protocol) {
            (
                Service::Json { target, .. } | Service::QueryCompatible { target, .. },
                Protocol::Json(_) | Protocol::Cbor,
            ) => named_operation(self.head, self.protocol, target),
            _ => self.params().optional("Action").unwrap_or_default().to_owned(),
        }
    }

    /// The form in its body, or in its URL.
    fn params(&self) -> Params {
        match self.head.uri.query() {
            Some(query) if self.body.is_empty() => Params::parse(query.as_bytes()),
            _ => Params::parse(self.body),
        }
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

/// The operation that a request names outside of its body.
fn named_operation(request: &Parts, protocol: Protocol, target: &str) -> String {
    let name = if protocol == Protocol::Cbor {
        let path = request.uri.path().strip_prefix("/service/").and_then(|path| path.strip_prefix(target));
        path.and_then(|path| path.strip_prefix("/operation/"))
    } else {
        let header = request.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        header.strip_prefix(target).and_then(|rest| rest.strip_prefix('.'))
    };
    name.unwrap_or_default().to_owned()
}

async fn read_body(body: RequestBody) -> Outcome<Bytes> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
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
    if request.headers().contains_key("smithy-protocol") {
        Protocol::Cbor
    } else if content_type.starts_with("application/x-amz-json-1.0") {
        Protocol::Json(JsonVersion::V1_0)
    } else if request.headers().contains_key("x-amz-target") || content_type.starts_with("application/x-amz-json") {
        Protocol::Json(JsonVersion::V1_1)
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

/// The same where Query's code of an error is not its name in the model: newer protocols tell both.
fn compatible_failure(protocol: Protocol, error: ApiError, shape: fn(&str) -> &str, request_id: &str) -> Answer {
    if let Protocol::Query { .. } = protocol {
        return failure(protocol, &error, request_id);
    }
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    let code = HeaderValue::from_str(&format!("{};{kind}", error.code));
    let named = ApiError { code: shape(&error.code).to_owned().into(), ..error };
    let mut answer = failure(protocol, &named, request_id);
    if let Ok(code) = code {
        answer.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), code);
    }
    answer
}

fn response(status: StatusCode, protocol: Protocol, body: Vec<u8>, request_id: &str) -> Answer {
    let mut answer = Response::new(s3s::Body::from(Bytes::from(body)));
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
    if protocol == Protocol::Cbor {
        headers.insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
    }
    answer
}
