//! The volume of a cluster: its data while no instance uses it, and its state.

use chrono::Utc;

use super::view::is_within;
use super::{Key, snapshots};
use crate::domain::rds::rename;
use crate::model::Region;
use crate::model::rds::{DbCluster, Rds, Seed, Snapshot, Stage};
use crate::runtime::postgres::{PostgresError, Server};
use crate::state::Shared;
use crate::state::paths::database as directory;

/// A step for a cluster that no instance executes.
pub(super) struct Work {
    region: String,
    cluster: DbCluster,
    step_kind: StepKind,
}

enum StepKind {
    Restore(String),
    Snapshots(Vec<Snapshot>),
    Remove,
}

/// Returns the pending step of each cluster volume.
pub(super) fn due(shared: &Shared) -> Vec<Work> {
    shared.read(|cloud| {
        let regions = cloud.regions.values();
        let all = regions.flat_map(|region| region.rds.clusters.values().map(move |cluster| (region, cluster)));
        let due = all.filter_map(|(region, cluster)| {
            let step_kind = step_kind(&region.rds, cluster)?;
            Some(Work { region: region.name.clone(), cluster: cluster.clone(), step_kind })
        });
        due.collect()
    })
}

fn step_kind(databases: &Rds, cluster: &DbCluster) -> Option<StepKind> {
    let snapshots = snapshots::due(databases, &cluster.resource_id);
    let is_unused = databases.members(&cluster.id).next().is_none();
    match (&cluster.stage, &cluster.seed) {
        (Stage::Creating, Seed::Snapshot(resource_id)) => Some(StepKind::Restore(resource_id.clone())),
        _ if is_unused && !snapshots.is_empty() => Some(StepKind::Snapshots(snapshots)),
        (Stage::Deleting, _) if is_unused => Some(StepKind::Remove),
        _ => None,
    }
}

impl Work {
    pub(super) fn key(&self) -> Key {
        (self.region.clone(), self.cluster.resource_id.clone())
    }

    /// Executes the step; a failure is recorded in the model.
    pub(super) async fn run(self, shared: &Shared) -> Key {
        let done = match &self.step_kind {
            StepKind::Restore(resource_id) => self.restore(shared, resource_id).await,
            StepKind::Snapshots(snapshots) => self.take(shared, snapshots).await,
            StepKind::Remove => {
                self.forget(shared);
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, cluster = self.cluster.id, "the data of a cluster cannot be worked on");
            self.change(shared, |cluster| cluster.stage = Stage::Failed);
        }
        self.key()
    }

    async fn restore(&self, shared: &Shared, resource_id: &str) -> Result<(), PostgresError> {
        let volume = Server::open(&directory(shared.directory(), &self.cluster.resource_id))?;
        snapshots::restore(shared, resource_id, &volume).await?;
        self.change(shared, |cluster| cluster.stage = Stage::Available);
        Ok(())
    }

    async fn take(&self, shared: &Shared, snapshots: &[Snapshot]) -> Result<(), PostgresError> {
        let volume = Server::open(&directory(shared.directory(), &self.cluster.resource_id))?;
        for snapshot in snapshots {
            snapshots::take(shared, &self.region, snapshot, &volume, None).await;
        }
        Ok(())
    }

    /// Removes the cluster from the model. Its directory is removed with those of other deleted resources.
    fn forget(&self, shared: &Shared) {
        shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return };
            forget(region, &self.cluster.id);
        });
    }

    fn change(&self, shared: &Shared, change: impl FnOnce(&mut DbCluster)) {
        shared.update(|cloud| {
            let region = cloud.region_mut(&self.region).ok();
            if let Some(cluster) = region.and_then(|region| region.rds.clusters.get_mut(&self.cluster.id)) {
                change(cluster);
            }
        });
    }
}

/// Removes a cluster from the model.
pub(super) fn forget(region: &mut Region, id: &str) {
    let arn = region.scope().arn("rds", format_args!("cluster:{id}"));
    region.rds.clusters.remove(id);
    region.ec2.subnets.values_mut().for_each(|subnet| subnet.release_hosts(&arn));
}

/// Gives clusters their pending identifiers.
pub(super) fn rename(shared: &Shared) {
    let renamed: Vec<(String, String)> = shared.read(|cloud| {
        let regions = cloud.regions.values();
        let all = regions.flat_map(|region| region.rds.clusters.values().map(move |cluster| (region, cluster)));
        let renamed = all.filter(|(region, cluster)| is_renamed(&region.rds, cluster));
        renamed.map(|(region, cluster)| (region.name.clone(), cluster.id.clone())).collect()
    });
    if !renamed.is_empty() {
        shared.update(|cloud| {
            for (region, id) in renamed {
                if let Ok(region) = cloud.region_mut(&region) {
                    rename::rename_cluster(region, &id, shared.addresses());
                }
            }
        });
    }
}

/// Returns whether the cluster gets its pending identifier now: because the request wanted it immediately, or in the
/// maintenance window.
pub(super) fn is_renamed(databases: &Rds, cluster: &DbCluster) -> bool {
    let pending = &cluster.pending;
    let waits = |id: &String| pending.is_blocked && databases.clusters.contains_key(id);
    cluster.stage == Stage::Available
        && pending.id.as_ref().is_some_and(|id| !waits(id))
        && (cluster.pending.now || is_within(&cluster.schedule.maintenance_window, Utc::now()))
}

/// Completes the transitions of clusters whose instances have completed theirs.
pub(super) fn settle(shared: &Shared) {
    let next_stage: Vec<(String, String, Stage)> = shared.read(|cloud| {
        let regions = cloud.regions.values();
        let all = regions.flat_map(|region| region.rds.clusters.values().map(move |cluster| (region, cluster)));
        let next_stage = all.filter_map(|(region, cluster)| {
            Some((region.name.clone(), cluster.id.clone(), next_stage(&region.rds, cluster)?))
        });
        next_stage.collect()
    });
    if next_stage.is_empty() {
        return;
    }
    shared.update(|cloud| {
        for (region, id, stage) in next_stage {
            let region = cloud.region_mut(&region).ok();
            if let Some(cluster) = region.and_then(|region| region.rds.clusters.get_mut(&id)) {
                cluster.stage = stage;
            }
        }
    });
}

/// Returns the next stage.
pub(super) fn next_stage(databases: &Rds, cluster: &DbCluster) -> Option<Stage> {
    let writer = cluster.writer.as_ref().and_then(|writer| databases.instances.get(writer));
    let all = |stage| databases.members(&cluster.id).all(|member| member.stage == stage);
    let password = || writer.is_none_or(|writer| writer.runtime.password.as_ref() == Some(&cluster.account.password));
    let written = || cluster.demoted.is_none() && writer.is_none_or(|writer| writer.runtime.ready);
    match cluster.stage {
        Stage::Creating if !matches!(cluster.seed, Seed::Snapshot(_)) => Some(Stage::Available),
        Stage::Stopping => all(Stage::Stopped).then_some(Stage::Stopped),
        Stage::Starting => all(Stage::Available).then_some(Stage::Available),
        Stage::Modifying => password().then_some(Stage::Available),
        Stage::FailingOver => written().then_some(Stage::Available),
        _ => None,
    }
}
