//! The conditions of a grant, evaluated for the condition keys of a recorded or expected request.

use crate::comparison::Grant;
use infra_local::{AuthorisedAction, Policy};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Condition keys with their values.
pub(crate) type Context = BTreeMap<String, Vec<String>>;

/// Condition keys whose values depend on how, when or from where a request is sent, or on the organization of the account. A
/// scratch cloud does not know them, and those of a local cloud differ from AWS's.
///
/// Source: AWS IAM User Guide, "AWS global condition context keys"; Amazon EC2 User Guide, "Roles for Amazon EC2".
const UNKNOWN: &[&str] = &[
    "aws:currenttime",
    "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc",
    "aws:epochtime",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:referer",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:userid",
    "aws:vpcsourceip",
    "ec2:roledelivery",
    "ec2:sourceinstancearn",
];

/// Result of the evaluation of conditions, from the least to the most that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// A condition is false.
    False,
    /// A condition depends on an unknown key, and no other one is false.
    Unknown,
    /// All conditions are true.
    True,
}

/// Evaluates conditions for an action, by the evaluation that the local cloud enforces. `conditions` are the values by
/// operator and condition key.
pub(crate) fn outcome(
    conditions: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    grant: &Grant,
    context: &Context,
) -> Outcome {
    let all = conditions.iter().flat_map(|(operator, keys)| keys.iter().map(move |it| (operator, it)));
    let outcomes = all.map(|(operator, (key, values))| {
        let statement = json!({
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: values}},
        });
        // An operator that IAM does not define allows nothing.
        let policy = Policy::parse(&json!({"Version": "2012-10-17", "Statement": statement}).to_string());
        let Ok(policy) = policy else { return Outcome::False };
        let is_unknown = |key: &String| UNKNOWN.contains(&key.to_ascii_lowercase().as_str());
        if policy.condition_keys().iter().any(is_unknown) {
            return Outcome::Unknown;
        }
        let action = AuthorisedAction {
            action: grant.action.clone(),
            resource: grant.resource.clone(),
            context: context.clone(),
        };
        if policy.allows(&action) { Outcome::True } else { Outcome::False }
    });
    outcomes.min().unwrap_or(Outcome::True)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn outcome_of(conditions: Value) -> Outcome {
        let conditions = serde_json::from_value(conditions).unwrap_or_default();
        let (action, resource) = ("ssm:GetParameters".to_owned(), "*".to_owned());
        let grant = Grant { action, resource, conditions };
        let context = [("aws:RequestedRegion", "us-east-1"), ("aws:PrincipalTag/team", "web")];
        outcome(
            &grant.conditions,
            &grant,
            &context.into_iter().map(|(key, value)| (key.to_owned(), vec![value.to_owned()])).collect(),
        )
    }

    #[test]
    fn conditions_are_true_false_or_depend_on_the_request() {
        assert_eq!(outcome_of(json!({})), Outcome::True);
        assert_eq!(outcome_of(json!({"StringLike": {"aws:requestedregion": ["us-*"]}})), Outcome::True);
        assert_eq!(outcome_of(json!({"StringEquals": {"aws:PrincipalTag/team": ["db"]}})), Outcome::False);
        assert_eq!(outcome_of(json!({"StringEquals": {"aws:ResourceTag/team": ["web"]}})), Outcome::False);
        assert_eq!(outcome_of(json!({"Null": {"aws:ResourceTag/team": ["true"]}})), Outcome::True);
        assert_eq!(outcome_of(json!({"Bool": {"aws:SecureTransport": ["true"]}})), Outcome::Unknown);
        let with_region =
            |region: &str| json!({"StringEquals": {"aws:SourceVpce": ["vpce-1"], "aws:RequestedRegion": [region]}});
        assert_eq!(outcome_of(with_region("us-east-1")), Outcome::Unknown);
        assert_eq!(outcome_of(with_region("us-east-2")), Outcome::False);
        assert_eq!(outcome_of(json!({"StringSounds": {"aws:RequestedRegion": ["us-east-1"]}})), Outcome::False);
    }
}
