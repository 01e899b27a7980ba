//! Runs the declared balancers: a proxy per listener and a pool per target group. Reports their observations to the
//! model.

mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::background::PhaseWatch;
use super::network::{InterfacePort, NetworkHandle, Place, Site};
use super::proxy::{
    AccessLogs, Deliveries, Endpoint, ListenError, LogKind, LogPlace, PoolSettings, ProxyListener, Route, Settings,
    TargetHealth, TargetKey, TargetPool, Tls, Workers,
};
use crate::domain::ec2::network_interface;
use crate::domain::ec2::security_group;
use crate::domain::network::End;
use crate::model::clock::TimeScale;
use crate::model::ec2::instance::Instance;
use crate::model::ec2::instance::InstanceState;
use crate::model::elbv2::{BalancerState, Health, LoadBalancer, TargetGroup, TargetType};
use crate::model::{Cloud, Region};
use crate::state::traffic::Counts;
use crate::state::{Shared, paths};

/// Interval of attempts to listen on an occupied port.
const RETRY: Duration = Duration::from_secs(1);

/// Interval of checks on draining targets, because the end of a request causes no event.
const DRAINING: Duration = Duration::from_millis(50);

/// Runs the balancers until the cloud stops; then their ports are closed.
///
/// `time_scale` divides health intervals and deregistration delays.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, time_scale: f64, mut phase: PhaseWatch) {
    shared.update(|cloud| relocate(cloud, shared.addresses().number()));
    let health = watch::Sender::new(0);
    let mut found = health.subscribe();
    let mut declared = shared.changes();
    let mut connected = network.changes();
    let workers = match Workers::start() {
        Ok(workers) => workers,
        Err(error) => {
            tracing::error!(%error, "no balancer can run: its threads cannot be started");
            return;
        }
    };
    let logs = AccessLogs::start(Deliveries::new(shared.clone(), TimeScale(time_scale)));
    let logs = logs.inspect_err(|error| tracing::error!(%error, "requests to balancers are not logged")).ok();
    let (pools, listeners) = (BTreeMap::new(), BTreeMap::new());
    let mut plane = Plane { time_scale, network, workers, logs, health, pools, listeners };
    loop {
        declared.borrow_and_update();
        connected.borrow_and_update();
        found.borrow_and_update();
        let pause = plane.reconcile(&shared).await;
        tokio::select! {
            _ = declared.changed() => {}
            _ = connected.changed() => {}
            _ = found.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = phase.ended() => break,
        }
    }
    if let Some(logs) = plane.logs.take() {
        drop(plane);
        // The thread may have stopped; then there is nothing to deliver.
        let _ = tokio::task::spawn_blocking(move || logs.deliver_all()).await;
    }
}

/// Moves balancers to this cloud's current address range.
fn relocate(cloud: &mut Cloud, block: u8) {
    for balancer in cloud.regions.values_mut().flat_map(|region| region.elbv2.load_balancers.values_mut()) {
        let [first, old, subnet, host] = balancer.address.octets();
        if old != block {
            balancer.address = Ipv4Addr::new(first, block, subnet, host);
            tracing::warn!("balancer {} answers on {} now", balancer.name, balancer.address);
        }
    }
}

/// The running pools and listeners.
struct Plane {
    time_scale: f64,
    network: NetworkHandle,
    workers: Workers,
    /// Writer of the balancers' logs.
    logs: Option<AccessLogs>,
    health: watch::Sender<u64>,
    /// Pools by ARN of the target group.
    pools: BTreeMap<String, TargetPool>,
    listeners: BTreeMap<ListenerKey, ProxyListener>,
}

/// A port on which a listener listens: the listener's ARN, and the interface whose address is used. `None` is the
/// public address, to which clients on this machine connect.
type ListenerKey = (String, Option<InterfacePort>);

/// The declared pools and listeners.
#[derive(Default)]
struct Wanted {
    pools: BTreeMap<String, (PoolSettings, BTreeMap<TargetKey, Endpoint>)>,
    listeners: BTreeMap<ListenerKey, WantedListener>,
}

