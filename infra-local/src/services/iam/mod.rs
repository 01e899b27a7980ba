//! AWS Identity and Access Management, one file per kind.

mod access_key;
mod account;
mod authorization_details;
mod boundary;
mod credential_report;
mod group;
mod group_policy;
mod instance_profile;
mod login_profile;
mod oidc_provider;
mod password_policy;
mod policy;
mod policy_holder;
mod resource;
mod role;
mod role_policy;
mod saml_provider;
mod service_linked_role;
mod simulation;
#[cfg(test)]
mod tests;
mod user;
mod user_credentials;
mod user_policy;

use std::collections::BTreeSet;

use crate::access::{Document, PolicyKind};
use crate::model::iam::{Iam, Role, User};
use crate::model::{Account, Cloud, Tags, ids};
use crate::services::{Operation, tags};
use crate::wire::{ApiError, Node, Outcome, Page, Params};

/// An entry of IAM's tables.
type IamOperation = Operation<Params, Node>;

/// IAM's operations, by kind.
pub(crate) const OPERATIONS: &[&[IamOperation]] = &[
    access_key::OPERATIONS,
    account::OPERATIONS,
    authorization_details::OPERATIONS,
    boundary::OPERATIONS,
    credential_report::OPERATIONS,
    group::OPERATIONS,
    group_policy::OPERATIONS,
    instance_profile::OPERATIONS,
    login_profile::OPERATIONS,
    oidc_provider::OPERATIONS,
    password_policy::OPERATIONS,
    policy::OPERATIONS,
    role::OPERATIONS,
    role_policy::OPERATIONS,
    saml_provider::OPERATIONS,
    service_linked_role::OPERATIONS,
    simulation::OPERATIONS,
    user::OPERATIONS,
    user_credentials::OPERATIONS,
    user_policy::OPERATIONS,
];

/// The parameters of tags, for operation tables.
const TAGS: &[&str] = &["Tags.N.Key", "Tags.N.Value"];
/// The parameters of pages, for operation tables.
const PAGES: &[&str] = &["Marker", "MaxItems"];

fn no_such_entity(what: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("{what} cannot be found.")).with_status(404)
}

fn already_exists(what: &str) -> ApiError {
    ApiError::new("EntityAlreadyExists", format!("{what} already exists.")).with_status(409)
}

fn delete_conflict(message: &str) -> ApiError {
    ApiError::new("DeleteConflict", message).with_status(409)
}

fn limit_exceeded(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceeded", message.into()).with_status(409)
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn user_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut User> {
    cloud.iam.users.get_mut(name).ok_or_else(|| no_such_entity(&format!("The user with name {name}")))
}

fn role<'a>(iam: &'a Iam, name: &str) -> Outcome<&'a Role> {
    iam.roles.get(name).ok_or_else(|| no_such_entity(&format!("The role with name {name}")))
}

fn role_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut Role> {
    cloud.iam.roles.get_mut(name).ok_or_else(|| no_such_entity(&format!("The role with name {name}")))
}

/// Returns a role for modification. Roles of services can only be changed by their service.
fn changeable<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut Role> {
    let role = role_mut(cloud, name)?;
    if role.is_service_linked() {
        return Err(unmodifiable(name));
    }
    Ok(role)
}

fn unmodifiable(name: &str) -> ApiError {
    let message =
        format!("Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS");
    ApiError::new("UnmodifiableEntity", message)
}

/// Returns a unique id in IAM's form: `AROA` and 17 capital letters and digits.
fn unique_id(prefix: &str) -> String {
    format!("{prefix}{}", ids::random_hex(17).to_uppercase())
}

fn arn(account: Account, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}{path}{name}")
}

/// Returns a name, which consists of letters, digits and `+=,.@-_`.
fn name<'a>(params: &'a Params, parameter: &str, limit: usize) -> Outcome<&'a str> {
    let name = params.optional(parameter).unwrap_or_default();
    let valid = |character: char| character.is_ascii_alphanumeric() || "+=,.@-_".contains(character);
    if name.is_empty() || name.len() > limit || !name.chars().all(valid) {
        return Err(validation(format!(
            "The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_- and have 1 to {limit} of them"
        )));
    }
    Ok(name)
}

