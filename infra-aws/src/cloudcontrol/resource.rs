//! `aws:cloudcontrol:Resource`: any resource that CloudFormation has a name for.

use super::document;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    region::AwsResource,
    wait,
};
use aws_sdk_cloudcontrol::{
    Client,
    types::{
        HandlerErrorCode as Code, Operation, OperationStatus as Status, ProgressEvent, ResourceRequestStatusFilter,
    },
};
use infra_core::{
    Input, Options, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    value::{Expression, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Any resource that Cloud Control can make, by the name and the properties that CloudFormation has for it, so that
/// every service of AWS is within reach:
///
/// ```
/// use infra_aws::{self as aws, CloudResource};
/// use infra_core::{Config, Output, Result, Stack, output_json};
///
/// fn queue(stack: &Stack, _: &Config) -> Result {
///     let virginia = aws::region(stack, "us-east-1");
///     let dead = virginia.add("dead", CloudResource::new("AWS::SQS::Queue", output_json!({})));
///     let arn: Output<String> = dead.properties.field("Arn");
///     let queue = CloudResource::new("AWS::SQS::Queue", output_json!({
///         "QueueName": "jobs",
///         "RedrivePolicy": {"deadLetterTargetArn": arn, "maxReceiveCount": 3},
///     }));
///     let queue = virginia.add("jobs", queue.replace_on(["QueueName"]));
///     stack.export("url", queue.identifier);
///     Ok(())
/// }
/// # assert!(infra_core::testing::declare(&queue).is_ok());
/// ```
///
/// Made by `CreateResource`, read by `GetResource`, changed in place by `UpdateResource` and deleted by
/// `DeleteResource`; what became of each is asked with `GetResourceRequestStatus`. Only properties that are declared are
/// compared with what lives. What a type cannot change in place is to be named by [`CloudResource::replace_on`]: each
/// type's reference tells it ("Update requires: Replacement"). There are no tags but those among the properties, for
/// each type has them in its own way.
///
/// A create whose answer was lost is sent again with its client token, which AWS honours for 36 hours; what a request
/// came to is known for 7 days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudResource {
    /// The type, such as `AWS::SQS::Queue`.
    pub type_name: String,
    /// Its properties: a JSON object.
    pub properties: Input<Json>,
    /// Properties that are never told again. Properties that hold secrets are put here when they are declared.
    pub secrets: Option<Input<Json>>,
    /// The properties whose change needs a new resource, `Network.Family` for one inside another.
    pub replace_on: Vec<String>,
}

/// What a [`CloudResource`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudResourceOutputs {
    /// Its primary identifier, such as a name or an ARN; the parts of a compound one are separated by `|`.
    pub identifier: Output<String>,
    /// All its properties, those that AWS has chosen included; [`Output::field`] takes one.
    pub properties: Output<Json>,
}

/// How long one request may take: some types are clusters of machines.
const PATIENCE: Duration = Duration::from_hours(1);
/// How long AWS honours a client token.
const TOKENS: Duration = Duration::from_hours(36);

impl CloudResource {
    /// A resource of this type with these properties; see [`output_json!`](infra_core::output_json).
    pub fn new(type_name: impl Into<String>, properties: impl Into<Input<Json>>) -> Self {
        Self { type_name: type_name.into(), properties: properties.into(), secrets: None, replace_on: Vec::new() }
    }

    /// Says that a change of one of these properties needs a new resource.
    pub fn replace_on(mut self, properties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.replace_on.extend(properties.into_iter().map(Into::into));
        self
    }

    /// All properties, secrets in the clear.
    fn wanted(&self) -> Result<Json, ProviderError> {
        let mut wanted = self.properties.known()?;
        if let (Json::Object(wanted), Json::Object(secrets)) = (&mut wanted, self.secrets()?) {
            wanted.extend(secrets);
        }
        Ok(wanted)
    }

