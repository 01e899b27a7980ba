//! Dispatch of a request to its service: the identity, the permission, the operation. Each step adds to the record.

use chrono::{TimeDelta, Utc};
use hyper::header::USER_AGENT;
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use serde_json::Value;

use super::Server;
use super::answer::{Answer, compatible_failure, failure, response};
use super::delegate::Delegate;
use super::request::{BODY_LIMIT_BYTES, ServiceRequest, read_body};
use super::service::{Service, action_prefix, find_operation, guess_protocol, unknown_operation, unknown_service};
use crate::access::{
    self, Decision, Identity, Refusal, RequestFacts, RequestTags, RequestedAction, RequestedResource, Requirement,
};
use crate::model::iam::KeyUse;
use crate::model::{self, Cloud};
use crate::runtime::engine;
use crate::server::calls::recording::{Recording, declaration};
use crate::services::operation::Run;
use crate::services::{Call, Operation, State, cloudcontrol, s3};
use crate::state::schemas;
use crate::wire::body::RequestBody;
use crate::wire::constraint::{self, Parameters};
use crate::wire::shape::from_form;
use crate::wire::sigv4::{self, Scope, Signed, SignedPolicy};
use crate::wire::{ApiError, Node, Outcome, Params, Protocol, compression, leaves, xml};

/// Precision of the recorded use of access keys.
const KEY_USE_PRECISION: TimeDelta = TimeDelta::minutes(1);

/// Result of a request.
pub(super) struct Done {
    pub(super) answer: Answer,
    /// True when a fault drops the response.
    pub(super) is_dropped: bool,
}

impl Done {
    /// Returns the result of a request that is refused before its operation is known.
    fn refused(protocol: Protocol, error: &ApiError, request_id: &str, recording: &mut Recording) -> Done {
        recording.error(error);
        Done { answer: failure(protocol, error, request_id), is_dropped: false }
    }
}

