//! The status of a cloud, for `local status` and for tests.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::model::autoscaling::{Group, Lifecycle};
use crate::model::ec2::instance::Instance;
use crate::model::ec2::volume::VolumeAttachment;
use crate::model::elbv2::{BalancerState, LoadBalancer};
use crate::model::process::ProcessIdentity;
use crate::model::rds::{DbCluster, DbInstance};
use crate::model::{Account, Region};
use crate::runtime::confinement::ConfinementStatus;
use crate::server::faults::ActiveFault;
use crate::state::Shared;
use crate::state::{console, paths};

/// The cloud at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The endpoint's URL.
    pub endpoint: String,
    /// Version of this crate in the process.
    pub version: String,
    /// The process that runs the cloud.
    pub pid: u32,
    /// Every region by name.
    pub regions: BTreeMap<String, RegionStatus>,
    /// The id of the cloud; see [`LocalCloud::id`](crate::LocalCloud::id).
    #[serde(default)]
    pub cloud_id: String,
    /// The account of the cloud's resources.
    #[serde(default)]
    pub account: Account,
    /// Number of resources by global kind: `roles`, `buckets`.
    pub counts: BTreeMap<String, usize>,
    /// Descriptions of the active faults.
    #[serde(default)]
    pub faults: Vec<String>,
    /// The active faults, each with the request that ends it.
    #[serde(default)]
    pub active_faults: Vec<ActiveFault>,
    /// Confinement of the programs of instances.
    #[serde(default)]
    pub confinement: ConfinementStatus,
    /// The network of instances, load balancers and databases.
    #[serde(default)]
    pub network: NetworkStatus,
    /// File with the certificate of the authority that signs the certificates of databases.
    #[serde(default)]
    pub certificate_bundle: PathBuf,
    /// URL of the emulator that answers for other services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<String>,
}

/// The network that connects instances, load balancers and databases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// True when each has a network namespace, and the kernel enforces routes and security groups. Otherwise the
    /// loopback interface connects them, and security groups between hosts are not enforced.
    pub namespaces: bool,
    /// The reason for the loopback interface.
    pub reason: Option<String>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RegionStatus {
    /// Instances, including terminated ones until they are forgotten.
    pub instances: Vec<InstanceStatus>,
    /// Balancers.
    pub balancers: Vec<BalancerStatus>,
    /// Auto Scaling groups.
    pub groups: Vec<GroupStatus>,
    /// Database instances, including members of clusters.
    #[serde(default)]
    pub databases: Vec<DatabaseStatus>,
    /// Log streams of CloudWatch Logs.
    #[serde(default)]
    pub log_streams: Vec<LogStreamStatus>,
    /// Database clusters.
    #[serde(default)]
    pub database_clusters: Vec<DatabaseClusterStatus>,
    /// Resources that Cloud Control has recorded by their schema, while nothing runs.
    #[serde(default)]
    pub recorded: Vec<RecordedStatus>,
    /// Number of resources by kind, such as `security_groups`, without the default network of every region.
    pub counts: BTreeMap<String, usize>,
}

