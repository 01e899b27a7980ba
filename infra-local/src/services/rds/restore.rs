//! New instances and clusters from snapshots.

use super::instance::{OPTIONS, add, empty_instance};
use super::request::{self, BACKUPS, SECURITY_GROUPS};
use super::{TAGS, cluster, cluster_snapshot, engine, identifier, resource, snapshot, subnet_group};
use crate::model::Cloud;
use crate::model::ids::random_hex;
use crate::model::rds::{Account, DbInstance, Place, Seed, Snapshot, Stage};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "RestoreDBInstanceFromDBSnapshot",
        restore_instance,
        &[
            &[
                "DBInstanceIdentifier",
                "DBSnapshotIdentifier",
                "DBInstanceClass",
                "Engine",
                "AvailabilityZone",
                "Port",
                "DBParameterGroupName",
            ],
            OPTIONS,
            SECURITY_GROUPS,
            BACKUPS,
            &["AllocatedStorage", "Iops", "StorageThroughput", "StorageType"],
            TAGS,
            request::ACCESS,
            request::CERTIFICATE,
            request::LICENSE,
            request::LIFECYCLE,
            request::LOG_EXPORTS,
        ],
    )
    .on(&[resource::INSTANCE, resource::SNAPSHOT, resource::PARAMETER_GROUP, resource::SUBNET_GROUP]),
    Operation::writes(
        "RestoreDBClusterFromSnapshot",
        restore_cluster,
        &[
            &["SnapshotIdentifier"],
            cluster::CLUSTER,
            BACKUPS,
            SECURITY_GROUPS,
            TAGS,
            request::ACCESS,
            request::ENCRYPTION_KEY,
            request::LIFECYCLE,
            request::LOG_EXPORTS,
            request::MONITORING,
        ],
    )
    .on(&[resource::CLUSTER, resource::RESTORED_SNAPSHOT, resource::CLUSTER_PARAMETER_GROUP, resource::SUBNET_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
];

fn restore_instance(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = identifier(params, "DBInstanceIdentifier")?;
    let region = cloud.region_mut(call.region)?;
    let from = snapshot::SNAPSHOTS.find(region, params.required("DBSnapshotIdentifier")?)?.clone();
    if from.stage != Stage::Available {
        return Err(ApiError::new("InvalidDBSnapshotState", format!("The snapshot {} is not available.", from.id)));
    }
    if params.optional("Engine").is_some_and(|engine| engine != from.engine) {
        return Err(ApiError::invalid(format!("The snapshot is one of the engine {}", from.engine)));
    }
    let group = subnet_group::of_request(region, params)?;
    let place = Place {
        address: std::net::Ipv4Addr::LOCALHOST,
        port: request::port(params, "Port")?.unwrap_or(from.port),
        subnet_group: group.name,
        security_groups: request::security_groups(region, params, &group.vpc_id)?,
        vpc_id: group.vpc_id,
    };
    let base = DbInstance {
        class: "db.t3.micro".to_owned(),
        account: account(&from),
        storage: request::storage(params, Some(&from.storage), &from.engine)?,
        schedule: request::schedule(params, request::default_schedule(), 0)?,
        seed: Seed::Snapshot(from.resource_id.clone()),
        ..empty_instance(&from.engine, place)
    };
    add(region, call, &id, base)
}

fn restore_cluster(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let from = cluster_snapshot::SNAPSHOTS.find(region, params.required("SnapshotIdentifier")?)?.clone();
    if from.stage != Stage::Available {
        return Err(ApiError::new(
            "InvalidDBClusterSnapshotStateFault",
            format!("The snapshot {} is not available.", from.id),
        ));
    }
    engine::parse(params, &[from.engine.as_str()])?;
    if params.optional("DatabaseName").is_some_and(|name| from.database.as_deref() != Some(name)) {
        return Err(super::combination("The databases of a restored cluster are those of the snapshot."));
    }
    let new = cluster::New {
        account: account(&from),
        schedule: request::schedule(params, request::default_schedule(), 1)?,
        encrypted: from.storage.encrypted,
        port: from.port,
        seed: Seed::Snapshot(from.resource_id.clone()),
    };
    cluster::add(region, call, new)
}

fn account(from: &Snapshot) -> Account {
    Account {
        user: from.user.clone(),
        password: from.password.clone(),
        database: from.database.clone(),
        service_password: random_hex(32),
    }
}
