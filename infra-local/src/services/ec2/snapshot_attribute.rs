//! Attributes of snapshots: the accounts that can create volumes from them.

use std::collections::BTreeSet;

use super::snapshot::find;
use super::{Ec2Operation, check_id, resource};
use crate::domain::ec2::volume::unknown_snapshot;
use crate::model::Cloud;
use crate::model::ec2::image::EVERYONE;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeSnapshotAttribute", describe, &[&["SnapshotId", "Attribute"]]).on(&[resource::SNAPSHOT]),
    Operation::writes(
        "ModifySnapshotAttribute",
        modify,
        &[&[
            "SnapshotId",
            "Attribute",
            "OperationType",
            "UserGroup.N",
            "UserId.N",
            "CreateVolumePermission.Add.N.UserId",
            "CreateVolumePermission.Add.N.Group",
            "CreateVolumePermission.Remove.N.UserId",
            "CreateVolumePermission.Remove.N.Group",
        ]],
    )
    .on(&[resource::SNAPSHOT]),
    Operation::writes("ResetSnapshotAttribute", reset, &[&["SnapshotId", "Attribute"]]).on(&[resource::SNAPSHOT]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let snapshot = find(cloud.region(call.region)?, call.input.required("SnapshotId")?)?;
    let answer = Node::new().with("snapshotId", &snapshot.id);
    match call.input.required("Attribute")? {
        "createVolumePermission" => {
            let permissions = snapshot
                .shared_with
                .iter()
                .map(|account| Node::new().with(if account == EVERYONE { "group" } else { "userId" }, account));
            Ok(answer.list("createVolumePermission", permissions))
        }
        "productCodes" => Ok(answer.list("productCodes", Vec::<Node>::new())),
        other => Err(unknown(other)),
    }
}

/// Shares a snapshot. The API has two forms: lists with a type of operation, and a structure.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html>
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    match params.optional("Attribute") {
        None | Some("createVolumePermission") => {}
        Some(other) => return Err(unknown(other)),
    }
    let (mut added, mut removed) = (accounts(params, "Add")?, accounts(params, "Remove")?);
    let listed = [params.texts("UserId"), params.texts("UserGroup")].concat();
    match params.optional("OperationType") {
        Some("add") => added.extend(listed),
        Some("remove") => removed.extend(listed),
        Some(other) => {
            return Err(ApiError::invalid(format!("Value ({other}) for parameter operationType is invalid.")));
        }
        None if !listed.is_empty() => return Err(ApiError::missing("operationType")),
        None => {}
    }
    if added.is_empty() && removed.is_empty() {
        return Err(ApiError::missing("createVolumePermission"));
    }
    for account in added.iter().chain(&removed) {
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account && account != EVERYONE {
            return Err(ApiError::invalid(format!("Value ({account}) for parameter userId is invalid.")));
        }
    }
    let id = check_id(params.required("SnapshotId")?, "snap", "InvalidSnapshotID.Malformed")?;
    let region = cloud.region_mut(call.region)?;
    let snapshot = region.ec2.snapshots.get_mut(id).ok_or_else(|| unknown_snapshot(id))?;
    if snapshot.encrypted && added.contains(EVERYONE) {
        return Err(ApiError::new("OperationNotPermitted", format!("Encrypted snapshot {id} can not be made public")));
    }
    snapshot.shared_with.extend(added);
    snapshot.shared_with.retain(|account| !removed.contains(account));
    Ok(Node::success())
}

fn accounts(params: &Params, change: &str) -> Outcome<BTreeSet<String>> {
    let permission = params.structure("CreateVolumePermission").unwrap_or_default();
    let entries = permission.structures(change);
    let accounts = entries.iter().map(|entry| match entry.optional("Group") {
        Some(group) => Ok(group.to_owned()),
        None => entry.required("UserId").map(str::to_owned),
    });
    accounts.collect()
}

fn reset(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    match call.input.required("Attribute")? {
        "createVolumePermission" => {}
        other => return Err(unknown(other)),
    }
    let id = check_id(call.input.required("SnapshotId")?, "snap", "InvalidSnapshotID.Malformed")?;
    let region = cloud.region_mut(call.region)?;
    region.ec2.snapshots.get_mut(id).ok_or_else(|| unknown_snapshot(id))?.shared_with.clear();
    Ok(Node::success())
}

fn unknown(attribute: &str) -> ApiError {
    ApiError::invalid(format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute."))
}