    fn secrets(&self) -> Result<Json, ProviderError> {
        let secrets = self.secrets.as_ref().map(Input::known).transpose()?;
        Ok(secrets.unwrap_or_else(|| Json::Object(serde_json::Map::new())))
    }
}

impl Resource for CloudResource {
    const TYPE: &'static str = "aws:cloudcontrol:Resource";
    type Outputs = CloudResourceOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["type_name"])
            .secret(["secrets"])
            .untracked(["replace_on"])
            .changes_on_update(["properties"])
            .timeout(PATIENCE * 2)
    }
}

impl AwsResource for CloudResource {
    /// Puts the properties that hold secrets where nothing tells them again.
    fn prepare(mut self, _: &crate::Region, _: &str) -> Self {
        let (open, secret) = apart(self.properties.expression().clone());
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
            if secrets.is_some_and(|secrets| holds(secrets, name)) {
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
        let proper = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
        if !(3..=4).contains(&parts.len()) || !parts.iter().all(proper) {
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

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let answer = client
            .create_resource()
            .type_name(&inputs.type_name)
            .desired_state(inputs.wanted()?.to_string())
            .client_token(cx.operation().as_str())
            .send()
            .await
            .context("CreateResource")?;
        let begun = answer.progress_event.ok_or_else(|| lost("CreateResource"))?;
        cx.progress(&Begun { request: begun.request_token().unwrap_or_default().to_owned() }).await?;
        let event = ended(cx, &client, begun).await?;
        let identifier = event.identifier().unwrap_or_default();
        let Some(error) = failure("CreateResource", &event) else {
            let status = "waiting until the new resource is seen";
            let living =
                wait::until(cx, status, wait::CONSISTENCY, async || Ok(read(&client, inputs, identifier).await?))
                    .await?;
            return Ok(Created { inputs: None, ..created(inputs, identifier, &living, None)? });
        };
        match left_behind(&client, inputs, &event).await? {
            Some(living) => Err(created(inputs, identifier, &living, None)?.failed(error.into())),
            None => Err(advised(error, inputs, &event).into()),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let living = read(&client, &prior.inputs, &identifier).await?;
        let told = prior.outputs.properties.known()?;
        living.map(|living| created(&prior.inputs, &identifier, &living, Some(&told))).transpose()
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let living = read(&client, inputs, &identifier).await?.ok_or_else(|| gone(&prior.id))?;
        let steps = document::patch(&prior.inputs.wanted()?, &inputs.wanted()?, &living, &inputs.replace_on);
        change(cx, &client, inputs, &identifier, steps).await?;
        let living = read(&client, inputs, &identifier).await?.ok_or_else(|| gone(&prior.id))?;
        Ok(created(inputs, &identifier, &living, None)?.outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let identifier = prior.outputs.identifier.known()?;
        let refused = Mutex::new(None);
        let status = "waiting until nothing needs the resource any more";
        let deleted = wait::until(cx, status, Duration::from_mins(8), async || {
            let call = client.delete_resource().type_name(&prior.inputs.type_name).identifier(&identifier);
            let answer = match call.send().await.context("DeleteResource") {
                Err(error) if error.is(&["ConcurrentOperationException"]) => return Ok(None),
                answer => answer?,
            };
            let event = ended(cx, &client, answer.progress_event.ok_or_else(|| lost("DeleteResource"))?).await?;
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

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().cloudcontrol(cx.region()?).await;
        let Some((type_name, identifier)) = id.split_once('|') else {
            let refused = ProviderError::refused(format!("`{id}` names no type"));
            return Err(refused.hint("write the type and the identifier: `AWS::SQS::Queue|IDENTIFIER`"));
        };
        let wanted = Self::new(type_name, Json::Object(serde_json::Map::new()));
        let Some(living) = read(&client, &wanted, identifier).await? else { return Ok(None) };
        created(&Self { properties: living.clone().into(), ..wanted }, identifier, &living, None).map(Some)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKENS, |cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().cloudcontrol(cx.region()?).await;
                match cx.earlier::<Begun>().pop() {
                    Some(begun) => Ok(outcome(&client, inputs, &begun.request).await?),
                    None => Ok(guess(&client, inputs).await?),
                }
            })
        })
    }
}

/// Carries out a patch.
async fn change(
    cx: &Context<'_, Aws>,
    client: &Client,
    inputs: &CloudResource,
    identifier: &str,
    mut steps: Vec<Json>,
) -> Result<(), ProviderError> {
    while !steps.is_empty() {
        let patch = Json::from(steps.clone()).to_string();
        let status = "waiting until another operation on it has ended";
        let answer = wait::while_inconsistent(cx, status, &["ConcurrentOperationException"], async || {
            let call = client.update_resource().type_name(&inputs.type_name).identifier(identifier);
            call.patch_document(&patch).send().await.context("UpdateResource")
        });
        let error = match answer.await {
            Ok(answer) => {
                let event = ended(cx, client, answer.progress_event.ok_or_else(|| lost("UpdateResource"))?).await?;
                let Some(error) = failure("UpdateResource", &event) else { return Ok(()) };
                error
            }
            Err(error) => error,
        };
        steps = without_told(&steps, &error).ok_or_else(|| not_updatable(error))?;
    }
    Ok(())
}

/// The steps but for the removals that were refused because AWS tells those properties and takes them from nobody: what
/// is imported has such among its properties. `None` when the refusal has another reason.
fn without_told(steps: &[Json], error: &AwsError) -> Option<Vec<Json>> {
    let told = if error.message.contains("readOnlyProperties") { properties_in(&error.message) } else { Vec::new() };
    let refused = |step: &&Json| step["op"] == "remove" && told.iter().any(|path| step["path"] == format!("/{path}"));
    let rest: Vec<Json> = steps.iter().filter(|step| !refused(step)).cloned().collect();
    (rest.len() < steps.len()).then_some(rest)
}

/// The properties that a refusal names: `[/properties/Name, /properties/Network/Family]`.
fn properties_in(message: &str) -> Vec<&str> {
    let words = message.split(|c: char| c.is_whitespace() || "[],".contains(c));
    words.filter_map(|word| word.strip_prefix("/properties/")).collect()
}

/// A request that was answered, to be asked for again.
#[derive(Serialize, Deserialize)]
struct Begun {
    request: String,
}

/// Waits until a request has come to an end.
async fn ended(cx: &Context<'_, Aws>, client: &Client, begun: ProgressEvent) -> Result<ProgressEvent, ProviderError> {
    if is_over(&begun) {
        return Ok(begun);
    }
    let token = begun.request_token().unwrap_or_default();
    let status = format!("waiting until the request {token} is carried out");
    wait::until(cx, &status, PATIENCE, async || {
        let answer = client.get_resource_request_status().request_token(token).send().await;
        let answer = answer.context("GetResourceRequestStatus")?;
        Ok(answer.progress_event.filter(is_over))
    })
    .await
}

fn is_over(event: &ProgressEvent) -> bool {
    matches!(event.operation_status(), Some(Status::Success | Status::Failed | Status::CancelComplete))
}

/// Why a request that has ended did not succeed.
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
    let message = event.status_message().unwrap_or("AWS does not say why");
    Some(AwsError::of(kind, operation, code, message))
}

/// What a create that failed has made all the same: the contract of types is that one which did not come up is told.
async fn left_behind(client: &Client, inputs: &CloudResource, event: &ProgressEvent) -> Result<Option<Json>, AwsError> {
    match event.identifier().filter(|_| event.error_code() == Some(&Code::NotStabilized)) {
        Some(identifier) => read(client, inputs, identifier).await,
        None => Ok(None),
    }
}

/// Says what to do about what exists already.
fn advised(error: AwsError, inputs: &CloudResource, event: &ProgressEvent) -> AwsError {
    if error.kind != ErrorKind::AlreadyExists {
        return error;
    }
    let identifier = event.identifier().unwrap_or("IDENTIFIER");
    let id = format!("{}|{identifier}", inputs.type_name);
    error.hint(format!(
        "choose another name, delete the one that has it or, if it is to be this stack's, take it over: \
         `import {} NAME '{id}'`",
        CloudResource::TYPE
    ))
}

/// Says which properties need a new resource.
fn not_updatable(error: AwsError) -> AwsError {
    if !error.code.as_deref().is_some_and(|code| code.starts_with("NotUpdatable")) {
        return error;
    }
    let names = properties_in(&error.message).into_iter().map(|name| format!("{:?}", name.replace('/', ".")));
    let names: Vec<String> = names.collect();
    let names = if names.is_empty() { "\"…\"".to_owned() } else { names.join(", ") };
    error.hint(format!("a change of it needs a new resource: let the program say `.replace_on([{names}])`"))
}

/// What became of a request.
async fn outcome(
    client: &Client,
    inputs: &CloudResource,
    request: &str,
) -> Result<Found<CloudResource>, ProviderError> {
    let answer = client.get_resource_request_status().request_token(request).send().await;
    let answer = found(answer.context("GetResourceRequestStatus"))?;
    let Some(event) = answer.and_then(|answer| answer.progress_event) else {
        return guess(client, inputs).await;
    };
    let identifier = event.identifier().unwrap_or_default();
    let living = match event.operation_status() {
        Some(Status::Success) => read(client, inputs, identifier).await?,
        _ if is_over(&event) => left_behind(client, inputs, &event).await?,
        _ => return Ok(Found::Unknown),
    };
    Ok(Found::from(living.map(|living| created(inputs, identifier, &living, None)).transpose()?))
}

/// Whether the request may have arrived, judged by those of the last days: nothing in them tells whose they are, so one
/// that fits is no proof, but none that fits is.
async fn guess(client: &Client, inputs: &CloudResource) -> Result<Found<CloudResource>, ProviderError> {
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
                .is_some_and(|living| document::as_declared(&wanted, &living, None) == wanted),
            _ => !is_over(&event),
        };
        if fits {
            return Ok(Found::Unknown);
        }
    }
    Ok(Found::Absent)
}