impl Server {
    pub(super) async fn dispatch(
        &self,
        request: Request<RequestBody>,
        request_id: &str,
        recording: &mut Recording,
    ) -> Done {
        if s3::is_form(request.method(), request.headers()) {
            return self.form_upload(request, request_id, recording).await;
        }
        let guessed = guess_protocol(request.headers());
        let signed = match Signed::of(request.headers(), request.uri()) {
            Ok(signed) => signed,
            Err(_) if self.s3.accepts_unsigned(&request) => {
                return self.public_object(request, request_id, recording).await;
            }
            Err(error) => return Done::refused(guessed, &error, request_id, recording),
        };
        let scope = &signed.scope;
        recording.scope(&scope.service, &scope.region);
        recording.access_key(&scope.access_key);
        let Some(service) = Service::named(&scope.service) else {
            let (protocol, error) = unknown_service(&scope.service, request.headers());
            return match &self.delegate {
                Some(delegate) => self.delegated(delegate, &signed, request, (protocol, request_id), recording).await,
                None => Done::refused(protocol, &error, request_id, recording),
            };
        };
        let protocol = service.protocol(request.headers());
        if let Err(error) = model::check_region(&scope.region) {
            return Done::refused(protocol, &error, request_id, recording);
        }
        let (head, body) = request.into_parts();
        if let Service::S3 = service {
            return self.object_store(&signed, Request::from_parts(head, body), request_id, recording).await;
        }
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(error) => return Done::refused(protocol, &error, request_id, recording),
        };
        let digest = sigv4::digest(&body);
        let body = match compression::decoded(&head.headers, body, BODY_LIMIT_BYTES) {
            Ok(body) => body,
            Err(error) => return Done::refused(protocol, &error, request_id, recording),
        };
        let service_request =
            ServiceRequest { signed: &signed, head: &head, body: &body, digest, protocol, request_id };
        let name = service_request.operation(service);
        recording.operation(&name);
        let trouble = self.shared.trouble(&format!("{}:{name}", scope.service));
        trouble.delay().await;
        let outcome = match trouble.error(protocol) {
            Some(error) => Err(error),
            None => self.execute_named(&service_request, service, &name, recording),
        };
        let answer = outcome.unwrap_or_else(|error| {
            recording.error(&error);
            match service {
                Service::QueryCompatible { shape, .. } => compatible_failure(protocol, error, shape, request_id),
                _ => failure(protocol, &error, request_id),
            }
        });
        Done { answer, is_dropped: trouble.drop_answer }
    }

    /// Lets the delegate answer a request, if its signature is valid. Policies are not evaluated, because the actions of
    /// the service are not known.
    async fn delegated(
        &self,
        delegate: &Delegate,
        signed: &Signed,
        request: Request<RequestBody>,
        (protocol, request_id): (Protocol, &str),
        recording: &mut Recording,
    ) -> Done {
        let (head, body) = request.into_parts();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.rsplit_once('.')).map(|(_, operation)| operation.to_owned());
        recording.operation(&operation.unwrap_or_else(|| format!("{} {}", head.method, head.uri.path())));
        let answer = async {
            let body = read_body(body).await?;
            self.identify(signed, &head, &sigv4::digest(&body), protocol, recording)?;
            delegate.forward(&head, body).await
        };
        let answer = answer.await.unwrap_or_else(|error| {
            recording.error(&error);
            failure(protocol, &error, request_id)
        });
        Done { answer, is_dropped: false }
    }

    async fn object_store(
        &self,
        signed: &Signed,
        request: Request<RequestBody>,
        request_id: &str,
        recording: &mut Recording,
    ) -> Done {
        let (head, body) = request.into_parts();
        let trouble = self.shared.trouble(&format!("s3:{}", head.method));
        trouble.delay().await;
        recording.operation(&format!("{} {}", head.method, head.uri.path()));
        let payload = head.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
        let payload = payload.unwrap_or(sigv4::UNSIGNED_PAYLOAD).to_owned();
        let identity = match trouble.error(Protocol::RestXml) {
            Some(error) => Err(error),
            None => self.identify(signed, &head, &payload, Protocol::RestXml, recording),
        };
        let answer = match identity {
            Ok(identity) => {
                let chunks = self.shared.read(|cloud| {
                    let secret = access::secret(cloud, &self.access.root, &signed.scope.access_key);
                    secret.and_then(|secret| signed.chunks(secret, &payload))
                });
                let request = Request::from_parts(head, body);
                let (answer, traced) = self.s3.answer(request, Some(signed), identity, chunks, request_id).await;
                recording.object_store(traced);
                answer
            }
            Err(error) => {
                recording.error(&error);
                failure(Protocol::RestXml, &error, request_id)
            }
        };
        Done { answer, is_dropped: trouble.drop_answer }
    }

    /// Handles a request without a signature to a bucket, whose policy or access control list decides.
    async fn public_object(&self, request: Request<RequestBody>, request_id: &str, recording: &mut Recording) -> Done {
        let trouble = self.shared.trouble(&format!("s3:{}", request.method()));
        trouble.delay().await;
        recording.scope("s3", "");
        recording.operation(&format!("{} {}", request.method(), request.uri().path()));
        recording.caller("anonymous".to_owned());
        let answer = match trouble.error(Protocol::RestXml) {
            Some(error) => {
                recording.error(&error);
                failure(Protocol::RestXml, &error, request_id)
            }
            None => {
                let (answer, traced) = self.s3.answer(request, None, Identity::Anonymous, None, request_id).await;
                recording.object_store(traced);
                answer
            }
        };
        Done { answer, is_dropped: trouble.drop_answer }
    }

    /// Handles an upload by an HTML form, whose signature is in its fields.
    async fn form_upload(&self, request: Request<RequestBody>, request_id: &str, recording: &mut Recording) -> Done {
        let trouble = self.shared.trouble("s3:POST");
        trouble.delay().await;
        recording.scope("s3", "");
        recording.operation(&format!("POST {}", request.uri().path()));
        let answer = match trouble.error(Protocol::RestXml) {
            Some(error) => {
                recording.error(&error);
                failure(Protocol::RestXml, &error, request_id)
            }
            None => {
                let identify = |signed: &SignedPolicy| self.identify_form(signed, recording);
                let (answer, traced) = self.s3.answer_form(request, identify, request_id).await;
                recording.object_store(traced);
                answer
            }
        };
        Done { answer, is_dropped: trouble.drop_answer }
    }

    pub(super) fn execute_named(
        &self,
        service_request: &ServiceRequest<'_>,
        service: Service,
        name: &str,
        recording: &mut Recording,
    ) -> Outcome<Answer> {
        let ServiceRequest { signed, head, ref digest, protocol, .. } = *service_request;
        let identity = self.identify(signed, head, digest, protocol, recording)?;
        self.record_key_use(&identity, &signed.scope);
        match service {
            Service::Query { operations, always, .. } => {
                let operation =
                    find_operation(operations, name).ok_or_else(|| unknown(service_request, name, recording))?;
                self.query(service_request, operation, always, &identity, recording)
            }
            Service::Json { operations, .. } | Service::QueryCompatible { operations, .. } => {
                let operation =
                    find_operation(operations, name).ok_or_else(|| unknown(service_request, name, recording))?;
                self.values(service_request, operation, &identity, recording)
            }
            Service::S3 => Err(ApiError::internal("S3 is answered elsewhere")),
        }
    }

    fn query(
        &self,
        service_request: &ServiceRequest<'_>,
        operation: &Operation<Params, Node>,
        always: &[&str],
        identity: &Identity,
        recording: &mut Recording,
    ) -> Outcome<Answer> {
        let params = service_request.params();
        recording.parameters(&from_form(&params)?);
        let service = &service_request.signed.scope.service;
        constraint::check(service, operation.name, Parameters::Form(&params), &|name| recording.hides(name))?;
        operation.check(&params, always)?;
        let (parameters, tags) = (params.patterns(), RequestTags::of_params(&params));
        self.permit(identity, service_request, operation, (&parameters, &tags), recording)?;
        let dry_run = params.flag("DryRun")?;
        let fields = self.execute(operation.run, params, service_request, dry_run)?;
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

    fn values(
        &self,
        service_request: &ServiceRequest<'_>,
        operation: &Operation<Value, Value>,
        identity: &Identity,
        recording: &mut Recording,
    ) -> Outcome<Answer> {
        let ServiceRequest { body, protocol, request_id, .. } = *service_request;
        let mut input = protocol.read(body)?;
        recording.parameters(&input);
        let form = matches!(protocol, Protocol::Query { .. }).then(|| service_request.params());
        let parameters = form.as_ref().map_or(Parameters::Document(&input), Parameters::Form);
        let service = &service_request.signed.scope.service;
        constraint::check(service, operation.name, parameters, &|name| recording.hides(name))?;
        operation.check(&mut input)?;
        if let ("cloudcontrolapi", Some(name)) = (service.as_str(), input["TypeName"].as_str()) {
            schemas::prepare(self.shared.directory(), name);
        }
        let (parameters, tags) = (leaves(&input), RequestTags::of_value(&input));
        self.permit(identity, service_request, operation, (&parameters, &tags), recording)?;
        let output = self.execute(operation.run, input, service_request, false)?;
        Ok(response(StatusCode::OK, protocol, protocol.write(operation.name, &output, request_id), request_id))
    }

    /// Records the use of a user's access key or of a role, unless it has just been recorded.
    fn record_key_use(&self, identity: &Identity, scope: &Scope) {
        let now = Utc::now();
        let use_of = |cloud: &Cloud| match identity {
            Identity::User { access_key, name } => {
                let key = cloud.iam.users.get(name).and_then(|user| user.access_keys.get(access_key));
                key.map(|key| key.last_used.clone())
            }
            Identity::Session { role, .. } => cloud.iam.roles.get(role).map(|role| role.last_used.clone()),
            Identity::Root { .. } | Identity::Anonymous => None,
        };
        let is_known = |last: &KeyUse| {
            now - last.at <= KEY_USE_PRECISION && last.service == scope.service && last.region == scope.region
        };
        let Some(last) = self.shared.read(use_of) else { return };
        if last.as_ref().is_some_and(is_known) {
            return;
        }
        let last_used = Some(KeyUse { at: now, service: scope.service.clone(), region: scope.region.clone() });
        self.shared.update(|cloud| match identity {
            Identity::User { access_key, name } => {
                let user = cloud.iam.users.get_mut(name);
                if let Some(key) = user.and_then(|user| user.access_keys.get_mut(access_key)) {
                    key.last_used = last_used;
                }
            }
            Identity::Session { role, .. } => {
                if let Some(role) = cloud.iam.roles.get_mut(role) {
                    role.last_used = last_used;
                }
            }
            Identity::Root { .. } | Identity::Anonymous => {}
        });
    }

    /// Returns the identity that signed a request, and records it.
    fn identify(
        &self,
        signed: &Signed,
        head: &Parts,
        payload: &str,
        protocol: Protocol,
        recording: &mut Recording,
    ) -> Outcome<Identity> {
        let root = &self.access.root;
        let found = self.shared.read(|cloud| {
            let identity = access::identify(cloud, root, signed, head, payload, Utc::now())?;
            recording.caller(identity.arn(&cloud.iam));
            Ok(identity)
        });
        found.map_err(|refusal: Refusal| refusal.to_error(protocol))
    }

    /// Returns the identity that signed the policy of a form, and records it.
    fn identify_form(&self, signed: &SignedPolicy, recording: &mut Recording) -> Outcome<Identity> {
        recording.scope(&signed.scope.service, &signed.scope.region);
        let root = &self.access.root;
        let found = self.shared.read(|cloud| {
            let identity = access::identify_form(cloud, root, signed, Utc::now())?;
            recording.caller(identity.arn(&cloud.iam));
            Ok(identity)
        });
        found.map_err(|refusal: Refusal| refusal.to_error(Protocol::RestXml))
    }

    /// Checks the identity's policies, if IAM is enforced, and records the decisions.
    fn permit<I, O>(
        &self,
        identity: &Identity,
        service_request: &ServiceRequest<'_>,
        operation: &Operation<I, O>,
        (parameters, tags): (&[(String, String)], &RequestTags),
        recording: &mut Recording,
    ) -> Outcome<()> {
        if !operation.needs_permission {
            return Ok(());
        }
        let Scope { service, region, .. } = &service_request.signed.scope;
        let service = action_prefix(service);
        let type_name = parameters.iter().find(|(name, _)| service == "cloudformation" && name == "TypeName");
        let directory = self.shared.directory();
        let needed = type_name.map(|(_, kind)| cloudcontrol::needed_actions(operation.name, kind, directory));
        let facts = RequestFacts { service, operation: operation.name, region, parameters, tags };
        let context = &service_request.context();
        let decisions: Vec<Decision> = self.shared.read(|cloud| {
            let mut requirements = access::requirements(cloud, &operation.needs(service), &facts);
            let any = || vec![RequestedResource::new("*")];
            let needed = needed.into_iter().flatten();
            requirements.extend(needed.map(|action| Requirement { action, resources: any() }));
            let decide = |Requirement { action, resources }: Requirement| {
                let (action, resources, now) = (&action, &resources, Utc::now());
                let requested = RequestedAction { action, resources, region, now, context };
                if self.access.enforce_iam {
                    access::decide(cloud, identity, &requested)
                } else {
                    access::decide_unenforced(cloud, identity, &requested)
                }
            };
            requirements.into_iter().flat_map(decide).collect()
        });
        let permitted = access::permitted(recording.caller_arn(), &decisions);
        recording.decisions(decisions);
        permitted.map_err(|refusal| refusal.to_error(service_request.protocol))
    }

    fn execute<I, O>(
        &self,
        run: Run<I, O>,
        input: I,
        service_request: &ServiceRequest<'_>,
        dry_run: bool,
    ) -> Outcome<O> {
        let scope = &service_request.signed.scope;
        self.shared.open_region(&scope.region)?;
        // Launches and databases depend on the programs of this machine.
        if ["ec2", "rds"].contains(&scope.service.as_str()) {
            engine::discover();
        }
        let call = Call {
            input,
            region: &scope.region,
            account: self.shared.account(),
            access_key: &scope.access_key,
            now: Utc::now(),
            addresses: self.shared.addresses(),
            directory: self.shared.directory(),
            context: &service_request.context(),
            requests: &*self.calls,
        };
        let declaration = declaration(&service_request.head.headers);
        let chosen = if declaration.is_empty() { Vec::new() } else { self.shared.chosen_ids(declaration) };
        model::ids::choosing(chosen, || match run {
            Run::Reads(run) => self.shared.read_delayed(|cloud| run(cloud, &call)),
            Run::Writes(run) if dry_run => self.shared.dry_run(|cloud| run(cloud, &call)),
            Run::Writes(run) => self.shared.write(|cloud| run(cloud, &call)),
            Run::Performs(run) => run(&State::Shared(&self.shared), &call),
        })
    }
}

/// Returns the error for an operation that the service does not have here, and logs the caller that asked for it.
fn unknown(service_request: &ServiceRequest<'_>, name: &str, recording: &Recording) -> ApiError {
    let ServiceRequest { signed, head, protocol, .. } = *service_request;
    let service = signed.scope.service.as_str();
    let client = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    tracing::info!(service, operation = name, caller = recording.caller_arn(), client, "unknown operation");
    unknown_operation(service, name, protocol)
}
