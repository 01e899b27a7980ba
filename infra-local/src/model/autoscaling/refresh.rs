//! Instance refreshes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::ec2::launch_template::TemplateReference;

/// An instance refresh: the gradual replacement of all instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) id: String,
    pub(crate) status: RefreshStatus,
    pub(crate) reason: Option<String>,
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    /// Desired template, when the refresh declares one. It becomes the group's template at success.
    pub(crate) desired: Option<TemplateReference>,
    pub(crate) preferences: Preferences,
    /// Number of instances to replace when the refresh started.
    pub(crate) total: u32,
    /// Number of instances that are not replaced yet.
    pub(crate) remaining: u32,
    pub(crate) rollback: Option<Rollback>,
    /// Time of the last progress.
    pub(crate) moved: DateTime<Utc>,
    /// Number of checkpoints that have been reached.
    #[serde(default)]
    pub(crate) checkpoints: usize,
    /// Start of the wait at a checkpoint.
    #[serde(default)]
    pub(crate) paused: Option<DateTime<Utc>>,
    /// Start of the bake time.
    #[serde(default)]
    pub(crate) baking: Option<DateTime<Utc>>,
}

/// Preferences of a refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preferences {
    pub(crate) min_healthy_percentage: u32,
    pub(crate) max_healthy_percentage: u32,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) skip_matching: bool,
    pub(crate) auto_rollback: bool,
    /// Checkpoints: percentages of replaced instances at which the refresh waits; ascending.
    #[serde(default)]
    pub(crate) checkpoints: Vec<u32>,
    #[serde(default)]
    pub(crate) checkpoint_delay_seconds: u32,
    /// Bake time after the last replacement, in seconds.
    #[serde(default)]
    pub(crate) bake_seconds: Option<u32>,
    /// Treatment of instances that are protected from scale-in.
    #[serde(default)]
    pub(crate) protected: ProtectedInstances,
    /// Names of alarms that fail the refresh.
    #[serde(default)]
    pub(crate) alarms: Vec<String>,
}

/// Treatment of an instance that is protected from scale-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProtectedInstances {
    /// Replaces the instance like any other.
    Refresh,
    /// Does not replace the instance.
    Ignore,
    /// Waits until the protection is removed.
    #[default]
    Wait,
}

/// A rollback of a refresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rollback {
    pub(crate) reason: String,
    pub(crate) started: DateTime<Utc>,
    /// Progress of the refresh when the rollback started, in percent.
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

impl RefreshStatus {
    /// Returns the name in AWS's API.
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
    /// Returns the percentage of replaced instances.
    pub(crate) fn percentage(&self) -> u32 {
        if self.total == 0 {
            return if self.status == RefreshStatus::Successful { 100 } else { 0 };
        }
        self.total.saturating_sub(self.remaining) * 100 / self.total
    }
}
