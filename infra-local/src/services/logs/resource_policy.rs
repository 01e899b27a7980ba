//! Policies of CloudWatch Logs, which permit services to write events.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogOperation, input, invalid, milliseconds};
use crate::model::Cloud;
use crate::model::logs::ResourcePolicy;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "PutResourcePolicy", put).on_any(),
    typed!(Reads, "DescribeResourcePolicies", describe).on_any(),
    typed!(Writes, "DeleteResourcePolicy", delete).on_any(),
];

/// AWS's limit of policies per region.
const MOST: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    policy_name: String,
    policy_document: String,
}

/// Creates or replaces a policy.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html>
fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let document: Value = serde_json::from_str(&request.policy_document)
        .map_err(|error| invalid(format!("Resource Policy is not valid JSON: {error}")))?;
    if document["Statement"].is_null() {
        return Err(invalid("Resource Policy must contain the element Statement"));
    }
    let policies = &mut cloud.region_mut(call.region)?.logs.resource_policies;
    if policies.len() >= MOST && !policies.contains_key(&request.policy_name) {
        return Err(ApiError::new("LimitExceededException", "Resource limit exceeded."));
    }
    let policy = ResourcePolicy { name: request.policy_name, document: request.policy_document, updated: call.now };
    let answer = json!({"resourcePolicy": render(&policy)});
    policies.insert(policy.name.clone(), policy);
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    next_token: Option<String>,
    limit: Option<usize>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    let policies = cloud.region(call.region)?.logs.resource_policies.values().collect();
    let limit = super::group::limit(request.limit)?;
    let page = Page::cut(policies, limit, request.next_token.as_deref(), |policy: &&ResourcePolicy| &policy.name)?;
    let mut answer = json!({"resourcePolicies": page.items.into_iter().map(render).collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn render(policy: &ResourcePolicy) -> Value {
    json!({
        "policyName": policy.name,
        "policyDocument": policy.document,
        "lastUpdatedTime": milliseconds(policy.updated),
        "policyScope": "ACCOUNT",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delete {
    policy_name: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let policies = &mut cloud.region_mut(call.region)?.logs.resource_policies;
    policies.remove(&request.policy_name).map(|_| json!({})).ok_or_else(|| {
        let message = format!("Policy with name [{}] does not exist", request.policy_name);
        ApiError::new("ResourceNotFoundException", message)
    })
}
