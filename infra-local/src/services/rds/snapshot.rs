//! Snapshots of DB instances.

use chrono::{DateTime, Utc};

use super::snapshot_kind::SnapshotKind;
use super::{
    FILTERS, PAGES, TAGS, arn, engine, instance, instance_mut, instance_state, parse_tags, resource, tag_list,
};
use crate::model::ids::random_hex;
use crate::model::rds::{DbInstance, Snapshot, Stage};
use crate::model::{ArnScope, Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateDBSnapshot", create, &[&["DBSnapshotIdentifier", "DBInstanceIdentifier"], TAGS])
        .on(&[resource::INSTANCE, resource::SNAPSHOT]),
    Operation::reads(
        "DescribeDBSnapshots",
        |cloud, call| SNAPSHOTS.describe(cloud, call),
        &[&["DBSnapshotIdentifier", "DBInstanceIdentifier", "DbiResourceId", "SnapshotType"], PAGES, FILTERS],
    )
    .on(&[resource::INSTANCE, resource::SNAPSHOT])
    .ignoring(&[&["IncludeShared", "IncludePublic"]]),
    Operation::writes("DeleteDBSnapshot", |cloud, call| SNAPSHOTS.delete(cloud, call), &[&["DBSnapshotIdentifier"]])
        .on(&[resource::SNAPSHOT]),
];

pub(super) const SNAPSHOTS: SnapshotKind = SnapshotKind {
    noun: "snapshot",
    name: "DBSnapshot",
    list: "DBSnapshots",
    identifier: "DBSnapshotIdentifier",
    selectors: &[
        ("DBInstanceIdentifier", |snapshot| &snapshot.source),
        ("DbiResourceId", |snapshot| &snapshot.source_resource_id),
        ("SnapshotType", |snapshot| &snapshot.kind),
    ],
    filters: &[
        ("db-instance-id", |snapshot| vec![snapshot.source.clone()]),
        ("db-snapshot-id", |snapshot| vec![snapshot.id.clone()]),
        ("dbi-resource-id", |snapshot| vec![snapshot.source_resource_id.clone()]),
        ("snapshot-type", |snapshot| vec![snapshot.kind.clone()]),
        ("engine", |snapshot| vec![snapshot.engine.clone()]),
    ],
    exists: "DBSnapshotAlreadyExists",
    unknown: "DBSnapshotNotFound",
    invalid_state: "InvalidDBSnapshotState",
    table: |rds| &rds.snapshots,
    table_mut: |rds| &mut rds.snapshots,
    is_restoring: |rds, seed| rds.instances.values().any(|one| one.stage == Stage::Creating && one.seed == *seed),
    render,
};

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = params.required("DBSnapshotIdentifier")?;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let source = instance(region, params.required("DBInstanceIdentifier")?)?.clone();
    if source.cluster.is_some() {
        return Err(ApiError::invalid(
            "The specified instance is a member of a cluster and a snapshot cannot be created directly. Please use the \
             CreateDBClusterSnapshot API instead.",
        ));
    }
    if source.stage != Stage::Available {
        return Err(instance_state(format!(
            "Cannot create a snapshot because the database instance {} is not currently in the available state.",
            source.id
        )));
    }
    let id = begin(region, &source, id, call.now, tags)?;
    instance_mut(region, &source.id)?.stage = Stage::BackingUp;
    Ok(Node::new().with("DBSnapshot", render(SNAPSHOTS.find(region, &id)?, call.scope())))
}

/// Adds a snapshot, whose data the data plane copies. Without tags in the request, it can copy those of the instance.
pub(super) fn begin(
    region: &mut Region,
    instance: &DbInstance,
    id: &str,
    now: DateTime<Utc>,
    tags: Tags,
) -> Outcome<String> {
    let copied = instance.copy_tags_to_snapshot && tags.is_empty();
    let snapshot = Snapshot {
        id: id.to_owned(),
        resource_id: format!("snapshot-{}", random_hex(16)),
        source: instance.id.clone(),
        source_resource_id: instance.resource_id.clone(),
        stage: Stage::Creating,
        kind: "manual".to_owned(),
        engine: instance.engine.clone(),
        user: instance.account.user.clone(),
        password: instance.account.password.clone(),
        database: instance.account.database.clone(),
        port: instance.place.port,
        vpc_id: instance.place.vpc_id.clone(),
        zones: vec![instance.zone.clone()],
        storage: instance.storage.clone(),
        source_created: instance.created,
        created: now,
        shared_with: std::collections::BTreeSet::new(),
        copy_of: None,
        tags: if copied { instance.tags.clone() } else { tags },
    };
    SNAPSHOTS.add(region, snapshot)
}

fn render(snapshot: &Snapshot, scope: ArnScope<'_>) -> Node {
    let done = if snapshot.stage == Stage::Available { 100_u32 } else { 0 };
    Node::new()
        .with("DBSnapshotIdentifier", &snapshot.id)
        .with("DBInstanceIdentifier", &snapshot.source)
        .with("SnapshotCreateTime", snapshot.created)
        .with("OriginalSnapshotCreateTime", snapshot.created)
        .with("Engine", &snapshot.engine)
        .with("AllocatedStorage", snapshot.storage.allocated_gib)
        .with("Status", snapshot.stage.name())
        .with("Port", snapshot.port)
        .maybe("AvailabilityZone", snapshot.zones.first())
        .with("VpcId", &snapshot.vpc_id)
        .with("InstanceCreateTime", snapshot.source_created)
        .with("MasterUsername", &snapshot.user)
        .with("EngineVersion", engine::version().unwrap_or_default())
        .with("LicenseModel", engine::LICENSE)
        .with("SnapshotType", &snapshot.kind)
        .maybe("SourceDBSnapshotIdentifier", snapshot.copy_of.as_ref())
        .maybe("OptionGroupName", super::option_group::default_name(&snapshot.engine).ok())
        .maybe("Iops", snapshot.storage.iops)
        .with("PercentProgress", done)
        .with("StorageType", &snapshot.storage.kind)
        .with("Encrypted", snapshot.storage.encrypted)
        .with("DBSnapshotArn", arn(scope, "snapshot", &snapshot.id))
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("DbiResourceId", &snapshot.source_resource_id)
        .with("TagList", tag_list(&snapshot.tags))
        .with("SnapshotTarget", "region")
}
