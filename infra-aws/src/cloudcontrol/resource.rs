//! `aws:cloudcontrol:Resource`: a resource of any CloudFormation type.

use super::{document, identity::identity};
use crate::{error::AwsError, prelude::*};
use aws_sdk_cloudcontrol::{
    Client,
    types::{
        HandlerErrorCode as Code, Operation, OperationStatus as Status, ProgressEvent, ResourceRequestStatusFilter,
    },
};
use infra_core::{
    Options,
    provider::{Found, Handler, Recovery},
    value::{Expression, Value},
};
use serde_json::Value as Json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A resource of any type that Cloud Control supports, with the type name and the properties of CloudFormation.
///
/// It makes every AWS service usable. Only declared properties are compared with the existing ones. Tags are
/// properties, because each type has its own form of tags. Properties that contain secrets are encrypted in the state.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::{Output, output_json};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let dead = virginia.add("dead", CloudResource::new("AWS::SQS::Queue", output_json!({})));
/// let arn: Output<String> = dead.properties.field("Arn");
/// let queue = CloudResource::new("AWS::SQS::Queue", output_json!({
///     "QueueName": "jobs",
///     "RedrivePolicy": {"deadLetterTargetArn": arn, "maxReceiveCount": 3},
/// }));
/// let queue = virginia.add("jobs", queue.replace_on(["QueueName"]));
/// stack.export("url", queue.identifier);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateResource`; `GetResourceRequestStatus` until the request has finished; `GetResource`. After an
///   interrupted run, `GetResourceRequestStatus`, `ListResourceRequests` and `GetResource` find its resource.
/// - Read: `GetResource`
/// - Update: `GetResource`, `UpdateResource`; `GetResourceRequestStatus` until the request has finished
/// - Delete: `DeleteResource`; `GetResourceRequestStatus` until the request has finished; both are repeated while the
///   resource is in use
///
/// Cloud Control calls the operations of the resource's own service, with the permissions of the caller. A create whose
/// response was lost is sent again with its client token, which is valid for 36 hours.
///
/// # Replacement
/// A change of `type_name` replaces the resource, and so does a change of the properties that
/// [`CloudResource::replace_on`] names. Name all properties that the type's reference marks with "Update requires:
/// Replacement": a change of another one is refused by the API, and the error names it. The new resource is created
/// before the previous one is deleted.
///
/// # Import
/// The import takes `TYPE|IDENTIFIER`, the type and the primary identifier, which has parts that are separated by `|`
/// for some types:
///
/// ```console
/// $ stack import aws:cloudcontrol:Resource logs 'AWS::Logs::LogGroup|/web' --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:cloudcontrol:Resource", timeout = TIMEOUT * 2)]
pub struct CloudResource {
    /// Name of the type, such as `AWS::SQS::Queue`. A change replaces the resource.
    #[resource(replace)]
    pub type_name: String,
    /// Properties by the names of CloudFormation, a JSON object; see [`output_json!`](infra_core::output_json).
    pub properties: Input<Json>,
    /// Properties with secrets, a JSON object. A declaration through a [`Region`](crate::Region) moves them here from
    /// `properties`.
    #[resource(secret)]
    pub secrets: Option<Input<Json>>,
    /// Properties whose change replaces the resource; nested ones as in `Network.Family`. A change of the list alone
    /// does not update the resource.
    #[resource(untracked)]
    pub replace_on: Vec<String>,
}

/// Outputs of a [`CloudResource`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct CloudResourceOutputs {
    /// Primary identifier, such as a name, a URL or an ARN; the parts of a compound one are separated by `|`.
    pub identifier: Output<String>,
    /// All properties without secrets, also those that AWS has set; [`Output::field`] returns one.
    #[output(changes_on_update)]
    pub properties: Output<Json>,
    /// The properties that only a replacement changes: `Arn` and `Id`, and the same names after that of the type, such as
    /// `TopicArn`. After an update, their values are known while it is planned.
    #[serde(default = "none")]
    pub identity: Output<Json>,
}

