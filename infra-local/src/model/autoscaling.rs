//! Auto Scaling groups: what they declare, and where they are on the way there.

pub(crate) mod cron;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::ec2::launch_template::TemplateReference;

/// A group of instances of one template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) template: TemplateReference,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) subnets: Vec<String>,
    /// Full names of the zones.
    pub(crate) zones: Vec<String>,
    /// ARNs.
    pub(crate) target_groups: Vec<String>,
    /// Whether target groups' verdicts count, besides EC2's.
    pub(crate) elb_health: bool,
    pub(crate) grace_seconds: u32,
    pub(crate) cooldown_seconds: u32,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) tags: BTreeMap<String, GroupTag>,
    pub(crate) termination_policies: Vec<String>,
    /// Whether new instances are protected from scale-in.
    pub(crate) protects_new: bool,
    /// Suspended processes and why.
    pub(crate) suspended: BTreeMap<String, String>,
    pub(crate) members: Vec<Member>,
    pub(crate) policies: BTreeMap<String, Policy>,
    #[serde(default)]
    pub(crate) hooks: BTreeMap<String, Hook>,
    /// Scheduled actions by name.
    #[serde(default)]
    pub(crate) schedule: BTreeMap<String, Scheduled>,
    /// The metrics of the group itself that are published.
    #[serde(default)]
    pub(crate) collected: BTreeSet<String>,
    /// Whether nothing is launched in other zones when the one that is due has no room.
    #[serde(default)]
    pub(crate) balanced_only: bool,
    /// Whether one instance more than desired was launched to even the zones out.
    #[serde(default)]
    pub(crate) rebalancing: bool,
    /// Oldest first.
    pub(crate) refreshes: Vec<Refresh>,
    /// Oldest first.
    pub(crate) activities: Vec<Activity>,
    /// Whether it goes as soon as its last instance has gone.
    pub(crate) deleting: bool,
    /// Why the desired capacity is what it is, as activities tell it.
    pub(crate) cause: Option<String>,
    pub(crate) scaled_at: Option<DateTime<Utc>>,
    /// Launches that failed in a row.
    pub(crate) failures: u32,
    /// When the next launch may be tried.
    pub(crate) next_launch: Option<DateTime<Utc>>,
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
    /// What it was launched from, with a version that is a number.
    pub(crate) template: MemberTemplate,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) healthy: bool,
    pub(crate) protected: bool,
    pub(crate) launched: DateTime<Utc>,
    pub(crate) in_service: Option<DateTime<Utc>>,
    /// The refresh that launched it.
    pub(crate) refresh: Option<String>,
    /// The activity that is under way with it.
    pub(crate) activity: String,
    /// Hooks that have not been answered, or not acted on yet.
    #[serde(default)]
    pub(crate) waits: Vec<Wait>,
}

/// A lifecycle hook: an instance waits for somebody's word before it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) name: String,
    /// At launch, or else at termination.
    pub(crate) launching: bool,
    pub(crate) heartbeat_seconds: u32,
    /// Whether an instance goes on when nobody says anything.
    pub(crate) continues: bool,
    pub(crate) metadata: Option<String>,
}

/// An instance that waits for a hook to be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) hook: String,
    pub(crate) token: String,
    pub(crate) began: DateTime<Utc>,
    pub(crate) heartbeat: DateTime<Utc>,
    /// The answer: whether to go on.
    pub(crate) goes_on: Option<bool>,
}

/// A change of a group's size at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) end: Option<DateTime<Utc>>,
    /// As cron writes it; see [`crate::model::autoscaling::cron`].
    pub(crate) recurrence: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) min: Option<u32>,
    pub(crate) max: Option<u32>,
    pub(crate) desired: Option<u32>,
    /// When it is due.
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
    /// Waits for a hook.
    PendingWait,
    InService,
    /// Leaves its target groups for standby.
    EnteringStandby,
    /// Runs, but neither serves nor counts.
    Standby,
    /// Leaves its target groups.
    Draining,
    /// Waits for a hook.
    TerminatingWait,
    /// Its instance ends.
    Terminating,
    /// Leaves its target groups, and then the group.
    Detaching,
}

/// A scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) enabled: bool,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) kind: PolicyKind,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyKind {
    TargetTracking(Tracking),
    Step(Adjustment),
    Simple(Adjustment),
}

/// Keeps a metric near a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tracking {
    pub(crate) metric: Metric,
    pub(crate) target: f64,
    pub(crate) disable_scale_in: bool,
    /// Suffix of the names of its two alarms.
    pub(crate) alarm: String,
}

/// What a group follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Cpu,
    /// Requests per minute and target; the label names balancer and target group.
    RequestsPerTarget {
        label: String,
    },
    /// A metric of one's own.
    Custom {
        namespace: String,
        name: String,
        dimensions: BTreeMap<String, String>,
        statistic: String,
        unit: Option<String>,
    },
}

