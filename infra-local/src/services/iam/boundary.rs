//! Permissions boundaries of users and roles.
//!
//! Source: IAM API reference, `PutUserPermissionsBoundary` and related operations.

use super::policy::refuse_service_policy;
use super::{IamOperation, changeable, resource, user_mut};
use crate::access::managed_document;
use crate::model::Cloud;
use crate::model::iam::Iam;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("PutUserPermissionsBoundary", put_user, &[&["UserName", "PermissionsBoundary"]])
        .on(&[resource::USER]),
    Operation::writes("DeleteUserPermissionsBoundary", delete_user, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("PutRolePermissionsBoundary", put_role, &[&["RoleName", "PermissionsBoundary"]])
        .on(&[resource::ROLE]),
    Operation::writes("DeleteRolePermissionsBoundary", delete_role, &[&["RoleName"]]).on(&[resource::ROLE]),
];

fn put_user(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    call.input.required("PermissionsBoundary")?;
    let boundary = requested(&cloud.iam, &call.input)?;
    user_mut(cloud, call.input.required("UserName")?)?.boundary = boundary;
    Ok(Node::new())
}

fn delete_user(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    user_mut(cloud, call.input.required("UserName")?)?.boundary = None;
    Ok(Node::new())
}

fn put_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    call.input.required("PermissionsBoundary")?;
    let boundary = requested(&cloud.iam, &call.input)?;
    changeable(cloud, call.input.required("RoleName")?)?.boundary = boundary;
    Ok(Node::new())
}

fn delete_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    changeable(cloud, call.input.required("RoleName")?)?.boundary = None;
    Ok(Node::new())
}

/// Returns the ARN of the boundary in a request, which must be that of a managed policy.
pub(super) fn requested(iam: &Iam, params: &Params) -> Outcome<Option<String>> {
    let Some(arn) = params.optional("PermissionsBoundary") else { return Ok(None) };
    refuse_service_policy(arn)?;
    if iam.policies.contains_key(arn) || managed_document(arn).is_some() {
        return Ok(Some(arn.to_owned()));
    }
    let message = format!("Scope ARN: {arn} does not exist or is not attachable.");
    Err(ApiError::new("NoSuchEntity", message).with_status(404))
}

/// Renders the boundary of a user or role.
pub(super) fn render(boundary: Option<&String>) -> Option<Node> {
    boundary.map(|arn| Node::new().with("PermissionsBoundaryType", "Policy").with("PermissionsBoundaryArn", arn))
}
