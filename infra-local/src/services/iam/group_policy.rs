//! Policies of groups: inline policies, and attached managed policies.

use super::policy_holder::GROUP;
use super::{IamOperation, PAGES, resource};
use crate::services::Operation;

const NAME: &[&str] = &["GroupName"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes(
        "PutGroupPolicy",
        |cloud, call| GROUP.put(cloud, call),
        &[NAME, &["PolicyName", "PolicyDocument"]],
    )
    .on(&[resource::GROUP]),
    Operation::reads("GetGroupPolicy", |cloud, call| GROUP.read(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::GROUP]),
    Operation::writes("DeleteGroupPolicy", |cloud, call| GROUP.delete(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::GROUP]),
    Operation::reads("ListGroupPolicies", |cloud, call| GROUP.list(cloud, call), &[NAME, PAGES]).on(&[resource::GROUP]),
    Operation::writes("AttachGroupPolicy", |cloud, call| GROUP.attach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::GROUP]),
    Operation::writes("DetachGroupPolicy", |cloud, call| GROUP.detach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::GROUP]),
    Operation::reads(
        "ListAttachedGroupPolicies",
        |cloud, call| GROUP.list_attached(cloud, call),
        &[NAME, &["PathPrefix"], PAGES],
    )
    .on(&[resource::GROUP]),
];