/// Returns a name, if the request contains one.
fn optional_name<'a>(params: &'a Params, parameter: &str, limit: usize) -> Outcome<Option<&'a str>> {
    params.optional(parameter).map(|_| name(params, parameter, limit)).transpose()
}

fn path(params: &Params) -> Outcome<&str> {
    named_path(params, "Path")
}

/// Returns the path in a parameter; by default `/`.
fn named_path<'a>(params: &'a Params, parameter: &str) -> Outcome<&'a str> {
    let path = params.optional(parameter).unwrap_or("/");
    let has_valid_characters = path.bytes().all(|byte| (0x21..=0x7f).contains(&byte));
    if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && has_valid_characters {
        return Ok(path);
    }
    Err(validation(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// Refuses an invalid policy of a user, a group or a role.
fn check_policy(document: &str) -> Outcome<()> {
    Document::checked(document, PolicyKind::Identity).map(drop).map_err(malformed)
}

/// AWS's default quota of the size of a trust policy, in characters without white space.
const TRUST_POLICY_LIMIT: usize = 2048;

/// Refuses an invalid trust policy. The users and roles of this account that it names must exist.
fn check_trust_policy(iam: &Iam, document: &str) -> Outcome<()> {
    if size(document) > TRUST_POLICY_LIMIT {
        return Err(limit_exceeded(format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_LIMIT}")));
    }
    let document = Document::checked(document, PolicyKind::Trust).map_err(malformed)?;
    let is_own = |arn: &str, kind: &str| arn.starts_with(&format!("arn:aws:iam::{}:{kind}/", iam.account));
    for (kind, principal) in document.principals().filter(|(kind, _)| *kind == "AWS") {
        let user_exists = || iam.users.values().any(|user| user.arn == principal);
        let role_exists = || iam.roles.values().any(|role| role.arn == principal);
        let is_missing = is_own(principal, "user") && !user_exists() || is_own(principal, "role") && !role_exists();
        if is_missing {
            return Err(malformed(format!("Invalid principal in policy: \"{kind}\":\"{principal}\"")));
        }
    }
    Ok(())
}

fn malformed(message: String) -> ApiError {
    ApiError::new("MalformedPolicyDocument", message)
}

/// Returns the size of a policy document, in characters without white space.
fn size(document: &str) -> usize {
    document.chars().filter(|character| !character.is_whitespace()).count()
}

/// URL-encodes a policy document as IAM does, with spaces as `%20`.
fn encode_policy(document: &str) -> String {
    form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Parses the tags of a request. IAM compares their keys without case. See
/// [Tags for IAM resources](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html).
fn parse_tags(params: &Params, name: &str) -> Outcome<Tags> {
    let mut keys = BTreeSet::new();
    for entry in params.structures(name) {
        if !keys.insert(entry.optional("Key").unwrap_or_default().to_lowercase()) {
            return Err(ApiError::new(
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    tags::parse(params, name).map_err(refused_tags)
}

/// Checks the tags of a changed entity.
fn check_tags(all: &Tags) -> Outcome<()> {
    tags::check(all).map_err(refused_tags)
}

fn refused_tags(error: ApiError) -> ApiError {
    match error.code.as_ref() {
        "TagLimitExceeded" => limit_exceeded("The number of tags has reached the maximum limit of 50 per resource."),
        "InvalidParameterValue" => ApiError::new("InvalidInput", error.message),
        _ => error,
    }
}

/// Returns a page: `Marker` and `MaxItems` in the request, `IsTruncated` and `Marker` in the response.
fn page<T>(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
    let limit: usize = params.parsed("MaxItems")?.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        let (bound, end) = if limit < 1 { ("greater", 1) } else { ("less", 1000) };
        return Err(validation(format!(
            "1 validation error detected: Value '{limit}' at 'maxItems' failed to satisfy constraint: Member must have \
             value {bound} than or equal to {end}"
        )));
    }
    Page::cut(items, Some(limit), params.optional("Marker"), key)
}

fn with_page(node: Node, next: Option<String>) -> Node {
    node.with("IsTruncated", next.is_some()).maybe("Marker", next)
}
