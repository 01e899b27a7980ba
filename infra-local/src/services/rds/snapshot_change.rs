//! Copies of snapshots, and the accounts with which they are shared.

use super::snapshot_kind::SnapshotKind;
use super::{TAGS, arn, cluster_snapshot, entries, parse_tags, resource, snapshot};
use crate::model::Cloud;
use crate::model::rds::{Snapshot, Stage};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CopyDBSnapshot",
        |cloud, call| copy(cloud, call, &INSTANCE),
        &[&["SourceDBSnapshotIdentifier", "TargetDBSnapshotIdentifier", "CopyTags"], TAGS],
    )
    .on(&[resource::SOURCE_SNAPSHOT, resource::TARGET_SNAPSHOT]),
    Operation::writes(
        "CopyDBClusterSnapshot",
        |cloud, call| copy(cloud, call, &CLUSTER),
        &[&["SourceDBClusterSnapshotIdentifier", "TargetDBClusterSnapshotIdentifier", "CopyTags"], TAGS],
    )
    .on(&[resource::SOURCE_CLUSTER_SNAPSHOT, resource::TARGET_CLUSTER_SNAPSHOT]),
    Operation::reads(
        "DescribeDBSnapshotAttributes",
        |cloud, call| describe(cloud, call, &INSTANCE),
        &[&["DBSnapshotIdentifier"]],
    )
    .on(&[resource::SNAPSHOT]),
    Operation::reads(
        "DescribeDBClusterSnapshotAttributes",
        |cloud, call| describe(cloud, call, &CLUSTER),
        &[&["DBClusterSnapshotIdentifier"]],
    )
    .on(&[resource::CLUSTER_SNAPSHOT]),
    Operation::writes(
        "ModifyDBSnapshotAttribute",
        |cloud, call| modify(cloud, call, &INSTANCE),
        &[&["DBSnapshotIdentifier"], VALUES],
    )
    .on(&[resource::SNAPSHOT]),
    Operation::writes(
        "ModifyDBClusterSnapshotAttribute",
        |cloud, call| modify(cloud, call, &CLUSTER),
        &[&["DBClusterSnapshotIdentifier"], VALUES],
    )
    .on(&[resource::CLUSTER_SNAPSHOT]),
];

const VALUES: &[&str] = &[
    "AttributeName",
    "ValuesToAdd",
    "ValuesToAdd.AttributeValue.N",
    "ValuesToRemove",
    "ValuesToRemove.AttributeValue.N",
];

/// AWS's limit of accounts.
const ACCOUNTS: usize = 20;

/// Names in the API of the snapshots of instances or clusters.
struct Kind {
    snapshots: &'static SnapshotKind,
    source: &'static str,
    target: &'static str,
    arn: &'static str,
    result: &'static str,
    attributes: &'static str,
    attribute: &'static str,
}

const INSTANCE: Kind = Kind {
    snapshots: &snapshot::SNAPSHOTS,
    source: "SourceDBSnapshotIdentifier",
    target: "TargetDBSnapshotIdentifier",
    arn: "snapshot",
    result: "DBSnapshotAttributesResult",
    attributes: "DBSnapshotAttributes",
    attribute: "DBSnapshotAttribute",
};

const CLUSTER: Kind = Kind {
    snapshots: &cluster_snapshot::SNAPSHOTS,
    source: "SourceDBClusterSnapshotIdentifier",
    target: "TargetDBClusterSnapshotIdentifier",
    arn: "cluster-snapshot",
    result: "DBClusterSnapshotAttributesResult",
    attributes: "DBClusterSnapshotAttributes",
    attribute: "DBClusterSnapshotAttribute",
};

/// Adds a snapshot with the data of another one. Data of snapshots never changes, so both share it.
fn copy(cloud: &mut Cloud, call: &Call<'_, Params>, kind: &Kind) -> Outcome<Node> {
    let params = &call.input;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let source = kind.snapshots.find(region, params.required(kind.source)?)?.clone();
    if source.stage != Stage::Available {
        return Err(ApiError::new(
            kind.snapshots.invalid_state,
            format!("Cannot copy the snapshot {} because it is not in the available state.", source.id),
        ));
    }
    let copied = Snapshot {
        id: params.required(kind.target)?.to_owned(),
        kind: "manual".to_owned(),
        created: call.now,
        copy_of: Some(arn(call.scope(), kind.arn, &source.id)),
        shared_with: std::collections::BTreeSet::new(),
        tags: if params.flag("CopyTags")? && tags.is_empty() { source.tags.clone() } else { tags },
        ..source
    };
    let id = kind.snapshots.add(region, copied)?;
    let copy = kind.snapshots.find(region, &id)?;
    Ok(Node::new().with(kind.snapshots.name, (kind.snapshots.render)(copy, call.scope())))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>, kind: &Kind) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let found = kind.snapshots.find(region, call.input.required(kind.snapshots.identifier)?)?;
    Ok(answer(found, kind))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>, kind: &Kind) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = kind.snapshots.find(region, params.required(kind.snapshots.identifier)?)?.id.clone();
    let name = params.required("AttributeName")?;
    if name != "restore" {
        return Err(ApiError::invalid(format!("Invalid snapshot attribute name {name}: the only one is restore")));
    }
    let added = params.texts("ValuesToAdd.AttributeValue");
    let removed = params.texts("ValuesToRemove.AttributeValue");
    let is_account = |value: &&String| value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(wrong) = added.iter().chain(&removed).find(|value| *value != "all" && !is_account(value)) {
        return Err(ApiError::invalid(format!("Invalid value {wrong}: it must be the id of an account, or all")));
    }
    let table = (kind.snapshots.table_mut)(&mut region.rds);
    let snapshot = table.get_mut(&id).ok_or_else(|| ApiError::internal("the snapshot has been deleted"))?;
    if snapshot.storage.encrypted && added.iter().any(|value| value == "all") {
        return Err(ApiError::new(kind.snapshots.invalid_state, "Encrypted snapshots cannot be shared publicly."));
    }
    snapshot.shared_with.extend(added);
    snapshot.shared_with.retain(|value| !removed.contains(value));
    if snapshot.shared_with.len() > ACCOUNTS {
        return Err(ApiError::new(
            "SharedSnapshotQuotaExceeded",
            format!(
                "You have exceeded the maximum number of accounts that you can share a manual DB snapshot with: {ACCOUNTS}."
            ),
        ));
    }
    Ok(answer(snapshot, kind))
}

fn answer(snapshot: &Snapshot, kind: &Kind) -> Node {
    let restore = Node::new()
        .with("AttributeName", "restore")
        .with("AttributeValues", entries("AttributeValue", &snapshot.shared_with));
    let result = Node::new()
        .with(kind.snapshots.identifier, &snapshot.id)
        .with(kind.attributes, entries(kind.attribute, [restore]));
    Node::new().with(kind.result, result)
}
