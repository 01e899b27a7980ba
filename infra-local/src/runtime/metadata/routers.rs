//! The metadata service at 169.254.169.254: each VPC's router has the address, and the source of a connection identifies
//! the instance. Routers drop packets with a forged source.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{RETRY, Service, answer};
use crate::access::Endpoint;
use crate::domain::dns;
use crate::domain::network::METADATA;
use crate::runtime::background::PhaseWatch;
use crate::runtime::network::{NetworkHandle, Place};
use crate::state::Shared;

/// Address of the service.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(METADATA), 80);

/// The services of instances with their tokens, by the ids of instances.
type Services = Arc<Mutex<HashMap<String, Arc<Service>>>>;

/// Listens on the routers until the cloud stops.
pub(super) async fn run(shared: Shared, network: NetworkHandle, mut phase: PhaseWatch) {
    let mut changes = network.changes();
    let services = Services::default();
    // Routers by the ids of VPCs and the generation of the network.
    let mut routers: HashMap<(String, u64), JoinSet<()>> = HashMap::new();
    loop {
        let current = Arc::clone(&changes.borrow_and_update());
        let (generation, vpcs) = (current.generation, &current.network.vpcs);
        routers.retain(|(vpc, opened), _| *opened == generation && vpcs.contains_key(vpc));
        forget_terminated(&shared, &services);
        let mut missing = false;
        for (vpc, _) in vpcs.iter().filter(|(_, vpc)| !vpc.interfaces.is_empty()) {
            let key = (vpc.clone(), generation);
            if routers.contains_key(&key) {
                continue;
            }
            match network.site(Place::Router(vpc.clone())).listen(ADDRESS).await {
                Ok(listener) => {
                    let mut task = JoinSet::new();
                    let router = Router { shared: shared.clone(), network: network.clone(), vpc: vpc.clone() };
                    task.spawn(router.serve(listener, Arc::clone(&services)));
                    routers.insert(key, task);
                }
                Err(error) => {
                    missing = true;
                    tracing::debug!(%error, vpc, "the metadata service cannot listen in a VPC");
                }
            }
        }
        let pause = if missing { RETRY } else { Duration::from_hours(1) };
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = phase.ended() => return,
        }
    }
}

fn forget_terminated(shared: &Shared, services: &Services) {
    let mut services = services.lock().unwrap_or_else(PoisonError::into_inner);
    if !services.is_empty() {
        shared.read(|cloud| {
            services.retain(|id, _| cloud.regions.values().any(|region| region.ec2.instances.contains_key(id)));
        });
    }
}

/// The service in one VPC.
struct Router {
    shared: Shared,
    network: NetworkHandle,
    vpc: String,
}

impl Router {
    async fn serve(self, listener: TcpListener, services: Services) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, peer)) = accepted else {
                        tokio::time::sleep(RETRY).await;
                        continue;
                    };
                    // A connection from an instance that has just been terminated is closed.
                    if let Some(service) = self.service(&services, peer.ip()) {
                        connections.spawn(answer(stream, service));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Returns the metadata service of the instance with a private address.
    fn service(&self, services: &Services, address: IpAddr) -> Option<Arc<Service>> {
        let IpAddr::V4(address) = address else { return None };
        let connected = self.network.current();
        let (_, interface) = connected.network.vpcs.get(&self.vpc)?.at(address)?;
        let id = &interface.owner;
        let mut services = services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get(id) {
            return Some(Arc::clone(service));
        }
        let region = self.shared.read(|cloud| {
            let mut regions = cloud.regions.values();
            regions.find(|region| region.ec2.instances.contains_key(id)).map(|region| region.name.clone())
        })?;
        let endpoint = Endpoint::inside(ADDRESS, dns::is_metadata_service);
        let service = Arc::new(Service::new(self.shared.clone(), (region, id.clone()), endpoint));
        services.insert(id.clone(), Arc::clone(&service));
        Some(service)
    }
}