struct WantedListener {
    balancer: String,
    site: Site,
    address: SocketAddr,
    /// The listener as the model declares it, with ARNs of target groups.
    declared: crate::model::elbv2::Listener,
    settings: Settings,
    /// Places of the logs in buckets.
    logs: Vec<LogPlace>,
    tls: Option<Tls>,
}

impl Plane {
    /// Reconciles pools and listeners with the model. Returns the time until the next check without a change.
    async fn reconcile(&mut self, shared: &Shared) -> Duration {
        let wanted = shared.read(|cloud| {
            let mut wanted = Wanted::default();
            for region in cloud.regions.values() {
                collect(region, &self.network, &mut wanted);
            }
            wanted
        });
        self.reconcile_pools(&wanted);
        let failures = self.reconcile_listeners(&wanted, shared.directory()).await;
        shared.traffic().replace(self.traffic(&wanted));

        let has_changes = |cloud: &Cloud| {
            let mut draft = cloud.clone();
            self.report(&mut draft, &failures);
            draft != *cloud
        };
        if shared.read(has_changes) {
            shared.update(|cloud| self.report(cloud, &failures));
        }
        let draining = shared.read(|cloud| {
            let groups = cloud.regions.values().flat_map(|region| region.elbv2.target_groups.values());
            groups.flat_map(|group| &group.targets).any(|target| target.draining)
        });
        if draining { DRAINING } else { RETRY }
    }

    fn traffic(&self, wanted: &Wanted) -> BTreeMap<String, Counts> {
        let mut traffic: BTreeMap<String, Counts> =
            self.pools.iter().map(|(arn, pool)| (arn.clone(), pool.counts())).collect();
        for (key, listener) in &self.listeners {
            if let Some(wanted) = wanted.listeners.get(key) {
                let counts = traffic.entry(wanted.balancer.clone()).or_default();
                counts.connections += listener.connections();
                for (total, errors) in counts.own_errors.iter_mut().zip(listener.own_errors()) {
                    *total += errors;
                }
            }
        }
        traffic
    }

    fn reconcile_pools(&mut self, wanted: &Wanted) {
        self.pools.retain(|arn, _| wanted.pools.contains_key(arn));
        for (arn, (settings, targets)) in &wanted.pools {
            let pool = self
                .pools
                .entry(arn.clone())
                .or_insert_with(|| TargetPool::new(arn, settings.clone(), self.time_scale, self.health.clone()));
            pool.configure(settings.clone());
            pool.set_targets(targets);
        }
    }

    /// Reconciles the listeners. Returns the reasons of balancers that cannot listen.
    async fn reconcile_listeners(&mut self, wanted: &Wanted, directory: &Path) -> BTreeMap<String, String> {
        self.listeners.retain(|key, running| {
            wanted.listeners.get(key).is_some_and(|listener| listener.address == running.address())
        });
        let mut failures = BTreeMap::new();
        for (key, listener) in &wanted.listeners {
            let log = self.logs.as_ref().map(|logs| logs.of(paths::balancer_log(directory, &listener.balancer)));
            let delivered = |kind| {
                let place = listener.logs.iter().find(|place| place.kind == kind)?;
                Some(self.logs.as_ref()?.delivered(place.clone()))
            };
            let settings = Settings {
                access_log: log,
                delivered_requests: delivered(LogKind::Access),
                delivered_connections: delivered(LogKind::Connection),
                ..listener.settings.clone()
            };
            let route = settings::route(&listener.declared, &self.pools, settings);
            let failure = match self.listeners.get_mut(key) {
                Some(running) => {
                    running.set_route(route);
                    running.set_tls(listener.tls.clone()).err().map(|error| error.to_string())
                }
                None => match listener.start(route, &self.workers).await {
                    Ok(running) => {
                        tracing::info!(address = %listener.address, "a listener is up");
                        self.listeners.insert(key.clone(), running);
                        None
                    }
                    Err(error) => Some(error.to_string()),
                },
            };
            if let Some(error) = failure {
                let reason = format!(
                    "cannot listen on {}: {error}; stop what uses it, or choose another port or certificate",
                    listener.address
                );
                tracing::warn!("{reason}");
                failures.insert(listener.balancer.clone(), reason);
            }
        }
        failures
    }

