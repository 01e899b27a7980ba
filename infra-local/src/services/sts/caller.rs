//! The identity of the caller, and the account of an access key.

use crate::access::Identity;
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

use super::constraint;

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    // "No permissions are required to perform this operation", even if a policy denies it.
    Operation::reads("GetCallerIdentity", identity, &[]).on_any().without_permission(),
    Operation::reads("GetAccessKeyInfo", key_info, &[&["AccessKeyId"]]).on_any(),
];

#[allow(clippy::unnecessary_wraps)]
fn identity(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let identity = Identity::of_key(&cloud.iam, call.access_key);
    Ok(Node::new()
        .with("Arn", identity.arn(&cloud.iam))
        .with("UserId", identity.user_id(&cloud.iam))
        .with("Account", call.account))
}

fn key_info(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let key = call.input.required("AccessKeyId")?;
    if !(16..=128).contains(&key.len()) {
        let text = "Member must have length between 16 and 128, inclusive";
        return Err(constraint(key, "accessKeyId", text));
    }
    Ok(Node::new().with("Account", call.account))
}
