//! Snapshots of DB instances.

use chrono::{DateTime, Utc};

use super::{
    FILTERS, PAGES, TAGS, arn, check_identifier, engine, entries, filtered, instance, instance_mut, instance_state,
    not_found, page, parse_tags, resource, snapshot_named, tag_list,
};
use crate::model::Cloud;
use crate::model::ids::random_hex;
use crate::model::rds::{DbInstance, Seed, Snapshot, Stage};
use crate::model::{Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateDBSnapshot", create, &[&["DBSnapshotIdentifier", "DBInstanceIdentifier"], TAGS])
        .on(&[resource::INSTANCE, resource::SNAPSHOT]),
    Operation::reads(
        "DescribeDBSnapshots",
        describe,
        &[&["DBSnapshotIdentifier", "DBInstanceIdentifier", "DbiResourceId", "SnapshotType"], PAGES, FILTERS],
    )
    .on(&[resource::INSTANCE, resource::SNAPSHOT])
    .ignoring(&[&["IncludeShared", "IncludePublic"]]),
    Operation::writes("DeleteDBSnapshot", delete, &[&["DBSnapshotIdentifier"]]).on(&[resource::SNAPSHOT]),
];

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
    let id = begin(region, &source, id, call.now, Some(tags))?;
    instance_mut(region, &source.id)?.stage = Stage::BackingUp;
    Ok(Node::new().with("DBSnapshot", render(find(region, &id)?, call.region)))
}

/// Adds a snapshot that the data plane is to make; without tags of its own it may have the instance's.
pub(super) fn begin(
    region: &mut Region,
    source: &DbInstance,
    id: &str,
    now: DateTime<Utc>,
    tags: Option<Tags>,
) -> Outcome<String> {
    let id = check_identifier(id, "DBSnapshotIdentifier", 255)?;
    if region.rds.snapshots.contains_key(&id) {
        return Err(ApiError::new(
            "DBSnapshotAlreadyExists",
            format!("Cannot create the snapshot because a snapshot with the identifier {id} already exists."),
        ));
    }
    let own = tags.filter(|tags| !tags.is_empty());
    let inherited = source.copy_tags_to_snapshot.then(|| source.tags.clone());
    let snapshot = Snapshot {
        id: id.clone(),
        resource_id: format!("snapshot-{}", random_hex(16)),
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
        zones: vec![source.zone.clone()],
        storage: source.storage.clone(),
        source_created: source.created,
        created: now,
        tags: own.or(inherited).unwrap_or_default(),
    };
    region.rds.snapshots.insert(id.clone(), snapshot);
    Ok(id)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let snapshots = match params.optional("DBSnapshotIdentifier") {
        Some(id) => vec![find(region, id)?],
        None => {
            let said =
                |name: &str, value: &str| params.optional(name).is_none_or(|said| said.eq_ignore_ascii_case(value));
            let all = region.rds.snapshots.values().filter(|snapshot| {
                said("DBInstanceIdentifier", &snapshot.source)
                    && said("DbiResourceId", &snapshot.source_resource_id)
                    && said("SnapshotType", &snapshot.kind)
            });
            filtered(
                all,
                params,
                &[
                    ("db-instance-id", |snapshot| vec![snapshot.source.clone()]),
                    ("db-snapshot-id", |snapshot| vec![snapshot.id.clone()]),
                    ("dbi-resource-id", |snapshot| vec![snapshot.source_resource_id.clone()]),
                    ("snapshot-type", |snapshot| vec![snapshot.kind.clone()]),
                    ("engine", |snapshot| vec![snapshot.engine.clone()]),
                ],
            )?
        }
    };
    let page = page(snapshots, params, |snapshot| &snapshot.id)?;
    let snapshots = page.items.into_iter().map(|snapshot| render(snapshot, call.region));
    Ok(Node::new().with("DBSnapshots", entries("DBSnapshot", snapshots)).maybe("Marker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let found = find(region, call.input.required("DBSnapshotIdentifier")?)?.clone();
    let seed = Seed::Snapshot(found.resource_id.clone());
    let restoring = region.rds.instances.values().any(|one| one.stage == Stage::Creating && one.seed == seed);
    if restoring || found.stage == Stage::Creating {
        return Err(ApiError::new(
            "InvalidDBSnapshotState",
            format!("Cannot delete the snapshot {} as long as it is being made or restored from.", found.id),
        ));
    }
    region.rds.snapshots.remove(&found.id);
    Ok(Node::new().with("DBSnapshot", render(&found, call.region)))
}

pub(super) fn find<'a>(region: &'a Region, reference: &str) -> Outcome<&'a Snapshot> {
    snapshot_named(&region.rds.snapshots, reference)
        .ok_or_else(|| not_found("DBSnapshotNotFound", format!("DBSnapshot {reference} not found.")))
}

fn render(snapshot: &Snapshot, region: &str) -> Node {
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
        .maybe("Iops", snapshot.storage.iops)
        .with("PercentProgress", done)
        .with("StorageType", &snapshot.storage.kind)
        .with("Encrypted", snapshot.storage.encrypted)
        .with("DBSnapshotArn", arn(region, "snapshot", &snapshot.id))
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("DbiResourceId", &snapshot.source_resource_id)
        .with("TagList", tag_list(&snapshot.tags))
        .with("SnapshotTarget", "region")
}