    /// Writes the states of balancers and the health of targets into the model.
    fn report(&self, cloud: &mut Cloud, failures: &BTreeMap<String, String>) {
        for region in cloud.regions.values_mut() {
            let instances = &region.ec2.instances;
            for balancer in region.elbv2.load_balancers.values_mut() {
                balancer.state = match failures.get(&balancer.arn) {
                    Some(reason) => BalancerState::Failed(reason.clone()),
                    None => BalancerState::Active,
                };
            }
            for group in region.elbv2.target_groups.values_mut() {
                let Some(pool) = self.pools.get(&group.arn) else {
                    continue;
                };
                let health = pool.health();
                let registered = group.targets.iter().filter(|_| group.target_type == TargetType::Instance);
                let ended: BTreeSet<String> = registered
                    .filter(|target| instances.get(&target.id).is_none_or(|instance| instance.state.is_ending()))
                    .map(|target| target.id.clone())
                    .collect();
                for id in &ended {
                    group.deregister(id, None);
                }
                group.targets.retain_mut(|target| {
                    let key = TargetKey { id: target.id.clone(), port: target.port };
                    let state = instances.get(&target.id).map(|instance| instance.state);
                    if target.draining {
                        target.drained = pool.is_drained(&key);
                        return health.contains_key(&key);
                    }
                    if let (None, Some(InstanceState::Stopping | InstanceState::Stopped)) =
                        (in_pool(&health, &key), state)
                    {
                        target.health = stopped();
                    } else if let Some(found) = in_pool(&health, &key) {
                        target.health = found.into();
                    }
                    true
                });
            }
        }
    }
}

/// Returns the health of a target that is registered in a pool, and not only draining.
fn in_pool<'a>(health: &'a BTreeMap<TargetKey, TargetHealth>, key: &TargetKey) -> Option<&'a TargetHealth> {
    health.get(key).filter(|health| health.state != super::proxy::HealthState::Draining)
}

fn stopped() -> Health {
    Health {
        state: "unused".to_owned(),
        reason: Some("Target.InvalidState".to_owned()),
        description: Some("Target is in the stopped state".to_owned()),
    }
}

impl From<&TargetHealth> for Health {
    fn from(health: &TargetHealth) -> Self {
        Self {
            state: health.state.as_str().to_owned(),
            reason: health.reason.map(str::to_owned),
            description: health.description.clone(),
        }
    }
}

impl WantedListener {
    async fn start(&self, route: Route, workers: &Workers) -> Result<ProxyListener, ListenError> {
        let listener = self.site.listen(self.address).await?;
        ProxyListener::new(listener, route, self.tls.clone(), workers)
    }
}

/// Adds the pools and listeners that a region declares.
fn collect(region: &Region, network: &NetworkHandle, wanted: &mut Wanted) {
    for group in region.elbv2.target_groups.values() {
        let in_use = !region.balancers_of(&group.arn).is_empty();
        wanted.pools.insert(group.arn.clone(), (settings::of_group(group, in_use), endpoints(region, network, group)));
    }
    for listener in region.elbv2.listeners.values() {
        let Some(balancer) = region.elbv2.load_balancers.get(&listener.balancer) else {
            continue;
        };
        for (interface, site, address) in addresses(region, network, balancer, listener.port) {
            wanted.listeners.insert(
                (listener.arn.clone(), interface),
                WantedListener {
                    balancer: listener.balancer.clone(),
                    site,
                    address: SocketAddr::from((address, listener.port)),
                    declared: listener.clone(),
                    settings: settings::of_listener(balancer, listener),
                    logs: [LogKind::Access, LogKind::Connection]
                        .into_iter()
                        .filter_map(|kind| LogPlace::of(balancer, region.scope(), kind))
                        .collect(),
                    tls: settings::tls(region, balancer, listener),
                },
            );
        }
    }
}

