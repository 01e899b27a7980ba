//! Read replicas of DB instances.

use super::instance::{OPTIONS, add, empty_instance, render};
use super::request::{self, BACKUPS, SECURITY_GROUPS, STORAGE};
use super::{TAGS, combination, identifier, instance, instance_mut, instance_state, resource, subnet_group};
use crate::model::Cloud;
use crate::model::rds::{DbInstance, Place, Seed, Stage};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateDBInstanceReadReplica",
        create,
        &[
            &[
                "DBInstanceIdentifier",
                "SourceDBInstanceIdentifier",
                "DBInstanceClass",
                "AvailabilityZone",
                "Port",
                "DBParameterGroupName",
            ],
            OPTIONS,
            SECURITY_GROUPS,
            STORAGE,
            TAGS,
            request::ACCESS,
            request::CERTIFICATE,
            request::ENCRYPTION_KEY,
            request::INSIGHTS_MODE,
            request::LOG_EXPORTS,
            request::MONITORING,
        ],
    )
    .on(&[resource::INSTANCE, resource::SOURCE_INSTANCE, resource::PARAMETER_GROUP, resource::SUBNET_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
    Operation::writes("PromoteReadReplica", promote, &[&["DBInstanceIdentifier"], BACKUPS]).on(&[resource::INSTANCE]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = identifier(params, "DBInstanceIdentifier")?;
    let region = cloud.region_mut(call.region)?;
    let source = instance(region, params.required("SourceDBInstanceIdentifier")?)?.clone();
    if source.cluster.is_some() {
        return Err(combination("The readers of a cluster are instances of the cluster: use CreateDBInstance."));
    }
    if source.stage != Stage::Available {
        return Err(instance_state(format!("Database instance: {} is not in available state.", source.id)));
    }
    if source.schedule.backup_retention_days == 0 {
        return Err(instance_state(
            "Automated backups are not enabled for this database instance. To enable automated backups, use \
             ModifyDBInstance to set the backup retention period to a non-zero value.",
        ));
    }
    let group = if params.optional("DBSubnetGroupName").is_some() || source.place.subnet_group == "default" {
        subnet_group::of_request(region, params)?
    } else {
        subnet_group::find(region, &source.place.subnet_group)?.clone()
    };
    let place = Place {
        port: request::port(params, "Port")?.unwrap_or(source.place.port),
        security_groups: if params.has_list("VpcSecurityGroupIds") || group.vpc_id != source.place.vpc_id {
            request::security_groups(region, params, &group.vpc_id)?
        } else {
            source.place.security_groups.clone()
        },
        subnet_group: group.name,
        vpc_id: group.vpc_id,
        ..source.place.clone()
    };
    let mut schedule = source.schedule.clone();
    schedule.backup_retention_days = 0;
    let base = DbInstance {
        class: source.class.clone(),
        account: source.account.clone(),
        storage: request::storage(params, Some(&source.storage), &source.engine)?,
        schedule,
        parameter_group: source.parameter_group.clone(),
        source: Some(source.id.clone()),
        seed: Seed::Following,
        ..empty_instance(&source.engine, place)
    };
    add(region, call, &id, base)
}

fn promote(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let replica = instance_mut(region, params.required("DBInstanceIdentifier")?)?;
    if replica.source.is_none() {
        return Err(instance_state("DB Instance is not a read replica."));
    }
    if replica.stage != Stage::Available {
        return Err(instance_state(format!("Database instance: {} is not in available state.", replica.id)));
    }
    replica.source = None;
    replica.stage = Stage::Modifying;
    replica.runtime.ready = false;
    replica.schedule = request::schedule(params, replica.schedule.clone(), 0)?;
    let id = replica.id.clone();
    Ok(Node::new().with("DBInstance", render(instance(region, &id)?, region)))
}
