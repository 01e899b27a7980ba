//! Snapshots of DB clusters.

use chrono::{DateTime, Utc};

use super::{
    FILTERS, PAGES, TAGS, arn, check_identifier, cluster, cluster_state, engine, entries, filtered, not_found, page,
    parse_tags, resource, snapshot_named, tag_list,
};
use crate::model::Cloud;
use crate::model::ids::random_hex;
use crate::model::rds::{DbCluster, Seed, Snapshot, Stage, Storage};
use crate::model::{Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateDBClusterSnapshot",
        create,
        &[&["DBClusterSnapshotIdentifier", "DBClusterIdentifier"], TAGS],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_SNAPSHOT]),
    Operation::reads(
        "DescribeDBClusterSnapshots",
        describe,
        &[&["DBClusterSnapshotIdentifier", "DBClusterIdentifier", "SnapshotType"], PAGES, FILTERS],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_SNAPSHOT])
    .ignoring(&[&["IncludeShared", "IncludePublic"]]),
    Operation::writes("DeleteDBClusterSnapshot", delete, &[&["DBClusterSnapshotIdentifier"]])
        .on(&[resource::CLUSTER_SNAPSHOT]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let source = cluster(region, params.required("DBClusterIdentifier")?)?.clone();
    if source.stage != Stage::Available {
        return Err(cluster_state(format!("DbCluster {} is in {} state", source.id, source.stage.name())));
    }
    let id = begin(region, &source, params.required("DBClusterSnapshotIdentifier")?, call.now, Some(tags))?;
    Ok(Node::new().with("DBClusterSnapshot", render(find(region, &id)?, call.region)))
}

/// Adds a snapshot that the data plane is to make; without tags of its own it may have the cluster's.
pub(super) fn begin(
    region: &mut Region,
    source: &DbCluster,
    id: &str,
    now: DateTime<Utc>,
    tags: Option<Tags>,
) -> Outcome<String> {
    let id = check_identifier(id, "DBClusterSnapshotIdentifier", 255)?;
    if region.rds.cluster_snapshots.contains_key(&id) {
        return Err(ApiError::new(
            "DBClusterSnapshotAlreadyExistsFault",
            format!("Cannot create the cluster snapshot because one with the identifier {id} already exists."),
        ));
    }
    let own = tags.filter(|tags| !tags.is_empty());
    let inherited = source.copy_tags_to_snapshot.then(|| source.tags.clone());
    let snapshot = Snapshot {
        id: id.clone(),
        resource_id: format!("cluster-snapshot-{}", random_hex(16)),
        source: source.id.clone(),
        source_resource_id: source.resource_id.clone(),
        stage: Stage::Creating,
        kind: "manual".to_owned(),
        engine: source.engine.clone(),
        user: source.account.user.clone(),
        password: source.account.password.clone(),
        database: source.account.database.clone(),
        port: source.place.port,
        vpc_id: source.place.vpc_id.clone(),
        zones: source.zones.clone(),
        storage: Storage {
            allocated_gib: 1,
            max_allocated_gib: None,
            kind: source.storage_kind.clone(),
            iops: None,
            throughput: None,
            encrypted: source.encrypted,
        },
        source_created: source.created,
        created: now,
        tags: own.or(inherited).unwrap_or_default(),
    };
    region.rds.cluster_snapshots.insert(id.clone(), snapshot);
    Ok(id)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let snapshots = match params.optional("DBClusterSnapshotIdentifier") {
        Some(id) => vec![find(region, id)?],
        None => {
            let said =
                |name: &str, value: &str| params.optional(name).is_none_or(|said| said.eq_ignore_ascii_case(value));
            let all = region.rds.cluster_snapshots.values().filter(|snapshot| {
                said("DBClusterIdentifier", &snapshot.source) && said("SnapshotType", &snapshot.kind)
            });
            filtered(
                all,
                params,
                &[
                    ("db-cluster-id", |snapshot| vec![snapshot.source.clone()]),
                    ("db-cluster-snapshot-id", |snapshot| vec![snapshot.id.clone()]),
                    ("snapshot-type", |snapshot| vec![snapshot.kind.clone()]),
                    ("engine", |snapshot| vec![snapshot.engine.clone()]),
                ],
            )?
        }
    };
    let page = page(snapshots, params, |snapshot| &snapshot.id)?;
    let snapshots = page.items.into_iter().map(|snapshot| render(snapshot, call.region));
    Ok(Node::new().with("DBClusterSnapshots", entries("DBClusterSnapshot", snapshots)).maybe("Marker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let found = find(region, call.input.required("DBClusterSnapshotIdentifier")?)?.clone();
    let seed = Seed::Snapshot(found.resource_id.clone());
    let restoring = region.rds.clusters.values().any(|one| one.stage == Stage::Creating && one.seed == seed);
    if restoring || found.stage == Stage::Creating {
        return Err(ApiError::new(
            "InvalidDBClusterSnapshotStateFault",
            format!("Cannot delete the snapshot {} as long as it is being made or restored from.", found.id),
        ));
    }
    region.rds.cluster_snapshots.remove(&found.id);
    Ok(Node::new().with("DBClusterSnapshot", render(&found, call.region)))
}

pub(super) fn find<'a>(region: &'a Region, reference: &str) -> Outcome<&'a Snapshot> {
    snapshot_named(&region.rds.cluster_snapshots, reference)
        .ok_or_else(|| not_found("DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {reference} not found.")))
}

fn render(snapshot: &Snapshot, region: &str) -> Node {
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
        .with("PercentProgress", done)
        .with("StorageEncrypted", snapshot.storage.encrypted)
        .with("DBClusterSnapshotArn", arn(region, "cluster-snapshot", &snapshot.id))
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("TagList", tag_list(&snapshot.tags))
        .with("DbClusterResourceId", &snapshot.source_resource_id)
}
