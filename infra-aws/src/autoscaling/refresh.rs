//! Rolling another template version out over a group.

use super::{
    describe,
    group::{AutoScalingGroup, specification, version},
    health,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
    ids::{AlarmName, LaunchTemplateVersion},
    wait,
};
use aws_sdk_autoscaling::{
    Client,
    types::{
        AlarmSpecification, DesiredConfiguration, InstanceRefresh, InstanceRefreshStatus as Status, LifecycleState,
        RefreshPreferences, ScaleInProtectedInstances,
    },
};
use infra_core::{
    Input,
    provider::{Context, ErrorKind, ProviderError},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// How another template version is rolled out. What is not given is as AWS has it by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refresh {
    /// How many per cent of the desired instances serve all the time, 0 to 100; 90 by default. 100 launches new
    /// instances before old ones go.
    pub min_healthy_percentage: Option<u32>,
    /// How many per cent of the desired instances there may be meanwhile, 100 to 200; 100 by default.
    pub max_healthy_percentage: Option<u32>,
    /// How many seconds a new instance must have been in service before the next one is replaced; the group's
    /// `health_grace` by default, 0 in the local cloud.
    pub instance_warmup: Option<u32>,
    /// Whether the old version stays when the new one fails: rather than a group of both. True when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rollback: Option<bool>,
    /// How many per cent are replaced before it waits, growing; no waits when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<u32>,
    /// How many seconds it waits at a checkpoint; 3600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_delay: Option<u32>,
    /// How many seconds it is watched when everything is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_time: Option<u32>,
    /// Names of alarms that fail it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Input<AlarmName>>,
    /// What becomes of instances that are protected from scale-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
}

/// What a refresh does about instances that are protected from scale-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protected {
    /// Replaces them like any other.
    Refresh,
    /// Leaves them as they are.
    Ignore,
    /// Waits until they are protected no more, and fails after an hour.
    Wait,
}

/// How long a refresh, and going back if it must, may take.
pub(super) const LIMIT: Duration = Duration::from_hours(2);
/// How long a refresh that somebody else began may take to stop.
const STOPPING: Duration = Duration::from_mins(30);