/// Returns the identity in the outputs of earlier versions, which a refresh completes.
fn none() -> Output<Json> {
    Json::Object(serde_json::Map::new()).into()
}

/// Longest time of one request. Resources of some types are clusters of machines.
const TIMEOUT: Duration = Duration::from_hours(1);
/// Validity of a client token.
const TOKEN_LIFETIME: Duration = Duration::from_hours(36);

impl CloudResource {
    /// Returns a resource of this type with these properties; see [`output_json!`](infra_core::output_json).
    pub fn new(type_name: impl Into<String>, properties: impl Into<Input<Json>>) -> Self {
        Self { type_name: type_name.into(), properties: properties.into(), secrets: None, replace_on: Vec::new() }
    }

    /// Adds properties whose change replaces the resource.
    pub fn replace_on(mut self, properties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.replace_on.extend(properties.into_iter().map(Into::into));
        self
    }

    /// Returns all properties, with the secret ones.
    fn wanted(&self) -> Result<Json> {
        let mut wanted = self.properties.known()?;
        if let (Json::Object(wanted), Json::Object(secrets)) = (&mut wanted, self.secrets()?) {
            wanted.extend(secrets);
        }
        Ok(wanted)
    }

    fn secrets(&self) -> Result<Json> {
        let secrets = self.secrets.as_ref().map(Input::known).transpose()?;
        Ok(secrets.unwrap_or_else(|| Json::Object(serde_json::Map::new())))
    }
}

impl AwsResource for CloudResource {
    /// Moves the properties that contain secrets to `secrets`.
    fn prepare(mut self, _: &crate::Region, _: &str) -> Self {
        let (open, secret) = split(self.properties.expression().clone());
        if let (Some(secret), None) = (secret, &self.secrets) {
            self.properties = Output::from_expression(open);
            self.secrets = Some(Output::from_expression(secret));
        }
        self
    }

    fn options(&self) -> Option<Options> {
        let secrets = self.secrets.as_ref().map(Output::expression);
        let path = |property: &String| {
            let name = property.split('.').next().unwrap_or_default();
            if secrets.is_some_and(|secrets| contains(secrets, name)) {
                "secrets".to_owned()
            } else {
                format!("properties.{property}")
            }
        };
        let paths: Vec<String> = self.replace_on.iter().map(path).collect();
        (!paths.is_empty()).then(|| Options::new().replace_on_changes(paths.iter().map(String::as_str)))
    }
}

