//! Rollouts of template versions over a group, by instance refreshes.

use super::{
    describe, health,
    template::{specification, version},
};
use crate::{error::AwsError, prelude::*};
use aws_sdk_autoscaling::{
    Client,
    types::{
        AlarmSpecification, DesiredConfiguration, InstanceRefresh, InstanceRefreshStatus as Status, LifecycleState,
        RefreshPreferences, ScaleInProtectedInstances,
    },
};
use std::time::Duration;
use tokio::time::Instant;

/// Preferences of the instance refresh that rolls out another template version. Omitted ones have the defaults of the
/// API.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refresh {
    /// Minimum number of instances in service, in percent of the desired ones, 0 to 100; 90 when omitted. With 100, new
    /// instances are launched before previous ones are terminated.
    pub min_healthy_percentage: Option<u32>,
    /// Maximum number of instances, in percent of the desired ones, 100 to 200; 100 when omitted. It exceeds
    /// `min_healthy_percentage` by at most 100.
    pub max_healthy_percentage: Option<u32>,
    /// Time that a new instance is in service before the next one is replaced, in seconds; when omitted, the group's
    /// `instance_warmup` or else its `health_grace`, and 0 in the local cloud.
    pub instance_warmup: Option<u32>,
    /// Indicates whether a failed refresh is rolled back, so that the group does not have two versions; true when
    /// omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rollback: Option<bool>,
    /// Percentages of replaced instances at which the refresh pauses, 1 to 100 in ascending order; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<u32>,
    /// Duration of the pause at a checkpoint, in seconds; 3600 when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_delay: Option<u32>,
    /// Time for which the alarms are observed after all instances have been replaced, in seconds; none when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_time: Option<u32>,
    /// Names of the alarms that fail the refresh when their state is `ALARM`; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Input<AlarmName>>,
    /// Treatment of instances that are protected from scale-in; the API's default, [`Protected::Wait`], when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
}

/// Treatment of instances that are protected from scale-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protected {
    /// Replaces them.
    Refresh,
    /// Does not replace them.
    Ignore,
    /// Waits until they are not protected any more, and fails after an hour.
    Wait,
}

/// Longest time of a refresh with its rollback.
pub(super) const LIMIT: Duration = Duration::from_hours(2);
/// Longest time until an earlier refresh has stopped.
const STOPPING: Duration = Duration::from_mins(30);

/// A rollout of a template version over a group.
pub(super) struct Rollout<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) client: &'a Client,
    /// Name of the group.
    pub(super) name: &'a str,
    pub(super) template: &'a LaunchTemplateVersion,
    pub(super) refresh: &'a Refresh,
    /// Health check grace period of the group, in seconds.
    pub(super) health_grace: u32,
    /// Longest time until an instance is healthy; no limit when omitted.
    pub(super) healthy_timeout: Option<Duration>,
}

