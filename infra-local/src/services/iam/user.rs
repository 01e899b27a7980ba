//! Users.
//!
//! Source: IAM API reference, `CreateUser`, `UpdateUser`, `DeleteUser` and related operations.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IamOperation, PAGES, TAGS, account, already_exists, arn, boundary, check_tags, delete_conflict, name, named_path,
    no_such_entity, optional_name, page, parse_tags, path, resource, unique_id, user_mut, validation, with_page,
};
use crate::access::Identity;
use crate::model::Cloud;
use crate::model::iam::{Iam, User};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateUser", create, &[&["UserName", "Path", "PermissionsBoundary"], TAGS])
        .on(&[resource::USER]),
    Operation::reads("GetUser", read, &[&["UserName"]]).on(&[resource::USER]),
    Operation::reads("ListUsers", list, &[&["PathPrefix"], PAGES]).on_any(),
    Operation::writes("UpdateUser", update, &[&["UserName", "NewUserName", "NewPath"]]).on(&[resource::USER]),
    Operation::writes("DeleteUser", delete, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("TagUser", tag, &[&["UserName"], TAGS]).on(&[resource::USER]),
    Operation::writes("UntagUser", untag, &[&["UserName", "TagKeys.N"]]).on(&[resource::USER]),
    Operation::reads("ListUserTags", list_tags, &[&["UserName"], PAGES]).on(&[resource::USER]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "UserName", 64)?, path(params)?);
    if known_name(&cloud.iam, name).is_some() {
        return Err(already_exists(&format!("User with name {name}")));
    }
    account::check_quota("Users", cloud.iam.users.len())?;
    let user = User {
        id: unique_id("AIDA"),
        arn: arn(call.account, "user", path, name),
        path: path.to_owned(),
        name: name.to_owned(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::new(),
        access_keys: BTreeMap::new(),
        boundary: boundary::requested(&cloud.iam, params)?,
        login_profile: None,
        created: call.now,
        tags: parse_tags(params, "Tags")?,
    };
    let answer = Node::new().with("User", render(&user));
    cloud.iam.users.insert(name.to_owned(), user);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    Ok(Node::new().with("User", render(user(&cloud.iam, &requested_user(cloud, call)?)?)))
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let prefix = call.input.optional("PathPrefix").unwrap_or("/");
    let users = cloud.iam.users.values().filter(|user| user.path.starts_with(prefix)).collect();
    let page = page(users, &call.input, |user: &&User| &user.name)?;
    Ok(with_page(Node::new().list("Users", page.items.into_iter().map(render)), page.next))
}

/// Renames or moves a user. Groups and access keys follow.
fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let old = call.input.required("UserName")?;
    let mut user = user(&cloud.iam, old)?.clone();
    if let Some(new) = optional_name(&call.input, "NewUserName", 64)? {
        if known_name(&cloud.iam, new).is_some_and(|known| known != old) {
            return Err(already_exists(&format!("User with name {new}")));
        }
        new.clone_into(&mut user.name);
    }
    if call.input.optional("NewPath").is_some() {
        named_path(&call.input, "NewPath")?.clone_into(&mut user.path);
    }
    user.arn = arn(call.account, "user", &user.path, &user.name);
    for group in cloud.iam.groups.values_mut() {
        if group.members.remove(old) {
            group.members.insert(user.name.clone());
        }
    }
    cloud.iam.users.remove(old);
    cloud.iam.users.insert(user.name.clone(), user);
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    let user = user(&cloud.iam, name)?;
    if cloud.iam.groups_of(name).next().is_some() {
        return Err(delete_conflict("Cannot delete entity, must remove users from group first."));
    }
    if user.login_profile.is_some() {
        return Err(delete_conflict("Cannot delete entity, must delete login profile first."));
    }
    if !user.access_keys.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must delete access keys first."));
    }
    if !user.attached_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must detach all policies first."));
    }
    if !user.inline_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must delete policies first."));
    }
    cloud.iam.users.remove(name);
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = parse_tags(&call.input, "Tags")?;
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    user.tags.extend(added);
    check_tags(&user.tags)?;
    Ok(Node::new())
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    for key in call.input.texts("TagKeys") {
        user.tags.remove(&key);
    }
    Ok(Node::new())
}

fn list_tags(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, call.input.required("UserName")?)?;
    let page = page(user.tags.iter().collect(), &call.input, |(key, _): &(&String, &String)| key)?;
    let nodes = page.items.into_iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value));
    Ok(with_page(Node::new().list("Tags", nodes), page.next))
}

/// Returns the user that a request names; the caller when it names none.
pub(super) fn requested_user(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<String> {
    if let Some(name) = call.input.optional("UserName") {
        return Ok(name.to_owned());
    }
    match Identity::of_key(&cloud.iam, call.access_key) {
        Identity::User { name, .. } => Ok(name),
        _ => Err(validation("Must specify userName when calling with non-User credentials")),
    }
}

pub(super) fn user<'a>(iam: &'a Iam, name: &str) -> Outcome<&'a User> {
    iam.users.get(name).ok_or_else(|| unknown(name))
}

/// Returns the name of the user with this name in any case: names of users are unique without regard to case.
fn known_name<'a>(iam: &'a Iam, name: &str) -> Option<&'a str> {
    iam.users.keys().find(|known| known.eq_ignore_ascii_case(name)).map(String::as_str)
}

fn unknown(name: &str) -> ApiError {
    no_such_entity(&format!("The user with name {name}"))
}

/// Renders a user.
pub(super) fn render(user: &User) -> Node {
    Node::new()
        .with("Path", &user.path)
        .with("UserName", &user.name)
        .with("UserId", &user.id)
        .with("Arn", &user.arn)
        .with("CreateDate", user.created)
        .maybe("PermissionsBoundary", boundary::render(user.boundary.as_ref()))
        .list("Tags", user.tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}
