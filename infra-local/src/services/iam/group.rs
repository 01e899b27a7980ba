//! Groups of users.
//!
//! Source: IAM API reference, `CreateGroup`, `GetGroup`, `UpdateGroup`, `DeleteGroup`, `AddUserToGroup` and related
//! operations.

use std::collections::{BTreeMap, BTreeSet};

use super::user::{render as render_user, user};
use super::{
    IamOperation, PAGES, account, already_exists, arn, delete_conflict, limit_exceeded, name, no_such_entity,
    optional_name, page, path, resource, unique_id, with_page,
};
use crate::model::Cloud;
use crate::model::iam::{Group, Iam, User};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateGroup", create, &[&["GroupName", "Path"]]).on(&[resource::GROUP]),
    Operation::reads("GetGroup", read, &[&["GroupName"], PAGES]).on(&[resource::GROUP]),
    Operation::reads("ListGroups", list, &[&["PathPrefix"], PAGES]).on_any(),
    Operation::writes("UpdateGroup", update, &[&["GroupName", "NewGroupName", "NewPath"]]).on(&[resource::GROUP]),
    Operation::writes("DeleteGroup", delete, &[&["GroupName"]]).on(&[resource::GROUP]),
    Operation::writes("AddUserToGroup", add_user, &[&["GroupName", "UserName"]]).on(&[resource::GROUP]),
    Operation::writes("RemoveUserFromGroup", remove_user, &[&["GroupName", "UserName"]]).on(&[resource::GROUP]),
    Operation::reads("ListGroupsForUser", list_for_user, &[&["UserName"], PAGES]).on(&[resource::USER]),
];

/// AWS's quota of groups per user.
const GROUPS_PER_USER: usize = 10;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let (name, path) = (name(&call.input, "GroupName", 128)?, path(&call.input)?);
    if known_name(&cloud.iam, name).is_some() {
        return Err(already_exists(&format!("Group with name {name}")));
    }
    account::check_quota("Groups", cloud.iam.groups.len())?;
    let group = Group {
        id: unique_id("AGPA"),
        arn: arn(call.account, "group", path, name),
        path: path.to_owned(),
        name: name.to_owned(),
        members: BTreeSet::new(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::new(),
        created: call.now,
    };
    let answer = Node::new().with("Group", render(&group));
    cloud.iam.groups.insert(name.to_owned(), group);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = group(&cloud.iam, call.input.required("GroupName")?)?;
    let members: Vec<&User> = group.members.iter().filter_map(|name| cloud.iam.users.get(name)).collect();
    let page = page(members, &call.input, |user: &&User| &user.name)?;
    let node = Node::new().with("Group", render(group)).list("Users", page.items.into_iter().map(render_user));
    Ok(with_page(node, page.next))
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let prefix = call.input.optional("PathPrefix").unwrap_or("/");
    let groups = cloud.iam.groups.values().filter(|group| group.path.starts_with(prefix)).collect();
    render_list(groups, &call.input)
}

fn list_for_user(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, call.input.required("UserName")?)?;
    render_list(cloud.iam.groups_of(&user.name).collect(), &call.input)
}

fn render_list(groups: Vec<&Group>, params: &Params) -> Outcome<Node> {
    let page = page(groups, params, |group: &&Group| &group.name)?;
    Ok(with_page(Node::new().list("Groups", page.items.into_iter().map(render)), page.next))
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let old = call.input.required("GroupName")?;
    let mut group = group(&cloud.iam, old)?.clone();
    if let Some(new) = optional_name(&call.input, "NewGroupName", 128)? {
        if known_name(&cloud.iam, new).is_some_and(|known| known != old) {
            return Err(already_exists(&format!("Group with name {new}")));
        }
        new.clone_into(&mut group.name);
    }
    if call.input.optional("NewPath").is_some() {
        super::named_path(&call.input, "NewPath")?.clone_into(&mut group.path);
    }
    group.arn = arn(call.account, "group", &group.path, &group.name);
    cloud.iam.groups.remove(old);
    cloud.iam.groups.insert(group.name.clone(), group);
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("GroupName")?;
    let group = group(&cloud.iam, name)?;
    if !group.members.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must remove users from group first."));
    }
    if !group.attached_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must detach all policies first."));
    }
    if !group.inline_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must delete policies first."));
    }
    cloud.iam.groups.remove(name);
    Ok(Node::new())
}

fn add_user(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let (group_name, user_name) = (call.input.required("GroupName")?, call.input.required("UserName")?);
    group(&cloud.iam, group_name)?;
    user(&cloud.iam, user_name)?;
    let others = cloud.iam.groups_of(user_name).filter(|group| group.name != group_name).count();
    if others >= GROUPS_PER_USER {
        return Err(limit_exceeded(format!("Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER}")));
    }
    group_mut(cloud, group_name)?.members.insert(user_name.to_owned());
    Ok(Node::new())
}

fn remove_user(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let (group_name, user_name) = (call.input.required("GroupName")?, call.input.required("UserName")?);
    user(&cloud.iam, user_name)?;
    if !group_mut(cloud, group_name)?.members.remove(user_name) {
        let message = format!("User {user_name} not in group {group_name}");
        return Err(ApiError::new("NoSuchEntity", message).with_status(404));
    }
    Ok(Node::new())
}

/// Returns the name of the group with this name in any case: names of groups are unique without regard to case.
fn known_name<'a>(iam: &'a Iam, name: &str) -> Option<&'a str> {
    iam.groups.keys().find(|known| known.eq_ignore_ascii_case(name)).map(String::as_str)
}

pub(super) fn group<'a>(iam: &'a Iam, name: &str) -> Outcome<&'a Group> {
    iam.groups.get(name).ok_or_else(|| unknown(name))
}

pub(super) fn group_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut Group> {
    cloud.iam.groups.get_mut(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    no_such_entity(&format!("The group with name {name}"))
}

pub(super) fn render(group: &Group) -> Node {
    Node::new()
        .with("Path", &group.path)
        .with("GroupName", &group.name)
        .with("GroupId", &group.id)
        .with("Arn", &group.arn)
        .with("CreateDate", group.created)
}