impl Rollout<'_> {
    /// Replaces the instances with other versions. After a failure, the group has its previous version if the refresh was
    /// rolled back.
    pub(super) async fn run(&self) -> Result<()> {
        const ROUNDS: usize = 3;
        let preferences = self.preferences()?;
        for round in 1.. {
            if let Some(active) = self.latest().await?.filter(|refresh| !is_finished(refresh)) {
                // An interrupted run may have started it.
                if is_advancing(&active) && has_template(&active, self.template) {
                    return self.follow(&active).await;
                }
                self.stop(&active).await?;
            }
            if self.is_complete().await? {
                return Ok(());
            }
            match self.start(preferences.clone()).await {
                Ok(()) => break,
                Err(error) if round < ROUNDS && error.has_code(&["InstanceRefreshInProgress"]) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.latest().await? {
            Some(refresh) => self.follow(&refresh).await,
            None => Err(ProviderError::unsure(format!("the instance refresh of `{}` is not visible", self.name))),
        }
    }

    async fn start(&self, preferences: RefreshPreferences) -> Result<(), AwsError> {
        let desired = DesiredConfiguration::builder().launch_template(specification(self.template)).build();
        let call = self.client.start_instance_refresh().auto_scaling_group_name(self.name);
        let call = call.desired_configuration(desired).preferences(preferences);
        call.send().await.context("StartInstanceRefresh").map(drop)
    }

    fn preferences(&self) -> Result<RefreshPreferences> {
        let refresh = self.refresh;
        // The API accepts a maximum only with a minimum.
        let min = refresh.min_healthy_percentage.or(refresh.max_healthy_percentage.map(|_| 90));
        let alarms: Vec<String> =
            refresh.alarms.iter().map(|alarm| alarm.known().map(String::from)).collect::<Result<_, _>>()?;
        let alarms = (!alarms.is_empty()).then(|| AlarmSpecification::builder().set_alarms(Some(alarms)).build());
        let checkpoints: Vec<i32> = refresh.checkpoints.iter().copied().map(u32::cast_signed).collect();
        Ok(RefreshPreferences::builder()
            .auto_rollback(self.rolls_back())
            .skip_matching(true)
            .set_min_healthy_percentage(min.map(u32::cast_signed))
            .set_max_healthy_percentage(refresh.max_healthy_percentage.map(u32::cast_signed))
            .set_instance_warmup(self.warmup().map(u32::cast_signed))
            .set_checkpoint_percentages((!checkpoints.is_empty()).then_some(checkpoints))
            .set_checkpoint_delay(refresh.checkpoint_delay.map(u32::cast_signed))
            .set_bake_time(refresh.bake_time.map(u32::cast_signed))
            .set_alarm_specification(alarms)
            .set_scale_in_protected_instances(refresh.protected.map(|protected| match protected {
                Protected::Refresh => ScaleInProtectedInstances::Refresh,
                Protected::Ignore => ScaleInProtectedInstances::Ignore,
                Protected::Wait => ScaleInProtectedInstances::Wait,
            }))
            .build())
    }

    fn rolls_back(&self) -> bool {
        self.refresh.auto_rollback.unwrap_or(true)
    }

    fn warmup(&self) -> Option<u32> {
        self.refresh.instance_warmup.or(self.cx.client().is_local().then_some(0))
    }

    /// Waits until the refresh has finished, and rolls it back when it makes no progress.
    async fn follow(&self, started: &InstanceRefresh) -> Result<()> {
        let id = started.instance_refresh_id().unwrap_or_default();
        // An instance becomes healthy and then stays healthy for the warm-up. AWS would retry for an hour.
        let warmup = Duration::from_secs(self.warmup().unwrap_or(self.health_grace).into());
        let timeout = self.healthy_timeout.map(|timeout| timeout + warmup + self.pauses());
        let end = Instant::now() + LIMIT;
        let mut seen = started.clone();
        let mut advanced = Instant::now();
        let mut console = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let is_stuck = || is_advancing(&seen) && timeout.is_some_and(|timeout| advanced.elapsed() > timeout);
            let now = wait::until(self.cx, &status(&seen), left, async || {
                let refresh = self.with_id(id).await?;
                let changed = is_finished(&refresh) || progress(&refresh) != progress(&seen) || is_stuck();
                Ok(changed.then_some(refresh))
            })
            .await?;
            if now.status() == Some(&Status::Successful) {
                return Ok(());
            }
            if !is_advancing(&now) || is_stuck() {
                // Before the new instances are terminated.
                console = console.or(self.console().await);
            }
            if is_finished(&now) {
                return Err(failure(self.name, self.template, &now, console));
            }
            if progress(&now) != progress(&seen) {
                advanced = Instant::now();
            } else if is_stuck() {
                self.abort().await?;
                advanced = Instant::now();
            }
            seen = now;
        }
    }

    /// Rolls the refresh back, or cancels it when rollbacks are disabled.
    async fn abort(&self) -> Result<()> {
        let response = if self.rolls_back() {
            let call = self.client.rollback_instance_refresh().auto_scaling_group_name(self.name);
            call.send().await.context("RollbackInstanceRefresh").map(drop)
        } else {
            let call = self.client.cancel_instance_refresh().auto_scaling_group_name(self.name);
            call.send().await.context("CancelInstanceRefresh").map(drop)
        };
        match response {
            // The refresh has finished or is already rolled back.
            Err(error) if error.has_code(&["ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh"]) => Ok(()),
            response => Ok(response?),
        }
    }

    /// Returns the longest time for which a refresh pauses on purpose.
    fn pauses(&self) -> Duration {
        const CHECKPOINT_DELAY_SECONDS: u32 = 3600;
        let checkpoint = self.refresh.checkpoint_delay.unwrap_or(CHECKPOINT_DELAY_SECONDS);
        let checkpoint = if self.refresh.checkpoints.is_empty() { 0 } else { checkpoint };
        Duration::from_secs(checkpoint.max(self.refresh.bake_time.unwrap_or(0)).into())
    }

    /// Cancels another refresh, and waits until it has stopped.
    async fn stop(&self, active: &InstanceRefresh) -> Result<()> {
        let id = active.instance_refresh_id().unwrap_or_default();
        if is_advancing(active) {
            let call = self.client.cancel_instance_refresh().auto_scaling_group_name(self.name);
            match call.send().await.context("CancelInstanceRefresh") {
                Err(error) if error.has_code(&["ActiveInstanceRefreshNotFound"]) => {}
                response => drop(response?),
            }
        }
        wait::until(self.cx, "waiting until an earlier instance refresh has stopped", STOPPING, async || {
            Ok(is_finished(&self.with_id(id).await?).then_some(()))
        })
        .await
    }

    /// Returns whether the group and all its instances have the version.
    async fn is_complete(&self) -> Result<bool> {
        let Some(group) = describe(self.client, self.name).await? else { return Ok(false) };
        let terminates =
            |state: Option<&LifecycleState>| state.is_some_and(|state| state.as_str().starts_with("Terminat"));
        let mut remaining = group.instances().iter().filter(|instance| !terminates(instance.lifecycle_state()));
        Ok(version(group.launch_template()).as_ref() == Some(self.template)
            && remaining.all(|instance| version(instance.launch_template()).as_ref() == Some(self.template)))
    }

    async fn latest(&self) -> Result<Option<InstanceRefresh>> {
        let call = self.client.describe_instance_refreshes().auto_scaling_group_name(self.name);
        let response = call.send().await.context("DescribeInstanceRefreshes")?;
        // The newest is the first.
        Ok(response.instance_refreshes.unwrap_or_default().into_iter().next())
    }

    async fn with_id(&self, id: &str) -> Result<InstanceRefresh> {
        let call = self.client.describe_instance_refreshes().auto_scaling_group_name(self.name);
        let response = call.instance_refresh_ids(id).send().await.context("DescribeInstanceRefreshes")?;
        let refresh = response.instance_refreshes.and_then(|mut refreshes| refreshes.pop());
        let name = self.name;
        refresh.ok_or_else(|| ProviderError::unsure(format!("the instance refresh `{id}` of `{name}` does not exist")))
    }

    /// Returns the last lines of the console of an instance with the new version.
    async fn console(&self) -> Option<String> {
        let group = describe(self.client, self.name).await.ok().flatten()?;
        let is_new = |version: Option<LaunchTemplateVersion>| version.as_ref() == Some(self.template);
        let new = group.instances().iter().filter(|instance| is_new(version(instance.launch_template())));
        let new: Vec<String> = new.filter_map(|instance| instance.instance_id.clone()).collect();
        health::console_of(self.cx, new.iter()).await
    }
}

