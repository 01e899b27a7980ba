//! The namespaces and links that exist, and their reconciliation with a network.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use super::config::{Config, INTERNET_LINK, Links, interface_link, peering_link};
use super::delay;
use super::faults::{self, Chain};
use super::netlink::{Peer, Request};
use super::space::{self, Space};
use super::{nft, rules};
use crate::domain::network::{Fault, Interface, Network, Vpc};
use crate::model::cidr::Cidr;
use crate::model::faults::NetworkSymptom;
use crate::runtime::network::Place;

/// Threads that create namespaces and start `nft`. The kernel serialises most of the work.
const WORKERS: usize = 4;

/// The places that exist, shared with the threads that open sockets.
pub(super) type Places = Arc<RwLock<HashMap<Place, Arc<Space>>>>;

/// Everything that the network process has created.
#[derive(Debug)]
pub(super) struct Actual {
    internet: Node,
    /// By the VPC's id.
    routers: BTreeMap<String, Router>,
    /// By the connection's id.
    peerings: BTreeMap<String, Joint>,
    /// The namespace of the queue of delayed packets, if there have been any.
    delay: Option<Arc<Space>>,
    /// Indices of links, and numbers of routing tables. No number is used twice.
    next: AtomicU32,
    places: Places,
}

/// A namespace that routes packets, with the configuration that the kernel has.
#[derive(Debug)]
struct Node {
    space: Arc<Space>,
    config: Config,
}

#[derive(Debug)]
struct Router {
    node: Node,
    range: Cidr,
    /// Index of the link to the internet, at both ends.
    internet: Option<u32>,
    interfaces: BTreeMap<String, Attached>,
    /// Number of each subnet's routing table, by the subnet's id.
    tables: BTreeMap<String, u32>,
    /// The script of the packet filter that the kernel has.
    rules: String,
    /// Whether there is a link to the queue of delayed packets.
    has_queue: bool,
    /// The script of the table that delays packets, if the kernel has one.
    delays: Option<String>,
}

/// An interface with its namespace.
#[derive(Debug)]
struct Attached {
    space: Arc<Space>,
    /// Index of the router's end of the link.
    index: u32,
    wiring: Wiring,
    /// The interface in whose namespace this one is, if it is not the primary one of its instance.
    primary: Option<String>,
    /// The secondary addresses that the kernel has.
    secondary: BTreeSet<Ipv4Addr>,
    /// Whether its namespace forwards packets that enter by this interface.
    forwards: bool,
}

/// The properties of an interface that are set up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wiring {
    address: Ipv4Addr,
    /// Length of the subnet's prefix.
    bits: u32,
    router: Ipv4Addr,
    translates: bool,
    /// Number of the interface at its instance.
    device: u32,
}

/// A link between two routers.
#[derive(Debug)]
struct Joint {
    index: u32,
    sides: [String; 2],
}

/// An interface to be created.
struct Task<'a> {
    vpc: &'a str,
    id: &'a str,
    index: u32,
    wiring: Wiring,
    router: Arc<Space>,
    /// The primary interface of the instance and its namespace, if it is another one.
    primary: Option<(String, Arc<Space>)>,
}

impl Actual {
    /// Prepares the namespace of the calling thread as the internet.
    pub(super) fn new(places: Places) -> io::Result<Actual> {
        let space = Arc::new(Space::of_this_thread()?);
        space::enable_forwarding()?;
        register(&places, Place::Internet, &space);
        let mut internet = Node { space, config: Config::default() };
        let desired = Config::of_internet(&Network::default(), &BTreeMap::new());
        let errors = internet.space.configure(&mut internet.config, &desired);
        if !errors.is_empty() {
            return Err(io::Error::other(errors.join("; ")));
        }
        // The kernel assigns the first indices itself.
        let next = AtomicU32::new(1000);
        Ok(Actual { internet, routers: BTreeMap::new(), peerings: BTreeMap::new(), delay: None, next, places })
    }

    /// Creates, changes and deletes what differs from the network. Continues after a failure, and returns all of them.
    pub(super) fn reconcile(&mut self, network: &Network) -> Vec<String> {
        let obsolete = self.detach(network);
        let mut errors = self.create_routers(network);
        errors.extend(self.join(network));
        // Those of an instance are in the namespace of its primary one.
        errors.extend(self.create_interfaces(network, true));
        errors.extend(self.create_interfaces(network, false));
        errors.extend(self.join_queue(network));
        errors.extend(self.configure(network));
        // Packets no longer reach these links.
        for (space, index) in obsolete {
            let _ = space.netlink().apply(&[Request::DeleteLink { index }]);
        }
        errors
    }

