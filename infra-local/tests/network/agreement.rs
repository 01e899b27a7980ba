//! Packets and the model agree: in random networks, a connection opens exactly if its path is open.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use infra_local::fabric_testing::{At, Declared, Fabric, Model};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::example::declared;

/// Seeds of the networks. Each network follows the previous one in the same fabric, so changes are tested too.
const SEEDS: std::ops::Range<u64> = 0..12;
/// No network is begun after this time.
const LIMIT: Duration = Duration::from_secs(40);
/// Limit for a connection. Denied packets are dropped silently.
const PATIENCE: Duration = Duration::from_millis(200);
/// Limit for a connection that should have been opened: this machine may be busy.
const LONG_PATIENCE: Duration = Duration::from_secs(3);
/// Connections that are attempted at the same time.
const CONCURRENT: usize = 100;
/// Connections that are attempted in each network.
const ATTEMPTS: usize = 400;

const PORTS: [u16; 2] = [80, 81];
const ENDPOINTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

pub(crate) async fn packets_and_the_model_agree() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = std::sync::Arc::new(Fabric::start(directory.path()).await.unwrap());
    let place = tempfile::tempdir().unwrap();
    let mut model = Model::new(place.path()).unwrap();
    let started = Instant::now();
    let (mut networks, mut opened, mut denied) = (0, 0, 0);
    // Every connection has a source port of its own, which network ACLs judge and NAT gateways keep.
    let mut port = 33_000;
    for seed in SEEDS.take_while(|_| started.elapsed() < LIMIT) {
        let mut rng = Rng::with_seed(seed);
        let network = random(&mut rng, &mut model);
        let declared = declared(network.clone());
        fabric.reconcile(&declared).await.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{network:#}"));
        let mut listeners = JoinSet::new();
        listen(&fabric, &network, &mut listeners).await;
        let mut attempts = attempts(&network, &declared, &mut port);
        rng.shuffle(&mut attempts);
        attempts.truncate(ATTEMPTS);
        let mut running = JoinSet::new();
        let mut outcomes = Vec::new();
        for attempt in attempts {
            if running.len() >= CONCURRENT {
                outcomes.push(running.join_next().await.unwrap().unwrap());
            }
            let fabric = std::sync::Arc::clone(&fabric);
            running.spawn(async move {
                let opens = attempt.run(&fabric).await;
                (attempt, opens)
            });
        }
        outcomes.extend(running.join_all().await);
        for (attempt, opens) in outcomes {
            let Attempt { from, to, blocked, .. } = &attempt;
            assert_eq!(
                opens,
                blocked.is_none(),
                "seed {seed}: {from:?} to {to}: the model says {}\n{network:#}",
                blocked.as_deref().unwrap_or("that the path is open")
            );
            if opens { opened += 1 } else { denied += 1 }
        }
        listeners.shutdown().await;
        networks += 1;
    }
    println!("{networks} networks: {opened} connections opened, {denied} denied");
    assert!(opened > 100 && denied > 100, "the networks are too much alike");
}

/// A connection and what the model says about it.
struct Attempt {
    from: At,
    to: SocketAddr,
    source_port: u16,
    blocked: Option<String>,
}

impl Attempt {
    async fn run(&self, fabric: &Fabric) -> bool {
        let patience = if self.blocked.is_none() { LONG_PATIENCE } else { PATIENCE };
        let socket = fabric.socket(&self.from).await.unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([0; 4], self.source_port).into()).unwrap();
        tokio::time::timeout(patience, socket.connect(self.to)).await.is_ok_and(|result| result.is_ok())
    }
}

fn interfaces(network: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let vpcs = network["vpcs"].as_object().unwrap().values();
    vpcs.flat_map(|vpc| vpc["interfaces"].as_object().unwrap())
}

fn attempts(network: &Value, declared: &Declared, port: &mut u16) -> Vec<Attempt> {
    let address = |value: &Value| value.as_str().map(|text| text.parse::<Ipv4Addr>().unwrap());
    let mut destinations = vec![ENDPOINTS];
    for (_, interface) in interfaces(network) {
        destinations.extend(["address", "public"].iter().filter_map(|name| address(&interface[*name])));
    }
    // A NAT gateway opens no connections itself.
    let sources = interfaces(network).filter(|(_, interface)| interface["translates"] == false);
    let sources: Vec<Option<&String>> = sources.map(|(id, _)| Some(id)).chain([None]).collect();
    let mut attempts = Vec::new();
    for from in sources {
        for to in &destinations {
            if from.is_none() && *to == ENDPOINTS {
                continue;
            }
            for to_port in PORTS {
                *port = if *port >= 60_000 { 33_000 } else { *port + 1 };
                attempts.push(Attempt {
                    from: from.map_or(At::Internet, |id| At::Interface(id.clone())),
                    to: (*to, to_port).into(),
                    source_port: *port,
                    blocked: declared.blocked(from.map(String::as_str), *to, to_port, *port),
                });
            }
        }
    }
    attempts
}

