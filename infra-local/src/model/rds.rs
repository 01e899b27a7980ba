//! RDS: instances, clusters, their groups and snapshots, and the observed state of their servers.

pub(crate) mod class;
pub(crate) mod event;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::process::ProcessIdentity;
use super::{Region, Table, Tags};

/// The Relational Database Service's part of a region, each kind by its identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rds {
    pub(crate) subnet_groups: BTreeMap<String, SubnetGroup>,
    pub(crate) parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(crate) cluster_parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(crate) instances: BTreeMap<String, DbInstance>,
    pub(crate) clusters: BTreeMap<String, DbCluster>,
    pub(crate) option_groups: BTreeMap<String, OptionGroup>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) cluster_snapshots: BTreeMap<String, Snapshot>,
    #[serde(default)]
    pub(crate) subscriptions: BTreeMap<String, EventSubscription>,
    /// Events by their number, the oldest first.
    pub(crate) events: Table<event::Event>,
}

super::changes::record_by_field!(Rds {
    whole: [],
    maps: [
        subnet_groups,
        parameter_groups,
        cluster_parameter_groups,
        instances,
        clusters,
        option_groups,
        snapshots,
        cluster_snapshots,
        subscriptions,
        events
    ],
    parts: [],
    children: [],
    apart: [],
});

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubnetGroup {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) vpc_id: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) tags: Tags,
}

/// A group of options. PostgreSQL has none, so a group has only a name and an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OptionGroup {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) engine: String,
    pub(crate) major_version: String,
    pub(crate) tags: Tags,
}

/// A subscription to events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventSubscription {
    pub(crate) name: String,
    /// ARN of the topic that is notified.
    pub(crate) topic: String,
    /// Type of the sources; all types if there is none.
    pub(crate) source_type: Option<String>,
    /// All categories if there is none.
    pub(crate) categories: BTreeSet<String>,
    /// All sources of the type if there is none.
    pub(crate) sources: BTreeSet<String>,
    pub(crate) enabled: bool,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

/// Features of instances and clusters that are recorded and described only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Features {
    /// Types of logs that AWS exports to CloudWatch Logs.
    pub(crate) log_exports: BTreeSet<String>,
    /// Interval of Enhanced Monitoring in seconds; 0 for none.
    pub(crate) monitoring_interval: u32,
    pub(crate) monitoring_role: Option<String>,
    pub(crate) performance_insights: bool,
    pub(crate) insights_key: Option<String>,
    pub(crate) insights_days: Option<u32>,
    /// `standard` or `advanced`.
    pub(crate) insights_mode: Option<String>,
    /// Key of the storage's encryption.
    pub(crate) key: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) lifecycle_support: Option<String>,
    /// The engine's default group if there is none.
    pub(crate) option_group: Option<String>,
}

/// Parameters of instances, or of clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ParameterGroup {
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) description: String,
    /// Parameters that differ from the engine's defaults.
    pub(crate) parameters: BTreeMap<String, Setting>,
    pub(crate) tags: Tags,
}

/// A parameter's value, which may be a formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) value: String,
    /// True when the value takes effect at the next reboot.
    pub(crate) pending_reboot: bool,
}

/// Status of instances and clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    Creating,
    Available,
    Modifying,
    Rebooting,
    BackingUp,
    FailingOver,
    Stopping,
    Stopped,
    Starting,
    Deleting,
    Failed,
}

/// Master user of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
    /// Name of the initial database.
    pub(crate) database: Option<String>,
    /// Password of the service's superuser.
    pub(crate) service_password: String,
}

/// Source of the initial data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seed {
    /// There is none.
    Empty,
    /// The directory of a snapshot.
    Snapshot(String),
    /// A copy of the data of the instance or cluster that this one follows.
    Following,
}

/// Backup and maintenance settings. They are recorded and described; pending changes are applied in the maintenance
/// window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) backup_retention_days: u32,
    /// `04:00-04:30`
    pub(crate) backup_window: String,
    /// `sun:05:00-sun:05:30`
    pub(crate) maintenance_window: String,
}

/// Placement in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The endpoint's address.
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) subnet_group: String,
    pub(crate) vpc_id: String,
    pub(crate) security_groups: Vec<String>,
}

/// Storage of an instance; recorded and described only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Storage {
    pub(crate) allocated_gib: u32,
    pub(crate) max_allocated_gib: Option<u32>,
    pub(crate) kind: String,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput: Option<u32>,
    pub(crate) encrypted: bool,
}

