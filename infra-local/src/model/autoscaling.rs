//! Auto Scaling groups: declared settings and progress.

pub(crate) mod cron;
pub(crate) mod launch_configuration;
mod policy;
mod refresh;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::ec2::launch_template::TemplateReference;
pub(crate) use launch_configuration::LaunchConfiguration;
pub(crate) use policy::{Adjustment, Metric, Policy, PolicyKind, Step, Tracking};
pub(crate) use refresh::{Preferences, ProtectedInstances, Refresh, RefreshStatus, Rollback};

/// Auto Scaling's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AutoScaling {
    /// By name.
    pub(crate) groups: BTreeMap<String, Group>,
    /// By name.
    pub(crate) launch_configurations: BTreeMap<String, LaunchConfiguration>,
}

super::changes::record_by_field!(AutoScaling {
    whole: [],
    maps: [groups, launch_configurations],
    parts: [],
    children: [],
    apart: []
});

/// A group of instances of one template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) template: TemplateReference,
    /// Overrides of the template's instance type.
    #[serde(default)]
    pub(crate) mixed: Option<MixedInstances>,
    #[serde(default)]
    pub(crate) extras: Extras,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) subnets: Vec<String>,
    /// Full names of the zones.
    pub(crate) zones: Vec<String>,
    /// ARNs.
    pub(crate) target_groups: Vec<String>,
    /// True when health checks of target groups count in addition to EC2's.
    pub(crate) elb_health: bool,
    pub(crate) grace_seconds: u32,
    pub(crate) cooldown_seconds: u32,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) tags: BTreeMap<String, GroupTag>,
    pub(crate) termination_policies: Vec<String>,
    /// True when new instances are protected from scale-in.
    pub(crate) protects_new: bool,
    /// Suspended processes by name, with the reason.
    pub(crate) suspended: BTreeMap<String, String>,
    pub(crate) members: Vec<Member>,
    pub(crate) policies: BTreeMap<String, Policy>,
    #[serde(default)]
    pub(crate) hooks: BTreeMap<String, Hook>,
    /// Scheduled actions by name.
    #[serde(default)]
    pub(crate) schedule: BTreeMap<String, Scheduled>,
    /// Types of notifications by the ARN of the topic.
    #[serde(default)]
    pub(crate) notifications: BTreeMap<String, BTreeSet<String>>,
    /// Enabled group metrics.
    #[serde(default)]
    pub(crate) collected: BTreeSet<String>,
    /// True when a launch fails instead of using another zone if the next zone has no capacity.
    #[serde(default)]
    pub(crate) balanced_only: bool,
    /// True while one instance more than desired exists to rebalance the zones.
    #[serde(default)]
    pub(crate) rebalancing: bool,
    /// Oldest first.
    pub(crate) refreshes: Vec<Refresh>,
    /// Oldest first.
    pub(crate) activities: Vec<Activity>,
    /// True when the group is deleted as soon as its last instance is terminated.
    pub(crate) deleting: bool,
    /// Cause of the last change of the desired capacity, for activities.
    pub(crate) cause: Option<String>,
    pub(crate) scaled_at: Option<DateTime<Utc>>,
    /// Number of consecutive failed launches.
    pub(crate) failures: u32,
    /// Earliest time of the next launch.
    pub(crate) next_launch: Option<DateTime<Utc>>,
}

/// Mixed instances policy of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MixedInstances {
    /// Instance types by priority. Without any, the template decides.
    pub(crate) instance_types: Vec<String>,
    pub(crate) base_capacity: u32,
    /// Settings of Spot Instances, which are never requested.
    pub(crate) spot_strategy: Option<String>,
    pub(crate) spot_pools: Option<u32>,
    pub(crate) spot_price: Option<String>,
}

/// Further settings of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extras {
    pub(crate) context: Option<String>,
    /// ARN of the role of Auto Scaling; AWS's service-linked role if there is none.
    pub(crate) role: Option<String>,
    pub(crate) deletion_protection: DeletionProtection,
    /// Unit of the capacity, if a request has set it.
    pub(crate) capacity_type: Option<String>,
    /// Minimum and maximum percentage of healthy instances: the defaults of instance refreshes.
    pub(crate) maintenance: Option<(u32, u32)>,
    /// Age at which an instance is replaced, in seconds.
    pub(crate) max_lifetime_seconds: Option<u32>,
}

/// Protection of a group from its deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeletionProtection {
    #[default]
    None,
    PreventForceDeletion,
    PreventAllDeletion,
}

impl DeletionProtection {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PreventForceDeletion => "prevent-force-deletion",
            Self::PreventAllDeletion => "prevent-all-deletion",
        }
    }
}

/// A tag of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupTag {
    pub(crate) value: String,
    pub(crate) propagate: bool,
}

/// An instance of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) instance: String,
    pub(crate) zone: String,
    /// Launch template of the instance, with a numeric version.
    pub(crate) template: MemberTemplate,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) healthy: bool,
    pub(crate) protected: bool,
    pub(crate) launched: DateTime<Utc>,
    pub(crate) in_service: Option<DateTime<Utc>>,
    /// The refresh that launched the instance.
    pub(crate) refresh: Option<String>,
    /// The activity that is in progress for the instance.
    pub(crate) activity: String,
    /// Hooks that wait for a completion, or whose result has not been applied yet.
    #[serde(default)]
    pub(crate) waits: Vec<Wait>,
}