/// What an alarm does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adjustment {
    /// `ChangeInCapacity`, `ExactCapacity` or `PercentChangeInCapacity`.
    pub(crate) unit: String,
    pub(crate) by: Option<i32>,
    pub(crate) min_magnitude: Option<i32>,
    pub(crate) cooldown_seconds: Option<u32>,
    pub(crate) aggregation: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// A step of a step policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    pub(crate) by: i32,
}

/// The replacement of all instances, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) id: String,
    pub(crate) status: RefreshStatus,
    pub(crate) reason: Option<String>,
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    /// What the group shall run, when the refresh says so itself; the group's template follows at success.
    pub(crate) desired: Option<TemplateReference>,
    pub(crate) preferences: Preferences,
    /// How many instances there were to replace.
    pub(crate) total: u32,
    /// How many of them are still there.
    pub(crate) remaining: u32,
    pub(crate) rollback: Option<Rollback>,
    /// When something last went forward.
    pub(crate) moved: DateTime<Utc>,
    /// Checkpoints that were reached.
    #[serde(default)]
    pub(crate) checkpoints: usize,
    /// Since when it waits at a checkpoint.
    #[serde(default)]
    pub(crate) paused: Option<DateTime<Utc>>,
    /// Since when it bakes.
    #[serde(default)]
    pub(crate) baking: Option<DateTime<Utc>>,
}

/// How a refresh goes about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preferences {
    pub(crate) min_healthy_percentage: u32,
    pub(crate) max_healthy_percentage: u32,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) skip_matching: bool,
    pub(crate) auto_rollback: bool,
    /// How much is replaced, in percent, before it waits; ascending.
    #[serde(default)]
    pub(crate) checkpoints: Vec<u32>,
    #[serde(default)]
    pub(crate) checkpoint_delay_seconds: u32,
    /// How long it is watched when everything is replaced.
    #[serde(default)]
    pub(crate) bake_seconds: Option<u32>,
    /// What becomes of instances that are protected from scale-in.
    #[serde(default)]
    pub(crate) protected: Spared,
    /// Names of alarms that fail it.
    #[serde(default)]
    pub(crate) alarms: Vec<String>,
}

/// What a refresh does about an instance that is protected from scale-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Spared {
    /// Replaces it like any other.
    Refresh,
    /// Leaves it as it is.
    Ignore,
    /// Waits until it is protected no more.
    #[default]
    Wait,
}

/// A refresh on its way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rollback {
    pub(crate) reason: String,
    pub(crate) started: DateTime<Utc>,
    /// How far the refresh had come.
    pub(crate) percentage: u32,
    pub(crate) remaining: u32,
    pub(crate) total: u32,
}

/// The states of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RefreshStatus {
    Pending,
    InProgress,
    Baking,
    Successful,
    Failed,
    Cancelled,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

/// Something a group did.
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
    /// A hook has not been answered yet.
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

/// Activities kept of a group, as AWS keeps those of six weeks.
const ACTIVITIES: usize = 500;

impl Lifecycle {
    /// AWS's word.
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

    /// On standby, or on the way there.
    pub(crate) fn is_aside(self) -> bool {
        matches!(self, Self::EnteringStandby | Self::Standby)
    }
}

impl RefreshStatus {
    /// AWS's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Baking => "Baking",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::RollbackInProgress => "RollbackInProgress",
            Self::RollbackSuccessful => "RollbackSuccessful",
            Self::RollbackFailed => "RollbackFailed",
        }
    }

    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress | Self::Baking | Self::RollbackInProgress)
    }
}

impl Refresh {
    /// How much has been replaced, in percent.
    pub(crate) fn percentage(&self) -> u32 {
        if self.total == 0 {
            return if self.status == RefreshStatus::Successful { 100 } else { 0 };
        }
        self.total.saturating_sub(self.remaining) * 100 / self.total
    }
}

impl Group {
    /// The refresh that is under way.
    pub(crate) fn active_refresh(&self) -> Option<&Refresh> {
        self.refreshes.iter().find(|refresh| refresh.status.is_active())
    }

    pub(crate) fn active_refresh_mut(&mut self) -> Option<&mut Refresh> {
        self.refreshes.iter_mut().find(|refresh| refresh.status.is_active())
    }

    /// Members that count: they neither leave nor stand by.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.lifecycle.is_leaving() && !member.lifecycle.is_aside())
    }

    pub(crate) fn member_mut(&mut self, instance: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.instance == instance)
    }

    pub(crate) fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains_key(process)
    }

    /// Sets the capacity and remembers why, in AWS's words.
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

    /// Ends an activity that is under way.
    pub(crate) fn end(&mut self, id: &str, status: ActivityStatus, message: Option<String>, now: DateTime<Utc>) {
        let open = |activity: &&mut Activity| activity.id == id && activity.ended.is_none();
        if let Some(activity) = self.activities.iter_mut().find(open) {
            activity.status = status;
            activity.message = message;
            activity.ended = Some(now);
        }
    }
}

/// What a hook may take in all: as often as it is kept waiting by heartbeats, and two days.
pub(crate) fn global_timeout(heartbeat_seconds: u32) -> u32 {
    heartbeat_seconds.saturating_mul(100).min(172_800)
}

/// A time as activities' causes write it.
pub(crate) fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
