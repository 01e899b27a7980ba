//! Policies of users: inline policies, and attached managed policies.

use super::policy_holder::USER;
use super::{IamOperation, PAGES, resource};
use crate::services::Operation;

const NAME: &[&str] = &["UserName"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("PutUserPolicy", |cloud, call| USER.put(cloud, call), &[NAME, &["PolicyName", "PolicyDocument"]])
        .on(&[resource::USER]),
    Operation::reads("GetUserPolicy", |cloud, call| USER.read(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::USER]),
    Operation::writes("DeleteUserPolicy", |cloud, call| USER.delete(cloud, call), &[NAME, &["PolicyName"]])
        .on(&[resource::USER]),
    Operation::reads("ListUserPolicies", |cloud, call| USER.list(cloud, call), &[NAME, PAGES]).on(&[resource::USER]),
    Operation::writes("AttachUserPolicy", |cloud, call| USER.attach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::USER]),
    Operation::writes("DetachUserPolicy", |cloud, call| USER.detach(cloud, call), &[NAME, &["PolicyArn"]])
        .on(&[resource::USER]),
    Operation::reads(
        "ListAttachedUserPolicies",
        |cloud, call| USER.list_attached(cloud, call),
        &[NAME, &["PathPrefix"], PAGES],
    )
    .on(&[resource::USER]),
];