impl Handler for CloudResource {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let parts: Vec<&str> = self.type_name.split("::").collect();
        let valid = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
        if !(3..=4).contains(&parts.len()) || !parts.iter().all(valid) {
            let problem = Problem::new("type_name", format!("`{}` is no type of CloudFormation", self.type_name));
            problems.push(problem.hint("write it like `AWS::SQS::Queue`"));
        }
        for (name, document) in [("properties", Some(&self.properties)), ("secrets", self.secrets.as_ref())] {
            if document.and_then(|document| document.known().ok()).is_some_and(|document| !document.is_object()) {
                problems.push(Problem::new(name, "properties are a JSON object").hint("write `output_json!({…})`"));
            }
        }
        problems
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let response = client
            .create_resource()
            .type_name(&inputs.type_name)
            .desired_state(inputs.wanted()?.to_string())
            .client_token(cx.operation().as_str())
            .send()
            .await
            .context("CreateResource")?;
        let started = response.progress_event.ok_or_else(|| lost("CreateResource"))?;
        cx.progress(&Started { request: started.request_token().unwrap_or_default().to_owned() }).await?;
        let event = finished(cx, &client, started).await?;
        let identifier = event.identifier().unwrap_or_default();
        let Some(error) = failure("CreateResource", &event) else {
            let status = "waiting until the new resource is visible";
            let existing =
                wait::until(cx, status, wait::CONSISTENCY, async || Ok(read(&client, inputs, identifier).await?))
                    .await
                    .map_err(wait::after_create)?;
            return Ok(Created { inputs: None, ..created(inputs, identifier, &existing, None)? });
        };
        match partially_created(&client, inputs, &event).await? {
            Some(existing) => Err(created(inputs, identifier, &existing, None)?.failed(error.into())),
            None => Err(with_import_hint(error, inputs, &event).into()),
        }
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let existing = read(&client, &prior.inputs, &identifier).await?;
        let last = prior.outputs.properties.known()?;
        existing.map(|existing| created(&prior.inputs, &identifier, &existing, Some(&last))).transpose()
    }

    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let existing = read(&client, inputs, &identifier).await?.ok_or_else(|| missing(&prior.id))?;
        let steps = document::patch(&prior.inputs.wanted()?, &inputs.wanted()?, &existing, &inputs.replace_on);
        change(cx, &client, inputs, &identifier, steps).await?;
        let existing = read(&client, inputs, &identifier).await?.ok_or_else(|| missing(&prior.id))?;
        Ok(created(inputs, &identifier, &existing, None)?.outputs)
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let refused = Mutex::new(None);
        let status = "waiting until the resource is not in use";
        let deleted = wait::until(cx, status, Duration::from_mins(8), async || {
            let call = client.delete_resource().type_name(&prior.inputs.type_name).identifier(&identifier);
            let response = match call.send().await.context("DeleteResource") {
                Err(error) if error.has_code(&["ConcurrentOperationException"]) => return Ok(None),
                response => response?,
            };
            let event = finished(cx, &client, response.progress_event.ok_or_else(|| lost("DeleteResource"))?).await?;
            match failure("DeleteResource", &event) {
                None => Ok(Some(())),
                Some(error) if error.kind == ErrorKind::NotFound => Ok(Some(())),
                Some(error) if error.kind == ErrorKind::Dependency => {
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Ok(None)
                }
                Some(error) => Err(error.into()),
            }
        });
        let refused = || refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        deleted.await.map_err(|error| match refused() {
            Some(refusal) if error.kind == ErrorKind::Unsure => refusal.into(),
            _ => error,
        })
    }

    async fn import(cx: &Context<'_>, id: &str) -> Result<Option<Created<Self>>> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let Some((type_name, identifier)) = id.split_once('|') else {
            let refused = ProviderError::refused(format!("`{id}` contains no type"));
            return Err(refused.hint("write the type and the identifier: `AWS::SQS::Queue|IDENTIFIER`"));
        };
        let wanted = Self::new(type_name, Json::Object(serde_json::Map::new()));
        let Some(existing) = read(&client, &wanted, identifier).await? else { return Ok(None) };
        created(&Self { properties: existing.clone().into(), ..wanted }, identifier, &existing, None).map(Some)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_>, inputs| {
            Box::pin(async move {
                let client = cx.client().cloudcontrol(cx.region()?).await;
                match cx.earlier::<Started>().pop() {
                    Some(started) => Ok(outcome(&client, inputs, &started.request).await?),
                    None => Ok(find_request(&client, inputs).await?),
                }
            })
        })
    }
}

/// Applies a patch.
async fn change(
    cx: &Context<'_>,
    client: &Client,
    inputs: &CloudResource,
    identifier: &str,
    mut steps: Vec<Json>,
) -> Result<()> {
    while !steps.is_empty() {
        let patch = Json::from(steps.clone()).to_string();
        let status = "waiting until another operation on the resource has finished";
        let response = wait::retry_while_inconsistent(cx, status, &["ConcurrentOperationException"], async || {
            let call = client.update_resource().type_name(&inputs.type_name).identifier(identifier);
            call.patch_document(&patch).send().await.context("UpdateResource")
        });
        let error = match response.await {
            Ok(response) => {
                let event =
                    finished(cx, client, response.progress_event.ok_or_else(|| lost("UpdateResource"))?).await?;
                let Some(error) = failure("UpdateResource", &event) else { return Ok(()) };
                error
            }
            Err(error) => error,
        };
        steps = without_read_only(&steps, &error).ok_or_else(|| not_updatable(error))?;
    }
    Ok(())
}