fn has_template(refresh: &InstanceRefresh, template: &LaunchTemplateVersion) -> bool {
    let desired = refresh.desired_configuration().and_then(|desired| desired.launch_template());
    version(desired).as_ref() == Some(template)
}

fn is_advancing(refresh: &InstanceRefresh) -> bool {
    matches!(refresh.status(), Some(Status::Pending | Status::InProgress | Status::Baking))
}

fn is_finished(refresh: &InstanceRefresh) -> bool {
    let underway = matches!(refresh.status(), Some(Status::Cancelling | Status::RollbackInProgress));
    !is_advancing(refresh) && !underway
}

/// Values that change when a refresh makes progress.
fn progress(refresh: &InstanceRefresh) -> (Option<&Status>, Option<i32>, Option<i32>) {
    (refresh.status(), refresh.percentage_complete(), refresh.instances_to_update())
}

/// Returns the status with the progress: `instance refresh 50 %`.
fn status(refresh: &InstanceRefresh) -> String {
    let percent = refresh.percentage_complete().unwrap_or_default();
    match refresh.status() {
        Some(Status::Cancelling) => "instance refresh is being cancelled".to_owned(),
        Some(Status::RollbackInProgress) => format!("instance refresh failed, rolling back {percent} %"),
        _ => format!("instance refresh {percent} %"),
    }
}

