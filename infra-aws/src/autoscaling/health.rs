//! Health of the instances of a group, and the causes when they are unhealthy.

use super::describe;
use crate::{error::AwsError, prelude::*};
use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState, ScalingActivityStatusCode};
use aws_sdk_elasticloadbalancingv2::types::{TargetHealth, TargetHealthReasonEnum, TargetHealthStateEnum};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Number of lines of an instance's console that an error contains.
const LINES: usize = 15;

/// Waits until all instances are in service and, with target groups, healthy. Without a timeout it does not wait.
pub(super) async fn wait(cx: &Context<'_>, name: &str, timeout: Option<Duration>) -> Result<()> {
    let Some(timeout) = timeout else {
        return Ok(());
    };
    let end = Instant::now() + timeout;
    let mut status = format!("waiting for the instances of {name}");
    loop {
        // Returns when the health has changed, or at the end.
        let health = wait::until(cx, &status, timeout + wait::TIMEOUT, async || {
            let health = describe_health(cx, name).await?;
            let changed = health.is_full() || health.to_string() != status || Instant::now() >= end;
            Ok(changed.then_some(health))
        })
        .await?;
        if health.is_full() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(unhealthy_error(cx, name, &health, timeout).await);
        }
        status = health.to_string();
        cx.status(&status);
    }
}

/// Health of a group.
#[derive(Debug, Default)]
struct Health {
    desired: usize,
    in_service: usize,
    /// Number of instances that are healthy in every target group; none without target groups.
    healthy: Option<usize>,
    /// Instance → cause.
    reasons: BTreeMap<String, String>,
}

impl Health {
    fn is_full(&self) -> bool {
        self.in_service >= self.desired && self.healthy.is_none_or(|healthy| healthy >= self.desired)
    }

    /// Returns the health of a group. `targets` are the healths of instances in each target group.
    fn of(group: &AutoScalingGroup, targets: &[BTreeMap<String, TargetHealth>]) -> Self {
        let mut health = Self {
            desired: group.desired_capacity().unwrap_or_default().try_into().unwrap_or_default(),
            healthy: (!targets.is_empty()).then_some(0),
            ..Self::default()
        };
        for instance in group.instances() {
            let id = instance.instance_id().unwrap_or_default();
            if instance.lifecycle_state() != Some(&LifecycleState::InService) {
                let state = instance.lifecycle_state().map_or("in no state", LifecycleState::as_str);
                health.reasons.insert(id.to_owned(), state.to_owned());
                continue;
            }
            if instance.health_status().is_some_and(|status| !status.eq_ignore_ascii_case("healthy")) {
                health.reasons.insert(id.to_owned(), "in service, but found unhealthy".to_owned());
                continue;
            }
            health.in_service += 1;
            let reason = targets.iter().find_map(|targets| unhealthy_reason(targets.get(id)));
            match (reason, &mut health.healthy) {
                (Some(reason), _) => drop(health.reasons.insert(id.to_owned(), reason)),
                (None, Some(healthy)) => *healthy += 1,
                (None, None) => {}
            }
        }
        health
    }
}

/// `2 of 2 instances in service, 1 of 2 targets healthy`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} instances in service", self.in_service, self.desired)?;
        match self.healthy {
            Some(healthy) => write!(f, ", {healthy} of {} targets healthy", self.desired),
            None => Ok(()),
        }
    }
}

async fn describe_health(cx: &Context<'_>, name: &str) -> Result<Health> {
    let region = cx.region()?;
    let group = describe(&cx.client().autoscaling(region).await, name).await?;
    let group = group.ok_or_else(|| {
        ProviderError::of(ErrorKind::NotFound, format!("the Auto Scaling group `{name}` was deleted"))
    })?;
    let elbv2 = cx.client().elbv2(region).await;
    let mut targets = Vec::new();
    for arn in group.target_group_arns() {
        let response =
            elbv2.describe_target_health().target_group_arn(arn).send().await.context("DescribeTargetHealth")?;
        let descriptions = response.target_health_descriptions.unwrap_or_default().into_iter();
        let health = descriptions.filter_map(|description| Some((description.target?.id?, description.target_health?)));
        targets.push(health.collect());
    }
    Ok(Health::of(&group, &targets))
}

/// Returns why a target group does not consider an instance healthy.
fn unhealthy_reason(health: Option<&TargetHealth>) -> Option<String> {
    let Some(health) = health else {
        return Some("not registered with its target group yet".to_owned());
    };
    match (health.state(), health.reason()) {
        (Some(TargetHealthStateEnum::Healthy), _) => None,
        (_, Some(TargetHealthReasonEnum::NotInUse)) => {
            Some("not checked, because no listener forwards to its target group".to_owned())
        }
        (state, reason) => {
            let mut text = state.map_or("unknown", TargetHealthStateEnum::as_str).to_owned();
            if let Some(reason) = reason {
                text = format!("{text} ({})", reason.as_str());
            }
            if let Some(description) = health.description() {
                text = format!("{text}: {description}");
            }
            Some(text)
        }
    }
}

/// Returns the error of a group that is not healthy in time, with the reasons of target groups and failed launches, and the
/// end of the console of an instance.
async fn unhealthy_error(cx: &Context<'_>, name: &str, health: &Health, waited: Duration) -> ProviderError {
    let mut text =
        format!("the Auto Scaling group `{name}` is not healthy after {} seconds: {health}", waited.as_secs());
    for (instance, reason) in &health.reasons {
        text = format!("{text}\n- {instance}: {reason}");
    }
    for failure in failed_activities(cx, name).await.unwrap_or_default() {
        text = format!("{text}\n- {failure}");
    }
    if let Some(quote) = console_of(cx, health.reasons.keys()).await {
        text = format!("{text}\n{quote}");
    }
    ProviderError::refused(text).hint(
        "the group is kept. Correct the causes and run `up` again; for instances that take longer, increase `wait_for_healthy`",
    )
}

