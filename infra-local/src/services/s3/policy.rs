//! Bucket policies. `access` evaluates them.
//!
//! Source: Amazon S3 API Reference, "PutBucketPolicy"; User Guide, "Blocking public access", "The meaning of public".

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use serde_json::{Value, json};

use super::acl;
use super::service::Service;
use crate::access::{Document, PolicyKind};

/// Kind of the document.
pub(super) const KIND: &str = "policy";

/// AWS's limit of a policy's size.
const LIMIT_BYTES: usize = 20 * 1024;

/// Condition keys that restrict a statement for everyone to known callers or networks, in lower case.
const RESTRICTING: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpcsourceip",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

impl Service {
    pub(super) fn get_bucket_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let policy = settings.configurations.get(KIND).cloned().ok_or_else(no_policy)?;
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
    }

    pub(super) fn put_bucket_policy(
        &self,
        request: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        check(&input.bucket, &input.policy)?;
        if settings.public_access_block.is_some_and(|block| block.block_public_policy) && is_public(&input.policy) {
            return Err(s3_error!(
                AccessDenied,
                "The bucket policy grants public access, and the BlockPublicPolicy setting of the bucket's public access block refuses such policies."
            ));
        }
        self.set_document(&input.bucket, KIND, Some(input.policy))?;
        Ok(S3Response::new(PutBucketPolicyOutput::default()))
    }

    pub(super) fn delete_bucket_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.set_document(&request.input.bucket, KIND, None)?;
        Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
    }

    pub(super) fn get_bucket_policy_status(
        &self,
        request: S3Request<GetBucketPolicyStatusInput>,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let policy = settings.configurations.get(KIND).ok_or_else(no_policy)?;
        let ignores_acls = settings.public_access_block.is_some_and(|block| block.ignore_public_acls);
        let is_public = is_public(policy) || !ignores_acls && acl::is_public(&settings.acl);
        let policy_status = Some(PolicyStatus { is_public: Some(is_public) });
        Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status }))
    }
}

fn no_policy() -> S3Error {
    s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist")
}

/// Checks a policy before it is stored.
fn check(bucket: &str, text: &str) -> S3Result<()> {
    let refused = |message: String| Err(S3Error::with_message(S3ErrorCode::MalformedPolicy, message));
    if text.len() > LIMIT_BYTES {
        return refused("Policies must not exceed 20480 bytes in size.".to_owned());
    }
    if !text.trim_start().starts_with('{') || serde_json::from_str::<Value>(text).is_err() {
        return refused("Policies must be valid JSON and the first byte must be '{'".to_owned());
    }
    if let Err(message) = Document::checked(text, PolicyKind::Resource) {
        return refused(message);
    }
    let own = format!("arn:aws:s3:::{bucket}");
    let is_own = |resource: &str| {
        resource == own || resource.strip_prefix(&own).is_some_and(|rest| rest.starts_with(['/', '*']))
    };
    for statement in statements(text) {
        let resources = texts(&statement["Resource"]).chain(texts(&statement["NotResource"])).collect::<Vec<_>>();
        if !resources.iter().all(|resource| is_own(resource)) {
            return refused("Policy has invalid resource".to_owned());
        }
        let actions: Vec<String> = texts(&statement["Action"]).chain(texts(&statement["NotAction"])).collect();
        let is_of_s3 = |action: &String| action == "*" || action.to_ascii_lowercase().starts_with("s3:");
        if !actions.iter().all(is_of_s3) {
            return refused("Policy has invalid action".to_owned());
        }
        let is_object = |resource: &String| resource.contains('/') || resource.ends_with('*');
        let is_for_objects = |action: &String| {
            let action = action.to_ascii_lowercase();
            action.contains("object") && !action.contains('*') && !action.contains("objectlockconfiguration")
        };
        let has_actions = !actions.is_empty() && statement["Action"] != Value::Null;
        if has_actions && actions.iter().all(is_for_objects) && !resources.iter().any(is_object) {
            return refused("Action does not apply to any resource(s) in statement".to_owned());
        }
    }
    Ok(())
}