    /// Forgets what the network does not contain, or contains with other properties. Returns the links to be deleted.
    fn detach(&mut self, network: &Network) -> Vec<(Arc<Space>, u32)> {
        let mut links = Vec::new();
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        self.routers.retain(|id, router| {
            let vpc = network.vpcs.get(id).filter(|vpc| vpc.range == router.range);
            let is_open = vpc.is_some_and(|vpc| vpc.internet_gateway.is_some());
            if let Some(index) = router.internet.filter(|_| !is_open) {
                links.push((Arc::clone(&router.node.space), index));
                router.internet = None;
            }
            let is_wired = |id: &String, attached: &Attached| {
                let desired = vpc.and_then(|vpc| Some((vpc, vpc.interfaces.get(id)?)));
                desired.and_then(|(vpc, it)| Wiring::of(vpc, it)) == Some(attached.wiring)
            };
            let wired = router.interfaces.iter().filter(|(id, attached)| is_wired(id, attached));
            let wired: BTreeSet<String> = wired.map(|(id, _)| id.clone()).collect();
            router.interfaces.retain(|interface, attached| {
                let has_primary = attached.primary.as_ref().is_none_or(|primary| wired.contains(primary));
                let is_desired = has_primary && wired.contains(interface);
                if !is_desired {
                    if has_primary {
                        attached.forget_rules();
                    }
                    links.push((Arc::clone(&router.node.space), attached.index));
                    places.remove(&Place::Interface(interface.clone()));
                }
                is_desired
            });
            if let Some(vpc) = vpc {
                router.tables.retain(|subnet, _| vpc.subnets.contains_key(subnet));
            } else {
                places.remove(&Place::Router(id.clone()));
            }
            vpc.is_some()
        });
        let routers = &self.routers;
        self.peerings.retain(|id, joint| {
            let exists = joint.sides.iter().all(|side| routers.contains_key(side));
            let is_desired = network.peerings.get(id) == Some(&joint.sides);
            if exists && !is_desired {
                links.push((Arc::clone(&routers[&joint.sides[0]].node.space), joint.index));
            }
            exists && is_desired
        });
        links
    }

    fn create_routers(&mut self, network: &Network) -> Vec<String> {
        let missing: Vec<(&String, &Vpc)> =
            network.vpcs.iter().filter(|(id, _)| !self.routers.contains_key(*id)).collect();
        let created = in_parallel(&missing, |(_, vpc)| {
            let space = Space::create()?;
            // Nothing is forwarded before the router has rules.
            Ok(Router {
                node: Node { space: Arc::new(space), config: Config::default() },
                range: vpc.range,
                internet: None,
                interfaces: BTreeMap::new(),
                tables: BTreeMap::new(),
                rules: String::new(),
                has_queue: false,
                delays: None,
            })
        });
        let mut errors = Vec::new();
        for ((id, _), router) in missing.into_iter().zip(created) {
            match router {
                Ok(router) => {
                    register(&self.places, Place::Router(id.clone()), &router.node.space);
                    self.routers.insert(id.clone(), router);
                }
                Err(error) => errors.push(format!("the router of {id}: {error}")),
            }
        }
        errors
    }

    /// Creates the links between routers, and from routers to the internet.
    fn join(&mut self, network: &Network) -> Vec<String> {
        let mut errors = Vec::new();
        for (id, router) in &mut self.routers {
            let is_open = network.vpcs.get(id).is_some_and(|vpc| vpc.internet_gateway.is_some());
            if !is_open || router.internet.is_some() {
                continue;
            }
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let names = [INTERNET_LINK.to_owned(), format!("v{index}")];
            match connect(&router.node.space, &self.internet.space, index, names) {
                Ok(()) => router.internet = Some(index),
                Err(error) => errors.push(format!("the internet gateway of {id}: {error}")),
            }
        }
        for (id, sides) in &network.peerings {
            if self.peerings.contains_key(id) {
                continue;
            }
            let [Some(one), Some(other)] = sides.each_ref().map(|side| self.routers.get(side)) else {
                errors.push(format!("the peering connection {id}: a VPC has no router"));
                continue;
            };
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let names = [peering_link(index), peering_link(index)];
            match connect(&one.node.space, &other.node.space, index, names) {
                Ok(()) => _ = self.peerings.insert(id.clone(), Joint { index, sides: sides.clone() }),
                Err(error) => errors.push(format!("the peering connection {id}: {error}")),
            }
        }
        errors
    }