/// One resource that is recorded and not running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStatus {
    /// `AWS::SQS::Queue`
    pub type_name: String,
    /// Its primary identifier.
    pub identifier: String,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// `i-…`
    pub id: String,
    /// The tag `Name`.
    pub name: Option<String>,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`; `impaired` when it should run but
    /// its machine has failed.
    pub state: String,
    /// The private address. Where the loopback interface connects instances, also the public one.
    pub address: Ipv4Addr,
    /// The public address, which this machine reaches.
    #[serde(default)]
    pub public_address: Option<Ipv4Addr>,
    /// `us-east-1a`
    pub zone: String,
    /// The processes of the instance.
    pub services: Vec<ServiceStatus>,
    /// File with the messages of the cloud about its start.
    #[serde(default)]
    pub console: PathBuf,
    /// Seconds since its termination.
    #[serde(default)]
    pub terminated_seconds: Option<u64>,
}

/// One process of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name in the Machine document, or `postgres` or `mariadb`.
    pub name: String,
    /// Pid of the process, if it runs.
    pub pid: Option<u32>,
    /// `starting`, `running`, `restarting`, `failed` or `stopped`.
    pub state: String,
    /// The port on which it listens, at the instance's address.
    pub port: Option<u16>,
    /// Number of restarts.
    pub restarts: u32,
    /// File with its output.
    pub log: PathBuf,
}

/// One log stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogStreamStatus {
    /// Name of its group.
    pub group: String,
    /// Its name.
    pub stream: String,
    /// File with its events; it exists once there are some.
    pub log: PathBuf,
}

/// One balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalancerStatus {
    /// Its name.
    pub name: String,
    /// Address of its listeners.
    pub address: Ipv4Addr,
    /// `provisioning`, `active` or `failed`.
    pub state: String,
    /// Reason of its failure.
    pub reason: Option<String>,
    /// The ports of its listeners.
    pub ports: Vec<u16>,
    /// Target groups to which it forwards requests.
    pub target_groups: Vec<TargetGroupStatus>,
    /// File with a line per request.
    #[serde(default)]
    pub log: PathBuf,
}

/// A target group of a balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetGroupStatus {
    /// Its name.
    pub name: String,
    /// The health of its targets by `<instance>:<port>`.
    pub targets: BTreeMap<String, String>,
    /// Requests sent to its targets since the cloud was started.
    pub requests: u64,
    /// Connections to its targets that could not be opened since the cloud was started.
    pub connection_errors: u64,
}

/// One Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Minimum number of instances.
    pub min: u32,
    /// Maximum number of instances.
    pub max: u32,
    /// Desired number of instances.
    pub desired: u32,
    /// Number of instances in service.
    pub in_service: u32,
    /// The state of its latest instance refresh.
    pub refresh: Option<String>,
}

/// One database instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Its identifier.
    pub id: String,
    /// Status in AWS's API: `creating`, `available`, `stopped`…; `impaired` when its zone has failed.
    pub state: String,
    /// Description of the problem, if any.
    pub reason: Option<String>,
    /// `<address>:<port>` of its endpoint.
    pub endpoint: String,
    /// `us-east-1a`
    pub zone: String,
    /// `postgres` or `aurora-postgresql`.
    pub engine: String,
    /// The cluster it is a member of.
    pub cluster: Option<String>,
    /// `primary` or `standby`.
    pub role: String,
    /// Pid of its server, if it runs.
    pub pid: Option<u32>,
    /// Number of restarts after an unexpected exit.
    pub restarts: u32,
    /// File with the server's output.
    pub log: PathBuf,
}

/// One database cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseClusterStatus {
    /// Its identifier.
    pub id: String,
    /// Status in AWS's API: `creating`, `available`, `failing-over`…
    pub state: String,
    /// `<address>:<port>` of the writer endpoint.
    pub writer_endpoint: String,
    /// `<address>:<port>` of the reader endpoint.
    pub reader_endpoint: String,
    /// The writer instance.
    pub writer: Option<String>,
    /// All its instances.
    pub members: Vec<String>,
}

impl Status {
    pub(crate) fn of(shared: &Shared) -> Status {
        shared.read(|cloud| Status {
            endpoint: format!("http://{}", shared.endpoint()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            cloud_id: cloud.id.clone(),
            account: cloud.account,
            certificate_bundle: paths::certificate_bundle(shared.directory()),
            regions: cloud
                .regions
                .iter()
                .map(|(name, region)| (name.clone(), RegionStatus::of(region, shared)))
                .collect(),
            counts: counts([
                ("roles", cloud.iam.roles.len()),
                ("instance_profiles", cloud.iam.instance_profiles.len()),
                ("users", cloud.iam.users.len()),
                ("policies", cloud.iam.policies.len()),
                ("buckets", shared.objects().count()),
            ]),
            faults: cloud.active_faults(shared.loopback_reason()).into_iter().map(|fault| fault.text).collect(),
            active_faults: cloud.active_faults(shared.loopback_reason()),
            confinement: if shared.confines() {
                ConfinementStatus::of_this_machine().clone()
            } else {
                ConfinementStatus::off()
            },
            delegate: shared.delegate().map(str::to_owned),
            network: NetworkStatus {
                namespaces: shared.loopback_reason().is_none(),
                reason: shared.loopback_reason().map(str::to_owned),
            },
        })
    }
}

fn log_streams(region: &Region, directory: &Path) -> Vec<LogStreamStatus> {
    let groups = region.logs.groups.values();
    let streams = groups.flat_map(|group| group.streams.values().map(move |stream| (group, stream)));
    let status = streams.map(|(group, stream)| LogStreamStatus {
        group: group.name.clone(),
        stream: stream.name.clone(),
        log: paths::log_stream(directory, &stream.file),
    });
    status.collect()
}

impl RegionStatus {
    fn of(region: &Region, shared: &Shared) -> RegionStatus {
        let databases = &region.rds;
        RegionStatus {
            instances: region
                .ec2
                .instances
                .values()
                .map(|instance| InstanceStatus::of(instance, region, shared))
                .collect(),
            balancers: region
                .elbv2
                .load_balancers
                .values()
                .map(|balancer| BalancerStatus::of(balancer, region, shared))
                .collect(),
            groups: region.autoscaling.groups.values().map(GroupStatus::of).collect(),
            databases: databases.instances.values().map(|one| DatabaseStatus::of(one, region, shared)).collect(),
            log_streams: log_streams(region, shared.directory()),
            database_clusters: databases
                .clusters
                .values()
                .map(|cluster| DatabaseClusterStatus::of(cluster, region))
                .collect(),
            recorded: region
                .cloudcontrol
                .recorded
                .values()
                .map(|it| RecordedStatus { type_name: it.type_name.clone(), identifier: it.identifier.clone() })
                .collect(),
            counts: RegionStatus::counts_of(region),
        }
    }

    /// Counts the resources of a region by kind, without its default network.
    fn counts_of(region: &Region) -> BTreeMap<String, usize> {
        let (databases, balancing) = (&region.rds, &region.elbv2);
        let in_default_vpc = |id: &String| region.ec2.vpcs.get(id).is_some_and(|vpc| vpc.default);
        let of_default_vpc = |id: &Option<String>| id.as_ref().is_some_and(in_default_vpc);
        let security_groups = region.ec2.security_groups.values();
        let gateways = region.ec2.internet_gateways.values().filter(|gateway| !of_default_vpc(&gateway.vpc_id));
        let instances = region.ec2.instances.values().filter(|instance| !instance.state.is_ending());
        // A volume of an instance that is being terminated counts only if it remains.
        let remains = |attachment: &VolumeAttachment| {
            let instance = region.ec2.instances.get(&attachment.instance_id);
            !attachment.delete_on_termination || instance.is_some_and(|instance| !instance.state.is_ending())
        };
        let volumes = region.ec2.volumes.values();
        let volumes = volumes.filter(|volume| volume.attachments.is_empty() || volume.attachments.iter().any(remains));
        counts([
            ("vpcs", region.ec2.vpcs.values().filter(|vpc| !vpc.default).count()),
            ("subnets", region.ec2.subnets.values().filter(|subnet| !subnet.default_for_zone).count()),
            ("security_groups", security_groups.filter(|group| group.name != "default").count()),
            ("internet_gateways", gateways.count()),
            ("egress_only_gateways", region.ec2.egress_only_gateways.len()),
            ("nat_gateways", region.ec2.nat_gateways.values().filter(|gateway| !gateway.state.is_over()).count()),
            ("addresses", region.ec2.addresses.len()),
            ("route_tables", region.ec2.route_tables.values().filter(|table| !table.is_main()).count()),
            ("peerings", region.ec2.peerings.values().filter(|peering| !peering.state.is_over()).count()),
            ("dhcp_options", region.ec2.dhcp_option_sets.len()),
            ("vpc_endpoints", region.ec2.vpc_endpoints.len()),
            ("prefix_lists", region.ec2.prefix_lists.len()),
            ("flow_logs", region.ec2.flow_logs.len()),
            ("placement_groups", region.ec2.placement_groups.len()),
            ("key_pairs", region.ec2.key_pairs.len()),
            ("images", region.ec2.images.len()),
            ("snapshots", region.ec2.snapshots.len()),
            ("launch_templates", region.ec2.launch_templates.len()),
            ("instances", instances.count()),
            ("volumes", volumes.count()),
            ("launch_configurations", region.autoscaling.launch_configurations.len()),
            ("auto_scaling_groups", region.autoscaling.groups.len()),
            ("load_balancers", balancing.load_balancers.len()),
            ("target_groups", balancing.target_groups.len()),
            ("certificates", region.acm.certificates.len()),
            ("recorded", region.cloudcontrol.recorded.len()),
            ("parameters", region.ssm.parameters.len()),
            ("alarms", region.cloudwatch.alarms.len()),
            ("log_groups", region.logs.groups.len()),
            ("databases", databases.instances.len()),
            ("database_clusters", databases.clusters.len()),
            ("database_snapshots", databases.snapshots.len() + databases.cluster_snapshots.len()),
            ("database_subnet_groups", databases.subnet_groups.len()),
            ("database_parameter_groups", databases.parameter_groups.len() + databases.cluster_parameter_groups.len()),
        ])
    }
}

impl InstanceStatus {
    fn of(instance: &Instance, region: &Region, shared: &Shared) -> InstanceStatus {
        let services = instance.runtime.services.iter().map(|(name, service)| ServiceStatus {
            name: name.clone(),
            pid: service.process.filter(ProcessIdentity::is_alive).map(|process| process.pid),
            state: service.state.name().to_owned(),
            port: service.port,
            restarts: service.restarts,
            log: service.log.clone(),
        });
        InstanceStatus {
            id: instance.id.clone(),
            name: instance.tags.get("Name").cloned(),
            state: if instance.runtime.impaired { "impaired" } else { instance.state.name() }.to_owned(),
            address: region.private_address(instance.address),
            public_address: region.public_address_of(instance),
            zone: instance.zone.clone(),
            services: services.collect(),
            console: console::own(shared.directory(), &instance.id),
            terminated_seconds: instance.terminated_at.map(|at| (Utc::now() - at).num_seconds().max(0).cast_unsigned()),
        }
    }
}

impl BalancerStatus {
    fn of(balancer: &LoadBalancer, region: &Region, shared: &Shared) -> BalancerStatus {
        let traffic = shared.traffic();
        let (state, reason) = match &balancer.state {
            BalancerState::Provisioning => ("provisioning", None),
            BalancerState::Active => ("active", None),
            BalancerState::Failed(reason) => ("failed", Some(reason.clone())),
        };
        let listeners = region.elbv2.listeners.values().filter(|listener| listener.balancer == balancer.arn);
        let behind = region
            .elbv2
            .target_groups
            .values()
            .filter(|group| region.balancers_of(&group.arn).iter().any(|leading| leading.arn == balancer.arn));
        let target_groups = behind.map(|group| {
            let counts = traffic.of(&group.arn);
            let targets = group.targets.iter();
            TargetGroupStatus {
                name: group.name.clone(),
                targets: targets
                    .map(|target| (format!("{}:{}", target.id, target.port), target.health.state.clone()))
                    .collect(),
                requests: counts.requests,
                connection_errors: counts.connection_errors,
            }
        });
        BalancerStatus {
            name: balancer.name.clone(),
            address: match balancer.scheme.as_str() {
                "internal" => region.private_address(balancer.address),
                _ => balancer.address,
            },
            state: state.to_owned(),
            reason,
            ports: listeners.map(|listener| listener.port).collect(),
            target_groups: target_groups.collect(),
            log: paths::balancer_log(shared.directory(), &balancer.arn),
        }
    }
}

impl GroupStatus {
    fn of(group: &Group) -> GroupStatus {
        let in_service = group.members.iter().filter(|member| member.lifecycle == Lifecycle::InService);
        GroupStatus {
            name: group.name.clone(),
            min: group.min,
            max: group.max,
            desired: group.desired,
            in_service: in_service.count() as u32,
            refresh: group.refreshes.last().map(|refresh| refresh.status.name().to_owned()),
        }
    }
}

impl DatabaseStatus {
    fn of(instance: &DbInstance, region: &Region, shared: &Shared) -> DatabaseStatus {
        let place = &instance.place;
        let role = if region.rds.upstream(instance).is_some() { "standby" } else { "primary" };
        let lost = region.lost_zones.contains(&instance.zone);
        let log = paths::database(shared.directory(), &instance.resource_id).join("postgres.log");
        DatabaseStatus {
            id: instance.id.clone(),
            state: if lost { "impaired" } else { instance.status() }.to_owned(),
            reason: match &instance.runtime.trouble {
                _ if lost => Some(format!("the zone {} is lost", instance.zone)),
                trouble => trouble.as_ref().map(|trouble| trouble.message.clone()),
            },
            endpoint: format!("{}:{}", region.private_address(place.address), place.port),
            zone: instance.zone.clone(),
            engine: instance.engine.clone(),
            cluster: instance.cluster.clone(),
            role: role.to_owned(),
            pid: instance.runtime.process.filter(ProcessIdentity::is_alive).map(|process| process.pid),
            restarts: instance.runtime.restarts,
            log,
        }
    }
}

impl DatabaseClusterStatus {
    fn of(cluster: &DbCluster, region: &Region) -> DatabaseClusterStatus {
        let place = &cluster.place;
        DatabaseClusterStatus {
            id: cluster.id.clone(),
            state: cluster.stage.name().to_owned(),
            writer_endpoint: format!("{}:{}", region.private_address(place.address), place.port),
            reader_endpoint: format!("{}:{}", region.private_address(cluster.reader_address), place.port),
            writer: cluster.writer.clone(),
            members: region.rds.members(&cluster.id).map(|member| member.id.clone()).collect(),
        }
    }
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect()
}
