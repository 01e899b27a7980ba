//! Executes requests by the operations of each type's own service, with the permissions of the requests' identities.

use serde_json::Value;

use super::caller::{Caller, OperationContext};
use super::supported::{self, Supported};
use crate::model::Cloud;
use crate::model::cloudcontrol::{ErrorCode, Operation as Verb, ResourceRequest, Status};
use crate::wire::{ApiError, Outcome};

/// Returns whether any request has not finished.
pub(crate) fn is_waiting(cloud: &Cloud) -> bool {
    let mut requests = cloud.regions.values().flat_map(|region| region.cloudcontrol.requests.values());
    requests.any(|request| !request.status.is_over())
}

/// Returns the types of the requests that have not finished.
pub(crate) fn waiting_types(cloud: &Cloud) -> Vec<String> {
    let requests = cloud.regions.values().flat_map(|region| region.cloudcontrol.requests.values());
    requests.filter(|request| !request.status.is_over()).map(|request| request.type_name.clone()).collect()
}

/// Advances every request by one step.
pub(crate) fn carry_out(cloud: &mut Cloud, context: OperationContext<'_>) {
    let waiting: Vec<(String, String)> = cloud
        .regions
        .values()
        .flat_map(|region| region.cloudcontrol.requests.values().map(|request| (region.name.clone(), request)))
        .filter(|(_, request)| !request.status.is_over())
        .map(|(region, request)| (region, request.token.clone()))
        .collect();
    for (region, token) in waiting {
        step(cloud, context, &region, &token);
    }
}

fn step(cloud: &mut Cloud, context: OperationContext<'_>, region: &str, token: &str) {
    let request = cloud.regions.get(region).and_then(|region| region.cloudcontrol.requests.get(token)).cloned();
    let Some(mut request) = request else { return };
    match request.status {
        Status::Pending => {
            request.status = Status::InProgress;
            request.changed = context.now;
        }
        Status::CancelInProgress => request.end(Status::CancelComplete, context.now),
        _ => {
            // An operation that fails part-way changes nothing.
            let mut draft = cloud.clone();
            match perform(&mut draft, context, region, &request) {
                Ok(identifier) => {
                    *cloud = draft;
                    request.identifier = Some(identifier);
                    request.message = note(&request, context);
                    request.end(Status::Success, context.now);
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
                    request.end(Status::Failed, context.now);
                }
            }
        }
    }
    if let Some(region) = cloud.regions.get_mut(region) {
        region.cloudcontrol.requests.insert(request.token.clone(), request);
    }
}

/// Returns the note in the status of a request for a resource that nothing runs.
fn note(request: &ResourceRequest, context: OperationContext<'_>) -> Option<String> {
    let kind = supported::named(&request.type_name, context.directory).ok()?;
    let is_recorded = matches!(kind, Supported::Recorded(_)) && request.operation != Verb::Delete;
    is_recorded.then(|| format!("Recorded, not running: the local cloud has no service for {}", request.type_name))
}

/// Executes a request, and returns the identifier of the resource.
fn perform(
    cloud: &mut Cloud,
    context: OperationContext<'_>,
    region: &str,
    request: &ResourceRequest,
) -> Outcome<String> {
    let kind = supported::named(&request.type_name, context.directory)?;
    let caller = Caller { context, region, access_key: &request.access_key };
    let wanted = request.wanted.as_ref().unwrap_or(&Value::Null);
    if request.operation == Verb::Create {
        return kind.create(cloud, &caller, wanted);
    }
    let identifier = request.identifier.clone().unwrap_or_default();
    let current = kind.read(cloud, region, &identifier)?;
    let current = current.ok_or_else(|| super::not_found(kind.name(), &identifier))?;
    match request.operation {
        Verb::Delete => kind.delete(cloud, &caller, &identifier)?,
        _ => kind.update(cloud, &caller, &identifier, (&current, wanted))?,
    }
    Ok(identifier)
}

/// Returns the code of Cloud Control for an error of a service.
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
