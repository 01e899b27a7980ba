//! Encryption of new volumes by default, a setting of the account in a region.

use super::Ec2Operation;
use crate::model::Cloud;
use crate::model::ec2::volume::managed_key;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("GetEbsEncryptionByDefault", read, &[]).on_any(),
    Operation::writes("EnableEbsEncryptionByDefault", enable, &[]).on_any(),
    Operation::writes("DisableEbsEncryptionByDefault", disable, &[]).on_any(),
    Operation::reads("GetEbsDefaultKmsKeyId", default_key, &[]).on_any(),
];

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let enabled = cloud.region(call.region)?.ec2.ebs_encryption_by_default;
    Ok(Node::new().with("ebsEncryptionByDefault", enabled).with("sseType", if enabled { "sse-kms" } else { "none" }))
}

fn enable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set(cloud, call, true)
}

fn disable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set(cloud, call, false)
}

fn set(cloud: &mut Cloud, call: &Call<'_, Params>, enabled: bool) -> Outcome<Node> {
    cloud.region_mut(call.region)?.ec2.ebs_encryption_by_default = enabled;
    Ok(Node::new().with("ebsEncryptionByDefault", enabled))
}

/// Returns the key that AWS manages, which is the default of every account.
#[allow(clippy::unnecessary_wraps)]
fn default_key(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    Ok(Node::new().with("kmsKeyId", managed_key(call.scope())))
}
