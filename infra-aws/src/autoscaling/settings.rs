//! Settings of a group with calls or names of their own: termination policies, suspended processes, metrics, tags.

use crate::prelude::*;
use aws_sdk_autoscaling::{
    Client,
    types::{AutoScalingGroup, Tag},
};
use std::collections::BTreeSet;

/// Order in which instances are terminated when a group shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminationPolicy {
    /// The default of AWS, which begins with instances of old templates.
    Default,
    /// The oldest instances.
    OldestInstance,
    /// The newest instances.
    NewestInstance,
    /// The instances of the oldest template version.
    OldestLaunchTemplate,
    /// The instances that match the allocation strategy least.
    AllocationStrategy,
}

/// Process of a group that can be suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    /// Launches instances.
    Launch,
    /// Terminates instances.
    Terminate,
    /// Registers instances with target groups.
    AddToLoadBalancer,
    /// Reacts to alarms.
    AlarmNotification,
    /// Balances the numbers of instances of the zones.
    AZRebalance,
    /// Checks the health of instances.
    HealthCheck,
    /// Continues instance refreshes.
    InstanceRefresh,
    /// Replaces unhealthy instances.
    ReplaceUnhealthy,
    /// Executes scheduled actions.
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

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.word() == word)
    }
}

/// Returns the names of termination policies; the default one when none is declared.
pub(super) fn termination_words(policies: &[TerminationPolicy]) -> Vec<String> {
    let policies = if policies.is_empty() { &[TerminationPolicy::Default] } else { policies };
    policies.iter().map(|policy| policy.word().to_owned()).collect()
}

/// Returns the existing policies; the recorded ones when they are equal, such as an omitted default.
pub(super) fn termination_policies(group: &AutoScalingGroup, recorded: &[TerminationPolicy]) -> Vec<TerminationPolicy> {
    let words = group.termination_policies();
    if words.is_empty() || words == termination_words(recorded) {
        return recorded.to_vec();
    }
    let named = |word: &String| TerminationPolicy::ALL.into_iter().find(|policy| policy.word() == word);
    words.iter().filter_map(named).collect()
}

/// Suspends and resumes processes, by `SuspendProcesses` and `ResumeProcesses`.
pub(super) async fn suspend(
    client: &Client,
    name: &str,
    existing: &BTreeSet<Process>,
    wanted: &BTreeSet<Process>,
) -> Result<()> {
    let words = |processes: Vec<&Process>| Some(processes.into_iter().map(|one| one.word().to_owned()).collect());
    let suspended: Vec<&Process> = wanted.difference(existing).collect();
    let resumed: Vec<&Process> = existing.difference(wanted).collect();
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

/// Enables or disables the metrics of the group, by `EnableMetricsCollection` and `DisableMetricsCollection`.
pub(super) async fn collect_metrics(client: &Client, name: &str, existing: bool, wanted: bool) -> Result<()> {
    if wanted && !existing {
        let call = client.enable_metrics_collection().auto_scaling_group_name(name).granularity("1Minute");
        call.send().await.context("EnableMetricsCollection")?;
    }
    if existing && !wanted {
        let call = client.disable_metrics_collection().auto_scaling_group_name(name);
        call.send().await.context("DisableMetricsCollection")?;
    }
    Ok(())
}

/// Changes the user-defined tags of a group, by `CreateOrUpdateTags` and `DeleteTags`.
pub(super) async fn retag(
    client: &Client,
    name: &str,
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> Result<()> {
    let (set, removed) = tags::retag::<(String, String)>(old, new);
    if let Some(set) = set {
        let set = set.into_iter().map(|(key, value)| tag(name, key, Some(value))).collect();
        client.create_or_update_tags().set_tags(Some(set)).send().await.context("CreateOrUpdateTags")?;
    }
    if let Some(removed) = removed {
        let removed = removed.into_iter().map(|key| tag(name, key, None)).collect();
        client.delete_tags().set_tags(Some(removed)).send().await.context("DeleteTags")?;
    }
    Ok(())
}

/// Returns the tags for a create request, which the group propagates to its instances.
pub(super) fn tags_for_create(cx: &Context<'_>, group: &str, user_defined: &BTreeMap<String, String>) -> Vec<Tag> {
    let tags = tags::for_create::<(String, String)>(cx, user_defined);
    tags.into_iter().map(|(key, value)| tag(group, key, Some(value))).collect()
}

fn tag(group: &str, key: String, value: Option<String>) -> Tag {
    Tag::builder()
        .resource_type("auto-scaling-group")
        .resource_id(group)
        .key(key)
        .set_propagate_at_launch(value.as_ref().map(|_| true))
        .set_value(value)
        .build()
}

/// Returns the tags of a group.
pub(super) fn tags_of(group: &AutoScalingGroup) -> Vec<(String, String)> {
    let pair = |tag: &aws_sdk_autoscaling::types::TagDescription| {
        Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
    };
    group.tags().iter().filter_map(pair).collect()
}

/// Returns the suspended processes, except those that AWS itself has suspended.
pub(super) fn suspended(group: &AutoScalingGroup) -> BTreeSet<Process> {
    let by_user = |reason: Option<&str>| reason.is_none_or(|reason| reason.starts_with("User"));
    let processes = group.suspended_processes().iter().filter(|process| by_user(process.suspension_reason()));
    processes.filter_map(|process| Process::named(process.process_name()?)).collect()
}

/// Returns whether the metrics of the group are published.
pub(super) fn has_metrics(group: &AutoScalingGroup) -> bool {
    !group.enabled_metrics().is_empty()
}

/// Returns the default warm-up of instances, in seconds.
pub(super) fn warmup(group: &AutoScalingGroup) -> Option<u32> {
    group.default_instance_warmup().and_then(|seconds| u32::try_from(seconds).ok())
}