/// A DB instance: a single instance, a read replica, or a member of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct DbInstance {
    pub(crate) id: String,
    /// `db-…`, unique for all times.
    pub(crate) resource_id: String,
    pub(crate) class: String,
    pub(crate) engine: String,
    pub(crate) stage: Stage,
    /// Master user; for a member, that of its cluster.
    pub(crate) account: Account,
    pub(crate) storage: Storage,
    pub(crate) place: Place,
    /// The zone's full name.
    pub(crate) zone: String,
    pub(crate) second_zone: Option<String>,
    pub(crate) parameter_group: String,
    pub(crate) cluster: Option<String>,
    pub(crate) promotion_tier: u32,
    /// Source instance of a read replica.
    pub(crate) source: Option<String>,
    pub(crate) schedule: Schedule,
    pub(crate) auto_minor_upgrade: bool,
    pub(crate) copy_tags_to_snapshot: bool,
    pub(crate) deletion_protection: bool,
    pub(crate) public: bool,
    #[serde(default)]
    pub(crate) features: Features,
    pub(crate) seed: Seed,
    pub(crate) pending: Pending,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
    pub(crate) runtime: Runtime,
}

/// Requested changes that have not been applied yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pending {
    /// True when the changes do not wait for the maintenance window.
    pub(crate) now: bool,
    /// New identifier.
    pub(crate) id: Option<String>,
    /// True when the new identifier was due while another instance had it. The change remains until it is free.
    pub(crate) is_blocked: bool,
    pub(crate) class: Option<String>,
    pub(crate) storage: Option<Storage>,
    pub(crate) port: Option<u16>,
    pub(crate) multi_az: Option<bool>,
}

/// Requested changes of a cluster that have not been applied yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PendingOfCluster {
    /// True when the changes do not wait for the maintenance window.
    pub(crate) now: bool,
    /// New identifier.
    pub(crate) id: Option<String>,
    /// True when the new identifier was due while another cluster had it. The change remains until it is free.
    pub(crate) is_blocked: bool,
}

/// The runtime's part of an instance, kept across restarts of the cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Runtime {
    pub(crate) process: Option<ProcessIdentity>,
    /// Address of the server, to which the endpoints forward.
    pub(crate) backend: Option<(Ipv4Addr, u16)>,
    /// True when the server accepts connections in its intended role: primary or standby.
    pub(crate) ready: bool,
    /// Parameters in effect.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Master password in effect; primary only.
    pub(crate) password: Option<String>,
    /// Number of restarts after an unexpected exit.
    pub(crate) restarts: u32,
    /// Problem that keeps the instance from being available.
    pub(crate) trouble: Option<Trouble>,
}

/// A problem that the user has to solve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Status of the instance while the problem lasts: `incompatible-network`.
    pub(crate) status: String,
    /// Description of the problem and the solution.
    pub(crate) message: String,
}

/// A cluster: one writer and readers of the same data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DbCluster {
    pub(crate) id: String,
    /// `cluster-…`
    pub(crate) resource_id: String,
    pub(crate) engine: String,
    pub(crate) stage: Stage,
    pub(crate) account: Account,
    pub(crate) place: Place,
    /// The address of the reader endpoint.
    pub(crate) reader_address: Ipv4Addr,
    pub(crate) zones: Vec<String>,
    pub(crate) parameter_group: String,
    pub(crate) schedule: Schedule,
    pub(crate) copy_tags_to_snapshot: bool,
    pub(crate) deletion_protection: bool,
    pub(crate) encrypted: bool,
    pub(crate) storage_kind: String,
    #[serde(default)]
    pub(crate) features: Features,
    pub(crate) seed: Seed,
    /// The writer.
    pub(crate) writer: Option<String>,
    /// The previous writer, until the new writer has all of its data.
    pub(crate) demoted: Option<String>,
    #[serde(default)]
    pub(crate) pending: PendingOfCluster,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

/// A snapshot of an instance or a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    /// The name of its directory.
    pub(crate) resource_id: String,
    /// The source instance or cluster.
    pub(crate) source: String,
    pub(crate) source_resource_id: String,
    /// `Creating`, `Available` or `Failed`.
    pub(crate) stage: Stage,
    /// `manual` or `automated`.
    pub(crate) kind: String,
    pub(crate) engine: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: Option<String>,
    pub(crate) port: u16,
    pub(crate) vpc_id: String,
    pub(crate) zones: Vec<String>,
    pub(crate) storage: Storage,
    pub(crate) source_created: DateTime<Utc>,
    pub(crate) created: DateTime<Utc>,
    /// Accounts that may restore it, or `all`.
    #[serde(default)]
    pub(crate) shared_with: BTreeSet<String>,
    /// ARN of the snapshot of which this is a copy. Both share one directory.
    #[serde(default)]
    pub(crate) copy_of: Option<String>,
    pub(crate) tags: Tags,
}