/// Returns the reasons of the latest launches and terminations that failed, each once.
async fn failed_activities(cx: &Context<'_>, name: &str) -> Result<Vec<String>> {
    const SHOWN: usize = 3;
    let client = cx.client().autoscaling(cx.region()?).await;
    let call = client.describe_scaling_activities().auto_scaling_group_name(name);
    let response = call.send().await.context("DescribeScalingActivities")?;
    let mut failures = Vec::new();
    for activity in response.activities() {
        let failed = matches!(
            activity.status_code(),
            Some(ScalingActivityStatusCode::Failed | ScalingActivityStatusCode::Cancelled)
        );
        let message = activity.status_message().or(activity.description()).unwrap_or_default().to_owned();
        if failed && !failures.contains(&message) {
            failures.push(message);
        }
    }
    failures.truncate(SHOWN);
    Ok(failures)
}

/// Returns the last lines of the console of the first of these instances whose console has any.
pub(super) async fn console_of<'a>(cx: &Context<'_>, instances: impl Iterator<Item = &'a String>) -> Option<String> {
    for instance in instances {
        let console = console(cx, instance).await.ok().flatten().unwrap_or_default();
        let lines = last_lines(&console);
        if !lines.is_empty() {
            return Some(format!("The console of {instance} ends with:\n{lines}"));
        }
    }
    None
}

async fn console(cx: &Context<'_>, instance: &str) -> Result<Option<String>> {
    let ec2 = cx.client().ec2(cx.region()?).await;
    let call = || ec2.get_console_output().instance_id(instance);
    // Only Nitro instances return the latest output; others return that of their boot.
    let latest: Result<_, AwsError> = call().latest(true).send().await.context("GetConsoleOutput");
    let response = match latest {
        Ok(response) => Some(response),
        Err(_) => found(call().send().await.context("GetConsoleOutput"))?,
    };
    let output = response.and_then(|response| response.output);
    let bytes = output.and_then(|output| STANDARD.decode(output.replace(['\r', '\n'], "")).ok());
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Returns the last lines that are not empty, without control characters.
fn last_lines(console: &str) -> String {
    let lines: Vec<&str> = console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(LINES)..];
    let printable = |line: &&str| -> String {
        let text = line.chars().filter(|c| !c.is_control() || *c == '\t');
        "  ".chars().chain(text).collect()
    };
    tail.iter().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_autoscaling::types::Instance;

    fn group(states: &[(&str, LifecycleState)]) -> AutoScalingGroup {
        let instance = |(id, state): &(&str, LifecycleState)| {
            Instance::builder().instance_id(*id).lifecycle_state(state.clone()).health_status("Healthy").build()
        };
        AutoScalingGroup::builder()
            .desired_capacity(2)
            .set_instances(Some(states.iter().map(instance).collect()))
            .build()
    }

    fn target(state: TargetHealthStateEnum) -> TargetHealth {
        TargetHealth::builder().state(state).build()
    }

    #[test]
    fn group_without_targets_is_healthy_when_its_instances_are_in_service() {
        let health = Health::of(&group(&[("i-1", LifecycleState::InService), ("i-2", LifecycleState::Pending)]), &[]);
        assert_eq!(health.to_string(), "1 of 2 instances in service");
        assert!(!health.is_full());
        assert_eq!(health.reasons.get("i-2").map(String::as_str), Some("Pending"));
        let group = group(&[("i-1", LifecycleState::InService), ("i-2", LifecycleState::InService)]);
        assert!(Health::of(&group, &[]).is_full());
    }

    #[test]
    fn instances_have_to_be_healthy_in_every_target_group() {
        let group = group(&[("i-1", LifecycleState::InService), ("i-2", LifecycleState::InService)]);
        let healthy = || target(TargetHealthStateEnum::Healthy);
        let all = BTreeMap::from([("i-1".to_owned(), healthy()), ("i-2".to_owned(), healthy())]);
        assert!(Health::of(&group, std::slice::from_ref(&all)).is_full());
        let failing = TargetHealth::builder()
            .state(TargetHealthStateEnum::Unhealthy)
            .reason(TargetHealthReasonEnum::FailedHealthChecks)
            .description("Health checks failed with these codes: [502]")
            .build();
        let some = BTreeMap::from([("i-1".to_owned(), healthy()), ("i-2".to_owned(), failing)]);
        let health = Health::of(&group, &[all, some]);
        assert_eq!(health.to_string(), "2 of 2 instances in service, 1 of 2 targets healthy");
        assert_eq!(
            health.reasons.get("i-2").map(String::as_str),
            Some("unhealthy (Target.FailedHealthChecks): Health checks failed with these codes: [502]")
        );
        assert!(!health.is_full());
    }

    #[test]
    fn end_of_a_console_has_no_control_characters() {
        let console: Vec<String> = (1..=20).map(|number| format!("line {number}\r\n")).collect();
        let end = last_lines(&format!("{}\n\u{1b}[31mfailed\n", console.join("\n")));
        assert_eq!(end.lines().count(), LINES);
        assert!(end.starts_with("  line 7\n") && end.ends_with("\n  [31mfailed"), "{end:?}");
        assert_eq!(last_lines(""), "");
    }
}