/// Makes every instance of the group run this version. When they cannot, the group is as before, and the error says
/// why.
pub(super) async fn roll_out(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    template: &LaunchTemplateVersion,
    inputs: &AutoScalingGroup,
) -> Result<(), ProviderError> {
    const ROUNDS: usize = 3;
    let preferences = preferences(cx, inputs)?;
    for round in 1.. {
        if let Some(active) = latest(client, name).await?.filter(|refresh| !is_over(refresh)) {
            // An interrupted run may have begun it.
            if is_advancing(&active) && wants(&active, template) {
                return follow(cx, client, name, &active, template, inputs).await;
            }
            stop(cx, client, name, &active).await?;
        }
        if is_everywhere(client, name, template).await? {
            return Ok(());
        }
        match start(client, name, template, preferences.clone()).await {
            Ok(()) => break,
            Err(error) if round < ROUNDS && error.is(&["InstanceRefreshInProgress"]) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match latest(client, name).await? {
        Some(refresh) => follow(cx, client, name, &refresh, template, inputs).await,
        None => Err(ProviderError::unsure(format!("the instance refresh of {name} cannot be seen"))),
    }
}

async fn start(
    client: &Client,
    name: &str,
    template: &LaunchTemplateVersion,
    preferences: RefreshPreferences,
) -> Result<(), AwsError> {
    let call = client
        .start_instance_refresh()
        .auto_scaling_group_name(name)
        .desired_configuration(DesiredConfiguration::builder().launch_template(specification(template)).build())
        .preferences(preferences);
    call.send().await.context("StartInstanceRefresh")?;
    Ok(())
}

fn preferences(cx: &Context<'_, Aws>, inputs: &AutoScalingGroup) -> Result<RefreshPreferences, ProviderError> {
    let refresh = &inputs.refresh;
    // AWS takes an upper bound only together with a lower one.
    let least = refresh.min_healthy_percentage.or(refresh.max_healthy_percentage.map(|_| 90));
    let alarms: Vec<String> =
        refresh.alarms.iter().map(|alarm| alarm.known().map(String::from)).collect::<Result<_, _>>()?;
    let alarms = (!alarms.is_empty()).then(|| AlarmSpecification::builder().set_alarms(Some(alarms)).build());
    let checkpoints: Vec<i32> = refresh.checkpoints.iter().copied().map(u32::cast_signed).collect();
    Ok(RefreshPreferences::builder()
        .auto_rollback(rolls_back(inputs))
        .skip_matching(true)
        .set_min_healthy_percentage(least.map(u32::cast_signed))
        .set_max_healthy_percentage(refresh.max_healthy_percentage.map(u32::cast_signed))
        .set_instance_warmup(warmup(cx, inputs).map(u32::cast_signed))
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

fn rolls_back(inputs: &AutoScalingGroup) -> bool {
    inputs.refresh.auto_rollback.unwrap_or(true)
}

fn warmup(cx: &Context<'_, Aws>, inputs: &AutoScalingGroup) -> Option<u32> {
    inputs.refresh.instance_warmup.or(cx.client().is_local().then_some(0))
}

/// Waits until the refresh is over, and turns it round when nothing goes forward any more.
async fn follow(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    begun: &InstanceRefresh,
    template: &LaunchTemplateVersion,
    inputs: &AutoScalingGroup,
) -> Result<(), ProviderError> {
    let id = begun.instance_refresh_id().unwrap_or_default();
    // An instance has to become healthy, and then to stay so for the warm-up. AWS itself would try for an hour.
    let warmup = warmup(cx, inputs).unwrap_or(inputs.health_grace);
    let patience = inputs.patience(cx).map(|patience| patience + Duration::from_secs(warmup.into()) + pauses(inputs));
    let end = Instant::now() + LIMIT;
    let mut seen = begun.clone();
    let mut moved = Instant::now();
    let mut evidence = None;
    loop {
        let status = status(&seen);
        let left = end.saturating_duration_since(Instant::now());
        let is_stuck = || is_advancing(&seen) && patience.is_some_and(|patience| moved.elapsed() > patience);
        let now = wait::until(cx, &status, left, async || {
            let refresh = by_id(client, name, id).await?;
            let answers = is_over(&refresh) || mark(&refresh) != mark(&seen) || is_stuck();
            Ok(answers.then_some(refresh))
        })
        .await?;
        if now.status() == Some(&Status::Successful) {
            return Ok(());
        }
        if !is_advancing(&now) || is_stuck() {
            // Before the new instances go.
            evidence = evidence.or(last_words(cx, client, name, template).await);
        }
        if is_over(&now) {
            return Err(failure(name, template, &now, evidence));
        }
        if mark(&now) != mark(&seen) {
            moved = Instant::now();
        } else if is_stuck() {
            give_up(client, name, inputs).await?;
            moved = Instant::now();
        }
        seen = now;
    }
}

/// Turns a refresh round, or stops it where nothing is to go back.
async fn give_up(client: &Client, name: &str, inputs: &AutoScalingGroup) -> Result<(), AwsError> {
    let answer = if rolls_back(inputs) {
        let call = client.rollback_instance_refresh().auto_scaling_group_name(name);
        call.send().await.context("RollbackInstanceRefresh").map(drop)
    } else {
        let call = client.cancel_instance_refresh().auto_scaling_group_name(name);
        call.send().await.context("CancelInstanceRefresh").map(drop)
    };
    match answer {
        // It was over just now, or already on its way back.
        Err(error) if error.is(&["ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh"]) => Ok(()),
        answer => answer,
    }
}

/// How long a refresh stands still on purpose.
fn pauses(inputs: &AutoScalingGroup) -> Duration {
    const CHECKPOINT_DELAY_SECONDS: u32 = 3600;
    let refresh = &inputs.refresh;
    let checkpoint = refresh.checkpoint_delay.unwrap_or(CHECKPOINT_DELAY_SECONDS);
    let checkpoint = if refresh.checkpoints.is_empty() { 0 } else { checkpoint };
    Duration::from_secs(checkpoint.max(refresh.bake_time.unwrap_or(0)).into())
}

/// Ends a refresh that is not ours, and waits until it has ended.
async fn stop(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    active: &InstanceRefresh,
) -> Result<(), ProviderError> {
    let id = active.instance_refresh_id().unwrap_or_default();
    if is_advancing(active) {
        let call = client.cancel_instance_refresh().auto_scaling_group_name(name);
        match call.send().await.context("CancelInstanceRefresh") {
            Err(error) if error.is(&["ActiveInstanceRefreshNotFound"]) => {}
            answer => drop(answer?),
        }
    }
    wait::until(cx, "waiting until an earlier instance refresh has ended", STOPPING, async || {
        Ok(is_over(&by_id(client, name, id).await?).then_some(()))
    })
    .await
}

/// Whether the group and all its instances have this version.
async fn is_everywhere(client: &Client, name: &str, template: &LaunchTemplateVersion) -> Result<bool, AwsError> {
    let Some(group) = describe(client, name).await? else {
        return Ok(false);
    };
    let leaving = |state: Option<&LifecycleState>| state.is_some_and(|state| state.as_str().starts_with("Terminat"));
    let mut staying = group.instances().iter().filter(|instance| !leaving(instance.lifecycle_state()));
    Ok(version(group.launch_template()).as_ref() == Some(template)
        && staying.all(|instance| version(instance.launch_template()).as_ref() == Some(template)))
}

async fn latest(client: &Client, name: &str) -> Result<Option<InstanceRefresh>, AwsError> {
    let call = client.describe_instance_refreshes().auto_scaling_group_name(name);
    let answer = call.send().await.context("DescribeInstanceRefreshes")?;
    // The newest comes first.
    Ok(answer.instance_refreshes.unwrap_or_default().into_iter().next())
}

async fn by_id(client: &Client, name: &str, id: &str) -> Result<InstanceRefresh, ProviderError> {
    let call = client.describe_instance_refreshes().auto_scaling_group_name(name).instance_refresh_ids(id);
    let answer = call.send().await.context("DescribeInstanceRefreshes")?;
    let refresh = answer.instance_refreshes.unwrap_or_default().into_iter().next();
    refresh.ok_or_else(|| {
        ProviderError::of(ErrorKind::Unsure, format!("the instance refresh {id} of {name} is not to be seen any more"))
    })
}

fn wants(refresh: &InstanceRefresh, template: &LaunchTemplateVersion) -> bool {
    let desired = refresh.desired_configuration().and_then(|desired| desired.launch_template());
    version(desired).as_ref() == Some(template)
}

fn is_advancing(refresh: &InstanceRefresh) -> bool {
    matches!(refresh.status(), Some(Status::Pending | Status::InProgress | Status::Baking))
}

fn is_over(refresh: &InstanceRefresh) -> bool {
    let underway = matches!(refresh.status(), Some(Status::Cancelling | Status::RollbackInProgress));
    !is_advancing(refresh) && !underway
}

/// What moves when a refresh goes forward.
fn mark(refresh: &InstanceRefresh) -> (Option<&Status>, Option<i32>, Option<i32>) {
    (refresh.status(), refresh.percentage_complete(), refresh.instances_to_update())
}

/// `instance refresh 50 %`.
fn status(refresh: &InstanceRefresh) -> String {
    let percent = refresh.percentage_complete().unwrap_or_default();
    match refresh.status() {
        Some(Status::Cancelling) => "instance refresh is being cancelled".to_owned(),
        Some(Status::RollbackInProgress) => format!("instance refresh failed, rolling back {percent} %"),
        _ => format!("instance refresh {percent} %"),
    }
}

/// What an instance of the new version said last.
async fn last_words(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    template: &LaunchTemplateVersion,
) -> Option<String> {
    let group = describe(client, name).await.ok().flatten()?;
    let new = group.instances().iter().filter(|one| version(one.launch_template()).as_ref() == Some(template));
    let new: Vec<String> = new.filter_map(|one| one.instance_id.clone()).collect();
    health::last_words(cx, new.iter()).await
}

fn failure(
    name: &str,
    template: &LaunchTemplateVersion,
    refresh: &InstanceRefresh,
    evidence: Option<String>,
) -> ProviderError {
    let version = template.version;
    let what = match refresh.status() {
        Some(Status::RollbackSuccessful) => "was rolled back, and the group runs what it ran before",
        Some(Status::RollbackFailed) => "failed, and so did going back: the group may run both versions",
        Some(Status::Cancelled) => "was cancelled: the group may run both versions",
        _ => "failed: the group may run both versions",
    };
    let details = refresh.rollback_details().and_then(|details| details.rollback_reason());
    let mut reasons: Vec<&str> = [details, refresh.status_reason()].into_iter().flatten().collect();
    reasons.dedup();
    let reasons = if reasons.is_empty() { "AWS gives no reason".to_owned() } else { reasons.join(" ") };
    let mut text = format!("the instance refresh of {name} to template version {version} {what}. {reasons}");
    // The local cloud's reasons quote the console themselves.
    let quoted = |evidence: &String| evidence.lines().last().is_some_and(|line| reasons.contains(line.trim()));
    if let Some(evidence) = evidence.filter(|evidence| !quoted(evidence)) {
        text = format!("{text}\n{evidence}");
    }
    ProviderError::refused(text).hint("put right what the new version lacks, and run `up` again")
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
    fn statuses() {
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
            assert_eq!((is_advancing(&refresh), is_over(&refresh)), (advancing, over), "{refresh:?}");
        }
    }

    #[test]
    fn only_a_refresh_to_the_same_version_is_followed() {
        let version = |version| LaunchTemplateVersion { id: "lt-1".into(), version };
        assert!(wants(&refresh(Status::Pending), &version(2)));
        assert!(!wants(&refresh(Status::Pending), &version(3)));
    }

    #[test]
    fn failures_say_what_lives() {
        let template = LaunchTemplateVersion { id: "lt-1".into(), version: 2 };
        let error = failure("web", &template, &refresh(Status::RollbackSuccessful), Some("  panicked".into()));
        assert_eq!(
            error.message,
            "the instance refresh of web to template version 2 was rolled back, and the group runs what it ran before. \
             An instance failed its health checks.\n  panicked"
        );
        let details = RollbackDetails::builder().rollback_reason("An instance failed its health checks.").build();
        let mut refresh = refresh(Status::RollbackFailed);
        refresh.rollback_details = Some(details);
        assert_eq!(failure("web", &template, &refresh, None).message.matches("health checks").count(), 1);
    }
}
