//! Status of requests.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ControlOperation, input, limit};
use crate::model::Cloud;
use crate::model::cloudcontrol::{Operation as Verb, ResourceRequest, Status};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[ControlOperation] = &[
    typed!(Reads, "GetResourceRequestStatus", status).on_any(),
    typed!(Reads, "ListResourceRequests", list).on_any(),
    typed!(Writes, "CancelResourceRequest", cancel).on_any(),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    request_token: String,
}

fn status(cloud: &Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let Named { request_token } = request;
    let request = cloud.region(call.region)?.cloudcontrol.requests.get(&request_token);
    request.map(answer).ok_or_else(|| unknown(&request_token))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    #[serde(default)]
    resource_request_status_filter: Filter,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    operations: Vec<Verb>,
    #[serde(default)]
    operation_statuses: Vec<Status>,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let List { resource_request_status_filter: filter, max_results, next_token } = request;
    let wanted = |request: &&ResourceRequest| {
        (filter.operations.is_empty() || filter.operations.contains(&request.operation))
            && (filter.operation_statuses.is_empty() || filter.operation_statuses.contains(&request.status))
    };
    let requests = cloud.region(call.region)?.cloudcontrol.requests.values().filter(wanted).collect();
    let page =
        Page::cut(requests, limit(max_results)?, next_token.as_deref(), |request: &&ResourceRequest| &request.token)?;
    let mut answer = json!({"ResourceRequestStatusSummaries": page.items.into_iter().map(event).collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn cancel(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let Named { request_token } = request;
    let requests = &mut cloud.region_mut(call.region)?.cloudcontrol.requests;
    let request = requests.get_mut(&request_token).ok_or_else(|| unknown(&request_token))?;
    if request.status.is_over() {
        return Err(ApiError::new(
            "ConcurrentModificationException",
            format!("The request {request_token} has ended: only one that is PENDING or IN_PROGRESS can be canceled."),
        ));
    }
    request.status = Status::CancelInProgress;
    request.changed = call.now;
    Ok(answer(request))
}

/// Returns the response of the operations about one request.
pub(super) fn answer(request: &ResourceRequest) -> Value {
    json!({"ProgressEvent": event(request)})
}

fn event(request: &ResourceRequest) -> Value {
    let mut event = json!({
        "TypeName": request.type_name,
        "RequestToken": request.token,
        "Operation": request.operation,
        "OperationStatus": request.status,
        "EventTime": request.changed.timestamp_millis() as f64 / 1000.0,
    });
    if let Some(identifier) = &request.identifier {
        event["Identifier"] = json!(identifier);
    }
    if let Some(message) = &request.message {
        event["StatusMessage"] = json!(message);
    }
    if let Some(error) = request.error {
        event["ErrorCode"] = json!(error);
    }
    event
}

fn unknown(token: &str) -> ApiError {
    ApiError::new("RequestTokenNotFoundException", format!("Request with token {token} was not found"))
}
