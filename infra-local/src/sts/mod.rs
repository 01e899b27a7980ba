//! AWS Security Token Service: who is calling.

use crate::cloud::Cloud;
use crate::model::ACCOUNT;
use crate::wire::{Call, Node, Operation, Outcome, Params};

/// STS's operations.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] =
    &[&[Operation::reads("GetCallerIdentity", caller_identity, &[])]];

#[allow(clippy::unnecessary_wraps)]
fn caller_identity(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    Ok(Node::new()
        .with("Arn", format!("arn:aws:iam::{ACCOUNT}:root"))
        .with("UserId", call.access_key)
        .with("Account", ACCOUNT))
}
