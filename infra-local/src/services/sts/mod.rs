//! AWS Security Token Service: the identity of the caller, and assumed roles.

use chrono::Duration;

use crate::access::{Document, Identity, Resource};
use crate::model::ACCOUNT;
use crate::model::Cloud;
use crate::model::iam::Session;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

/// STS's operations.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] = &[&[
    Operation::reads("GetCallerIdentity", caller_identity, &[]).on_any(),
    Operation::reads("GetAccessKeyInfo", key_info, &[&["AccessKeyId"]]).on_any(),
    Operation::writes("AssumeRole", assume_role, &[&["RoleArn", "RoleSessionName", "DurationSeconds", "Policy"]])
        .on(&[ROLE]),
]];

const ROLE: Resource = Resource::Arn("RoleArn");

#[allow(clippy::unnecessary_wraps)]
fn caller_identity(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let identity = Identity::of_key(&cloud.iam, call.access_key);
    Ok(Node::new()
        .with("Arn", identity.arn(&cloud.iam))
        .with("UserId", identity.user_id(&cloud.iam))
        .with("Account", ACCOUNT))
}

fn key_info(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    call.input.required("AccessKeyId")?;
    Ok(Node::new().with("Account", ACCOUNT))
}

fn assume_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let arn = params.required("RoleArn")?;
    let name = params.required("RoleSessionName")?;
    let valid = |character: char| character.is_ascii_alphanumeric() || "+=,.@-_".contains(character);
    if !(2..=64).contains(&name.len()) || !name.chars().all(valid) {
        return Err(validation(format!("RoleSessionName '{name}' has 2 to 64 letters, digits and +=,.@-_")));
    }
    let identity = Identity::of_key(&cloud.iam, call.access_key);
    let caller_arn = identity.arn(&cloud.iam);
    let refused = || {
        let message = format!("User: {caller_arn} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        ApiError::new("AccessDenied", message).with_status(403)
    };
    let role = cloud.iam.roles.values().find(|role| role.arn == arn).ok_or_else(refused)?;
    let trust = Document::parse(&role.trust_policy).map_err(|_| refused())?;
    if !trust.trusts("sts:AssumeRole", &caller_arn, ACCOUNT) {
        return Err(refused());
    }
    let seconds = params.parsed("DurationSeconds")?.unwrap_or(3600.min(role.max_session_seconds));
    if !(900..=role.max_session_seconds).contains(&seconds) {
        return Err(validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role, or is below 900.",
        ));
    }
    let policy = params.optional("Policy").map(str::to_owned);
    if let Some(text) = &policy {
        Document::parse(text).map_err(|why| ApiError::new("MalformedPolicyDocument", why))?;
    }
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    let session = Session::new(&role_name, name, policy, call.now + Duration::seconds(i64::from(seconds)));
    let credentials = Node::new()
        .with("SecretAccessKey", &session.secret)
        .with("SessionToken", &session.token)
        .with("Expiration", session.expires);
    let key = cloud.iam.issue(session, call.now);
    let assumed = Node::new()
        .with("AssumedRoleId", format!("{role_id}:{name}"))
        .with("Arn", format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role_name}/{name}"));
    Ok(Node::new().with("Credentials", credentials.with("AccessKeyId", key)).with("AssumedRoleUser", assumed))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}