/// Returns the steps without the removals that were refused because the properties are read-only, such as some of an
/// imported resource. `None` when the refusal has another reason.
fn without_read_only(steps: &[Json], error: &AwsError) -> Option<Vec<Json>> {
    let read_only =
        if error.message.contains("readOnlyProperties") { properties_in(&error.message) } else { Vec::new() };
    let refused =
        |step: &&Json| step["op"] == "remove" && read_only.iter().any(|path| step["path"] == format!("/{path}"));
    let rest: Vec<Json> = steps.iter().filter(|step| !refused(step)).cloned().collect();
    (rest.len() < steps.len()).then_some(rest)
}

/// Returns the properties that an error names: `[/properties/Name, /properties/Network/Family]`.
fn properties_in(message: &str) -> Vec<&str> {
    let words = message.split(|c: char| c.is_whitespace() || "[],".contains(c));
    words.filter_map(|word| word.strip_prefix("/properties/")).collect()
}

/// Progress after the response to a request.
#[derive(Serialize, Deserialize)]
struct Started {
    request: String,
}

/// Waits until a request has finished.
async fn finished(cx: &Context<'_>, client: &Client, started: ProgressEvent) -> Result<ProgressEvent> {
    if is_finished(&started) {
        return Ok(started);
    }
    let token = started.request_token().unwrap_or_default();
    let status = format!("waiting until the request {token} has finished");
    wait::until(cx, &status, TIMEOUT, async || {
        let response = client.get_resource_request_status().request_token(token).send().await;
        let response = response.context("GetResourceRequestStatus")?;
        Ok(response.progress_event.filter(is_finished))
    })
    .await
}

fn is_finished(event: &ProgressEvent) -> bool {
    matches!(event.operation_status(), Some(Status::Success | Status::Failed | Status::CancelComplete))
}

/// Returns the error of a request that has failed.
fn failure(operation: &'static str, event: &ProgressEvent) -> Option<AwsError> {
    if event.operation_status() == Some(&Status::Success) {
        return None;
    }
    let kind = match event.error_code() {
        Some(Code::NotFound) => ErrorKind::NotFound,
        Some(Code::AlreadyExists) => ErrorKind::AlreadyExists,
        Some(Code::ResourceConflict) => ErrorKind::Dependency,
        _ => ErrorKind::Refused,
    };
    let canceled = event.operation_status() == Some(&Status::CancelComplete);
    let code = if canceled { "Canceled" } else { event.error_code().map_or("Failed", Code::as_str) };
    let message = event.status_message().unwrap_or("the API returns no reason");
    Some(AwsError::of(kind, operation, code, message))
}

/// Returns the resource that a failed create request has created nevertheless. Handlers of types return it with the error
/// code `NotStabilized`.
async fn partially_created(
    client: &Client,
    inputs: &CloudResource,
    event: &ProgressEvent,
) -> Result<Option<Json>, AwsError> {
    match event.identifier().filter(|_| event.error_code() == Some(&Code::NotStabilized)) {
        Some(identifier) => read(client, inputs, identifier).await,
        None => Ok(None),
    }
}

/// Adds what to do about an existing resource.
fn with_import_hint(error: AwsError, inputs: &CloudResource, event: &ProgressEvent) -> AwsError {
    if error.kind != ErrorKind::AlreadyExists {
        return error;
    }
    let identifier = event.identifier().unwrap_or("IDENTIFIER");
    let id = format!("{}|{identifier}", inputs.type_name);
    error.hint(format!(
        "choose another name, delete the existing resource, or import it: `import {} NAME '{id}'`",
        CloudResource::TYPE
    ))
}

/// Adds which properties cannot be changed in place.
fn not_updatable(error: AwsError) -> AwsError {
    if !error.code.as_deref().is_some_and(|code| code.starts_with("NotUpdatable")) {
        return error;
    }
    let names = properties_in(&error.message).into_iter().map(|name| format!("{:?}", name.replace('/', ".")));
    let names: Vec<String> = names.collect();
    let names = if names.is_empty() { "\"…\"".to_owned() } else { names.join(", ") };
    error.hint(format!("a change replaces the resource: declare it with `.replace_on([{names}])`"))
}