async fn listen(fabric: &Fabric, network: &Value, tasks: &mut JoinSet<()>) {
    let places = interfaces(network).map(|(id, _)| (At::Interface(id.clone()), Ipv4Addr::UNSPECIFIED));
    for (place, address) in places.chain([(At::Internet, ENDPOINTS)]) {
        for port in PORTS {
            let listener = fabric.listen(&place, (address, port).into()).await.unwrap();
            tasks.spawn(async move {
                loop {
                    let _ = listener.accept().await;
                }
            });
        }
    }
}

/// A random network. Ids are reused, so the next network changes this one.
fn random(rng: &mut Rng, model: &mut Model) -> Value {
    let count = rng.u8(1..=3);
    let mut peerings = Map::new();
    for one in 0..count {
        for other in one + 1..count {
            if rng.f32() < 0.6 {
                peerings.insert(format!("pcx-{one}{other}"), json!([format!("vpc-{one}"), format!("vpc-{other}")]));
            }
        }
    }
    let mut vpcs: Vec<RandomVpc> = (0..count).map(|number| RandomVpc::new(number, rng)).collect();
    let publics: Vec<String> = vpcs.iter().flat_map(RandomVpc::publics).collect();
    let addresses: Vec<Map<String, Value>> = vpcs.iter().map(|vpc| vpc.members.clone()).collect();
    for vpc in &mut vpcs {
        vpc.rules(rng, &publics);
        vpc.acls(rng, model, &publics);
        vpc.routes(rng, count, &peerings);
        // The members of groups in peered VPCs, which rules may name.
        for peer in 0..count {
            let [one, other] = [vpc.number.min(peer), vpc.number.max(peer)];
            if peer != vpc.number && peerings.contains_key(&format!("pcx-{one}{other}")) {
                for (group, members) in &addresses[usize::from(peer)] {
                    vpc.value["groups"][group] = json!({"members": members, "ingress": [], "egress": []});
                }
            }
        }
    }
    let vpcs: Map<String, Value> = vpcs.into_iter().map(|vpc| (format!("vpc-{}", vpc.number), vpc.value)).collect();
    let faults = partitions(rng, &vpcs);
    json!({"vpcs": vpcs, "peerings": peerings, "faults": faults})
}

/// Up to two faults, each between random interfaces or between them and the internet.
fn partitions(rng: &mut Rng, vpcs: &Map<String, Value>) -> Vec<Value> {
    let ids: Vec<&String> = vpcs.values().flat_map(|vpc| vpc["interfaces"].as_object().unwrap().keys()).collect();
    let partition = |rng: &mut Rng| {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for id in &ids {
            match rng.u8(0..5) {
                0 => one.push(id),
                1 => other.push(id),
                _ => {}
            }
        }
        let is_internet = rng.u8(0..4) == 0;
        let outside: &[&str] = if is_internet { &["192.0.2.1", "192.0.2.2"] } else { &[] };
        if is_internet {
            one.clear();
        }
        let symptom = if rng.bool() { json!("partition") } else { json!({"packet_loss": 100}) };
        json!({"symptom": symptom, "sides": [
            {"name": "one", "interfaces": one, "outside": outside},
            {"name": "other", "interfaces": other},
        ]})
    };
    (0..rng.u8(0..3)).map(|_| partition(rng)).collect()
}

struct RandomVpc {
    number: u8,
    subnets: u8,
    nat: Option<String>,
    /// Private addresses by group.
    members: Map<String, Value>,
    value: Value,
}

