//! Modification, reboot, stop and start of DB instances.

use super::instance::already_exists;
use super::request::{self, BACKUPS, MAINTENANCE, SECURITY_GROUPS, STORAGE};
use super::{
    combination, engine, features, identifier, instance, instance_mut, instance_state, parameter_group, quota, resource,
};
use crate::model::rds::{DbInstance, Stage};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "ModifyDBInstance",
        modify,
        &[
            &[
                "DBInstanceIdentifier",
                "ApplyImmediately",
                "DBInstanceClass",
                "MasterUserPassword",
                "DBParameterGroupName",
                "DBPortNumber",
                "EngineVersion",
                "AllowMajorVersionUpgrade",
                "MultiAZ",
                "AutoMinorVersionUpgrade",
                "CopyTagsToSnapshot",
                "DeletionProtection",
                "PromotionTier",
                "PubliclyAccessible",
                "NetworkType",
                "NewDBInstanceIdentifier",
            ],
            SECURITY_GROUPS,
            BACKUPS,
            MAINTENANCE,
            STORAGE,
            request::ACCESS,
            request::CERTIFICATE,
            request::CHANGED_LOG_EXPORTS,
            request::INSIGHTS_MODE,
            request::LICENSE,
            request::LIFECYCLE,
            request::MONITORING,
        ],
    )
    .on(&[resource::INSTANCE, resource::PARAMETER_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
    Operation::writes("RebootDBInstance", reboot, &[&["DBInstanceIdentifier", "ForceFailover"]])
        .on(&[resource::INSTANCE]),
    Operation::writes("StopDBInstance", stop, &[&["DBInstanceIdentifier"]]).on(&[resource::INSTANCE]),
    Operation::writes("StartDBInstance", start, &[&["DBInstanceIdentifier"]]).on(&[resource::INSTANCE]),
];

/// Parameters that members of a cluster inherit from it.
const OF_THE_CLUSTER: &[(&str, &str)] = &[
    ("MasterUserPassword", "master password"),
    ("DBPortNumber", "port"),
    ("AllocatedStorage", "allocated storage"),
    ("StorageType", "storage type"),
    ("BackupRetentionPeriod", "backup retention period"),
    ("MultiAZ", "number of zones"),
];

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let found = available(region, params)?.clone();
    request::network_type(params)?;
    engine::check_version(params, &found.engine)?;
    if found.cluster.is_some() {
        if let Some((_, what)) = OF_THE_CLUSTER.iter().find(|(parameter, _)| params.optional(parameter).is_some()) {
            return Err(combination(format!(
                "The DB instance is a member of a DB Cluster. Set {what} for the DB Cluster."
            )));
        }
        if params.has_list("VpcSecurityGroupIds") {
            return Err(combination(
                "The DB instance is a member of a DB Cluster. Set vpc security group for the DB Cluster.",
            ));
        }
    }
    if found.source.is_some() && params.optional("MasterUserPassword").is_some() {
        return Err(combination("The master password of a read replica is that of its source."));
    }
    let mut changed = found.clone();
    apply_immediate(region, params, &mut changed)?;
    apply_deferred(region, params, &mut changed)?;
    let busy =
        changed.account.password != found.account.password || (changed.pending.now && !changed.pending.is_empty());
    if busy {
        changed.stage = Stage::Modifying;
    }
    region.rds.instances.insert(changed.id.clone(), changed);
    answer(region, &found.id)
}

/// Applies the changes that AWS makes immediately, regardless of `ApplyImmediately`.
fn apply_immediate(region: &Region, params: &Params, instance: &mut DbInstance) -> Outcome<()> {
    if let Some(password) = request::password(params)? {
        instance.account.password = password;
    }
    if params.optional("DBParameterGroupName").is_some() {
        let name = params.optional("DBParameterGroupName");
        instance.parameter_group = parameter_group::of_instance(region, name, &instance.engine)?;
    }
    if params.has_list("VpcSecurityGroupIds") {
        instance.place.security_groups = request::security_groups(region, params, &instance.place.vpc_id)?;
    }
    instance.features = features::parse(region, params, &instance.features, &instance.engine)?;
    let fewest_days = u32::from(instance.cluster.is_some());
    instance.schedule = request::schedule(params, instance.schedule.clone(), fewest_days)?;
    if instance.schedule.backup_retention_days == 0
        && region.rds.instances.values().any(|one| one.source.as_ref() == Some(&instance.id))
    {
        return Err(instance_state("Backups cannot be disabled as long as the instance has read replicas."));
    }
    instance.auto_minor_upgrade = params.parsed("AutoMinorVersionUpgrade")?.unwrap_or(instance.auto_minor_upgrade);
    instance.copy_tags_to_snapshot = params.parsed("CopyTagsToSnapshot")?.unwrap_or(instance.copy_tags_to_snapshot);
    instance.deletion_protection = params.parsed("DeletionProtection")?.unwrap_or(instance.deletion_protection);
    instance.public = params.parsed("PubliclyAccessible")?.unwrap_or(instance.public);
    instance.promotion_tier = super::number(params, "PromotionTier", 0, 15)?.unwrap_or(instance.promotion_tier);
    Ok(())
}