/// Returns the result of a request.
async fn outcome(client: &Client, inputs: &CloudResource, request: &str) -> Result<Found<CloudResource>> {
    let response = client.get_resource_request_status().request_token(request).send().await;
    let response = found(response.context("GetResourceRequestStatus"))?;
    let Some(event) = response.and_then(|response| response.progress_event) else {
        return find_request(client, inputs).await;
    };
    let identifier = event.identifier().unwrap_or_default();
    let existing = match event.operation_status() {
        Some(Status::Success) => read(client, inputs, identifier).await?,
        _ if is_finished(&event) => partially_created(client, inputs, &event).await?,
        _ => return Ok(Found::Unknown),
    };
    Ok(Found::from(existing.map(|existing| created(inputs, identifier, &existing, None)).transpose()?))
}

/// Looks for the request among those of the last days. They contain no client token, so that an equal request is no proof
/// that it was this one; without an equal one, the request has not arrived.
async fn find_request(client: &Client, inputs: &CloudResource) -> Result<Found<CloudResource>> {
    let wanted = inputs.wanted()?;
    let filter = ResourceRequestStatusFilter::builder().operations(Operation::Create).build();
    let mut requests =
        client.list_resource_requests().resource_request_status_filter(filter).into_paginator().items().send();
    while let Some(event) = requests.next().await {
        let event = event.context("ListResourceRequests")?;
        if event.type_name() != Some(&inputs.type_name) {
            continue;
        }
        let fits = match (event.operation_status(), event.identifier()) {
            (Some(Status::Success), Some(identifier)) => read(client, inputs, identifier)
                .await?
                .is_some_and(|existing| document::as_declared(&wanted, &existing, None) == wanted),
            _ => !is_finished(&event),
        };
        if fits {
            return Ok(Found::Unknown);
        }
    }
    Ok(Found::Absent)
}

/// Returns the existing properties; `None` when the resource does not exist.
async fn read(client: &Client, inputs: &CloudResource, identifier: &str) -> Result<Option<Json>, AwsError> {
    let call = client.get_resource().type_name(&inputs.type_name).identifier(identifier);
    let response = found(call.send().await.context("GetResource"))?;
    let Some(description) = response.and_then(|response| response.resource_description) else { return Ok(None) };
    let properties = description.properties().unwrap_or("{}");
    let properties = serde_json::from_str(properties);
    properties.map(Some).map_err(|error| {
        let message = format!("the properties in the response are not JSON: {error}");
        AwsError::of(ErrorKind::Refused, "GetResource", "Unreadable", &message)
    })
}

fn lost(operation: &str) -> ProviderError {
    ProviderError::unsure(format!("{operation} returned no progress event"))
}

fn missing(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("`{id}` does not exist any more"))
}

/// Converts the existing properties into inputs and outputs. Keeps the recorded spelling of equal values; `last` are the
/// properties in the last outputs.
fn created(
    recorded: &CloudResource,
    identifier: &str,
    existing: &Json,
    last: Option<&Json>,
) -> Result<Created<CloudResource>> {
    let secrets = recorded.secrets()?;
    let mut public = existing.clone();
    if let (Json::Object(public), Json::Object(secrets)) = (&mut public, &secrets) {
        public.retain(|name, _| !secrets.contains_key(name));
    }
    let inputs = CloudResource {
        properties: document::as_declared(&recorded.properties.known()?, &public, last).into(),
        secrets: recorded.secrets.as_ref().map(|_| document::as_declared(&secrets, existing, None).into()),
        ..recorded.clone()
    };
    let id = format!("{}|{identifier}", recorded.type_name);
    let identity = identity(&recorded.type_name, &public).into();
    let outputs = CloudResourceOutputs { identifier: identifier.into(), properties: public.into(), identity };
    Ok(Created { id, inputs: Some(inputs), outputs })
}