impl RandomVpc {
    fn new(number: u8, rng: &mut Rng) -> RandomVpc {
        let subnets = rng.u8(1..=3);
        let groups: Vec<String> = (0..rng.u8(1..=3)).map(|group| format!("sg-{number}{group}")).collect();
        let mut members: Map<String, Value> = groups.iter().map(|group| (group.clone(), json!([]))).collect();
        let mut interfaces = Map::new();
        for interface in 0..rng.u8(2..=4) {
            let subnet = rng.u8(0..subnets);
            let address = format!("10.{number}.{subnet}.{}", 10 + interface);
            let mut own: Vec<&String> = groups.iter().filter(|_| rng.bool()).collect();
            if own.is_empty() {
                own.push(&groups[0]);
            }
            for group in &own {
                members[*group].as_array_mut().unwrap().push(json!(address));
            }
            let public = rng.bool().then(|| format!("127.77.{number}.{}", 10 + interface));
            interfaces.insert(
                format!("eni-{number}{interface}"),
                json!({"owner": "i-1", "subnet": format!("subnet-{number}{subnet}"), "address": address,
                    "public": public, "groups": own, "translates": false, "forwards": rng.u8(0..3) == 0}),
            );
        }
        let nat = rng.bool().then(|| format!("eni-{number}n"));
        if let Some(nat) = &nat {
            let subnet = rng.u8(0..subnets);
            interfaces.insert(
                nat.clone(),
                json!({"owner": "nat-1", "subnet": format!("subnet-{number}{subnet}"),
                    "address": format!("10.{number}.{subnet}.9"), "public": format!("127.77.{number}.9"), "groups": null,
                    "translates": true}),
            );
        }
        let gateway = (rng.f32() < 0.8).then(|| format!("igw-{number}"));
        let value = json!({
            "range": format!("10.{number}.0.0/16"),
            "domain": "ec2.internal",
            "has_resolver": true,
            "internet_gateway": gateway,
            "subnets": {},
            "interfaces": interfaces,
            "groups": {},
            "acls": {},
        });
        RandomVpc { number, subnets, nat, members, value }
    }

    fn publics(&self) -> Vec<String> {
        let interfaces = self.value["interfaces"].as_object().unwrap().values();
        interfaces.filter_map(|interface| interface["public"].as_str().map(str::to_owned)).collect()
    }

    fn range(rng: &mut Rng, publics: &[String]) -> String {
        let (vpc, subnet) = (rng.u8(0..3), rng.u8(0..3));
        match rng.u8(0..8) {
            0..4 => "0.0.0.0/0".to_owned(),
            4 => format!("10.{vpc}.0.0/16"),
            5 => format!("10.{vpc}.{subnet}.0/24"),
            6 => "127.77.0.0/16".to_owned(),
            _ => rng.choice(publics).map_or("192.0.2.1/32".to_owned(), |public| format!("{public}/32")),
        }
    }

    fn traffic(rng: &mut Rng) -> Value {
        match rng.u8(0..8) {
            0..3 => json!("all"),
            3 | 4 => json!({"tcp": [80, 80]}),
            5 => json!({"tcp": [81, 90]}),
            6 => json!({"udp": [0, 65535]}),
            _ => json!({"icmp": [8, null]}),
        }
    }

    fn rules(&mut self, rng: &mut Rng, publics: &[String]) {
        for (group, members) in &self.members {
            let rules = |rng: &mut Rng| -> Vec<Value> {
                let rule = |rng: &mut Rng| {
                    let names_group = rng.u8(0..3) == 0;
                    let peer = if names_group {
                        json!({"group": format!("sg-{}{}", rng.u8(0..3), rng.u8(0..3))})
                    } else {
                        json!({"range": RandomVpc::range(rng, publics)})
                    };
                    json!({"traffic": RandomVpc::traffic(rng), "peer": peer})
                };
                (0..rng.u8(1..=3)).map(|_| rule(rng)).collect()
            };
            let ingress = rules(rng);
            let everything = json!([{"traffic": "all", "peer": {"range": "0.0.0.0/0"}}]);
            let egress = if rng.u8(0..4) == 0 { json!(rules(rng)) } else { everything };
            self.value["groups"][group] = json!({"members": members, "ingress": ingress, "egress": egress});
        }
    }