/// Returns the addresses that a balancer listens on: the public one, if its security groups admit clients, and those of
/// its connected interfaces, where the network filters the traffic.
fn addresses(
    region: &Region,
    network: &NetworkHandle,
    balancer: &LoadBalancer,
    port: u16,
) -> Vec<(Option<InterfacePort>, Site, Ipv4Addr)> {
    let mut addresses = Vec::new();
    if clients_reach(region, network, balancer, port) {
        addresses.push((None, Site::Host, balancer.address));
    }
    if network.is_private() {
        let connected = network.current();
        for interface in network_interface::of_balancer(region, balancer) {
            if let Some(port) = connected.port(&interface.id) {
                addresses.push((Some(port), network.site(Place::Interface(interface.id)), interface.private));
            }
        }
    }
    addresses
}

/// Returns whether clients on this machine, which are clients on the internet, may connect to a port of a balancer.
///
/// On the loopback interface they have the address of all clients, so in front of an internal balancer one of them passes
/// for a member of any security group.
fn clients_reach(region: &Region, network: &NetworkHandle, balancer: &LoadBalancer, port: u16) -> bool {
    match balancer.scheme.as_str() {
        "internal" if network.is_private() => false,
        "internal" => security_group::admit_any(region, &balancer.security_groups, port),
        _ => network.current().network.reaches(End::Outside, balancer.address, port),
    }
}

/// The registered targets whose instances run, or are about to; and those that are addresses.
fn endpoints(region: &Region, network: &NetworkHandle, group: &TargetGroup) -> BTreeMap<TargetKey, Endpoint> {
    let balancers = region.balancers_of(&group.arn);
    let registered = group.targets.iter().filter(|target| !target.draining);
    let running = registered.filter_map(|target| {
        let (address, instance) = match group.target_type {
            TargetType::Instance => {
                let instance = region.ec2.instances.get(&target.id)?;
                if !matches!(instance.state, InstanceState::Pending | InstanceState::Running) {
                    return None;
                }
                (region.private_address(instance.address), Some(instance))
            }
            TargetType::Lambda | TargetType::Alb => return None,
            TargetType::Ip => {
                let address = target.id.parse().ok()?;
                let mut instances = region.ec2.instances.values();
                (address, instances.find(|instance| region.private_address(instance.address) == address))
            }
        };
        // Between private addresses, the network filters the connections. A target that is an address has no security
        // groups here.
        let reachable = network.is_private()
            || instance.is_none_or(|instance| {
                balancers.iter().all(|balancer| reaches(region, network, balancer, instance, target.port))
            });
        let subnet = instance.map(|instance| instance.subnet_id.as_str());
        let source = balancers.first().and_then(|balancer| source(region, balancer, subnet));
        let from = source.map_or(Site::Host, |interface| network.site(Place::Interface(interface)));
        let endpoint = Endpoint { from, address: SocketAddr::from((address, target.port)), reachable };
        Some((TargetKey { id: target.id.clone(), port: target.port }, endpoint))
    });
    running.collect()
}

/// The interface of a balancer that connects to a target: the one in the target's subnet, else the first.
fn source(region: &Region, balancer: &LoadBalancer, subnet: Option<&str>) -> Option<String> {
    let interfaces: Vec<_> = network_interface::of_balancer(region, balancer).collect();
    let same = interfaces.iter().find(|interface| Some(interface.subnet.id.as_str()) == subnet);
    same.or(interfaces.first()).map(|interface| interface.id.clone())
}

/// Returns whether a balancer may connect to a port of an instance.
fn reaches(region: &Region, network: &NetworkHandle, balancer: &LoadBalancer, instance: &Instance, port: u16) -> bool {
    let declared = &network.current().network;
    let source = source(region, balancer, Some(&instance.subnet_id));
    let target = declared.interface(&instance.network_interface_id);
    source
        .zip(target)
        .is_some_and(|(source, (_, target))| declared.reaches(End::Interface(&source), target.address, port))
}