/// Applies the changes that wait for the maintenance window, unless the request applies them immediately.
fn apply_deferred(region: &Region, params: &Params, instance: &mut DbInstance) -> Outcome<()> {
    let pending = &mut instance.pending;
    pending.now |= params.flag("ApplyImmediately")?;
    if params.optional("NewDBInstanceIdentifier").is_some() {
        let id = identifier(params, "NewDBInstanceIdentifier")?;
        if id != instance.id && region.rds.instances.contains_key(&id) {
            return Err(already_exists());
        }
        pending.id = Some(id).filter(|id| *id != instance.id);
        pending.is_blocked = false;
    }
    if let Some(class) = params.optional("DBInstanceClass") {
        engine::check_class(class, &instance.engine)?;
        pending.class = Some(class.to_owned()).filter(|class| *class != instance.class);
    }
    if STORAGE.iter().any(|parameter| params.optional(parameter).is_some()) {
        let storage = request::storage(params, Some(&instance.storage), &instance.engine)?;
        // The limit of storage autoscaling takes effect immediately.
        instance.storage.max_allocated_gib = storage.max_allocated_gib;
        quota::check_storage(region, &instance.id, storage.allocated_gib)?;
        pending.storage = Some(storage).filter(|storage| *storage != instance.storage);
    }
    if let Some(port) = request::port(params, "DBPortNumber")? {
        pending.port = Some(port).filter(|port| *port != instance.place.port);
        pending.now |= pending.port.is_some();
    }
    if let Some(multi_az) = params.parsed::<bool>("MultiAZ")? {
        pending.multi_az = Some(multi_az).filter(|multi_az| *multi_az != instance.second_zone.is_some());
    }
    if pending.is_empty() {
        pending.now = false;
    }
    Ok(())
}

fn reboot(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = available(region, params)?.id.clone();
    let forced = params.flag("ForceFailover")?;
    let instance = instance_mut(region, &id)?;
    if forced {
        let Some(second) = instance.second_zone.take() else {
            return Err(combination("Cannot force failover since the instance is not configured for Multi-AZ"));
        };
        instance.second_zone = Some(std::mem::replace(&mut instance.zone, second));
    }
    instance.stage = Stage::Rebooting;
    instance.runtime.ready = false;
    answer(region, &id)
}

fn stop(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let found = available(region, &call.input)?;
    if found.cluster.is_some() {
        return Err(combination(format!("{} DB instances are not eligible for stopping or starting.", found.engine)));
    }
    if found.source.is_some() || region.rds.instances.values().any(|one| one.source.as_ref() == Some(&found.id)) {
        return Err(instance_state("Cannot stop an instance that is a read replica or has one."));
    }
    let id = found.id.clone();
    instance_mut(region, &id)?.stage = Stage::Stopping;
    answer(region, &id)
}

fn start(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let found = instance_mut(region, call.input.required("DBInstanceIdentifier")?)?;
    if found.cluster.is_some() {
        return Err(combination(format!("{} DB instances are not eligible for stopping or starting.", found.engine)));
    }
    if found.stage != Stage::Stopped {
        return Err(instance_state(format!("Instance {} is not stopped.", found.id)));
    }
    found.stage = Stage::Starting;
    let id = found.id.clone();
    answer(region, &id)
}

/// Returns the instance of a request, which has to be available.
fn available<'a>(region: &'a Region, params: &Params) -> Outcome<&'a DbInstance> {
    let found = instance(region, params.required("DBInstanceIdentifier")?)?;
    if found.stage != Stage::Available {
        return Err(instance_state(format!("Database instance: {} is not in available state.", found.id)));
    }
    Ok(found)
}

fn answer(region: &Region, id: &str) -> Outcome<Node> {
    Ok::<_, ApiError>(Node::new().with("DBInstance", super::instance::render(instance(region, id)?, region)))
}