    /// Connects every router with the queue of delayed packets, if a fault delays any.
    fn join_queue(&mut self, network: &Network) -> Vec<String> {
        let is_delay = |fault: &Fault| matches!(fault.symptom, NetworkSymptom::Latency(_));
        if !network.faults.iter().any(is_delay) {
            return Vec::new();
        }
        let queue = match &self.delay {
            Some(queue) => queue,
            None => match delay::start() {
                Ok(queue) => self.delay.insert(queue),
                Err(error) => return vec![format!("the queue of delayed packets: {error}")],
            },
        };
        let mut errors = Vec::new();
        for (id, router) in self.routers.iter_mut().filter(|(_, router)| !router.has_queue) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let names = [delay::LINK.to_owned(), format!("d{index}")];
            // The queue receives the packets that the link would cut a large one into.
            let cut = Request::SetSegments { index, most: 1 };
            let joined = connect(&router.node.space, queue, index, names)
                .and_then(|()| router.node.space.netlink().apply_all(&[cut]));
            match joined {
                Ok(()) => router.has_queue = true,
                Err(error) => errors.push(format!("the queue of delayed packets of {id}: {error}")),
            }
        }
        errors
    }

    fn create_interfaces(&mut self, network: &Network, primary: bool) -> Vec<String> {
        let mut errors = Vec::new();
        let mut tasks = Vec::new();
        for (vpc_id, vpc) in &network.vpcs {
            let Some(router) = self.routers.get(vpc_id) else { continue };
            let missing = vpc.interfaces.iter().filter(|(id, _)| !router.interfaces.contains_key(*id));
            for (id, interface) in missing.filter(|(_, interface)| interface.device.is_none() == primary) {
                let Some(wiring) = Wiring::of(vpc, interface) else {
                    errors.push(format!("the interface {id}: its subnet {} does not exist", interface.subnet));
                    continue;
                };
                let primary = match &interface.device {
                    None => None,
                    Some((primary, _)) => {
                        let Some(attached) = router.interfaces.get(primary) else {
                            errors.push(format!(
                                "the interface {id}: the interface {primary} of its instance is missing"
                            ));
                            continue;
                        };
                        Some((primary.clone(), Arc::clone(&attached.space)))
                    }
                };
                let index = self.next.fetch_add(1, Ordering::Relaxed);
                tasks.push(Task { vpc: vpc_id, id, index, wiring, router: Arc::clone(&router.node.space), primary });
            }
        }
        let created = in_parallel(&tasks, Task::run);
        let created: Vec<_> = tasks.iter().map(|task| (task.vpc, task.id)).zip(created).collect();
        for ((vpc, id), attached) in created {
            match attached {
                Ok(attached) => {
                    register(&self.places, Place::Interface(id.to_owned()), &attached.space);
                    if let Some(router) = self.routers.get_mut(vpc) {
                        router.interfaces.insert(id.to_owned(), attached);
                    }
                }
                Err(error) => errors.push(format!("the interface {id}: {error}")),
            }
        }
        errors
    }

    /// Brings addresses, routes and packet filters in line.
    fn configure(&mut self, network: &Network) -> Vec<String> {
        let uplinks = self.routers.iter().filter_map(|(id, router)| Some((id.clone(), router.internet?))).collect();
        let desired = Config::of_internet(network, &uplinks);
        let mut errors = self.internet.space.configure(&mut self.internet.config, &desired);
        for (id, attached) in self.routers.values_mut().flat_map(|router| &mut router.interfaces) {
            let Some((_, interface)) = network.interface(id) else { continue };
            let outcome = attached.assign(&interface.secondary.keys().copied().collect());
            errors.extend(outcome.err().map(|error| format!("the addresses of the interface {id}: {error}")));
        }
        errors.extend(self.configure_forwarding(network));
        let mut work = Vec::new();
        for (id, router) in &mut self.routers {
            let Some(vpc) = network.vpcs.get(id) else { continue };
            for subnet in vpc.subnets.keys() {
                let next = || self.next.fetch_add(1, Ordering::Relaxed);
                router.tables.entry(subnet.clone()).or_insert_with(next);
            }
            let peerings = self.peerings.iter().filter(|(_, joint)| joint.sides.contains(id));
            let links = Links {
                interfaces: router.interfaces.iter().map(|(id, attached)| (id.clone(), attached.index)).collect(),
                peerings: peerings.map(|(id, joint)| (id.clone(), joint.index)).collect(),
                internet: router.internet,
            };
            let faults = (faults::chains(network, id, &links), faults::delays(network, id, &links));
            work.push((id, Mutex::new(router), vpc, links, faults));
        }
        let outcomes = in_parallel(&work, |(id, router, vpc, links, faults)| {
            let mut router = router.lock().unwrap_or_else(PoisonError::into_inner);
            let (chains, delays) = faults;
            let mut errors = router.configure_delays(delays.as_deref());
            errors.extend(router.configure(vpc, links, chains));
            Ok(errors.into_iter().map(|error| format!("the router of {id}: {error}")).collect())
        });
        for outcome in outcomes {
            errors.extend(outcome.unwrap_or_else(|error: io::Error| vec![error.to_string()]));
        }
        errors
    }

    /// Lets the namespaces of interfaces without source/destination check forward packets, and no others.
    fn configure_forwarding(&mut self, network: &Network) -> Vec<String> {
        let attached = self.routers.values_mut().flat_map(|router| &mut router.interfaces);
        let desired = attached.filter_map(|(id, attached)| {
            let forwards = network.interface(id)?.1.forwards;
            (attached.forwards != forwards).then(|| (id, Mutex::new(attached), forwards))
        });
        let desired: Vec<_> = desired.collect();
        let outcomes = in_parallel(&desired, |(_, attached, forwards)| {
            attached.lock().unwrap_or_else(PoisonError::into_inner).set_forwarding(*forwards)
        });
        let outcomes = desired.iter().zip(outcomes);
        let errors = outcomes.filter_map(|((id, ..), outcome)| {
            outcome.err().map(|error| format!("the source/destination check of the interface {id}: {error}"))
        });
        errors.collect()
    }

    /// Returns the device and inode numbers of all interfaces' namespaces, by which processes in them are found.
    pub(super) fn interface_namespaces(&self) -> BTreeSet<u64> {
        let attached = self.routers.values().flat_map(|router| router.interfaces.values());
        attached.filter_map(|attached| Some(rustix::fs::fstat(attached.space.file()).ok()?.st_ino)).collect()
    }
}

