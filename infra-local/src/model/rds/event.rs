//! Events of databases.
//!
//! No operation reports events: they are derived from the differences between two states, so each change has the same events
//! whether a request, the runtime or a fault caused it. Source: Amazon RDS User Guide, "Amazon RDS event categories and event
//! messages".

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::{DbCluster, DbInstance, ParameterGroup, Rds, Seed, Snapshot, Stage};

/// Period for which events are kept, as on AWS.
pub(crate) const RETENTION: Duration = Duration::days(14);

/// Number of events of a region that are kept at most.
const MOST: usize = 2000;

/// An event of a database, a snapshot or a parameter group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) source_type: SourceType,
    /// Identifier of the source.
    pub(crate) source: String,
    pub(crate) category: Category,
    pub(crate) message: String,
    pub(crate) at: DateTime<Utc>,
}

/// Type of the source of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceType {
    Instance,
    Cluster,
    Snapshot,
    ClusterSnapshot,
    ParameterGroup,
}

/// Category of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Category {
    Availability,
    Backup,
    ConfigurationChange,
    Creation,
    Deletion,
    Failover,
    Failure,
    Notification,
    ReadReplica,
    Recovery,
    Restoration,
}

impl SourceType {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SourceType::Instance => "db-instance",
            SourceType::Cluster => "db-cluster",
            SourceType::Snapshot => "db-snapshot",
            SourceType::ClusterSnapshot => "db-cluster-snapshot",
            SourceType::ParameterGroup => "db-parameter-group",
        }
    }

    /// Returns the resource type in the ARN of a source.
    pub(crate) fn of_arn(self) -> &'static str {
        match self {
            SourceType::Instance => "db",
            SourceType::Cluster => "cluster",
            SourceType::Snapshot => "snapshot",
            SourceType::ClusterSnapshot => "cluster-snapshot",
            SourceType::ParameterGroup => "pg",
        }
    }
}

impl Category {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Category::Availability => "availability",
            Category::Backup => "backup",
            Category::ConfigurationChange => "configuration change",
            Category::Creation => "creation",
            Category::Deletion => "deletion",
            Category::Failover => "failover",
            Category::Failure => "failure",
            Category::Notification => "notification",
            Category::ReadReplica => "read replica",
            Category::Recovery => "recovery",
            Category::Restoration => "restoration",
        }
    }
}

const SHUTDOWN: &str = "DB instance shutdown";
const RESTARTED: &str = "DB instance restarted";
const FAILOVER_STARTED: &str = "Multi-AZ instance failover started";
const RECOVERY_STARTED: &str =
    "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered";

impl Rds {
    /// Appends the events of the changes since `before`, and forgets those that are too old.
    pub(crate) fn record_events(&mut self, before: &Rds, region: &str, now: DateTime<Utc>) {
        let mut found = Found { now: self, region, events: Vec::new() };
        found.add_instances(before);
        found.add_clusters(before);
        found.add_snapshots(SourceType::Snapshot, &self.snapshots, &before.snapshots);
        found.add_snapshots(SourceType::ClusterSnapshot, &self.cluster_snapshots, &before.cluster_snapshots);
        found.add_parameters(before);
        let found = found.events;
        if found.is_empty() {
            return;
        }
        let newest = self.events.keys().next_back().and_then(|key| key.parse::<u64>().ok()).unwrap_or(0);
        for (number, (source_type, source, category, message)) in (newest + 1..).zip(found) {
            self.events.insert(format!("{number:016}"), Event { source_type, source, category, message, at: now });
        }
        let surplus = self.events.len().saturating_sub(MOST);
        let first = self.events.keys().nth(surplus).cloned().unwrap_or_default();
        self.events.retain(|key, event| *key >= first && now - event.at <= RETENTION);
    }
}

/// The events of the changes that lead to a state.
struct Found<'a> {
    now: &'a Rds,
    region: &'a str,
    events: Vec<(SourceType, String, Category, String)>,
}

