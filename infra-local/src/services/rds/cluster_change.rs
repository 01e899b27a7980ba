//! Modification, failover, stop and start of DB clusters.

use super::cluster::{already_exists, answer};
use super::request::{self, BACKUPS, MAINTENANCE, SECURITY_GROUPS};
use super::{
    cluster, cluster_mut, cluster_state, engine, features, identifier, instance, instance_state, no_instance,
    parameter_group, resource,
};
use crate::model::rds::{DbCluster, DbInstance, PendingOfCluster, Stage};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "ModifyDBCluster",
        modify,
        &[
            &[
                "DBClusterIdentifier",
                "ApplyImmediately",
                "MasterUserPassword",
                "DBClusterParameterGroupName",
                "EngineVersion",
                "AllowMajorVersionUpgrade",
                "Port",
                "CopyTagsToSnapshot",
                "DeletionProtection",
                "NetworkType",
                "NewDBClusterIdentifier",
            ],
            SECURITY_GROUPS,
            BACKUPS,
            MAINTENANCE,
            request::ACCESS,
            request::CERTIFICATE,
            request::CHANGED_LOG_EXPORTS,
            request::INSIGHTS_MODE,
            request::LIFECYCLE,
            request::MONITORING,
        ],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_PARAMETER_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
    Operation::writes("FailoverDBCluster", fail_over, &[&["DBClusterIdentifier", "TargetDBInstanceIdentifier"]])
        .on(&[resource::CLUSTER, resource::FAILOVER_INSTANCE]),
    Operation::writes("StopDBCluster", stop, &[&["DBClusterIdentifier"]]).on(&[resource::CLUSTER]),
    Operation::writes("StartDBCluster", start, &[&["DBClusterIdentifier"]]).on(&[resource::CLUSTER]),
];

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let found = available(region, params)?.clone();
    request::network_type(params)?;
    engine::check_version(params, &found.engine)?;
    let mut changed = found.clone();
    if let Some(password) = request::password(params)? {
        changed.account.password = password;
        changed.stage = Stage::Modifying;
    }
    if params.optional("DBClusterParameterGroupName").is_some() {
        let name = params.optional("DBClusterParameterGroupName");
        changed.parameter_group = parameter_group::of_cluster(region, name, &found.engine)?;
    }
    if params.has_list("VpcSecurityGroupIds") {
        changed.place.security_groups = request::security_groups(region, params, &found.place.vpc_id)?;
    }
    changed.features = features::parse(region, params, &found.features, &found.engine)?;
    changed.place.port = request::port(params, "Port")?.unwrap_or(found.place.port);
    changed.schedule = request::schedule(params, found.schedule, 1)?;
    changed.copy_tags_to_snapshot = params.parsed("CopyTagsToSnapshot")?.unwrap_or(found.copy_tags_to_snapshot);
    changed.deletion_protection = params.parsed("DeletionProtection")?.unwrap_or(found.deletion_protection);
    changed.pending.now = changed.pending.id.is_some() && (changed.pending.now || params.flag("ApplyImmediately")?);
    if params.optional("NewDBClusterIdentifier").is_some() {
        let id = identifier(params, "NewDBClusterIdentifier")?;
        if id != changed.id && region.rds.clusters.contains_key(&id) {
            return Err(already_exists());
        }
        let id = Some(id).filter(|id| *id != changed.id);
        changed.pending = PendingOfCluster { now: params.flag("ApplyImmediately")?, id, is_blocked: false };
    }
    for member in members_mut(region, &found.id) {
        member.place.port = changed.place.port;
        member.place.security_groups.clone_from(&changed.place.security_groups);
    }
    region.rds.clusters.insert(found.id.clone(), changed);
    answer(region, &found.id)
}

fn fail_over(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let found = available(region, params)?;
    let (id, writer) = (found.id.clone(), found.writer.clone());
    let target = params.optional("TargetDBInstanceIdentifier").map(str::to_lowercase);
    if let Some(target) = &target {
        let instance = instance(region, target)?;
        if instance.cluster.as_ref() != Some(&id) {
            return Err(no_instance(target));
        }
        if writer.as_ref() == Some(target) {
            return Err(instance_state(format!("DB instance {target} is the writer of the cluster already.")));
        }
    }
    // The runtime has observed the processes; another check would be I/O under the state's lock.
    if !region.rds.fail_over(&id, target.as_deref(), |_| true) {
        return Err(cluster_state(format!("Cannot failover the cluster {id} as it has no reader that is available.")));
    }
    answer(region, &id)
}

fn stop(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = available(region, &call.input)?.id.clone();
    if let Some(busy) = region.rds.members(&id).find(|member| member.stage != Stage::Available) {
        return Err(instance_state(format!("Database instance: {} is not in available state.", busy.id)));
    }
    for member in members_mut(region, &id) {
        member.stage = Stage::Stopping;
    }
    cluster_mut(region, &id)?.stage = Stage::Stopping;
    answer(region, &id)
}

fn start(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let found = cluster(region, call.input.required("DBClusterIdentifier")?)?;
    if found.stage != Stage::Stopped {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of stopped",
            found.id,
            found.stage.name()
        )));
    }
    let id = found.id.clone();
    for member in members_mut(region, &id) {
        member.stage = Stage::Starting;
    }
    cluster_mut(region, &id)?.stage = Stage::Starting;
    answer(region, &id)
}

fn available<'a>(region: &'a Region, params: &Params) -> Outcome<&'a DbCluster> {
    let found = cluster(region, params.required("DBClusterIdentifier")?)?;
    if found.stage != Stage::Available {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            found.id,
            found.stage.name()
        )));
    }
    Ok(found)
}

fn members_mut<'a>(region: &'a mut Region, cluster: &'a str) -> impl Iterator<Item = &'a mut DbInstance> {
    region.rds.instances.values_mut().filter(move |member| member.cluster.as_deref() == Some(cluster))
}