impl Router {
    /// Brings the table that delays packets in line.
    fn configure_delays(&mut self, delays: Option<&str>) -> Vec<String> {
        if delays == self.delays.as_deref() {
            return Vec::new();
        }
        let applied = self.node.space.enter().and_then(|()| nft::apply(delays.unwrap_or(faults::NO_DELAYS)));
        match applied {
            Ok(()) => {
                self.delays = delays.map(str::to_owned);
                Vec::new()
            }
            Err(error) => vec![format!(
                "packets cannot be delayed: {error}; the kernel must support packet filters for packets that leave a link \
                 (Linux 5.16, CONFIG_NETFILTER_EGRESS, nft_fwd_netdev)"
            )],
        }
    }

    fn configure(&mut self, vpc: &Vpc, links: &Links, faults: &[Chain]) -> Vec<String> {
        // A new link is in the rules before packets find a route to it, and its own packets are dropped until then.
        let mut errors = Vec::new();
        let rules = rules::of_router(vpc, links, faults);
        if rules != self.rules {
            let is_new = self.rules.is_empty();
            let applied = self.node.space.enter().and_then(|()| nft::apply(&rules));
            match applied.and_then(|()| if is_new { space::enable_forwarding() } else { Ok(()) }) {
                Ok(()) => self.rules = rules,
                Err(error) => errors.push(error.to_string()),
            }
        }
        let desired = Config::of_router(vpc, links, &self.tables);
        errors.extend(self.node.space.configure(&mut self.node.config, &desired));
        errors
    }
}

impl Wiring {
    /// `None` if the interface's subnet does not exist.
    fn of(vpc: &Vpc, interface: &Interface) -> Option<Wiring> {
        let subnet = vpc.subnets.get(&interface.subnet)?;
        Some(Wiring {
            address: interface.address,
            bits: subnet.range.bits(),
            router: subnet.router(),
            translates: interface.translates,
            device: interface.device.as_ref().map_or(0, |(_, device)| *device),
        })
    }
}

impl Attached {
    /// Brings the secondary addresses in line.
    fn assign(&mut self, desired: &BTreeSet<Ipv4Addr>) -> io::Result<()> {
        let (device, bits) = (self.wiring.device, 32);
        let index = space::link_index(device);
        let obsolete: Vec<Ipv4Addr> = self.secondary.difference(desired).copied().collect();
        for address in obsolete {
            self.space.netlink().apply_all(&[Request::DeleteAddress { index, address, bits }])?;
            if device > 0 {
                self.space.netlink().apply_all(&[Request::DeleteRule(&space::device_rule(device, address))])?;
            }
            self.secondary.remove(&address);
        }
        let missing: Vec<Ipv4Addr> = desired.difference(&self.secondary).copied().collect();
        for address in missing {
            self.space.netlink().apply_all(&[Request::AddAddress { index, address, bits }])?;
            if device > 0 {
                self.space.netlink().apply_all(&[Request::AddRule(&space::device_rule(device, address))])?;
            }
            self.secondary.insert(address);
        }
        Ok(())
    }

