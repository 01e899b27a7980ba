//! Policies of roles: inline policies, and attached managed policies.

use super::policy_holder::ROLE;
use super::{IamOperation, PAGES, resource};
use crate::services::Operation;

const NAME: &[&str] = &["RoleName"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("PutRolePolicy", |cloud, call| ROLE.put(cloud, call), &[NAME, &["PolicyName", "PolicyDocument"]])
        .on(&[resource::ROLE]),
    Operation::reads("GetRolePolicy", |cloud, call| ROLE.read(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::ROLE]),
    Operation::writes("DeleteRolePolicy", |cloud, call| ROLE.delete(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::ROLE]),
    Operation::reads("ListRolePolicies", |cloud, call| ROLE.list(cloud, call), &[NAME, PAGES]).on(&[resource::ROLE]),
    Operation::writes("AttachRolePolicy", |cloud, call| ROLE.attach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::ROLE]),
    Operation::writes("DetachRolePolicy", |cloud, call| ROLE.detach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::ROLE]),
    Operation::reads(
        "ListAttachedRolePolicies",
        |cloud, call| ROLE.list_attached(cloud, call),
        &[NAME, &["PathPrefix"], PAGES],
    )
    .on(&[resource::ROLE]),
];