/// The living properties; `None` when it is gone.
async fn read(client: &Client, inputs: &CloudResource, identifier: &str) -> Result<Option<Json>, AwsError> {
    let call = client.get_resource().type_name(&inputs.type_name).identifier(identifier);
    let answer = found(call.send().await.context("GetResource"))?;
    let Some(description) = answer.and_then(|answer| answer.resource_description) else { return Ok(None) };
    let properties = description.properties().unwrap_or("{}");
    let properties = serde_json::from_str(properties);
    properties.map(Some).map_err(|error| {
        let message = format!("the properties that AWS tells are not JSON: {error}");
        AwsError::of(ErrorKind::Refused, "GetResource", "Unreadable", &message)
    })
}

fn lost(operation: &str) -> ProviderError {
    ProviderError::unsure(format!("{operation} was answered without what became of it"))
}

fn gone(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("{id} is gone"))
}

/// The resource as it lives, in the words of the recorded inputs where they say the same; `told` is what it told last.
fn created(
    recorded: &CloudResource,
    identifier: &str,
    living: &Json,
    told: Option<&Json>,
) -> Result<Created<CloudResource>, ProviderError> {
    let secrets = recorded.secrets()?;
    let mut public = living.clone();
    if let (Json::Object(public), Json::Object(secrets)) = (&mut public, &secrets) {
        public.retain(|name, _| !secrets.contains_key(name));
    }
    let inputs = CloudResource {
        properties: document::as_declared(&recorded.properties.known()?, &public, told).into(),
        secrets: recorded.secrets.as_ref().map(|_| document::as_declared(&secrets, living, None).into()),
        ..recorded.clone()
    };
    let id = format!("{}|{identifier}", recorded.type_name);
    let outputs = CloudResourceOutputs { identifier: identifier.into(), properties: public.into() };
    Ok(Created { id, inputs: Some(inputs), outputs })
}

