//! Rds: instances, clusters, their groups and snapshots, and what of them runs.

pub(crate) mod class;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::process::ProcessIdentity;
use super::{Region, Tags};

/// The Relational Database Service's part of a region, each kind by its identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rds {
    pub(crate) subnet_groups: BTreeMap<String, SubnetGroup>,
    pub(crate) parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(crate) cluster_parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(crate) instances: BTreeMap<String, DbInstance>,
    pub(crate) clusters: BTreeMap<String, DbCluster>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) cluster_snapshots: BTreeMap<String, Snapshot>,
}

super::changes::record_by_field!(Rds {
    whole: [],
    maps: [
        subnet_groups,
        parameter_groups,
        cluster_parameter_groups,
        instances,
        clusters,
        snapshots,
        cluster_snapshots
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

/// A parameter's value, as it was written: it may be a formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) value: String,
    /// True when it waits for a reboot.
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

/// The owner of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
    /// The database that is made at the beginning.
    pub(crate) database: Option<String>,
    /// The password of the service's own role.
    pub(crate) service_password: String,
}

/// Source of the first data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seed {
    /// There is none.
    Empty,
    /// The directory of a snapshot.
    Snapshot(String),
    /// A copy of what the instance or cluster it follows has.
    Following,
}

/// Backup and maintenance settings. They are kept and shown; pending changes are applied in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) backup_retention_days: u32,
    /// `04:00-04:30`
    pub(crate) backup_window: String,
    /// `sun:05:00-sun:05:30`
    pub(crate) maintenance_window: String,
}

/// Place in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its loopback address, which is its endpoint.
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) subnet_group: String,
    pub(crate) vpc_id: String,
    pub(crate) security_groups: Vec<String>,
}

/// Storage of an instance, kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Storage {
    pub(crate) allocated_gib: u32,
    pub(crate) max_allocated_gib: Option<u32>,
    pub(crate) kind: String,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput: Option<u32>,
    pub(crate) encrypted: bool,
}

/// A DB instance: alone, a read replica of another one, or a member of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// The switches are AWS's.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct DbInstance {
    pub(crate) id: String,
    /// `db-…`, which no other instance ever has.
    pub(crate) resource_id: String,
    pub(crate) class: String,
    pub(crate) engine: String,
    pub(crate) stage: Stage,
    /// A member's is that of its cluster.
    pub(crate) account: Account,
    pub(crate) storage: Storage,
    pub(crate) place: Place,
    /// The zone's full name.
    pub(crate) zone: String,
    pub(crate) second_zone: Option<String>,
    pub(crate) parameter_group: String,
    pub(crate) cluster: Option<String>,
    pub(crate) promotion_tier: u32,
    /// The instance that this one follows.
    pub(crate) source: Option<String>,
    pub(crate) schedule: Schedule,
    pub(crate) auto_minor_upgrade: bool,
    pub(crate) copy_tags_to_snapshot: bool,
    pub(crate) deletion_protection: bool,
    pub(crate) public: bool,
    pub(crate) seed: Seed,
    pub(crate) pending: Pending,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
    pub(crate) runtime: Runtime,
}

/// Changes that were asked for and are not made yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pending {
    /// They do not wait for the maintenance window.
    pub(crate) now: bool,
    pub(crate) class: Option<String>,
    pub(crate) storage: Option<Storage>,
    pub(crate) port: Option<u16>,
    pub(crate) multi_az: Option<bool>,
}

/// The runtime's part of an instance, kept over restarts of the cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Runtime {
    pub(crate) process: Option<ProcessIdentity>,
    /// Address of the process, behind the endpoints.
    pub(crate) backend: Option<(Ipv4Addr, u16)>,
    /// True when it accepts, and is what it should be: primary or standby.
    pub(crate) ready: bool,
    /// The parameters in effect.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The password in effect, on a primary.
    pub(crate) password: Option<String>,
    /// Number of restarts after an unexpected end.
    pub(crate) restarts: u32,
    /// Problem that keeps it from being available.
    pub(crate) trouble: Option<Trouble>,
}

/// Something that the person who made the instance has to look after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Status of the instance as long as the problem lasts: `incompatible-network`.
    pub(crate) status: String,
    /// Description of the problem, and the remedy.
    pub(crate) message: String,
}

/// A cluster: one writer and readers over the same data.
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
    pub(crate) seed: Seed,
    /// The member that writes.
    pub(crate) writer: Option<String>,
    /// The member that wrote before, until the writer has everything from it.
    pub(crate) demoted: Option<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

/// A copy of an instance's, or a cluster's, data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    /// The name of its directory.
    pub(crate) resource_id: String,
    /// The instance or cluster it is of.
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
    pub(crate) tags: Tags,
}

impl Stage {
    /// As AWS writes it.
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
    /// Returns whether there is anything to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.class.is_none() && self.storage.is_none() && self.port.is_none() && self.multi_az.is_none()
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

    /// Returns whether clients are served.
    pub(crate) fn is_serving(&self) -> bool {
        self.runtime.ready && !matches!(self.stage, Stage::Creating | Stage::Stopped | Stage::Deleting | Stage::Failed)
    }
}

impl Rds {
    /// Returns the instances of a cluster.
    pub(crate) fn members<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = &'a DbInstance> {
        self.instances.values().filter(move |instance| instance.cluster.as_deref() == Some(cluster))
    }

    /// Returns the upstream of an instance; a primary has none.
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

    /// Makes another member the writer: the given one, else the serving reader with the lowest tier whose process is
    /// alive. Returns false when there is none.
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
    /// Returns the databases that keep a security group from being deleted.
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
    fn stages_are_called_as_aws_calls_them() {
        for stage in [Stage::BackingUp, Stage::FailingOver, Stage::Available] {
            assert_eq!(serde_json::to_value(stage).ok(), Some(stage.name().into()));
        }
    }
}
