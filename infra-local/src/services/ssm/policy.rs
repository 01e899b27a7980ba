//! Policies of advanced parameters.
//!
//! `Expiration` deletes the parameter at its time. The other types send events to Amazon EventBridge, which the local cloud
//! does not have. See [Assigning parameter policies](https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html).

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::ssm::Policy;
use crate::wire::{ApiError, Outcome};

/// Limit of policies per parameter.
const MOST: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Given {
    r#type: String,
    version: String,
    attributes: Value,
}

/// Parses the policies of a request. An empty list removes the policies of a parameter.
pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Outcome<Vec<Policy>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| attribute(format!("The policies are not a list of policies in JSON: {error}")))?;
    if list.len() > MOST {
        return Err(ApiError::new(
            "PoliciesLimitExceededException",
            format!(
                "You specified more than the maximum number of allowed policies for the parameter. The maximum is {MOST}."
            ),
        ));
    }
    let mut policies: Vec<Policy> = Vec::new();
    for value in list {
        let policy = parse_one(&value, now)?;
        if policies.iter().any(|other| other.kind == policy.kind) {
            return Err(ApiError::new(
                "IncompatiblePolicyException",
                format!(
                    "There is a conflict in the policies specified for this parameter: two of type {}.",
                    policy.kind
                ),
            ));
        }
        policies.push(policy);
    }
    Ok(policies)
}

fn parse_one(value: &Value, now: DateTime<Utc>) -> Outcome<Policy> {
    let given = Given::deserialize(value).map_err(|error| attribute(format!("Invalid policy: {error}")))?;
    match given.r#type.as_str() {
        "Expiration" => {}
        "ExpirationNotification" | "NoChangeNotification" => {
            return Err(ApiError::new(
                "InvalidPolicyTypeException",
                format!(
                    "The local cloud has no Amazon EventBridge: leave the policy {} out, or use AWS. Parameter Store of AWS \
                     supports the policy types Expiration, ExpirationNotification and NoChangeNotification.",
                    given.r#type
                ),
            ));
        }
        other => {
            return Err(ApiError::new(
                "InvalidPolicyTypeException",
                format!(
                    "The policy type {other} isn't supported. Parameter Store supports the following policy types: \
                         Expiration, ExpirationNotification, and NoChangeNotification."
                ),
            ));
        }
    }
    if given.version != "1.0" {
        return Err(attribute(format!("The version of the policy Expiration must be 1.0, not {}.", given.version)));
    }
    let time = given.attributes["Timestamp"].as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let time = time.ok_or_else(|| attribute("The policy Expiration needs a Timestamp in ISO 8601.".to_owned()))?;
    if time <= now {
        return Err(attribute("The Timestamp of the policy Expiration must be in the future.".to_owned()));
    }
    Ok(Policy { kind: given.r#type, text: value.to_string(), expires: Some(time.to_utc()) })
}

fn attribute(message: String) -> ApiError {
    ApiError::new("InvalidPolicyAttributeException", message)
}

/// Renders the policies of a parameter.
pub(super) fn render(policies: &[Policy]) -> Value {
    let shown = policies
        .iter()
        .map(|policy| json!({"PolicyText": policy.text, "PolicyType": policy.kind, "PolicyStatus": "Pending"}));
    shown.collect()
}
