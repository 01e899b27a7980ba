//! The endpoint: one port for every service. The credential scope of a request's signature selects the service.

mod admin;
mod answer;
#[cfg(test)]
mod fuzz;
mod operations;
mod request;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use self::admin::Admin;
use self::answer::{Answer, compatible_failure, failure, refusal, response};
use self::request::{BODY_LIMIT_BYTES, ServiceRequest, read_body};
use self::service::{QueryTable, Service, ValueTable, find_operation, guess_protocol};
use crate::access::{self, Endpoint, Identity, RequestedAction, RootKeys, Source};
use crate::domain::dns;
use crate::domain::network::ENDPOINTS;
use crate::model;
use crate::runtime::background::PhaseWatch;
use crate::runtime::network::{NetworkHandle, Place};
use crate::runtime::{mariadb, postgres};
use crate::server::credentials::Token;
use crate::services::operation::Run;
use crate::services::{Call, Operation, State};
use crate::services::{cloudcontrol, s3};
use crate::state::Shared;
use crate::wire::body;
use crate::wire::body::RequestBody;
use crate::wire::sigv4::{self, Scope, Signed, SignedPolicy};
use crate::wire::{ApiError, Outcome, Protocol, compression, leaves, xml};

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
        let admin = Admin { shared: shared.clone(), network, token: access.token.clone(), stop_requested };
        Server { shared, access, endpoints, s3, admin, head_limit: HEAD_LIMIT }
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

    async fn answer_program(&self, request: Request<Incoming>, request_id: &str) -> Result<Answer, Lost> {
        let began = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let (request, remains) = body::share(request);
        let done = self.dispatch(request, request_id).await;
        let microseconds = began.elapsed().as_micros() as u64;
        let Done { answer: Some(mut answer), operation } = done else {
            tracing::info!(%method, path, operation = done.operation, request_id, microseconds, "the response is dropped");
            return Err(Lost);
        };
        remains.settle(&mut answer).await;
        let status = answer.status().as_u16();
        tracing::debug!(%method, path, operation, request_id, status, microseconds, "request");
        Ok(answer)
    }

    async fn dispatch(&self, request: Request<RequestBody>, request_id: &str) -> Done {
        if s3::is_form(request.method(), request.headers()) {
            return self.form_upload(request, request_id).await;
        }
        let signed = match Signed::of(request.headers(), request.uri()) {
            Ok(signed) => signed,
            Err(error) => return Done::early(failure(guess_protocol(request.headers()), &error, request_id), "?"),
        };
        let scope = &signed.scope;
        let Some(service) = Service::named(&scope.service) else {
            let error = ApiError::new(
                "UnknownService",
                format!("The local cloud has no service '{}' (from the request's credential scope)", scope.service),
            );
            return Done::early(failure(guess_protocol(request.headers()), &error, request_id), &scope.service);
        };
        let protocol = service.protocol(request.headers());
        if let Err(error) = model::check_region(&scope.region) {
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
        let service_request =
            ServiceRequest { signed: &signed, head: &head, body: &body, digest, protocol, request_id };
        let name = service_request.operation(service);
        let operation = format!("{}:{name}", scope.service);
        let trouble = self.shared.trouble(&operation);
        trouble.delay().await;
        let outcome = match trouble.error(protocol) {
            Some(error) => Err(error),
            None => match service {
                Service::Query { operations, always, .. } => self.query(&service_request, operations, always, &name),
                Service::Json { operations, .. } | Service::QueryCompatible { operations, .. } => {
                    self.values(&service_request, operations, &name)
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
                let chunks = self.shared.read(|cloud| {
                    let secret = access::secret(cloud, &self.access.root, &signed.scope.access_key);
                    secret.and_then(|secret| signed.chunks(secret, &payload))
                });
                self.s3.answer(Request::from_parts(head, body), &signed.scope, identity, chunks, request_id).await
            }
            Err(error) => failure(Protocol::RestXml, &error, request_id),
        };
        Done { answer: (!trouble.drop_answer).then_some(answer), operation }
    }

    /// Handles an upload by an HTML form, whose signature is in its fields.
    async fn form_upload(&self, request: Request<RequestBody>, request_id: &str) -> Done {
        let operation = "s3:POST".to_owned();
        let trouble = self.shared.trouble(&operation);
        trouble.delay().await;
        let identify = |signed: &SignedPolicy| {
            let root = &self.access.root;
            let found = self.shared.read(|cloud| access::identify_form(cloud, root, signed, Utc::now()));
            found.map_err(|refusal| refusal.to_error(Protocol::RestXml))
        };
        let answer = match trouble.error(Protocol::RestXml) {
            Some(error) => failure(Protocol::RestXml, &error, request_id),
            None => self.s3.answer_form(request, identify, request_id).await,
        };
        Done { answer: (!trouble.drop_answer).then_some(answer), operation }
    }

    fn query(
        &self,
        service_request: &ServiceRequest<'_>,
        operations: QueryTable,
        always: &[&str],
        name: &str,
    ) -> Outcome<Answer> {
        let identity = self.identify(
            service_request.signed,
            service_request.head,
            &service_request.digest,
            service_request.protocol,
        )?;
        let params = service_request.params();
        let operation = find_operation(operations, name)?;
        operation.check(&params, always)?;
        self.permit(&identity, service_request, operation, || params.patterns())?;
        let dry_run = params.flag("DryRun")?;
        let fields = self.execute(operation.run, params, &service_request.signed.scope, dry_run)?;
        if dry_run {
            return Err(ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
                .with_status(412));
        }
        let text = match service_request.protocol {
            Protocol::Query { namespace } => {
                xml::query_answer(namespace, operation.name, service_request.request_id, &fields)
            }
            _ => xml::ec2_answer(operation.name, service_request.request_id, &fields),
        };
        Ok(response(StatusCode::OK, service_request.protocol, text.into_bytes(), service_request.request_id))
    }

    fn values(&self, service_request: &ServiceRequest<'_>, operations: ValueTable, name: &str) -> Outcome<Answer> {
        let ServiceRequest { signed, head, body, protocol, request_id, .. } = *service_request;
        let identity = self.identify(signed, head, &service_request.digest, protocol)?;
        let operation = find_operation(operations, name)?;
        let mut input = protocol.read(body)?;
        operation.check(&mut input)?;
        self.permit(&identity, service_request, operation, || leaves(&input))?;
        let output = self.execute(operation.run, input, &signed.scope, false)?;
        Ok(response(StatusCode::OK, protocol, protocol.write(operation.name, &output, request_id), request_id))
    }

    /// Returns the identity that signed a request.
    fn identify(&self, signed: &Signed, head: &Parts, payload: &str, protocol: Protocol) -> Outcome<Identity> {
        let root = &self.access.root;
        let found = self.shared.read(|cloud| access::identify(cloud, root, signed, head, payload, Utc::now()));
        found.map_err(|refusal| refusal.to_error(protocol))
    }

    /// Checks the identity's policies, if IAM is enforced.
    fn permit<I, O>(
        &self,
        identity: &Identity,
        service_request: &ServiceRequest<'_>,
        operation: &Operation<I, O>,
        parameters: impl FnOnce() -> Vec<(String, String)>,
    ) -> Outcome<()> {
        if !self.access.enforce_iam || matches!(identity, Identity::Root { .. }) {
            return Ok(());
        }
        let Scope { service, region, .. } = &service_request.signed.scope;
        // The credential scope of some services differs from the prefix of their actions.
        let service = match service.as_str() {
            "monitoring" => "cloudwatch",
            "cloudcontrolapi" => "cloudformation",
            other => other,
        };
        let parameters = parameters();
        let type_name = parameters.iter().find(|(name, _)| service == "cloudformation" && name == "TypeName");
        let needed = type_name.map_or(&[][..], |(_, kind)| cloudcontrol::needed_actions(operation.name, kind));
        self.shared.read(|cloud| {
            let resources = access::arns(operation.resources, cloud, region, &parameters);
            let actions = needed.iter().map(|action| (*action).to_owned());
            for action in std::iter::once(format!("{service}:{}", operation.name)).chain(actions) {
                let requested = RequestedAction { action: &action, resources: &resources, region, now: Utc::now() };
                access::authorise(cloud, identity, &requested)
                    .map_err(|refusal| refusal.to_error(service_request.protocol))?;
            }
            Ok(())
        })
    }

    fn execute<I, O>(&self, run: Run<I, O>, input: I, scope: &Scope, dry_run: bool) -> Outcome<O> {
        self.shared.open_region(&scope.region)?;
        // Launches and databases depend on the programs of this machine.
        if ["ec2", "rds"].contains(&scope.service.as_str()) {
            postgres::discover();
            mariadb::discover();
        }
        let call = Call {
            input,
            region: &scope.region,
            access_key: &scope.access_key,
            now: Utc::now(),
            addresses: self.shared.addresses(),
            directory: self.shared.directory(),
        };
        match run {
            Run::Reads(run) => self.shared.read_delayed(|cloud| run(cloud, &call)),
            Run::Writes(run) if dry_run => self.shared.dry_run(|cloud| run(cloud, &call)),
            Run::Writes(run) => self.shared.write(|cloud| run(cloud, &call)),
            Run::Performs(run) => run(&State::Shared(&self.shared), &call),
        }
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

/// Result of a request.
struct Done {
    /// `None` when a fault drops the response.
    answer: Option<Answer>,
    operation: String,
}

impl Done {
    fn early(answer: Answer, operation: &str) -> Done {
        Done { answer: Some(answer), operation: operation.to_owned() }
    }
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