/// The properties that hold no secrets, and those that do.
fn apart(properties: Expression) -> (Expression, Option<Expression>) {
    let nothing = || Expression::Literal(Value::empty());
    match properties {
        whole if !whole.is_secret() => (whole, None),
        Expression::Map(members) => {
            let (secret, open): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, member)| member.is_secret());
            (Expression::Map(open.into_iter().collect()), Some(Expression::Map(secret.into_iter().collect())))
        }
        Expression::Literal(Value::Map(members)) => {
            let (secret, open): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, member)| member.has_secret());
            let map = |members: Vec<(String, Value)>| Expression::Literal(Value::Map(members.into_iter().collect()));
            (map(open), Some(map(secret)))
        }
        whole => (nothing(), Some(whole)),
    }
}

/// Whether a document has a member of this name, as far as it can be told while declaring.
fn holds(document: &Expression, name: &str) -> bool {
    match document {
        Expression::Map(members) => members.get(name).is_some(),
        Expression::Literal(value) => value.field(name).is_some(),
        Expression::Secret(inner) => holds(inner, name),
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
    fn properties_that_hold_secrets_are_kept_apart() {
        let password = Output::<String>::from("hunter2").secret();
        let document = output_json!({"Name": "n", "Login": {"User": "u", "Password": password}});
        let (open, secret) = apart(document.expression().clone());
        assert_eq!(open.to_string(), r#"{"Name": "n"}"#);
        let secret = secret.unwrap();
        assert!(holds(&secret, "Login") && !holds(&secret, "Name"), "{secret}");
        assert!(!secret.to_string().contains("hunter2"), "{secret}");

        let recorded = CloudResource {
            secrets: Some(json!({"Login": {"User": "u"}}).into()),
            ..CloudResource::new("A::B::C", json!({"Name": "n"}))
        };
        let lives = json!({"Name": "n", "Login": {"User": "u"}, "Arn": "arn"});
        let read = created(&recorded, "n", &lives, Some(&json!({"Name": "n"}))).unwrap();
        assert_eq!(read.outputs.properties.known().unwrap(), json!({"Name": "n", "Arn": "arn"}));
        assert_eq!(serde_json::to_value(read.inputs).unwrap(), serde_json::to_value(Some(recorded)).unwrap());
    }

    #[test]
    fn what_cannot_be_changed_says_how_to_replace_it() {
        let message =
            "Invalid patch update: createOnlyProperties [/properties/Name, /properties/Net/Family] cannot be updated";
        let error = AwsError::of(ErrorKind::Refused, "UpdateResource", "NotUpdatableException", message);
        let hint = ProviderError::from(not_updatable(error)).hint.unwrap();
        assert!(hint.ends_with(r#"`.replace_on(["Name", "Net.Family"])`"#), "{hint}");
    }

    #[test]
    fn what_aws_alone_decides_is_not_taken_away() {
        let message = "Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated";
        let error = AwsError::of(ErrorKind::Refused, "UpdateResource", "ValidationException", message);
        let (arn, days) = (json!({"op": "remove", "path": "/Arn"}), json!({"op": "add", "path": "/Days", "value": 1}));
        assert_eq!(without_told(&[arn, days.clone()], &error), Some(vec![days.clone()]));
        assert_eq!(without_told(&[days], &error), None);
    }

    #[test]
    fn a_failed_request_says_why() {
        let event = ProgressEvent::builder().operation_status(Status::Failed).error_code(Code::AlreadyExists);
        let event = event.status_message("it is there").identifier("n").build();
        let error = failure("CreateResource", &event).unwrap();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        let error = ProviderError::from(advised(error, &CloudResource::new("A::B::C", json!({})), &event));
        assert_eq!(error.message, "CreateResource: AlreadyExists: it is there");
        assert!(error.hint.unwrap().contains("import aws:cloudcontrol:Resource NAME 'A::B::C|n'"));
    }
}
