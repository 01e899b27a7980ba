//! The endpoints of instances and clusters: open where security groups let clients in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::backend;
use super::door::{Door, Targets};
use crate::domain::reachability;
use crate::model::Region;
use crate::model::rds::{DbCluster, DbInstance, Stage, Trouble};
use crate::state::Shared;

/// The endpoints that are open.
#[derive(Default)]
pub(super) struct Endpoints(BTreeMap<SocketAddr, Door>);

impl Endpoints {
    /// Opens, closes and leads endpoints as the model says; says in the model which cannot be opened.
    pub(super) async fn reconcile(&mut self, shared: &Shared) {
        let wanted = shared.read(|cloud| {
            let mut wanted = BTreeMap::new();
            cloud.regions.values().for_each(|region| collect(region, &mut wanted));
            wanted
        });
        self.0.retain(|address, _| wanted.contains_key(address));
        let mut failures = BTreeMap::new();
        for (address, targets) in wanted {
            if let Some(door) = self.0.get(&address) {
                door.lead_to(targets);
                continue;
            }
            match Door::open(address, targets).await {
                Ok(door) => {
                    self.0.insert(address, door);
                }
                Err(error) => {
                    let message = format!(
                        "cannot listen on {address}: {error}; stop what uses it, or choose another port for the database"
                    );
                    tracing::warn!("{message}");
                    failures.insert(address, message);
                }
            }
        }
        report(shared, &failures);
    }
}

fn collect(region: &Region, wanted: &mut BTreeMap<SocketAddr, Targets>) {
    let databases = &region.rds;
    for instance in databases.instances.values() {
        let there = !matches!(instance.stage, Stage::Stopped | Stage::Deleting);
        if there && reachability::clients_reach_database(region, &instance.place) {
            let address = SocketAddr::from((instance.place.address, instance.place.port));
            wanted.insert(address, Targets { turn: target(instance).into_iter().collect(), fallback: None });
        }
    }
    for cluster in databases.clusters.values() {
        let there = !matches!(cluster.stage, Stage::Stopped | Stage::Deleting);
        if there && reachability::clients_reach_database(region, &cluster.place) {
            let (writer, readers) = targets(region, cluster);
            let at = |address| SocketAddr::from((address, cluster.place.port));
            wanted.insert(at(cluster.place.address), Targets { turn: writer.into_iter().collect(), fallback: None });
            wanted.insert(at(cluster.reader_address), Targets { turn: readers, fallback: writer });
        }
    }
}

/// Returns the endpoints of the writer and the readers of a cluster.
fn targets(region: &Region, cluster: &DbCluster) -> (Option<SocketAddr>, Vec<SocketAddr>) {
    let members = region.rds.members(&cluster.id);
    let (writers, readers): (Vec<_>, Vec<_>) = members.partition(|member| cluster.writer.as_ref() == Some(&member.id));
    let writer = writers.into_iter().find_map(target);
    (writer, readers.into_iter().filter_map(target).collect())
}

fn target(instance: &DbInstance) -> Option<SocketAddr> {
    instance.is_serving().then(|| SocketAddr::from(backend(&instance.place)))
}

/// Writes into the model which instances cannot be reached, and which can be again.
fn report(shared: &Shared, failures: &BTreeMap<SocketAddr, String>) {
    let trouble = |instance: &DbInstance| {
        let message = failures.get(&SocketAddr::from((instance.place.address, instance.place.port)));
        message.map(|message| Trouble { status: NETWORK.to_owned(), message: message.clone() })
    };
    let is_of_network = |trouble: &Trouble| trouble.status == NETWORK;
    let changes = |instance: &DbInstance| {
        let known = instance.runtime.trouble.as_ref().filter(|trouble| is_of_network(trouble));
        known != trouble(instance).as_ref()
    };
    let news = shared.read(|cloud| cloud.regions.values().any(|region| region.rds.instances.values().any(&changes)));
    if news {
        shared.update(|cloud| {
            let instances = cloud.regions.values_mut().flat_map(|region| region.rds.instances.values_mut());
            instances.filter(|one| changes(one)).for_each(|instance| instance.runtime.trouble = trouble(instance));
        });
    }
}

/// AWS's status of an instance that its network keeps from being reached.
pub(super) const NETWORK: &str = "incompatible-network";