impl Found<'_> {
    fn add(&mut self, source_type: SourceType, source: &str, category: Category, message: impl Into<String>) {
        self.events.push((source_type, source.to_owned(), category, message.into()));
    }

    fn add_instances(&mut self, before: &Rds) {
        let now = self.now;
        for instance in now.instances.values() {
            let same = before.instances.get(&instance.id).filter(|it| it.resource_id == instance.resource_id);
            let renamed = || before.instances.values().find(|it| it.resource_id == instance.resource_id);
            match same.or_else(renamed) {
                Some(earlier) => self.add_instance(earlier, instance),
                None => self.add_restoration(instance),
            }
        }
        for gone in before.instances.values() {
            let is_gone = !now.instances.contains_key(&gone.id)
                && !now.instances.values().any(|it| it.resource_id == gone.resource_id);
            if is_gone {
                self.add(SourceType::Instance, &gone.id, Category::Deletion, "DB instance deleted");
            }
        }
    }

    /// Adds the event of an instance that is created from a snapshot.
    fn add_restoration(&mut self, instance: &DbInstance) {
        let Seed::Snapshot(resource_id) = &instance.seed else { return };
        if let Some(snapshot) = self.now.snapshots.values().find(|it| it.resource_id == *resource_id) {
            let message = format!("Restored from snapshot {}", snapshot.id);
            self.add(SourceType::Instance, &instance.id, Category::Restoration, message);
        }
    }

    fn add_instance(&mut self, before: &DbInstance, now: &DbInstance) {
        if before == now {
            return;
        }
        let id = now.id.as_str();
        let mut add = |category, message: &str| self.add(SourceType::Instance, id, category, message);
        match (before.stage, now.stage) {
            (earlier, stage) if earlier == stage => {}
            (Stage::Creating, Stage::Available | Stage::BackingUp) => {
                add(Category::Creation, "DB instance created");
                if now.source.is_some() {
                    add(Category::ReadReplica, "Replication for the Read Replica resumed");
                }
            }
            (_, Stage::Stopped) => add(Category::Notification, "DB instance stopped"),
            (Stage::Starting, Stage::Available) => add(Category::Notification, "DB instance started"),
            (_, Stage::BackingUp) => add(Category::Backup, "Backing up DB instance"),
            (Stage::BackingUp, _) => add(Category::Backup, "Finished DB Instance backup"),
            _ => {}
        }
        self.add_modifications(before, now);
        if let (Some(new), true) = (&now.pending.id, !before.pending.is_blocked && now.pending.is_blocked) {
            let message = format!("Unable to rename DB instance to {new}: the identifier is in use");
            self.add(SourceType::Instance, id, Category::ConfigurationChange, message);
        }
        self.add_settings(before, now);
        self.add_availability(before, now);
    }

    /// Adds the events of changes that may wait for the maintenance window.
    fn add_modifications(&mut self, before: &DbInstance, now: &DbInstance) {
        let storage = |instance: &DbInstance| instance.storage.allocated_gib;
        let multi_az = |instance: &DbInstance| instance.second_zone.is_some();
        let pending = |instance: &DbInstance| {
            let wanted = instance.pending.now.then_some(&instance.pending);
            let storage = wanted.and_then(|it| it.storage.as_ref()).map(|storage| storage.allocated_gib);
            [
                wanted.is_some_and(|it| it.class.is_some()),
                storage.is_some_and(|size| size != instance.storage.allocated_gib),
                wanted.is_some_and(|it| it.multi_az == Some(true)),
                wanted.is_some_and(|it| it.multi_az == Some(false)),
            ]
        };
        let applied = [
            before.class != now.class,
            storage(before) != storage(now),
            !multi_az(before) && multi_az(now),
            multi_az(before) && !multi_az(now),
        ];
        let texts = [
            ("database instance class", "DB instance class"),
            ("allocated storage", "allocated storage"),
            ("convert to a Multi-AZ DB Instance", "convert to a Multi-AZ DB Instance"),
            ("convert to a standard (Single-AZ) DB Instance", "convert to a standard (Single-AZ) DB Instance"),
        ];
        let (earlier, pending) = (pending(before), pending(now));
        for (kind, (applying, finished)) in texts.into_iter().enumerate() {
            // A change in the maintenance window starts and finishes at once.
            if !earlier[kind] && (pending[kind] || applied[kind]) {
                let message = format!("Applying modification to {applying}");
                self.add(SourceType::Instance, &now.id, Category::ConfigurationChange, message);
            }
            if applied[kind] {
                let message = format!("Finished applying modification to {finished}");
                self.add(SourceType::Instance, &now.id, Category::ConfigurationChange, message);
            }
        }
    }

    /// Adds the events of settings that change immediately.
    fn add_settings(&mut self, before: &DbInstance, now: &DbInstance) {
        let days = |instance: &DbInstance| instance.schedule.backup_retention_days;
        let mut add = |message: String| {
            self.add(SourceType::Instance, &now.id, Category::ConfigurationChange, message);
        };
        if now.cluster.is_none() && before.account.password != now.account.password {
            add("Reset master credentials".to_owned());
        }
        if before.parameter_group != now.parameter_group {
            add(format!("Updated to use DBParameterGroup {}", now.parameter_group));
        }
        if (days(before) == 0) != (days(now) == 0) {
            add(format!("{} automated backups", if days(now) == 0 { "Disabled" } else { "Enabled" }));
        }
        if before.features.monitoring_interval != now.features.monitoring_interval {
            add(format!("Monitoring Interval changed to {}", now.features.monitoring_interval));
        }
    }

    /// Adds the events of failures, recoveries and failovers.
    fn add_availability(&mut self, before: &DbInstance, now: &DbInstance) {
        let id = now.id.as_str();
        // A server is stopped before its instance is renamed, and started afterwards.
        let is_renamed = now.pending.id.is_some() && !now.pending.is_blocked;
        let stops = before.runtime.ready && !now.runtime.ready && !is_renamed;
        let is_stopped_by_request = stops && matches!(now.stage, Stage::Rebooting | Stage::Modifying);
        if is_stopped_by_request || (before.id != now.id && !now.runtime.ready) {
            self.add(SourceType::Instance, id, Category::Availability, SHUTDOWN);
        }
        let is_swapped = before.second_zone.as_ref() == Some(&now.zone);
        if is_swapped {
            self.add(SourceType::Instance, id, Category::Failover, FAILOVER_STARTED);
        }
        if now.runtime.restarts > before.runtime.restarts {
            self.add(SourceType::Instance, id, Category::Recovery, RECOVERY_STARTED);
        }
        let trouble = now.runtime.trouble.as_ref().filter(|_| before.runtime.trouble.is_none());
        if let Some(trouble) = trouble {
            let (status, message) = (&trouble.status, &trouble.message);
            let text = match status.as_str() {
                "incompatible-network" => format!("Database instance in {status}. {message}"),
                "failed" => {
                    let advice = "RDS recommends that you initiate a point-in-time-restore";
                    format!("DB instance put into {status} state. {advice}")
                }
                _ => format!("Database instance put into {status}. {message}"),
            };
            self.add(SourceType::Instance, id, Category::Failure, text);
        }
        if !before.runtime.ready && now.runtime.ready {
            if self.is_latest(id, Category::Recovery, RECOVERY_STARTED) {
                self.add(SourceType::Instance, id, Category::Recovery, "Recovery of the DB instance is complete");
                self.add(SourceType::Instance, id, Category::Availability, RESTARTED);
            }
            if self.is_latest(id, Category::Availability, SHUTDOWN) {
                self.add(SourceType::Instance, id, Category::Availability, RESTARTED);
            }
            if self.is_latest(id, Category::Failover, FAILOVER_STARTED) {
                self.add(SourceType::Instance, id, Category::Failover, "Multi-AZ instance failover completed");
            }
        }
    }

    /// Returns whether this is the latest event of an instance in a category.
    fn is_latest(&self, id: &str, category: Category, message: &str) -> bool {
        let recorded = self.now.events.values().map(|it| (it.source_type, &it.source, it.category, &it.message));
        let found = self
            .events
            .iter()
            .map(|(source_type, source, category, message)| (*source_type, source, *category, message));
        let latest = recorded.chain(found.collect::<Vec<_>>()).rev().find(|(source_type, source, it, _)| {
            *source_type == SourceType::Instance && *source == id && *it == category
        });
        latest.is_some_and(|(_, _, _, text)| text == message)
    }

    fn add_clusters(&mut self, before: &Rds) {
        let now = self.now;
        for cluster in now.clusters.values() {
            let earlier = before.clusters.get(&cluster.id).filter(|it| it.resource_id == cluster.resource_id);
            if let Some(earlier) = earlier {
                self.add_cluster(earlier, cluster);
            } else if let Some(renamed) = before.clusters.values().find(|it| it.resource_id == cluster.resource_id) {
                let message = format!("Renamed cluster from {} to {}", renamed.id, cluster.id);
                self.add(SourceType::Cluster, &cluster.id, Category::Notification, message);
                self.add_cluster(renamed, cluster);
            }
        }
        for gone in before.clusters.values() {
            if !now.clusters.values().any(|it| it.resource_id == gone.resource_id) {
                self.add(SourceType::Cluster, &gone.id, Category::Deletion, "DB cluster deleted");
            }
        }
    }

    fn add_cluster(&mut self, before: &DbCluster, now: &DbCluster) {
        if before == now {
            return;
        }
        let zone = |id: &String| self.now.instances.get(id).map(|member| member.zone.clone());
        let failover = match (&now.demoted, &now.writer) {
            (Some(demoted), Some(writer)) if before.demoted.is_none() => {
                let place = if zone(demoted) == zone(writer) { "same" } else { "cross" };
                Some(format!("Started {place} AZ failover to DB instance: {writer}"))
            }
            (None, Some(writer)) if before.demoted.is_some() && before.writer == now.writer => {
                Some(format!("Completed failover to DB instance: {writer}"))
            }
            _ => None,
        };
        let mut add = |category, message: &str| self.add(SourceType::Cluster, &now.id, category, message);
        match (before.stage, now.stage) {
            (Stage::Creating, Stage::Available) => add(Category::Creation, "DB cluster created"),
            (earlier, Stage::Stopped) if earlier != Stage::Stopped => {
                add(Category::Notification, "DB cluster stopped");
            }
            (Stage::Starting, Stage::Available) => add(Category::Notification, "DB cluster started"),
            _ => {}
        }
        if before.account.password != now.account.password {
            add(Category::ConfigurationChange, "Reset master credentials");
        }
        if let (Some(new), true) = (&now.pending.id, !before.pending.is_blocked && now.pending.is_blocked) {
            let message = format!("Unable to rename DB cluster to {new}: the identifier is in use");
            add(Category::ConfigurationChange, &message);
        }
        if let Some(message) = failover {
            add(Category::Failover, &message);
        }
    }

    fn add_snapshots(&mut self, kind: SourceType, now: &Snapshots, before: &Snapshots) {
        for snapshot in now.values() {
            let earlier = before.get(&snapshot.id).filter(|it| it.resource_id == snapshot.resource_id);
            let begins = earlier.is_none();
            let ends = snapshot.stage == Stage::Available && earlier.is_none_or(|it| it.stage == Stage::Creating);
            for is_over in [begins.then_some(false), ends.then_some(true)].into_iter().flatten() {
                let (category, message) = self.of_snapshot(kind, snapshot, is_over);
                self.add(kind, &snapshot.id, category, message);
            }
        }
        let gone = before.values().filter(|it| !now.contains_key(&it.id) && it.kind == "manual");
        for gone in gone.filter(|_| kind == SourceType::Snapshot) {
            self.add(kind, &gone.id, Category::Deletion, "Deleted user snapshot");
        }
    }

    /// Returns the category and the text for the beginning or the end of a snapshot's creation.
    fn of_snapshot(&self, kind: SourceType, snapshot: &Snapshot, is_over: bool) -> (Category, String) {
        if let (Some(arn), SourceType::Snapshot) = (&snapshot.copy_of, kind) {
            let parts: Vec<&str> = arn.splitn(7, ':').collect();
            let (region, name) = (parts.get(3).unwrap_or(&self.region), parts.get(6).unwrap_or(&""));
            let place = if *region == self.region { "in" } else { "from" };
            let verb = if is_over { "Finished" } else { "Started" };
            return (Category::Notification, format!("{verb} copy of snapshot {name} {place} region {region}"));
        }
        let (category, noun) = match kind {
            SourceType::ClusterSnapshot => (Category::Backup, "cluster snapshot"),
            _ => (Category::Creation, "snapshot"),
        };
        let how = if snapshot.kind == "manual" { "manual" } else { "automated" };
        let message = if is_over {
            format!("{}{} {noun} created", how[..1].to_uppercase(), &how[1..])
        } else {
            format!("Creating {how} {noun}")
        };
        (category, message)
    }

    fn add_parameters(&mut self, before: &Rds) {
        for (name, group) in &self.now.parameter_groups {
            let changed = before.parameter_groups.get(name).filter(|earlier| *earlier != group);
            let messages = changed.map(|earlier| updates(earlier, group)).unwrap_or_default();
            for message in messages {
                self.add(SourceType::ParameterGroup, name, Category::ConfigurationChange, message);
            }
        }
    }
}

type Snapshots = std::collections::BTreeMap<String, Snapshot>;

/// Returns the texts for the parameters that differ.
fn updates(before: &ParameterGroup, now: &ParameterGroup) -> Vec<String> {
    let changed = now.parameters.iter().filter(|(name, setting)| before.parameters.get(*name) != Some(setting));
    let text = |(name, setting): (&String, &super::Setting)| {
        let method = if setting.pending_reboot { "pending-reboot" } else { "immediate" };
        format!("Updated parameter {name} to {} with apply method {method}", setting.value)
    };
    changed.map(text).collect()
}
