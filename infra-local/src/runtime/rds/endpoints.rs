//! The endpoints of instances and clusters, which are open if security groups admit clients.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::backend;
use super::forwarder::{Forwarder, Targets};
use crate::domain::ec2::network_interface::{self, Owner};
use crate::domain::ec2::security_group;
use crate::domain::network::End;
use crate::model::Region;
use crate::model::rds::{self, DbCluster, DbInstance, Stage, Trouble};
use crate::runtime::network::{InterfacePort, NetworkHandle, Place, Site};
use crate::state::Shared;

/// The endpoints that are open.
#[derive(Default)]
pub(super) struct Endpoints(BTreeMap<Endpoint, Forwarder>);

/// A listening address, in the network of this machine or at an interface.
type Endpoint = (Option<InterfacePort>, SocketAddr);

impl Endpoints {
    /// Opens, closes and retargets endpoints by the model, and reports to the model which ones cannot be opened.
    pub(super) async fn reconcile(&mut self, shared: &Shared, network: &NetworkHandle) {
        let wanted = shared.read(|cloud| {
            let mut wanted = BTreeMap::new();
            cloud.regions.values().for_each(|region| collect(region, network, &mut wanted));
            wanted
        });
        self.0.retain(|endpoint, _| wanted.contains_key(endpoint));
        let mut failures = BTreeMap::new();
        for (endpoint, targets) in wanted {
            if let Some(forwarder) = self.0.get(&endpoint) {
                forwarder.set_targets(targets);
                continue;
            }
            let (interface, address) = endpoint.clone();
            let site = interface.map_or(Site::Host, |port| network.site(Place::Interface(port.interface)));
            match site.listen(address).await {
                Ok(listener) => {
                    self.0.insert(endpoint, Forwarder::new(listener, targets, shared.databases().clone()));
                }
                Err(error) => {
                    let message = format!(
                        "cannot listen on {address}: {error}; stop what uses it, or choose another port for the database"
                    );
                    tracing::warn!("{message}");
                    failures.insert(endpoint, message);
                }
            }
        }
        report(shared, &failures);
    }
}

fn collect(region: &Region, network: &NetworkHandle, wanted: &mut BTreeMap<Endpoint, Targets>) {
    let databases = &region.rds;
    for instance in databases.instances.values() {
        if !matches!(instance.stage, Stage::Stopped | Stage::Deleting) {
            let targets = Targets { turn: target(instance).into_iter().collect(), fallback: None };
            let (owner, place) = (Owner::Database(instance), &instance.place);
            let is_open = if network.is_private() {
                network.current().network.reaches(End::Outside, place.address, place.port)
            } else {
                admits_clients(region, place)
            };
            if is_open {
                wanted.insert((None, SocketAddr::from((place.address, place.port))), targets.clone());
            }
            wanted.extend(inside(region, network, owner, place.address, place.port).map(|it| (it, targets)));
        }
    }
    for cluster in databases.clusters.values() {
        if !matches!(cluster.stage, Stage::Stopped | Stage::Deleting) {
            let (writer, readers) = targets(region, cluster);
            let writers = Targets { turn: writer.into_iter().collect(), fallback: None };
            let readers = Targets { turn: readers, fallback: writer };
            let port = cluster.place.port;
            let is_open = !network.is_private() && admits_clients(region, &cluster.place);
            for (address, targets, writes) in
                [(cluster.place.address, writers, true), (cluster.reader_address, readers, false)]
            {
                if is_open {
                    wanted.insert((None, SocketAddr::from((address, port))), targets.clone());
                }
                let owner = Owner::Endpoint(cluster, writes);
                wanted.extend(inside(region, network, owner, address, port).map(|it| (it, targets)));
            }
        }
    }
}

/// Returns whether clients on this machine may connect to a database on the loopback interface. They are in its network and
/// have the address of all clients, so one of them passes for a member of any security group and of any range.
fn admits_clients(region: &Region, place: &rds::Place) -> bool {
    security_group::admit_any(region, &place.security_groups, place.port)
}

/// The endpoint at an interface, once the interface is connected. There, the network decides which clients get through.
fn inside(
    region: &Region,
    network: &NetworkHandle,
    owner: Owner<'_>,
    address: Ipv4Addr,
    port: u16,
) -> Option<Endpoint> {
    let interface = network_interface::at_address(region, owner, address, None).filter(|_| network.is_private())?;
    let connected = network.current().port(&interface.id)?;
    Some((Some(connected), SocketAddr::from((interface.private, port))))
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

/// Reports to the model which instances cannot be reached, and which can be reached again.
fn report(shared: &Shared, failures: &BTreeMap<Endpoint, String>) {
    let trouble = |instance: &DbInstance| {
        let public = (None, SocketAddr::from((instance.place.address, instance.place.port)));
        failures.get(&public).map(|message| Trouble { status: NETWORK.to_owned(), message: message.clone() })
    };
    let is_of_network = |trouble: &Trouble| trouble.status == NETWORK;
    let changes = |instance: &DbInstance| {
        let known = instance.runtime.trouble.as_ref().filter(|trouble| is_of_network(trouble));
        known != trouble(instance).as_ref()
    };
    let has_changes =
        shared.read(|cloud| cloud.regions.values().any(|region| region.rds.instances.values().any(&changes)));
    if has_changes {
        shared.update(|cloud| {
            let instances = cloud.regions.values_mut().flat_map(|region| region.rds.instances.values_mut());
            instances.filter(|one| changes(one)).for_each(|instance| instance.runtime.trouble = trouble(instance));
        });
    }
}

/// AWS's status of an instance that cannot be reached because of its network.
pub(super) const NETWORK: &str = "incompatible-network";