    fn acls(&mut self, rng: &mut Rng, model: &mut Model, publics: &[String]) {
        let open = json!({"100": {"allow": true, "traffic": "all", "range": "0.0.0.0/0"}});
        self.value["acls"]["acl-open"] = json!({"ingress": open, "egress": open});
        let mut entries = Vec::new();
        for egress in [false, true] {
            for number in 1..=rng.u8(1..=4) {
                let range = RandomVpc::range(rng, publics);
                entries.push(
                    [
                        acl_traffic(rng),
                        vec![
                            ("RuleNumber", (number * 10).to_string()),
                            ("Egress", egress.to_string()),
                            ("RuleAction", if rng.u8(0..4) > 0 { "allow" } else { "deny" }.to_owned()),
                            ("CidrBlock", range),
                        ],
                    ]
                    .concat(),
                );
            }
        }
        self.value["acls"]["acl-strict"] = declared_acl(model, &entries);
    }

    fn routes(&mut self, rng: &mut Rng, count: u8, peerings: &Map<String, Value>) {
        let number = self.number;
        let has_gateway = !self.value["internet_gateway"].is_null();
        let target = |rng: &mut Rng, nat: &Option<String>| match rng.u8(0..8) {
            0..3 if has_gateway => Some(json!("internet")),
            3 | 4 if nat.is_some() => Some(json!({"nat": nat})),
            5 => Some(json!({"blackhole": "igw-0"})),
            6 | 7 => Some(json!({"interface": format!("eni-{number}{}", rng.u8(0..2))})),
            _ => None,
        };
        for subnet in 0..self.subnets {
            let mut routes = Map::new();
            if let Some(target) = target(rng, &self.nat) {
                routes.insert("0.0.0.0/0".to_owned(), target);
            }
            if rng.u8(0..5) == 0
                && let Some(target) = target(rng, &self.nat)
            {
                routes.insert("127.77.0.0/16".to_owned(), target);
            }
            for peer in (0..count).filter(|peer| *peer != number) {
                let id = format!("pcx-{}{}", number.min(peer), number.max(peer));
                if peerings.contains_key(&id) && rng.f32() < 0.8 {
                    let range =
                        if rng.u8(0..4) == 0 { format!("10.{peer}.0.0/24") } else { format!("10.{peer}.0.0/16") };
                    routes.insert(range, json!({"peering": id}));
                }
            }
            let acl = if rng.u8(0..3) == 0 { "acl-strict" } else { "acl-open" };
            self.value["subnets"][format!("subnet-{number}{subnet}")] = json!({
                "range": format!("10.{number}.{subnet}.0/24"), "zone": "", "route_table": "rtb-1", "routes": routes,
                "acl": acl,
            });
        }
    }
}

/// Protocol and ports of an entry of a network ACL, as parameters of a request.
fn acl_traffic(rng: &mut Rng) -> Vec<(&'static str, String)> {
    // Replies go to ports from 33,000 on.
    let ports = [(1024, 65535), (80, 80), (81, 90), (0, 65535), (1024, 45_000)];
    let (protocol, ranges) = match rng.u8(0..10) {
        0..2 => ("-1", &[][..]),
        2..5 => ("tcp", &ports[..1]),
        5..8 => ("6", &ports[..]),
        8 => ("udp", &ports[..]),
        _ => (["icmp", "47"][rng.usize(0..2)], &[][..]),
    };
    let mut parameters = vec![("Protocol", protocol.to_owned())];
    if let Some((first, last)) = rng.choice(ranges) {
        parameters.extend([("PortRange.From", first.to_string()), ("PortRange.To", last.to_string())]);
    }
    if protocol == "icmp" {
        parameters.extend([("Icmp.Type", "8".to_owned()), ("Icmp.Code", "-1".to_owned())]);
    }
    parameters
}

/// Creates a network ACL with these entries by requests, and returns what the network process receives about it.
fn declared_acl(model: &mut Model, entries: &[Vec<(&str, String)>]) -> Value {
    let element = |xml: &str, name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let vpc = element(&model.ec2("DescribeVpcs", &[]).unwrap(), "vpcId");
    let acl = element(&model.ec2("CreateNetworkAcl", &[("VpcId", &vpc)]).unwrap(), "networkAclId");
    for entry in entries {
        let mut parameters = vec![("NetworkAclId", acl.as_str())];
        parameters.extend(entry.iter().map(|(name, value)| (*name, value.as_str())));
        model.ec2("CreateNetworkAclEntry", &parameters).unwrap();
    }
    let declared = model.network().to_json().unwrap()["vpcs"][&vpc]["acls"][&acl].clone();
    assert!(declared.is_object(), "{acl} is not in the network");
    model.ec2("DeleteNetworkAcl", &[("NetworkAclId", &acl)]).unwrap();
    declared
}
