//! Roles.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IamOperation, PAGES, TAGS, account, already_exists, arn, boundary, changeable, check_tags, check_trust_policy,
    delete_conflict, encode_policy, name, page, parse_tags, path, resource, role, role_mut, unique_id, unmodifiable,
    validation, with_page,
};
use crate::model::Cloud;
use crate::model::iam::Role;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes(
        "CreateRole",
        create,
        &[
            &["RoleName", "AssumeRolePolicyDocument", "Path", "Description", "MaxSessionDuration"],
            &["PermissionsBoundary"],
            TAGS,
        ],
    )
    .on(&[resource::ROLE]),
    Operation::reads("GetRole", read, &[&["RoleName"]]).on(&[resource::ROLE]),
    Operation::reads("ListRoles", list, &[&["PathPrefix"], PAGES]).on_any(),
    Operation::writes("UpdateRole", update, &[&["RoleName", "Description", "MaxSessionDuration"]])
        .on(&[resource::ROLE]),
    Operation::writes("UpdateRoleDescription", update_description, &[&["RoleName", "Description"]])
        .on(&[resource::ROLE]),
    Operation::writes("UpdateAssumeRolePolicy", update_trust, &[&["RoleName", "PolicyDocument"]]).on(&[resource::ROLE]),
    Operation::writes("DeleteRole", delete, &[&["RoleName"]]).on(&[resource::ROLE]),
    Operation::writes("TagRole", tag, &[&["RoleName"], TAGS]).on(&[resource::ROLE]),
    Operation::writes("UntagRole", untag, &[&["RoleName", "TagKeys.N"]]).on(&[resource::ROLE]),
    Operation::reads("ListRoleTags", list_tags, &[&["RoleName"], PAGES]).on(&[resource::ROLE]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "RoleName", 64)?, path(params)?);
    let trust = params.required("AssumeRolePolicyDocument")?;
    check_trust_policy(&cloud.iam, trust)?;
    let is_known = cloud.iam.roles.keys().any(|known| known.eq_ignore_ascii_case(name));
    if is_known {
        return Err(already_exists(&format!("Role with name {name}")));
    }
    let role = Role {
        id: unique_id("AROA"),
        arn: arn(call.account, "role", path, name),
        path: path.to_owned(),
        name: name.to_owned(),
        description: params.optional("Description").map(str::to_owned),
        max_session_seconds: max_session(params)?.unwrap_or(3600),
        trust_policy: trust.to_owned(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::new(),
        boundary: boundary::requested(&cloud.iam, params)?,
        last_used: None,
        created: call.now,
        tags: parse_tags(params, "Tags")?,
    };
    account::check_quota("Roles", cloud.iam.roles.len())?;
    let answer = Node::new().with("Role", render(&role));
    cloud.iam.roles.insert(name.to_owned(), role);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = role(&cloud.iam, call.input.required("RoleName")?)?;
    Ok(Node::new().with("Role", render(role)))
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let prefix = call.input.optional("PathPrefix").unwrap_or("/");
    let roles = cloud.iam.roles.values().filter(|role| role.path.starts_with(prefix)).collect();
    let page = page(roles, &call.input, |role: &&Role| &role.name)?;
    Ok(with_page(Node::new().list("Roles", page.items.into_iter().map(render)), page.next))
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let role = changeable(cloud, params.required("RoleName")?)?;
    if let Some(description) = params.optional("Description") {
        role.description = Some(description.to_owned());
    }
    if let Some(seconds) = max_session(params)? {
        role.max_session_seconds = seconds;
    }
    Ok(Node::new())
}

fn update_description(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = changeable(cloud, call.input.required("RoleName")?)?;
    role.description = Some(call.input.optional("Description").unwrap_or_default().to_owned());
    Ok(Node::new().with("Role", render(role)))
}

fn update_trust(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let document = call.input.required("PolicyDocument")?;
    let name = call.input.required("RoleName")?;
    changeable(cloud, name)?;
    check_trust_policy(&cloud.iam, document)?;
    let role = changeable(cloud, name)?;
    document.clone_into(&mut role.trust_policy);
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("RoleName")?;
    let role = role(&cloud.iam, name)?;
    if role.is_service_linked() {
        return Err(unmodifiable(name));
    }
    if cloud.iam.instance_profiles.values().any(|profile| profile.role.as_deref() == Some(name)) {
        return Err(delete_conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    if !role.attached_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must detach all policies first."));
    }
    if !role.inline_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must delete policies first."));
    }
    cloud.iam.roles.remove(name);
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = parse_tags(&call.input, "Tags")?;
    let role = role_mut(cloud, call.input.required("RoleName")?)?;
    role.tags.extend(added);
    check_tags(&role.tags)?;
    Ok(Node::new())
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = role_mut(cloud, call.input.required("RoleName")?)?;
    for key in call.input.texts("TagKeys") {
        role.tags.remove(&key);
    }
    Ok(Node::new())
}

fn list_tags(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = role(&cloud.iam, call.input.required("RoleName")?)?;
    let page = page(role.tags.iter().collect(), &call.input, |(key, _): &(&String, &String)| key)?;
    let shown = page.items.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(with_page(Node::new().with("Tags", tags::members(&shown)), page.next))
}

fn max_session(params: &Params) -> Outcome<Option<u32>> {
    match params.parsed("MaxSessionDuration")? {
        Some(seconds) if !(3600..=43200).contains(&seconds) => {
            let (bound, limit) = if seconds < 3600 { ("greater", 3600) } else { ("less", 43200) };
            Err(validation(format!(
                "1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: \
                 Member must have value {bound} than or equal to {limit}"
            )))
        }
        seconds => Ok(seconds),
    }
}

/// Renders the latest use of a role; an empty element if it has never been used.
fn last_used(role: &Role) -> Node {
    match &role.last_used {
        Some(last) => Node::new().with("LastUsedDate", last.at).with("Region", &last.region),
        None => Node::new(),
    }
}

/// Renders a role.
pub(super) fn render(role: &Role) -> Node {
    Node::new()
        .with("Path", &role.path)
        .with("RoleName", &role.name)
        .with("RoleId", &role.id)
        .with("Arn", &role.arn)
        .with("CreateDate", role.created)
        .with("AssumeRolePolicyDocument", encode_policy(&role.trust_policy))
        .maybe("Description", role.description.as_ref())
        .with("MaxSessionDuration", role.max_session_seconds)
        .maybe("PermissionsBoundary", boundary::render(role.boundary.as_ref()))
        .with("RoleLastUsed", last_used(role))
        .with("Tags", tags::members(&role.tags))
}
