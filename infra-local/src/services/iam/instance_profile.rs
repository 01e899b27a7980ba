//! Instance profiles, which assign a role to an instance.

use super::{
    IamOperation, PAGES, TAGS, account, already_exists, arn, check_tags, delete_conflict, name, no_such_entity, page,
    parse_tags, path, resource, role, unique_id, with_page,
};
use crate::model::Cloud;
use crate::model::iam::{Iam, InstanceProfile};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateInstanceProfile", create, &[&["InstanceProfileName", "Path"], TAGS])
        .on(&[resource::PROFILE]),
    Operation::reads("GetInstanceProfile", read, &[PROFILE]).on(&[resource::PROFILE]),
    Operation::reads("ListInstanceProfiles", list, &[&["PathPrefix"], PAGES]).on_any(),
    Operation::reads("ListInstanceProfilesForRole", list_for_role, &[&["RoleName"], PAGES]).on(&[resource::ROLE]),
    Operation::writes("DeleteInstanceProfile", delete, &[PROFILE]).on(&[resource::PROFILE]),
    Operation::writes("AddRoleToInstanceProfile", add_role, &[PROFILE, &["RoleName"]]).on(&[resource::PROFILE]),
    Operation::writes("RemoveRoleFromInstanceProfile", remove_role, &[PROFILE, &["RoleName"]]).on(&[resource::PROFILE]),
    Operation::writes("TagInstanceProfile", tag, &[PROFILE, TAGS]).on(&[resource::PROFILE]),
    Operation::writes("UntagInstanceProfile", untag, &[PROFILE, &["TagKeys.N"]]).on(&[resource::PROFILE]),
    Operation::reads("ListInstanceProfileTags", list_tags, &[PROFILE, PAGES]).on(&[resource::PROFILE]),
];

const PROFILE: &[&str] = &["InstanceProfileName"];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "InstanceProfileName", 128)?, path(params)?);
    if cloud.iam.instance_profiles.contains_key(name) {
        return Err(already_exists(&format!("Instance Profile {name}")));
    }
    account::check_quota("InstanceProfiles", cloud.iam.instance_profiles.len())?;
    let profile = InstanceProfile {
        id: unique_id("AIPA"),
        arn: arn(call.account, "instance-profile", path, name),
        path: path.to_owned(),
        name: name.to_owned(),
        role: None,
        created: call.now,
        tags: parse_tags(params, "Tags")?,
    };
    let answer = Node::new().with("InstanceProfile", render(&cloud.iam, &profile));
    cloud.iam.instance_profiles.insert(name.to_owned(), profile);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("InstanceProfileName")?;
    let profile = cloud.iam.instance_profiles.get(name).ok_or_else(|| unknown(name))?;
    Ok(Node::new().with("InstanceProfile", render(&cloud.iam, profile)))
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let prefix = call.input.optional("PathPrefix").unwrap_or("/");
    let wanted = cloud.iam.instance_profiles.values().filter(|profile| profile.path.starts_with(prefix)).collect();
    answer_list(cloud, call, wanted)
}

fn list_for_role(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("RoleName")?;
    role(&cloud.iam, name)?;
    let all = cloud.iam.instance_profiles.values();
    answer_list(cloud, call, all.filter(|profile| profile.role.as_deref() == Some(name)).collect())
}

fn answer_list(cloud: &Cloud, call: &Call<'_, Params>, profiles: Vec<&InstanceProfile>) -> Outcome<Node> {
    let page = page(profiles, &call.input, |profile: &&InstanceProfile| &profile.name)?;
    let nodes = page.items.into_iter().map(|profile| render(&cloud.iam, profile));
    Ok(with_page(Node::new().list("InstanceProfiles", nodes), page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("InstanceProfileName")?;
    if find_mut(cloud, name)?.role.is_some() {
        return Err(delete_conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    cloud.iam.instance_profiles.remove(name);
    Ok(Node::new())
}

fn add_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role_name = call.input.required("RoleName")?;
    let profile_name = call.input.required("InstanceProfileName")?;
    find_mut(cloud, profile_name)?;
    role(&cloud.iam, role_name)?;
    let profile = find_mut(cloud, profile_name)?;
    if profile.role.is_some() {
        return Err(ApiError::new("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            .with_status(409));
    }
    profile.role = Some(role_name.to_owned());
    Ok(Node::new())
}

fn remove_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role_name = call.input.required("RoleName")?;
    let profile = find_mut(cloud, call.input.required("InstanceProfileName")?)?;
    if profile.role.as_deref() != Some(role_name) {
        return Err(no_such_entity(&format!("The role with name {role_name}")));
    }
    profile.role = None;
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = parse_tags(&call.input, "Tags")?;
    let profile = find_mut(cloud, call.input.required("InstanceProfileName")?)?;
    profile.tags.extend(added);
    check_tags(&profile.tags)?;
    Ok(Node::new())
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let profile = find_mut(cloud, call.input.required("InstanceProfileName")?)?;
    for key in call.input.texts("TagKeys") {
        profile.tags.remove(&key);
    }
    Ok(Node::new())
}

fn list_tags(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("InstanceProfileName")?;
    let profile = cloud.iam.instance_profiles.get(name).ok_or_else(|| unknown(name))?;
    let page = page(profile.tags.iter().collect(), &call.input, |(key, _): &(&String, &String)| key)?;
    let shown = page.items.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(with_page(Node::new().with("Tags", tags::members(&shown)), page.next))
}

fn find_mut<'a>(cloud: &'a mut Cloud, name: &str) -> Outcome<&'a mut InstanceProfile> {
    cloud.iam.instance_profiles.get_mut(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    no_such_entity(&format!("Instance Profile {name}"))
}

/// Renders an instance profile.
pub(super) fn render(iam: &Iam, profile: &InstanceProfile) -> Node {
    let role = profile.role.as_ref().and_then(|name| iam.roles.get(name));
    Node::new()
        .with("Path", &profile.path)
        .with("InstanceProfileName", &profile.name)
        .with("InstanceProfileId", &profile.id)
        .with("Arn", &profile.arn)
        .with("CreateDate", profile.created)
        .list("Roles", role.map(super::role::render))
        .with("Tags", tags::members(&profile.tags))
}