fn failure(
    name: &str,
    template: &LaunchTemplateVersion,
    refresh: &InstanceRefresh,
    console: Option<String>,
) -> ProviderError {
    let version = template.version;
    let outcome = match refresh.status() {
        Some(Status::RollbackSuccessful) => "was rolled back, and the group has its previous version",
        Some(Status::RollbackFailed) => "failed, and so did its rollback: the group may have both versions",
        Some(Status::Cancelled) => "was cancelled: the group may have both versions",
        _ => "failed: the group may have both versions",
    };
    let details = refresh.rollback_details().and_then(|details| details.rollback_reason());
    let mut reasons: Vec<&str> = [details, refresh.status_reason()].into_iter().flatten().collect();
    reasons.dedup();
    let reasons = if reasons.is_empty() { "The API returns no reason.".to_owned() } else { reasons.join(" ") };
    let mut text = format!("the instance refresh of `{name}` to template version {version} {outcome}. {reasons}");
    // The reasons of the local cloud contain the console.
    let is_quoted = |console: &String| console.lines().last().is_some_and(|line| reasons.contains(line.trim()));
    if let Some(console) = console.filter(|console| !is_quoted(console)) {
        text = format!("{text}\n{console}");
    }
    ProviderError::refused(text).hint("correct the new version, and run `up` again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_autoscaling::types::RollbackDetails;

    fn refresh(status: Status) -> InstanceRefresh {
        let template = LaunchTemplateVersion { id: "lt-1".into(), version: 2 };
        let desired = DesiredConfiguration::builder().launch_template(specification(&template)).build();
        InstanceRefresh::builder()
            .status(status)
            .percentage_complete(50)
            .status_reason("An instance failed its health checks.")
            .desired_configuration(desired)
            .build()
    }

    #[test]
    fn statuses_are_classified() {
        assert_eq!(status(&refresh(Status::InProgress)), "instance refresh 50 %");
        for (state, advancing, over) in [
            (Status::Pending, true, false),
            (Status::Baking, true, false),
            (Status::Cancelling, false, false),
            (Status::RollbackInProgress, false, false),
            (Status::RollbackSuccessful, false, true),
            (Status::Successful, false, true),
        ] {
            let refresh = refresh(state);
            assert_eq!((is_advancing(&refresh), is_finished(&refresh)), (advancing, over), "{refresh:?}");
        }
    }

    #[test]
    fn refresh_to_the_same_version_is_recognized() {
        let version = |version| LaunchTemplateVersion { id: "lt-1".into(), version };
        assert!(has_template(&refresh(Status::Pending), &version(2)));
        assert!(!has_template(&refresh(Status::Pending), &version(3)));
    }

    #[test]
    fn failure_contains_the_remaining_version_and_each_reason_once() {
        let template = LaunchTemplateVersion { id: "lt-1".into(), version: 2 };
        let error = failure("web", &template, &refresh(Status::RollbackSuccessful), Some("  panicked".into()));
        assert_eq!(
            error.message,
            "the instance refresh of `web` to template version 2 was rolled back, and the group has its previous version. \
             An instance failed its health checks.\n  panicked"
        );
        let details = RollbackDetails::builder().rollback_reason("An instance failed its health checks.").build();
        let mut refresh = refresh(Status::RollbackFailed);
        refresh.rollback_details = Some(details);
        assert_eq!(failure("web", &template, &refresh, None).message.matches("health checks").count(), 1);
    }
}
