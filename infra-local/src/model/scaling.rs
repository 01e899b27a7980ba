//! Auto Scaling groups: what they declare, and where they are on the way there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::launch_template::TemplateReference;

/// A group of instances of one template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    InService,
    /// Leaves its target groups.
    Draining,
    /// Its instance ends.
    Terminating,
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

/// A predefined metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Cpu,
    /// Requests per minute and target; the label names balancer and target group.
    RequestsPerTarget {
        label: String,
    },
}

/// What an alarm would do: kept and shown.
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
}

/// How a refresh goes about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preferences {
    pub(crate) min_healthy_percentage: u32,
    pub(crate) max_healthy_percentage: u32,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) skip_matching: bool,
    pub(crate) auto_rollback: bool,
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
    Successful,
    Failed,
}

/// Activities kept of a group, as AWS keeps those of six weeks.
const ACTIVITIES: usize = 500;

impl Lifecycle {
    /// AWS's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InService => "InService",
            Self::Draining | Self::Terminating => "Terminating",
        }
    }

    pub(crate) fn is_leaving(self) -> bool {
        matches!(self, Self::Draining | Self::Terminating)
    }
}

impl RefreshStatus {
    /// AWS's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::RollbackInProgress => "RollbackInProgress",
            Self::RollbackSuccessful => "RollbackSuccessful",
            Self::RollbackFailed => "RollbackFailed",
        }
    }

    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress | Self::RollbackInProgress)
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

    /// Members that stay.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.lifecycle.is_leaving())
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

/// A time as activities' causes write it.
pub(crate) fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
