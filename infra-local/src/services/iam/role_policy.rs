//! Policies of roles: inline policies, and attached managed policies.

use super::policy::{attachable, render_attached};
use super::{
    IamOperation, PAGES, check_policy, encode_policy, name, no_such_entity, page, resource, role, role_mut, with_page,
};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("PutRolePolicy", put, &[&["RoleName", "PolicyName", "PolicyDocument"]]).on(&[resource::ROLE]),
    Operation::reads("GetRolePolicy", read, &[&["RoleName", "PolicyName"]]).on(&[resource::ROLE]),
    Operation::writes("DeleteRolePolicy", delete, &[&["RoleName", "PolicyName"]]).on(&[resource::ROLE]),
    Operation::reads("ListRolePolicies", list, &[&["RoleName"], PAGES]).on(&[resource::ROLE]),
    Operation::writes("AttachRolePolicy", attach, &[&["RoleName", "PolicyArn"]]).on(&[resource::ROLE]),
    Operation::writes("DetachRolePolicy", detach, &[&["RoleName", "PolicyArn"]]).on(&[resource::ROLE]),
    Operation::reads("ListAttachedRolePolicies", list_attached, &[&["RoleName", "PathPrefix"], PAGES])
        .on(&[resource::ROLE]),
];

/// AWS's limit of the total size of a role's inline policies, without white space.
const INLINE_LIMIT: usize = 10_240;
/// AWS's default quota of managed policies per role.
const ATTACHED_LIMIT: usize = 10;

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let policy = name(params, "PolicyName", 128)?;
    let document = params.required("PolicyDocument")?;
    check_policy(document)?;
    let role = role_mut(cloud, params.required("RoleName")?)?;
    role.inline_policies.insert(policy.to_owned(), document.to_owned());
    let size: usize =
        role.inline_policies.values().map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
    if size > INLINE_LIMIT {
        return Err(limit(format!("Maximum policy size of {INLINE_LIMIT} bytes exceeded for role {}", role.name)));
    }
    Ok(Node::new())
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let (role_name, policy) = (call.input.required("RoleName")?, call.input.required("PolicyName")?);
    let role = role(&cloud.iam, role_name)?;
    let document = role.inline_policies.get(policy).ok_or_else(|| unknown(policy))?;
    Ok(Node::new()
        .with("RoleName", role_name)
        .with("PolicyName", policy)
        .with("PolicyDocument", encode_policy(document)))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = call.input.required("PolicyName")?;
    let role = role_mut(cloud, call.input.required("RoleName")?)?;
    role.inline_policies.remove(policy).ok_or_else(|| unknown(policy))?;
    Ok(Node::new())
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = role(&cloud.iam, call.input.required("RoleName")?)?;
    let page = page(role.inline_policies.keys().collect(), &call.input, |name: &&String| name)?;
    Ok(with_page(Node::new().list("PolicyNames", page.items), page.next))
}

fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = attachable(&cloud.iam, &call.input)?.to_owned();
    let role = role_mut(cloud, call.input.required("RoleName")?)?;
    role.attached_policies.insert(arn);
    if role.attached_policies.len() > ATTACHED_LIMIT {
        return Err(limit(format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED_LIMIT}")));
    }
    Ok(Node::new())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = call.input.required("PolicyArn")?;
    let role = role_mut(cloud, call.input.required("RoleName")?)?;
    if !role.attached_policies.remove(policy) {
        return Err(ApiError::new("NoSuchEntity", format!("Policy {policy} was not found.")).with_status(404));
    }
    Ok(Node::new())
}

fn list_attached(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let role = role(&cloud.iam, call.input.required("RoleName")?)?;
    render_attached(&role.attached_policies, &call.input)
}

fn unknown(policy: &str) -> ApiError {
    no_such_entity(&format!("The role policy with name {policy}"))
}

fn limit(message: String) -> ApiError {
    ApiError::new("LimitExceeded", message).with_status(409)
}
