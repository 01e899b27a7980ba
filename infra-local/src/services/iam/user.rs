//! Users and their access keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IamOperation, PAGES, TAGS, already_exists, arn, delete_conflict, name, no_such_entity, page, path, resource,
    unique_id, validation, with_page,
};
use crate::access::Identity;
use crate::model::Cloud;
use crate::model::iam::{AccessKey, ISSUED_KEY, Iam, User};
use crate::model::ids;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateUser", create, &[&["UserName", "Path"], TAGS]).on(&[resource::USER]),
    Operation::reads("GetUser", read, &[&["UserName"]]).on(&[resource::USER]),
    Operation::reads("ListUsers", list, &[&["PathPrefix"], PAGES]).on_any(),
    Operation::writes("DeleteUser", delete, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("TagUser", tag, &[&["UserName"], TAGS]).on(&[resource::USER]),
    Operation::writes("UntagUser", untag, &[&["UserName", "TagKeys.N"]]).on(&[resource::USER]),
    Operation::reads("ListUserTags", list_tags, &[&["UserName"], PAGES]).on(&[resource::USER]),
    Operation::reads("ListGroupsForUser", no_groups, &[&["UserName"], PAGES]).on(&[resource::USER]),
    Operation::writes("CreateAccessKey", create_key, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("UpdateAccessKey", update_key, &[&["UserName", "AccessKeyId", "Status"]]).on(&[resource::USER]),
    Operation::writes("DeleteAccessKey", delete_key, &[&["UserName", "AccessKeyId"]]).on(&[resource::USER]),
    Operation::reads("ListAccessKeys", list_keys, &[&["UserName"], PAGES]).on(&[resource::USER]),
];

/// AWS's quota of access keys per user.
const KEYS_LIMIT: usize = 2;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "UserName", 64)?, path(params)?);
    if cloud.iam.users.contains_key(name) {
        return Err(already_exists(&format!("User with name {name}")));
    }
    let user = User {
        id: unique_id("AIDA"),
        arn: arn("user", path, name),
        path: path.to_owned(),
        name: name.to_owned(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::new(),
        access_keys: BTreeMap::new(),
        boundary: None,
        login_profile: None,
        created: call.now,
        tags: tags::parse(params, "Tags")?,
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

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    let user = user(&cloud.iam, name)?;
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
    let added = tags::parse(&call.input, "Tags")?;
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    user.tags.extend(added);
    tags::check(&user.tags)?;
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

/// Returns no groups: the local cloud has no groups of users.
fn no_groups(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    user(&cloud.iam, call.input.required("UserName")?)?;
    Ok(with_page(Node::new().list("Groups", Vec::<Node>::new()), None))
}

fn create_key(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = requested_user(cloud, call)?;
    let user = user_mut(cloud, &name)?;
    if user.access_keys.len() >= KEYS_LIMIT {
        let message = format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_LIMIT}");
        return Err(ApiError::new("LimitExceeded", message).with_status(409));
    }
    let id = format!("{ISSUED_KEY}{}", ids::random_hex(11).to_uppercase());
    let key = AccessKey { secret: ids::secret_key(), active: true, created: call.now, last_used: None };
    let node = render_key(&name, &id, &key).with("SecretAccessKey", &key.secret);
    user.access_keys.insert(id, key);
    Ok(Node::new().with("AccessKey", node))
}

fn update_key(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let active = match call.input.required("Status")? {
        "Active" => true,
        "Inactive" => false,
        other => return Err(validation(format!("Status is Active or Inactive, not {other}"))),
    };
    let name = requested_user(cloud, call)?;
    let id = call.input.required("AccessKeyId")?;
    user_mut(cloud, &name)?.access_keys.get_mut(id).ok_or_else(|| unknown_key(id))?.active = active;
    Ok(Node::new())
}

fn delete_key(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = requested_user(cloud, call)?;
    let id = call.input.required("AccessKeyId")?;
    user_mut(cloud, &name)?.access_keys.remove(id).ok_or_else(|| unknown_key(id))?;
    Ok(Node::new())
}

fn list_keys(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, &requested_user(cloud, call)?)?;
    let page = page(user.access_keys.iter().collect(), &call.input, |(id, _): &(&String, &AccessKey)| id)?;
    let nodes = page.items.into_iter().map(|(id, key)| render_key(&user.name, id, key));
    Ok(with_page(Node::new().list("AccessKeyMetadata", nodes), page.next))
}

/// Returns the user that a request names; the caller when it names none.
fn requested_user(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<String> {
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

pub(super) fn user_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut User> {
    cloud.iam.users.get_mut(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    no_such_entity(&format!("The user with name {name}"))
}

fn unknown_key(id: &str) -> ApiError {
    no_such_entity(&format!("The Access Key with id {id}"))
}

fn render(user: &User) -> Node {
    Node::new()
        .with("Path", &user.path)
        .with("UserName", &user.name)
        .with("UserId", &user.id)
        .with("Arn", &user.arn)
        .with("CreateDate", user.created)
        .list("Tags", user.tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}

fn render_key(user: &str, id: &str, key: &AccessKey) -> Node {
    Node::new()
        .with("UserName", user)
        .with("AccessKeyId", id)
        .with("Status", if key.active { "Active" } else { "Inactive" })
        .with("CreateDate", key.created)
}
