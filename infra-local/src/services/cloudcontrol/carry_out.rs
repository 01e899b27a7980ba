//! Doing what requests say, by the operations of each type's own service and as whoever asked.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{kinds, schema};
use crate::access::{self, Identity, Wish};
use crate::model::Cloud;
use crate::model::cloudcontrol::{ErrorCode, Operation as Verb, ResourceRequest, Status};
use crate::services::operation::Run;
use crate::services::{Call, Operation};
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, JsonVersion, Node, Outcome, Params, Protocol, leaves};

/// What operations need besides the state.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) addresses: &'a AddressBlock,
    pub(crate) directory: &'a Path,
    /// Whether the policies of users and roles decide.
    pub(crate) enforce_iam: bool,
    pub(crate) now: DateTime<Utc>,
}

/// Whether a request waits for something to be done.
pub(crate) fn is_waiting(cloud: &Cloud) -> bool {
    let mut requests = cloud.regions.values().flat_map(|region| region.resource_requests.values());
    requests.any(|request| !request.status.is_over())
}

/// Brings every request one step further.
pub(crate) fn carry_out(cloud: &mut Cloud, surroundings: Surroundings<'_>) {
    let waiting: Vec<(String, String)> = cloud
        .regions
        .values()
        .flat_map(|region| region.resource_requests.values().map(|request| (region.name.clone(), request)))
        .filter(|(_, request)| !request.status.is_over())
        .map(|(region, request)| (region, request.token.clone()))
        .collect();
    for (region, token) in waiting {
        step(cloud, surroundings, &region, &token);
    }
}

fn step(cloud: &mut Cloud, surroundings: Surroundings<'_>, region: &str, token: &str) {
    let request = cloud.regions.get(region).and_then(|region| region.resource_requests.get(token)).cloned();
    let Some(mut request) = request else { return };
    match request.status {
        Status::Pending => {
            request.status = Status::InProgress;
            request.changed = surroundings.now;
        }
        Status::CancelInProgress => request.end(Status::CancelComplete, surroundings.now),
        _ => {
            // What fails half-way leaves nothing behind.
            let mut draft = cloud.clone();
            match perform(&mut draft, surroundings, region, &request) {
                Ok(identifier) => {
                    *cloud = draft;
                    request.identifier = Some(identifier);
                    request.end(Status::Success, surroundings.now);
                }
                Err(error) => {
                    let code = code(&error);
                    let message = match (code, &request.identifier) {
                        (ErrorCode::AlreadyExists, Some(identifier)) => format!(
                            "Resource of type '{}' with identifier '{identifier}' already exists.",
                            request.type_name
                        ),
                        _ => error.message,
                    };
                    request.message = Some(message);
                    request.error = Some(code);
                    request.end(Status::Failed, surroundings.now);
                }
            }
        }
    }
    if let Some(region) = cloud.regions.get_mut(region) {
        region.resource_requests.insert(request.token.clone(), request);
    }
}

/// Does it, and returns the identifier of the resource.
fn perform(
    cloud: &mut Cloud,
    surroundings: Surroundings<'_>,
    region: &str,
    request: &ResourceRequest,
) -> Outcome<String> {
    let kind = kinds::named(&request.type_name)?;
    let caller = Caller { surroundings, region, access_key: &request.access_key };
    let wanted = request.wanted.as_ref().unwrap_or(&Value::Null);
    if request.operation == Verb::Create {
        schema::check_new(kind, wanted)?;
        return (kind.create)(cloud, &caller, wanted);
    }
    let identifier = request.identifier.clone().unwrap_or_default();
    let living = (kind.read)(cloud, region, &identifier)?;
    let living = living.ok_or_else(|| super::not_found(kind.name, &identifier))?;
    match request.operation {
        Verb::Delete => (kind.delete)(cloud, &caller, &identifier)?,
        _ => (kind.update)(cloud, &caller, &identifier, &living, wanted)?,
    }
    Ok(identifier)
}

