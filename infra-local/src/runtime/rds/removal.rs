//! Deletion of an instance. Data that other instances need is kept.

use super::host::{Flow, Host};
use super::snapshots;
use super::view::View;
use crate::model::Region;
use crate::model::process::ProcessIdentity;
use crate::model::rds::{Seed, Stage};
use crate::runtime::postgres::{PostgresError, Server};
use crate::runtime::server_home::{self, HomeError};
use crate::state::paths::database as directory;

impl Host {
    /// Deletes the instance: creates the final snapshot, fails a writer over to a reader, or keeps the data for the
    /// cluster.
    pub(super) async fn delete(&mut self, view: &View) -> Result<Flow, PostgresError> {
        let server = self.server()?;
        let running = view.instance.runtime.process.filter(|process| process.is_alive() && view.instance.runtime.ready);
        for snapshot in view.snapshots.iter().filter(|_| view.instance.cluster.is_none()) {
            let login = running.map(|_| view.own_login());
            if login.is_none() {
                self.halt().await;
            }
            snapshots::take(&self.shared, &self.region, snapshot, &server, login.as_ref()).await;
        }
        if let Some(cluster) = view.instance.cluster.as_ref().filter(|_| view.is_writer()) {
            let left = self.shared.update(|cloud| {
                cloud
                    .region_mut(&self.region)
                    .is_ok_and(|region| region.rds.fail_over(cluster, None, ProcessIdentity::is_alive))
            });
            if left {
                return Ok(Flow::Again);
            }
        }
        self.halt().await;
        server.stop_leftover().await;
        if view.is_needed {
            return Ok(Flow::Wait);
        }
        if let Some(cluster) = view.cluster_resource_id.as_ref().filter(|_| view.is_writer())
            && server.has_data()
            && !server.is_standby()
        {
            let volume = Server::open(&directory(self.shared.directory(), cluster))?;
            volume.become_data(&server.data())?;
        }
        let path = self.directory();
        server_home::remove(&path).map_err(|source| HomeError::Directory { path, source })?;
        self.forget(view);
        Ok(Flow::Ended)
    }

    fn forget(&self, view: &View) {
        self.shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return };
            forget(region, &view.instance.id);
        });
    }
}

/// Removes an instance from the model, and selects the next writer of its cluster.
pub(super) fn forget(region: &mut Region, id: &str) {
    let arn = region.scope().arn("rds", format_args!("db:{id}"));
    region.ec2.subnets.values_mut().for_each(|subnet| subnet.release_hosts(&arn));
    let databases = &mut region.rds;
    let Some(instance) = databases.instances.remove(id) else { return };
    let Some(cluster) = instance.cluster.as_ref().and_then(|cluster| databases.clusters.get_mut(cluster)) else {
        return;
    };
    if cluster.writer.as_deref() != Some(id) {
        return;
    }
    // A reader that was not ready yet continues with the data of the cluster.
    let mut members = databases.instances.values_mut();
    let next = members.find(|one| one.cluster.as_ref() == Some(&cluster.id) && one.stage != Stage::Deleting);
    cluster.writer = next.as_ref().map(|next| next.id.clone());
    cluster.demoted = None;
    if let Some(next) = next {
        next.seed = Seed::Empty;
    }
}
