//! AWS Identity and Access Management, one file per kind.

mod instance_profile;
mod policy;
mod resource;
mod role;
mod role_policy;
mod user;
mod user_policy;

use crate::access::Document;
use crate::model::Cloud;
use crate::model::iam::{Iam, Role};
use crate::model::{ACCOUNT, ids};
use crate::services::Operation;
use crate::wire::{ApiError, Node, Outcome, Page, Params};

/// An entry of IAM's tables.
type IamOperation = Operation<Params, Node>;

/// IAM's operations, by kind.
pub(crate) const OPERATIONS: &[&[IamOperation]] = &[
    instance_profile::OPERATIONS,
    policy::OPERATIONS,
    role::OPERATIONS,
    role_policy::OPERATIONS,
    user::OPERATIONS,
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

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn role<'a>(iam: &'a Iam, name: &str) -> Outcome<&'a Role> {
    iam.roles.get(name).ok_or_else(|| no_such_entity(&format!("The role with name {name}")))
}

fn role_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut Role> {
    cloud.iam.roles.get_mut(name).ok_or_else(|| no_such_entity(&format!("The role with name {name}")))
}

/// Returns a unique id in IAM's form: `AROA` and 17 capital letters and digits.
fn unique_id(prefix: &str) -> String {
    format!("{prefix}{}", ids::random_hex(17).to_uppercase())
}

fn arn(kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{kind}{path}{name}")
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

fn path(params: &Params) -> Outcome<&str> {
    let path = params.optional("Path").unwrap_or("/");
    if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 {
        return Ok(path);
    }
    Err(validation(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// Refuses an invalid policy document.
fn check_policy(document: &str) -> Outcome<()> {
    let malformed = |why| ApiError::new("MalformedPolicyDocument", format!("Syntax errors in policy: {why}"));
    Document::parse(document).map(drop).map_err(malformed)
}

/// URL-encodes a policy document as IAM does, with spaces as `%20`.
fn encode_policy(document: &str) -> String {
    form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Returns a page: `Marker` and `MaxItems` in the request, `IsTruncated` and `Marker` in the response.
fn page<T>(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
    let limit: usize = params.parsed("MaxItems")?.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(validation("MaxItems lies in 1 to 1000"));
    }
    Page::cut(items, Some(limit), params.optional("Marker"), key)
}

fn with_page(node: Node, next: Option<String>) -> Node {
    node.with("IsTruncated", next.is_some()).maybe("Marker", next)
}
