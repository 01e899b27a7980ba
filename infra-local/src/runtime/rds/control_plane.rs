//! Databases without servers: every transition completes at once.

use super::{host, removal, volume};
use crate::domain::rds::{rename, settings};
use crate::model::Region;
use crate::model::process::ProcessIdentity;
use crate::model::rds::{DbInstance, Stage};
use crate::state::address::AddressBlock;

/// Completes the transitions of the databases of a region.
pub(crate) fn settle(region: &mut Region, addresses: &AddressBlock) {
    let snapshots = region.rds.snapshots.values_mut().chain(region.rds.cluster_snapshots.values_mut());
    snapshots.filter(|snapshot| snapshot.stage == Stage::Creating).for_each(|one| one.stage = Stage::Available);
    let instances: Vec<String> = region.rds.instances.keys().cloned().collect();
    for id in instances {
        let Some(instance) = region.rds.instances.get(&id) else { continue };
        if instance.stage == Stage::Deleting {
            delete(region, &id);
            continue;
        }
        let wanted = settings::wanted(region, instance);
        let password = region.rds.account(instance).password.clone();
        if let Some(instance) = region.rds.instances.get_mut(&id) {
            settle_instance(instance, password);
            instance.runtime.parameters = settings::effective(&wanted, &instance.runtime.parameters, true);
            if !instance.pending.is_empty() && instance.pending.now {
                host::apply_pending(region, &id, addresses);
            }
        }
    }
    settle_clusters(region, addresses);
}

fn delete(region: &mut Region, id: &str) {
    let instance = &region.rds.instances[id];
    let cluster = instance.cluster.clone();
    if let Some(cluster) = cluster
        && region.rds.clusters.get(&cluster).is_some_and(|cluster| cluster.writer.as_deref() == Some(id))
    {
        region.rds.fail_over(&cluster, None, ProcessIdentity::is_alive);
    }
    removal::forget(region, id);
}

fn settle_instance(instance: &mut DbInstance, password: String) {
    instance.stage = match instance.stage {
        Stage::Stopping => Stage::Stopped,
        Stage::Creating | Stage::Starting | Stage::Modifying | Stage::BackingUp | Stage::Rebooting => Stage::Available,
        other => other,
    };
    instance.runtime.ready = instance.stage == Stage::Available;
    instance.runtime.password = Some(password);
}

fn settle_clusters(region: &mut Region, addresses: &AddressBlock) {
    let clusters: Vec<String> = region.rds.clusters.keys().cloned().collect();
    for id in clusters {
        let is_unused = region.rds.members(&id).next().is_none();
        let Some(cluster) = region.rds.clusters.get_mut(&id) else { continue };
        cluster.demoted = None;
        match cluster.stage {
            Stage::Deleting if is_unused => volume::forget(region, &id),
            Stage::Creating => cluster.stage = Stage::Available,
            _ => {
                let next = volume::next_stage(&region.rds, &region.rds.clusters[&id]);
                if let (Some(next), Some(cluster)) = (next, region.rds.clusters.get_mut(&id)) {
                    cluster.stage = next;
                }
            }
        }
        if region.rds.clusters.get(&id).is_some_and(|cluster| volume::is_renamed(&region.rds, cluster)) {
            rename::rename_cluster(region, &id, addresses);
        }
    }
}
