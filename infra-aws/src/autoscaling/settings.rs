//! The settings of a group that have words or calls of their own: termination policies, suspended processes, metrics,
//! tags.

use super::group::AutoScalingGroup;
use crate::error::{AwsError, SdkContext};
use aws_sdk_autoscaling::{
    Client,
    types::{AutoScalingGroup as Described, Tag},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which instances end first when a group shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminationPolicy {
    /// Those of an old template, and so on, as AWS describes it.
    Default,
    /// The oldest.
    OldestInstance,
    /// The newest.
    NewestInstance,
    /// Those of the oldest template version.
    OldestLaunchTemplate,
    /// Those that fit the allocation strategy least.
    AllocationStrategy,
}

/// Something that a group does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    /// Launches instances.
    Launch,
    /// Ends instances.
    Terminate,
    /// Registers instances with target groups.
    AddToLoadBalancer,
    /// Listens to alarms.
    AlarmNotification,
    /// Evens the zones out.
    AZRebalance,
    /// Looks after the instances' health.
    HealthCheck,
    /// Goes on with instance refreshes.
    InstanceRefresh,
    /// Replaces unhealthy instances.
    ReplaceUnhealthy,
    /// Carries out scheduled actions.
    ScheduledActions,
}

impl TerminationPolicy {
    const ALL: [Self; 5] = [
        Self::Default,
        Self::OldestInstance,
        Self::NewestInstance,
        Self::OldestLaunchTemplate,
        Self::AllocationStrategy,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::OldestInstance => "OldestInstance",
            Self::NewestInstance => "NewestInstance",
            Self::OldestLaunchTemplate => "OldestLaunchTemplate",
            Self::AllocationStrategy => "AllocationStrategy",
        }
    }
}

impl Process {
    const ALL: [Self; 9] = [
        Self::Launch,
        Self::Terminate,
        Self::AddToLoadBalancer,
        Self::AlarmNotification,
        Self::AZRebalance,
        Self::HealthCheck,
        Self::InstanceRefresh,
        Self::ReplaceUnhealthy,
        Self::ScheduledActions,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Launch => "Launch",
            Self::Terminate => "Terminate",
            Self::AddToLoadBalancer => "AddToLoadBalancer",
            Self::AlarmNotification => "AlarmNotification",
            Self::AZRebalance => "AZRebalance",
            Self::HealthCheck => "HealthCheck",
            Self::InstanceRefresh => "InstanceRefresh",
            Self::ReplaceUnhealthy => "ReplaceUnhealthy",
            Self::ScheduledActions => "ScheduledActions",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.word() == word)
    }
}

/// Suspends and resumes processes, by `SuspendProcesses` and `ResumeProcesses`.
pub(super) async fn suspend(
    client: &Client,
    name: &str,
    living: &BTreeSet<Process>,
    wanted: &BTreeSet<Process>,
) -> Result<(), AwsError> {
    let words = |processes: Vec<&Process>| Some(processes.into_iter().map(|one| one.word().to_owned()).collect());
    let suspended: Vec<&Process> = wanted.difference(living).collect();
    let resumed: Vec<&Process> = living.difference(wanted).collect();
    if !suspended.is_empty() {
        let call = client.suspend_processes().auto_scaling_group_name(name);
        call.set_scaling_processes(words(suspended)).send().await.context("SuspendProcesses")?;
    }
    if !resumed.is_empty() {
        let call = client.resume_processes().auto_scaling_group_name(name);
        call.set_scaling_processes(words(resumed)).send().await.context("ResumeProcesses")?;
    }
    Ok(())
}

/// Switches the group's own metrics, by `EnableMetricsCollection` and `DisableMetricsCollection`.
pub(super) async fn collect(client: &Client, name: &str, living: bool, wanted: bool) -> Result<(), AwsError> {
    if wanted && !living {
        let call = client.enable_metrics_collection().auto_scaling_group_name(name).granularity("1Minute");
        call.send().await.context("EnableMetricsCollection")?;
    }
    if living && !wanted {
        let call = client.disable_metrics_collection().auto_scaling_group_name(name);
        call.send().await.context("DisableMetricsCollection")?;
    }
    Ok(())
}

/// Gives the group other tags of one's own, by `CreateOrUpdateTags` and `DeleteTags`.
pub(super) async fn retag(
    client: &Client,
    name: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let set: Vec<Tag> = new.iter().map(|(key, value)| tag(name, key, Some(value))).collect();
    let removed = old.keys().filter(|key| !new.contains_key(*key));
    let removed: Vec<Tag> = removed.map(|key| tag(name, key, None)).collect();
    if old != new && !set.is_empty() {
        client.create_or_update_tags().set_tags(Some(set)).send().await.context("CreateOrUpdateTags")?;
    }
    if !removed.is_empty() {
        client.delete_tags().set_tags(Some(removed)).send().await.context("DeleteTags")?;
    }
    Ok(())
}

fn tag(group: &str, key: &str, value: Option<&str>) -> Tag {
    Tag::builder()
        .resource_type("auto-scaling-group")
        .resource_id(group)
        .key(key)
        .set_value(value.map(str::to_owned))
        .set_propagate_at_launch(value.map(|_| true))
        .build()
}

/// What is suspended; what AWS itself suspended is no setting.
pub(super) fn suspended(group: &Described) -> BTreeSet<Process> {
    let user = |reason: Option<&str>| reason.is_none_or(|reason| reason.starts_with("User"));
    let processes = group.suspended_processes().iter().filter(|process| user(process.suspension_reason()));
    processes.filter_map(|process| Process::named(process.process_name()?)).collect()
}

pub(super) fn collects(group: &Described) -> bool {
    !group.enabled_metrics().is_empty()
}

/// What lives of the recorded tags of one's own; others may add theirs.
pub(super) fn own_tags(group: &Described, recorded: &AutoScalingGroup) -> BTreeMap<String, String> {
    let kept = |tag: &aws_sdk_autoscaling::types::TagDescription| {
        Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
    };
    group.tags().iter().filter_map(kept).filter(|(key, _)| recorded.tags.contains_key(key)).collect()
}

pub(super) fn warmup_of(group: &Described) -> Option<u32> {
    group.default_instance_warmup().and_then(|seconds| u32::try_from(seconds).ok())
}

/// The living policies; none where AWS's default was not written down.
pub(super) fn termination_policies_of(group: &Described, recorded: &AutoScalingGroup) -> Vec<TerminationPolicy> {
    let words = group.termination_policies();
    if words.is_empty() || words == recorded.termination_words() {
        return recorded.termination_policies.clone();
    }
    let named = |word: &String| TerminationPolicy::ALL.into_iter().find(|policy| policy.word() == word);
    words.iter().filter_map(named).collect()
}
