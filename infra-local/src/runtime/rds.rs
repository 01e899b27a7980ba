//! Runs the declared databases: a host per instance, a volume per cluster without instances, and the endpoints.

pub(crate) mod control_plane;
mod endpoints;
mod forwarder;
mod host;
mod removal;
mod replication;
mod roles;
mod snapshots;
mod view;
mod volume;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::background::{Phase, PhaseWatch};
use super::network::NetworkHandle;
use super::server_home::CertificateAuthority;
use super::{postgres, server_home};
use crate::model::Cloud;
use crate::model::rds::{DbInstance, Place};
use crate::state::Shared;
use endpoints::Endpoints;
use host::Host;

/// Interval of retries after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The port of the servers. Clients connect to the endpoints instead.
const BACKEND_PORT: u16 = 17018;

/// Region and resource of a task.
type Key = (String, String);

/// Runs until the cloud stops; then the endpoints are closed, and servers are stopped or left running, depending on the
/// phase.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, mut phase: PhaseWatch) {
    shared.update(|cloud| relocate(cloud, shared.addresses().number()));
    // Hosts read the parameters while they hold the state's lock.
    let _ended_early = tokio::task::spawn_blocking(postgres::discover).await;
    let authority = match CertificateAuthority::open(shared.directory()) {
        Ok(authority) => Arc::new(authority),
        Err(error) => return tracing::error!(%error, "databases do not run without their certificate authority"),
    };
    let (mut changes, mut connected) = (shared.changes(), network.changes());
    let mut tasks: JoinSet<Key> = JoinSet::new();
    let mut running: BTreeSet<Key> = BTreeSet::new();
    let mut endpoints = Endpoints::default();
    loop {
        changes.borrow_and_update();
        connected.borrow_and_update();
        for key in instances(&shared) {
            if running.insert(key.clone()) {
                let authority = Arc::clone(&authority);
                let host = Host::new(shared.clone(), authority, key.0.clone(), key.1.clone(), phase.clone());
                tasks.spawn(async move {
                    host.run().await;
                    key
                });
            }
        }
        for work in volume::due(&shared) {
            if running.insert(work.key()) {
                let shared = shared.clone();
                tasks.spawn(async move { work.run(&shared).await });
            }
        }
        volume::settle(&shared);
        volume::rename(&shared);
        endpoints.reconcile(&shared, &network).await;
        remove_unused(&shared);
        tokio::select! {
            _ = changes.changed() => {}
            _ = connected.changed() => {}
            Some(ended) = tasks.join_next() => match ended {
                Ok(key) => { running.remove(&key); }
                Err(error) => tracing::error!(%error, "the host of a database failed"),
            },
            () = tokio::time::sleep(RETRY) => {}
            _ = phase.ended() => break,
        }
    }
    drop(endpoints);
    while tasks.join_next().await.is_some() {}
    if phase.now() == Phase::Stopping {
        remove_unused(&shared);
    }
}

/// Moves endpoints to this cloud's current address range.
fn relocate(cloud: &mut Cloud, block: u8) {
    let moved = |address: &mut Ipv4Addr| {
        let [first, _, subnet, host] = address.octets();
        *address = Ipv4Addr::new(first, block, subnet, host);
    };
    for databases in cloud.regions.values_mut().map(|region| &mut region.rds) {
        databases.instances.values_mut().for_each(|instance| moved(&mut instance.place.address));
        for cluster in databases.clusters.values_mut() {
            moved(&mut cluster.place.address);
            moved(&mut cluster.reader_address);
        }
    }
}

/// Returns the address of an instance's server.
fn backend(place: &Place) -> (Ipv4Addr, u16) {
    (place.address, if place.port == BACKEND_PORT { BACKEND_PORT + 1 } else { BACKEND_PORT })
}

fn instances(shared: &Shared) -> Vec<Key> {
    let key = |region: &str, instance: &DbInstance| (region.to_owned(), instance.resource_id.clone());
    shared.read(|cloud| {
        let regions = cloud.regions.values();
        regions.flat_map(|region| region.rds.instances.values().map(|one| key(&region.name, one))).collect()
    })
}

/// Removes the directories of deleted resources, such as snapshots.
fn remove_unused(shared: &Shared) {
    let known: BTreeSet<String> = shared.read(|cloud| {
        let databases = cloud.regions.values().map(|region| &region.rds);
        let ids = databases.flat_map(|databases| {
            let instances = databases.instances.values().map(|instance| &instance.resource_id);
            let clusters = databases.clusters.values().map(|cluster| &cluster.resource_id);
            let snapshots = databases.snapshots.values().chain(databases.cluster_snapshots.values());
            instances.chain(clusters).chain(snapshots.map(|snapshot| &snapshot.resource_id))
        });
        ids.cloned().collect()
    });
    let root = shared.directory().join("databases");
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
            continue;
        }
        if let Err(error) = server_home::remove(&entry.path()) {
            tracing::warn!(%error, "{} could not be removed", entry.path().display());
        }
    }
}