/// A lifecycle hook: an instance waits until the hook is completed or times out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) name: String,
    /// True for a hook at launch, false for one at termination.
    pub(crate) launching: bool,
    pub(crate) heartbeat_seconds: u32,
    /// True when the default result is `CONTINUE`, false for `ABANDON`.
    pub(crate) continues: bool,
    pub(crate) metadata: Option<String>,
}

/// An instance that waits for the completion of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) hook: String,
    pub(crate) token: String,
    pub(crate) began: DateTime<Utc>,
    pub(crate) heartbeat: DateTime<Utc>,
    /// Result of the hook: true for `CONTINUE`.
    #[serde(alias = "goes_on")]
    pub(crate) continues: Option<bool>,
}

/// A scheduled change of a group's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) end: Option<DateTime<Utc>>,
    /// Cron expression; see [`crate::model::autoscaling::cron`].
    pub(crate) recurrence: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) min: Option<u32>,
    pub(crate) max: Option<u32>,
    pub(crate) desired: Option<u32>,
    /// Time or recurrence of the action.
    pub(crate) next: DateTime<Utc>,
}

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberTemplate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: u64,
}

/// The states of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lifecycle {
    Pending,
    /// Waits for a launch hook.
    PendingWait,
    InService,
    /// Deregisters from its target groups on the way to standby.
    EnteringStandby,
    /// Runs, but receives no requests and does not count as capacity.
    Standby,
    /// Deregisters from its target groups before its termination.
    Draining,
    /// Waits for a termination hook.
    TerminatingWait,
    /// Its instance ends.
    Terminating,
    /// Deregisters from its target groups, and then leaves the group.
    Detaching,
}

/// An activity of a group: a launch, a termination, or another change of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) cause: String,
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) status: ActivityStatus,
    pub(crate) message: Option<String>,
    pub(crate) zone: String,
    pub(crate) subnet: String,
}

/// The states of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ActivityStatus {
    InProgress,
    /// Requests to the instance are being finished.
    WaitingForDraining,
    /// The instance waits for a lifecycle hook.
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

/// Number of activities that are kept per group. AWS keeps those of six weeks.
const ACTIVITIES: usize = 500;

impl Lifecycle {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::InService => "InService",
            Self::EnteringStandby => "EnteringStandby",
            Self::Standby => "Standby",
            Self::TerminatingWait => "Terminating:Wait",
            Self::Draining | Self::Terminating => "Terminating",
            Self::Detaching => "Detaching",
        }
    }

    pub(crate) fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingWait)
    }

    pub(crate) fn is_leaving(self) -> bool {
        matches!(self, Self::Draining | Self::TerminatingWait | Self::Terminating | Self::Detaching)
    }

    /// Returns whether the instance is on standby or about to enter it.
    pub(crate) fn is_on_standby(self) -> bool {
        matches!(self, Self::EnteringStandby | Self::Standby)
    }
}

impl Group {
    /// Returns the refresh that is in progress.
    pub(crate) fn active_refresh(&self) -> Option<&Refresh> {
        self.refreshes.iter().find(|refresh| refresh.status.is_active())
    }

    pub(crate) fn active_refresh_mut(&mut self) -> Option<&mut Refresh> {
        self.refreshes.iter_mut().find(|refresh| refresh.status.is_active())
    }

    /// Returns the members that count as capacity: they neither leave nor are on standby.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.lifecycle.is_leaving() && !member.lifecycle.is_on_standby())
    }

    pub(crate) fn member_mut(&mut self, instance: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.instance == instance)
    }

    pub(crate) fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains_key(process)
    }

    /// Sets the desired capacity, and records the cause in AWS's form.
    pub(crate) fn scale_to(&mut self, desired: u32, who: &str, now: DateTime<Utc>) {
        if desired != self.desired {
            self.cause = Some(format!(
                "At {} {who} changing the desired capacity from {} to {desired}.",
                moment(now),
                self.desired
            ));
            self.desired = desired;
            self.scaled_at = Some(now);
        }
    }

    /// Begins an activity and returns its id.
    pub(crate) fn begin(&mut self, activity: Activity) -> String {
        let id = activity.id.clone();
        self.activities.push(activity);
        let surplus = self.activities.len().saturating_sub(ACTIVITIES);
        self.activities.drain(..surplus);
        id
    }

    /// Finishes an activity that is in progress.
    pub(crate) fn end(&mut self, id: &str, status: ActivityStatus, message: Option<String>, now: DateTime<Utc>) {
        let open = |activity: &&mut Activity| activity.id == id && activity.ended.is_none();
        if let Some(activity) = self.activities.iter_mut().find(open) {
            activity.status = status;
            activity.message = message;
            activity.ended = Some(now);
        }
    }
}

/// Returns the upper limit of a hook's wait: a hundred heartbeat timeouts, at most two days.
pub(crate) fn global_timeout(heartbeat_seconds: u32) -> u32 {
    heartbeat_seconds.saturating_mul(100).min(172_800)
}

/// Formats a time as the causes of activities do.
pub(crate) fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
