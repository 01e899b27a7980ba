//! Snapshots: copies of the data in the cloud's directory.

use crate::model::Region;
use crate::model::rds::{Rds, Snapshot, Stage};
use crate::runtime::network::Site;
use crate::runtime::postgres::{PostgresError, Server};
use crate::runtime::server_home::Login;
use crate::state::Shared;
use crate::state::paths::database as directory;

/// Returns the pending snapshots of an instance or a cluster.
pub(super) fn due(databases: &Rds, source_resource_id: &str) -> Vec<Snapshot> {
    let all = databases.snapshots.values().chain(databases.cluster_snapshots.values());
    let due = all.filter(|one| one.stage == Stage::Creating && one.source_resource_id == source_resource_id);
    due.cloned().collect()
}

/// Creates a snapshot of a running server, or of data that no server uses, and records it in the model.
pub(super) async fn take(shared: &Shared, region: &str, snapshot: &Snapshot, of: &Server, running: Option<&Login>) {
    let result = make(shared, snapshot, of, running).await;
    if let Err(error) = &result {
        tracing::error!(%error, snapshot = snapshot.id, "cannot create a snapshot");
    }
    shared.update(|cloud| {
        let Ok(Region { rds: databases, .. }) = cloud.region_mut(region) else { return };
        let all = databases.snapshots.values_mut().chain(databases.cluster_snapshots.values_mut());
        for one in all.filter(|one| one.resource_id == snapshot.resource_id) {
            one.stage = if result.is_ok() { Stage::Available } else { Stage::Failed };
        }
    });
}

async fn make(shared: &Shared, snapshot: &Snapshot, of: &Server, running: Option<&Login>) -> Result<(), PostgresError> {
    let server = Server::open(&directory(shared.directory(), &snapshot.resource_id))?;
    if let Some(login) = running {
        return server.copy_from(&Site::Host, login).await;
    }
    let target = server.empty("data.new")?;
    if of.has_data() {
        server.copy(&of.data(), &target).await?;
    } else {
        // A cluster that never had an instance has no data.
        return Ok(());
    }
    Ok(server.become_data(&target)?)
}

/// Copies a snapshot's data to the data directory of a server.
pub(super) async fn restore(shared: &Shared, resource_id: &str, to: &Server) -> Result<(), PostgresError> {
    let snapshot = Server::open(&directory(shared.directory(), resource_id))?;
    if !snapshot.has_data() {
        return Ok(());
    }
    let target = to.empty("data.new")?;
    to.copy(&snapshot.data(), &target).await?;
    Ok(to.become_data(&target)?)
}
