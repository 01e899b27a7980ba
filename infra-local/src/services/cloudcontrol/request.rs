//! Requests to create, update and delete resources. They are recorded, and executed after the response.

use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::supported::Supported;
use super::{ControlOperation, input, invalid, not_found, patch, status, supported, validation};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::cloudcontrol::{Operation as Verb, ResourceRequest, Status};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[ControlOperation] = &[
    typed!(Writes, "CreateResource", create).on_any(),
    typed!(Writes, "UpdateResource", update).on_any(),
    typed!(Writes, "DeleteResource", delete).on_any(),
];

/// Lifetime of a client token.
const TOKENS: Duration = Duration::hours(36);
/// Time for which a finished request is kept.
const KEPT: Duration = Duration::days(7);
/// Limit of the recorded requests per region.
const MOST: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Create {
    type_name: String,
    desired_state: String,
    client_token: Option<String>,
}

fn create(cloud: &mut Cloud, call: &Call<'_, Value>, request: Create) -> Outcome<Value> {
    let kind = supported::named(&request.type_name, call.directory)?;
    let wanted = serde_json::from_str::<Value>(&request.desired_state);
    let wanted = wanted.map_err(|error| invalid(format!("The desired state is not JSON: {error}")))?;
    let (client_token, repeated) = token(cloud.region(call.region)?, call, request.client_token)?;
    if let Some(answer) = repeated {
        return Ok(answer);
    }
    kind.check(&wanted)?;
    let identifier = kind.identifier(&wanted);
    begin(cloud, call, &kind, Verb::Create, client_token, identifier, Some(wanted))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Update {
    type_name: String,
    identifier: String,
    patch_document: String,
    client_token: Option<String>,
}

fn update(cloud: &mut Cloud, call: &Call<'_, Value>, request: Update) -> Outcome<Value> {
    let kind = supported::named(&request.type_name, call.directory)?;
    let (client_token, repeated) = token(cloud.region(call.region)?, call, request.client_token)?;
    if let Some(answer) = repeated {
        return Ok(answer);
    }
    let current = kind.read(cloud, call.region, &request.identifier)?;
    let current = current.ok_or_else(|| not_found(kind.name(), &request.identifier))?;
    let wanted = patch::apply(&current, &request.patch_document)?;
    kind.check_change(&current, &wanted)?;
    begin(cloud, call, &kind, Verb::Update, client_token, Some(request.identifier), Some(wanted))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Delete {
    type_name: String,
    identifier: String,
    client_token: Option<String>,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let kind = supported::named(&request.type_name, call.directory)?;
    let (client_token, repeated) = token(cloud.region(call.region)?, call, request.client_token)?;
    if let Some(answer) = repeated {
        return Ok(answer);
    }
    begin(cloud, call, &kind, Verb::Delete, client_token, Some(request.identifier), None)
}

/// A client token with a digest of its request, and the response to the same request if it was made before.
type Token = (Option<(String, String)>, Option<Value>);

fn token(region: &Region, call: &Call<'_, Value>, token: Option<String>) -> Outcome<Token> {
    let Some(token) = token else { return Ok((None, None)) };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-+/=".contains(c);
    if token.is_empty() || token.len() > 128 || !token.chars().all(valid) {
        return Err(validation(format!(
            "Value '{token}' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [-A-Za-z0-9+/=]+ and have 1 to 128 characters"
        )));
    }
    let digest = hex::encode(Sha256::digest(call.input.to_string()));
    let mut earlier = region.cloudcontrol.requests.values().rev().filter(|request| call.now - request.begun < TOKENS);
    let same = |request: &&ResourceRequest| request.client_token.as_ref().is_some_and(|(known, _)| *known == token);
    let Some(request) = earlier.find(same) else { return Ok((Some((token, digest)), None)) };
    if request.client_token.as_ref().is_some_and(|(_, known)| *known == digest) {
        return Ok((None, Some(status::answer(request))));
    }
    Err(ApiError::new(
        "ClientTokenConflictException",
        "The specified client token has already been used in another resource request.",
    ))
}

fn begin(
    cloud: &mut Cloud,
    call: &Call<'_, Value>,
    kind: &Supported,
    operation: Verb,
    client_token: Option<(String, String)>,
    identifier: Option<String>,
    wanted: Option<Value>,
) -> Outcome<Value> {
    let requests = &mut cloud.region_mut(call.region)?.cloudcontrol.requests;
    forget(requests, call.now);
    let busy = |other: &ResourceRequest| {
        !other.status.is_over()
            && other.type_name == kind.name()
            && identifier.is_some()
            && other.identifier == identifier
    };
    if requests.values().any(busy) {
        return Err(ApiError::new(
            "ConcurrentOperationException",
            format!(
                "Another resource operation is currently being performed on {} {}.",
                kind.name(),
                identifier.unwrap_or_default()
            ),
        ));
    }
    if requests.len() >= MOST {
        return Err(ApiError::new("ThrottlingException", "Too many resource operations are under way. Rate exceeded"));
    }
    let request = ResourceRequest {
        token: Uuid::now_v7().to_string(),
        client_token,
        type_name: kind.name().to_owned(),
        operation,
        status: Status::Pending,
        identifier,
        wanted,
        access_key: call.access_key.to_owned(),
        begun: call.now,
        changed: call.now,
        message: None,
        error: None,
    };
    let answer = status::answer(&request);
    requests.insert(request.token.clone(), request);
    Ok(answer)
}

/// Drops expired requests, and the oldest ones above the limit.
fn forget(requests: &mut std::collections::BTreeMap<String, ResourceRequest>, now: DateTime<Utc>) {
    requests.retain(|_, request| !request.status.is_over() || now - request.begun < KEPT);
    while requests.len() >= MOST {
        let oldest = requests.values().find(|request| request.status.is_over()).map(|request| request.token.clone());
        let Some(oldest) = oldest else { return };
        requests.remove(&oldest);
    }
}
