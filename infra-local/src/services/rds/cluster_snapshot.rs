//! Snapshots of DB clusters.

use chrono::{DateTime, Utc};

use super::snapshot_kind::SnapshotKind;
use super::{FILTERS, PAGES, TAGS, arn, cluster, cluster_state, engine, entries, parse_tags, resource, tag_list};
use crate::model::ids::random_hex;
use crate::model::rds::{DbCluster, Snapshot, Stage, Storage};
use crate::model::{ArnScope, Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateDBClusterSnapshot",
        create,
        &[&["DBClusterSnapshotIdentifier", "DBClusterIdentifier"], TAGS],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_SNAPSHOT]),
    Operation::reads(
        "DescribeDBClusterSnapshots",
        |cloud, call| SNAPSHOTS.describe(cloud, call),
        &[&["DBClusterSnapshotIdentifier", "DBClusterIdentifier", "SnapshotType"], PAGES, FILTERS],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_SNAPSHOT])
    .ignoring(&[&["IncludeShared", "IncludePublic"]]),
    Operation::writes(
        "DeleteDBClusterSnapshot",
        |cloud, call| SNAPSHOTS.delete(cloud, call),
        &[&["DBClusterSnapshotIdentifier"]],
    )
    .on(&[resource::CLUSTER_SNAPSHOT]),
];

pub(super) const SNAPSHOTS: SnapshotKind = SnapshotKind {
    noun: "cluster snapshot",
    name: "DBClusterSnapshot",
    list: "DBClusterSnapshots",
    identifier: "DBClusterSnapshotIdentifier",
    selectors: &[("DBClusterIdentifier", |snapshot| &snapshot.source), ("SnapshotType", |snapshot| &snapshot.kind)],
    filters: &[
        ("db-cluster-id", |snapshot| vec![snapshot.source.clone()]),
        ("db-cluster-snapshot-id", |snapshot| vec![snapshot.id.clone()]),
        ("snapshot-type", |snapshot| vec![snapshot.kind.clone()]),
        ("engine", |snapshot| vec![snapshot.engine.clone()]),
    ],
    exists: "DBClusterSnapshotAlreadyExistsFault",
    unknown: "DBClusterSnapshotNotFoundFault",
    invalid_state: "InvalidDBClusterSnapshotStateFault",
    table: |rds| &rds.cluster_snapshots,
    table_mut: |rds| &mut rds.cluster_snapshots,
    is_restoring: |rds, seed| rds.clusters.values().any(|one| one.stage == Stage::Creating && one.seed == *seed),
    render,
};

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let source = cluster(region, params.required("DBClusterIdentifier")?)?.clone();
    if source.stage != Stage::Available {
        return Err(cluster_state(format!("DbCluster {} is in {} state", source.id, source.stage.name())));
    }
    let id = begin(region, &source, params.required("DBClusterSnapshotIdentifier")?, call.now, tags)?;
    Ok(Node::new().with("DBClusterSnapshot", render(SNAPSHOTS.find(region, &id)?, call.scope())))
}

/// Adds a snapshot, whose data the data plane copies. Without tags in the request, it can copy those of the cluster.
pub(super) fn begin(
    region: &mut Region,
    cluster: &DbCluster,
    id: &str,
    now: DateTime<Utc>,
    tags: Tags,
) -> Outcome<String> {
    let copied = cluster.copy_tags_to_snapshot && tags.is_empty();
    let snapshot = Snapshot {
        id: id.to_owned(),
        resource_id: format!("cluster-snapshot-{}", random_hex(16)),
        source: cluster.id.clone(),
        source_resource_id: cluster.resource_id.clone(),
        stage: Stage::Creating,
        kind: "manual".to_owned(),
        engine: cluster.engine.clone(),
        user: cluster.account.user.clone(),
        password: cluster.account.password.clone(),
        database: cluster.account.database.clone(),
        port: cluster.place.port,
        vpc_id: cluster.place.vpc_id.clone(),
        zones: cluster.zones.clone(),
        storage: Storage {
            allocated_gib: 1,
            max_allocated_gib: None,
            kind: cluster.storage_kind.clone(),
            iops: None,
            throughput: None,
            encrypted: cluster.encrypted,
        },
        source_created: cluster.created,
        created: now,
        shared_with: std::collections::BTreeSet::new(),
        copy_of: None,
        tags: if copied { cluster.tags.clone() } else { tags },
    };
    SNAPSHOTS.add(region, snapshot)
}

fn render(snapshot: &Snapshot, scope: ArnScope<'_>) -> Node {
    let done = if snapshot.stage == Stage::Available { 100_u32 } else { 0 };
    Node::new()
        .with("AvailabilityZones", entries("AvailabilityZone", &snapshot.zones))
        .with("DBClusterSnapshotIdentifier", &snapshot.id)
        .with("DBClusterIdentifier", &snapshot.source)
        .with("SnapshotCreateTime", snapshot.created)
        .with("Engine", &snapshot.engine)
        .with("EngineMode", "provisioned")
        .with("AllocatedStorage", snapshot.storage.allocated_gib)
        .with("Status", snapshot.stage.name())
        .with("Port", snapshot.port)
        .with("VpcId", &snapshot.vpc_id)
        .with("ClusterCreateTime", snapshot.source_created)
        .with("MasterUsername", &snapshot.user)
        .with("EngineVersion", engine::version().unwrap_or_default())
        .with("LicenseModel", engine::LICENSE)
        .with("SnapshotType", &snapshot.kind)
        .maybe("SourceDBClusterSnapshotArn", snapshot.copy_of.as_ref())
        .with("PercentProgress", done)
        .with("StorageEncrypted", snapshot.storage.encrypted)
        .with("DBClusterSnapshotArn", arn(scope, "cluster-snapshot", &snapshot.id))
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("TagList", tag_list(&snapshot.tags))
        .with("DbClusterResourceId", &snapshot.source_resource_id)
}