/// Returns the properties without secrets, and those with secrets.
fn split(properties: Expression) -> (Expression, Option<Expression>) {
    let empty = || Expression::Literal(Value::empty());
    match properties {
        whole if !whole.is_secret() => (whole, None),
        Expression::Map(members) => {
            let (secret, open): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, member)| member.is_secret());
            (Expression::Map(open.into_iter().collect()), Some(Expression::Map(secret.into_iter().collect())))
        }
        Expression::Literal(Value::Map(members)) => {
            let (secret, open): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, member)| member.has_secret());
            let map = |members: Vec<(Arc<str>, Value)>| Expression::Literal(Value::Map(members.into_iter().collect()));
            (map(open), Some(map(secret)))
        }
        whole => (empty(), Some(whole)),
    }
}

/// Returns whether a document has a member with this name, as far as it is known in the program.
fn contains(document: &Expression, name: &str) -> bool {
    match document {
        Expression::Map(members) => members.get(name).is_some(),
        Expression::Literal(value) => value.field(name).is_some(),
        Expression::Secret(inner) => contains(inner, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::output_json;
    use serde_json::json;

    #[test]
    fn types_and_properties_are_checked() {
        assert!(CloudResource::new("AWS::SQS::Queue", json!({})).check().is_empty());
        let properties: Vec<_> =
            CloudResource::new("Queue", json!([])).check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["type_name", "properties"]);
    }

    #[test]
    fn properties_with_secrets_are_split_off() {
        let password = Output::<String>::from("hunter2").secret();
        let document = output_json!({"Name": "n", "Login": {"User": "u", "Password": password}});
        let (open, secret) = split(document.expression().clone());
        assert_eq!(open.to_string(), r#"{"Name": "n"}"#);
        let secret = secret.unwrap();
        assert!(contains(&secret, "Login") && !contains(&secret, "Name"), "{secret}");
        assert!(!secret.to_string().contains("hunter2"), "{secret}");

        let recorded = CloudResource {
            secrets: Some(json!({"Login": {"User": "u"}}).into()),
            ..CloudResource::new("A::B::C", json!({"Name": "n"}))
        };
        let existing = json!({"Name": "n", "Login": {"User": "u"}, "Arn": "arn"});
        let read = created(&recorded, "n", &existing, Some(&json!({"Name": "n"}))).unwrap();
        assert_eq!(read.outputs.properties.known().unwrap(), json!({"Name": "n", "Arn": "arn"}));
        assert_eq!(serde_json::to_value(read.inputs).unwrap(), serde_json::to_value(Some(recorded)).unwrap());
    }

    #[test]
    fn error_of_an_immutable_property_contains_how_to_replace_the_resource() {
        let message =
            "Invalid patch update: createOnlyProperties [/properties/Name, /properties/Net/Family] cannot be updated";
        let error = AwsError::of(ErrorKind::Refused, "UpdateResource", "NotUpdatableException", message);
        let hint = ProviderError::from(not_updatable(error)).hint.unwrap();
        assert!(hint.ends_with(r#"`.replace_on(["Name", "Net.Family"])`"#), "{hint}");
    }

    #[test]
    fn read_only_properties_are_not_removed() {
        let message = "Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated";
        let error = AwsError::of(ErrorKind::Refused, "UpdateResource", "ValidationException", message);
        let (arn, days) = (json!({"op": "remove", "path": "/Arn"}), json!({"op": "add", "path": "/Days", "value": 1}));
        assert_eq!(without_read_only(&[arn, days.clone()], &error), Some(vec![days.clone()]));
        assert_eq!(without_read_only(&[days], &error), None);
    }

    #[test]
    fn error_of_a_failed_request_contains_the_reason() {
        let event = ProgressEvent::builder().operation_status(Status::Failed).error_code(Code::AlreadyExists);
        let event = event.status_message("it is there").identifier("n").build();
        let error = failure("CreateResource", &event).unwrap();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        let error = ProviderError::from(with_import_hint(error, &CloudResource::new("A::B::C", json!({})), &event));
        assert_eq!(error.message, "CreateResource: AlreadyExists: it is there");
        assert!(error.hint.unwrap().contains("import aws:cloudcontrol:Resource NAME 'A::B::C|n'"));
    }
}