    /// Lets the namespace forward packets that enter by this interface, or not. The calling thread stays in the namespace.
    fn set_forwarding(&mut self, forwards: bool) -> io::Result<()> {
        let Wiring { address, device, .. } = self.wiring;
        self.space.enter()?;
        nft::apply(&rules::of_forwarder(device, forwards.then_some(address)))?;
        if device > 0 {
            let rule = space::forwarding_rule(device);
            let request = if forwards { Request::AddRule(&rule) } else { Request::DeleteRule(&rule) };
            self.space.netlink().apply_all(&[request])?;
        }
        space::set_forwarding(device, forwards)?;
        self.forwards = forwards;
        Ok(())
    }

    /// Deletes the policy rules of a further interface, whose namespace remains. Its link takes everything else with it.
    fn forget_rules(&self) {
        if self.wiring.device == 0 {
            return;
        }
        for address in std::iter::once(self.wiring.address).chain(self.secondary.iter().copied()) {
            let rule = space::device_rule(self.wiring.device, address);
            let _ = self.space.netlink().apply(&[Request::DeleteRule(&rule)]);
        }
        if self.forwards {
            let rule = space::forwarding_rule(self.wiring.device);
            let _ = self.space.netlink().apply(&[Request::DeleteRule(&rule)]);
        }
    }
}

impl Task<'_> {
    /// Creates the namespace and its link. The calling thread stays in the namespace.
    fn run(&self) -> io::Result<Attached> {
        if let Some((primary, space)) = &self.primary {
            return self.add_device(primary, space);
        }
        let space = Space::create()?;
        if self.wiring.translates {
            nft::apply(&rules::of_nat_gateway(self.wiring.address))?;
            space::enable_forwarding()?;
        } else {
            space::permit_programs()?;
        }
        let peer = Peer { index: space::link_index(0), name: "eth0".to_owned(), namespace: space.file() };
        let pair = Request::AddPair { index: self.index, name: interface_link(self.index), peer };
        self.router.netlink().apply_all(&[pair])?;
        let Wiring { address, bits, router, .. } = self.wiring;
        space.netlink().apply_all(&space::interface_requests(space::link_index(0), address, bits, router))?;
        Ok(self.attached(Arc::new(space), None))
    }

    /// Adds a link to the namespace of the instance's primary interface.
    fn add_device(&self, primary: &str, space: &Arc<Space>) -> io::Result<Attached> {
        let Wiring { address, bits, router, device, .. } = self.wiring;
        let peer = Peer { index: space::link_index(device), name: format!("eth{device}"), namespace: space.file() };
        let pair = Request::AddPair { index: self.index, name: interface_link(self.index), peer };
        self.router.netlink().apply_all(&[pair])?;
        space.netlink().apply_all(&space::device_requests(device, address, bits, router))?;
        space.netlink().apply_all(&[Request::AddRule(&space::device_rule(device, address))])?;
        Ok(self.attached(Arc::clone(space), Some(primary.to_owned())))
    }

    fn attached(&self, space: Arc<Space>, primary: Option<String>) -> Attached {
        Attached { space, index: self.index, wiring: self.wiring, primary, secondary: BTreeSet::new(), forwards: false }
    }
}

/// Connects two routers. The link has the same index at both ends.
fn connect(one: &Space, other: &Space, index: u32, names: [String; 2]) -> io::Result<()> {
    let [name, peer] = names;
    let peer = Peer { index, name: peer, namespace: other.file() };
    one.netlink().apply_all(&[Request::AddPair { index, name, peer }])?;
    other.netlink().apply_all(&[Request::SetUp { index }])
}

fn register(places: &Places, place: Place, space: &Arc<Space>) {
    tracing::trace!(?place, file = space.file().as_raw_fd(), "created");
    places.write().unwrap_or_else(PoisonError::into_inner).insert(place, Arc::clone(space));
}

/// Runs a function for each item, on a few threads, and returns the results in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> io::Result<R> + Sync) -> Vec<io::Result<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, io::Result<R>>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..items.len().min(WORKERS) {
            scope.spawn(|| {
                while let Some((position, item)) = take(items, &next) {
                    let result = run(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).insert(position, result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost = || Err(io::Error::other("a worker panicked"));
    (0..items.len()).map(|position| results.remove(&position).unwrap_or_else(lost)).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let position = next.fetch_add(1, Ordering::Relaxed);
    Some((position, items.get(position)?))
}