impl Stage {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Creating => "creating",
            Stage::Available => "available",
            Stage::Modifying => "modifying",
            Stage::Rebooting => "rebooting",
            Stage::BackingUp => "backing-up",
            Stage::FailingOver => "failing-over",
            Stage::Stopping => "stopping",
            Stage::Stopped => "stopped",
            Stage::Starting => "starting",
            Stage::Deleting => "deleting",
            Stage::Failed => "failed",
        }
    }
}

impl Pending {
    /// Returns whether no changes are pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_none()
            && self.class.is_none()
            && self.storage.is_none()
            && self.port.is_none()
            && self.multi_az.is_none()
    }

    /// Returns whether only the new identifier is pending, which another instance has.
    pub(crate) fn is_only_blocked(&self) -> bool {
        self.is_blocked && Pending { id: None, ..self.clone() }.is_empty()
    }
}

impl DbInstance {
    /// Returns its status.
    pub(crate) fn status(&self) -> &str {
        match &self.runtime.trouble {
            Some(trouble) if !matches!(self.stage, Stage::Stopping | Stage::Stopped | Stage::Deleting) => {
                &trouble.status
            }
            _ => self.stage.name(),
        }
    }

    /// Returns whether the instance serves clients.
    pub(crate) fn is_serving(&self) -> bool {
        self.runtime.ready && !matches!(self.stage, Stage::Creating | Stage::Stopped | Stage::Deleting | Stage::Failed)
    }
}

impl Rds {
    /// Returns the instances of a cluster.
    pub(crate) fn members<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = &'a DbInstance> {
        self.instances.values().filter(move |instance| instance.cluster.as_deref() == Some(cluster))
    }

    /// Returns the upstream of an instance; `None` for a primary.
    pub(crate) fn upstream(&self, instance: &DbInstance) -> Option<&DbInstance> {
        let id = match &instance.cluster {
            Some(cluster) => self.clusters.get(cluster)?.writer.as_ref()?,
            None => instance.source.as_ref()?,
        };
        self.instances.get(id).filter(|upstream| upstream.id != instance.id)
    }

    /// Returns the master account of an instance's data.
    pub(crate) fn account<'a>(&'a self, instance: &'a DbInstance) -> &'a Account {
        let cluster = instance.cluster.as_ref().and_then(|cluster| self.clusters.get(cluster));
        cluster.map_or(&instance.account, |cluster| &cluster.account)
    }

    /// Makes another member the writer: the given one, or else the serving reader with the lowest tier whose process
    /// runs. Returns false when there is none.
    pub(crate) fn fail_over(
        &mut self,
        cluster: &str,
        target: Option<&str>,
        is_alive: impl Fn(&ProcessIdentity) -> bool,
    ) -> bool {
        let Some(writer) = self.clusters.get(cluster).map(|cluster| cluster.writer.clone()) else { return false };
        let runs = |member: &DbInstance| member.runtime.process.as_ref().is_some_and(&is_alive);
        let readers = self.members(cluster).filter(|member| Some(&member.id) != writer.as_ref());
        let readers = readers.filter(|member| member.is_serving() && runs(member));
        let chosen = match target {
            Some(target) => readers.into_iter().find(|reader| reader.id == target),
            None => readers.min_by_key(|reader| (reader.promotion_tier, reader.created)),
        };
        let Some(chosen) = chosen.map(|reader| reader.id.clone()) else { return false };
        if let Some(instance) = self.instances.get_mut(&chosen) {
            instance.runtime.ready = false;
        }
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.demoted = writer;
            cluster.writer = Some(chosen);
            if cluster.stage == Stage::Available {
                cluster.stage = Stage::FailingOver;
            }
        }
        true
    }
}

impl Region {
    /// Returns the databases that prevent the deletion of a security group.
    pub(crate) fn databases_in_security_group(&self, id: &str) -> Vec<String> {
        let uses = |place: &Place| place.security_groups.iter().any(|group| group == id);
        let instances = self.rds.instances.values().filter(|instance| uses(&instance.place));
        let clusters = self.rds.clusters.values().filter(|cluster| uses(&cluster.place));
        let instances = instances.map(|instance| instance.resource_id.clone());
        instances.chain(clusters.map(|cluster| cluster.resource_id.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_the_names_of_the_aws_api() {
        for stage in [Stage::BackingUp, Stage::FailingOver, Stage::Available] {
            assert_eq!(serde_json::to_value(stage).ok(), Some(stage.name().into()));
        }
    }
}