/// What an error of a service is called in the words that all types share.
fn code(error: &ApiError) -> ErrorCode {
    let code = error.code.as_ref();
    let means = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if error.status >= 500 {
        ErrorCode::ServiceInternalError
    } else if means(&["AccessDenied", "Unauthorized"]) {
        ErrorCode::AccessDenied
    } else if means(&["AlreadyExists", "Duplicate"]) {
        ErrorCode::AlreadyExists
    } else if means(&["DependencyViolation", "DeleteConflict", "InUse"]) {
        ErrorCode::ResourceConflict
    } else if means(&["LimitExceeded", "Quota"]) {
        ErrorCode::ServiceLimitExceeded
    } else if means(&["NotFound", "NoSuch"]) {
        ErrorCode::NotFound
    } else {
        ErrorCode::InvalidRequest
    }
}

/// Whoever asked for a resource, asking its service.
pub(super) struct Caller<'a> {
    surroundings: Surroundings<'a>,
    pub(super) region: &'a str,
    access_key: &'a str,
}

/// A service whose operations a kind is made of.
pub(super) struct Of<I: 'static, O: 'static> {
    pub(super) name: &'static str,
    pub(super) operations: &'static [&'static [Operation<I, O>]],
}

impl Caller<'_> {
    /// Asks a service that works on values. Members that are null are not sent.
    pub(super) fn ask(
        &self,
        cloud: &mut Cloud,
        service: &Of<Value, Value>,
        name: &str,
        mut input: Value,
    ) -> Outcome<Value> {
        if let Value::Object(members) = &mut input {
            members.retain(|_, value| !value.is_null());
        }
        let operation = service.operation(name)?;
        operation.check(&mut input).map_err(|error| service.told(error))?;
        self.permitted(cloud, service.name, name, &leaves(&input))?;
        self.run(cloud, operation.run, input).map_err(|error| service.told(error))
    }

    /// Asks a Query service.
    pub(super) fn query(
        &self,
        cloud: &mut Cloud,
        service: &Of<Params, Node>,
        name: &str,
        form: &[(String, String)],
    ) -> Outcome<Node> {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let params = Params::parse(text.as_bytes());
        let operation = service.operation(name)?;
        operation.check(&params, &[]).map_err(|error| service.told(error))?;
        self.permitted(cloud, service.name, name, &params.patterns())?;
        self.run(cloud, operation.run, params).map_err(|error| service.told(error))
    }

    fn permitted(&self, cloud: &Cloud, service: &str, operation: &str, parameters: &[(String, String)]) -> Outcome<()> {
        if !self.surroundings.enforce_iam {
            return Ok(());
        }
        let resources = access::resources(&cloud.iam, service, operation, self.region, parameters);
        let action = format!("{service}:{operation}");
        let wish = Wish { action: &action, resources: &resources, region: self.region, now: self.surroundings.now };
        access::authorise(cloud, &Identity::of_key(&cloud.iam, self.access_key), &wish)
            .map_err(|refusal| refusal.in_words_of(Protocol::Json(JsonVersion::V1_0)))
    }

    fn run<I, O>(&self, cloud: &mut Cloud, run: Run<I, O>, input: I) -> Outcome<O> {
        let Surroundings { addresses, directory, now, .. } = self.surroundings;
        let call = Call { input, region: self.region, access_key: self.access_key, now, addresses, directory };
        match run {
            Run::Reads(run) => run(cloud, &call),
            Run::Writes(run) => run(cloud, &call),
        }
    }
}

impl<I, O> Of<I, O> {
    fn operation(&self, name: &str) -> Outcome<&'static Operation<I, O>> {
        let mut all = self.operations.iter().flat_map(|table| table.iter());
        all.find(|operation| operation.name == name)
            .ok_or_else(|| ApiError::internal(format!("{} has no operation {name}", self.name)))
    }

    /// An error as the handlers of types pass it on.
    fn told(&self, error: ApiError) -> ApiError {
        let message = format!("{} (Service: {}, Status Code: {})", error.message, self.name, error.status);
        ApiError { message, ..error }
    }
}