/// Returns a policy with an additional statement, which allows everyone these actions on a resource.
pub(super) fn with_grants(policy: Option<&str>, arn: &str, actions: &[&str]) -> Option<String> {
    if actions.is_empty() {
        return policy.map(str::to_owned);
    }
    let mut statements = policy.map(statements).unwrap_or_default();
    statements.push(json!({"Sid": "ACL", "Effect": "Allow", "Principal": "*", "Action": actions, "Resource": arn}));
    Some(json!({"Version": "2012-10-17", "Statement": statements}).to_string())
}

/// Returns whether a policy allows something to everyone without a condition that names callers or networks.
pub(super) fn is_public(text: &str) -> bool {
    statements(text).iter().any(|statement| {
        let restricts = |operator: &Value| {
            let keys = operator.as_object().into_iter().flatten();
            keys.into_iter().any(|(key, values)| {
                RESTRICTING.contains(&key.to_ascii_lowercase().as_str())
                    && texts(values).all(|value| !value.contains('*') && value != "0.0.0.0/0" && value != "::/0")
            })
        };
        let principal = &statement["Principal"];
        let everyone = texts(principal).chain(texts(&principal["AWS"])).any(|name| name == "*");
        let conditions = statement["Condition"].as_object().into_iter().flatten();
        let is_restricted = conditions.into_iter().any(|(operator, keys)| {
            let is_negated = operator.contains("Not") || operator.ends_with("IfExists");
            !is_negated && restricts(keys)
        });
        statement["Effect"] == "Allow" && (everyone || !statement["NotPrincipal"].is_null()) && !is_restricted
    })
}

fn statements(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// Returns the texts of an element that is a text or a list.
fn texts(value: &Value) -> impl Iterator<Item = String> {
    let list = match value {
        Value::Array(list) => list.clone(),
        Value::Null | Value::Object(_) => Vec::new(),
        one => vec![one.clone()],
    };
    list.into_iter().filter_map(|value| value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn policy(statement: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    #[test]
    fn policies_of_other_buckets_and_services_are_refused() {
        let refusal = |statement: Value| {
            let error = check("photos", &policy(&statement)).unwrap_err();
            format!("{}: {}", error.code().as_str(), error.message().unwrap_or_default())
        };
        let allow = |action: &str, resource: &str| json!({"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": action, "Resource": resource});
        assert!(check("photos", &policy(&allow("s3:GetObject", "arn:aws:s3:::photos/*"))).is_ok());
        assert!(check("photos", &policy(&allow("s3:ListBucket", "arn:aws:s3:::photos"))).is_ok());
        insta::assert_snapshot!(refusal(allow("s3:GetObject", "arn:aws:s3:::other/*")), @"MalformedPolicy: Policy has invalid resource");
        insta::assert_snapshot!(refusal(allow("s3:GetObject", "arn:aws:s3:::photos2/*")), @"MalformedPolicy: Policy has invalid resource");
        insta::assert_snapshot!(refusal(allow("ec2:RunInstances", "arn:aws:s3:::photos/*")), @"MalformedPolicy: Policy has invalid action");
        insta::assert_snapshot!(refusal(allow("s3:GetObject", "arn:aws:s3:::photos")), @"MalformedPolicy: Action does not apply to any resource(s) in statement");
        let anonymous = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"});
        insta::assert_snapshot!(refusal(anonymous), @"MalformedPolicy: Missing required field Principal");
    }

    #[test]
    fn public_policies_are_recognised() {
        let everyone = |condition: Value| {
            is_public(&policy(&json!({
                "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*",
                "Condition": condition,
            })))
        };
        assert!(everyone(json!({})));
        assert!(everyone(json!({"StringLike": {"aws:PrincipalArn": "*"}})));
        assert!(everyone(json!({"Bool": {"aws:SecureTransport": "true"}})));
        assert!(!everyone(json!({"StringEquals": {"aws:PrincipalAccount": "000000000000"}})));
        assert!(!everyone(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})));
    }
}
