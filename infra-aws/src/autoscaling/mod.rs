//! EC2 Auto Scaling.

pub mod group;
mod health;
pub mod lifecycle_hook;
pub mod refresh;
pub mod scaling_policy;
pub mod scheduled_action;
pub mod settings;
pub mod steps;
mod template;

use crate::{error::AwsError, prelude::*};
use aws_sdk_autoscaling::{Client, types};
use std::borrow::Cow;

/// Returns the description of a group.
async fn describe(client: &Client, name: &str) -> Result<Option<types::AutoScalingGroup>, AwsError> {
    let call = client.describe_auto_scaling_groups().auto_scaling_group_names(name);
    let response = call.send().await.context("DescribeAutoScalingGroups")?;
    Ok(response.auto_scaling_groups.and_then(|mut groups| groups.pop()))
}

/// Classifies the error for a group or policy that does not exist. Auto Scaling has no code for it, only a message.
fn classified<T>(response: Result<T, AwsError>) -> Result<T, AwsError> {
    response.map_err(|mut error| {
        let text = error.message.to_ascii_lowercase();
        if error.has_code(&["ValidationError"]) && (text.contains("not found") || text.starts_with("no ")) {
            error.kind = ErrorKind::NotFound;
        }
        error
    })
}

/// Accepts that a group is being deleted, which deletes its hooks, policies and scheduled actions.
fn deleted_with_group<T>(response: Result<T, AwsError>) -> Result<()> {
    match response {
        Err(error) if error.has_code(&["ScalingActivityInProgress"]) => Ok(()),
        response => Ok(response.map(drop)?),
    }
}

/// Returns the id of a part of a group. No name contains a `:`.
fn id_in(group: &AutoScalingGroupName, name: &str) -> String {
    format!("{group}:{name}")
}

/// Returns the id of a recorded part of a group. Earlier versions recorded its name only.
fn recorded_id<'a>(id: &'a str, group: &Input<AutoScalingGroupName>) -> Cow<'a, str> {
    match group.known() {
        Ok(group) if !id.contains(':') => Cow::Owned(id_in(&group, id)),
        _ => Cow::Borrowed(id),
    }
}

/// Returns the group and the name of one of its parts. The id of an import may be `GROUP/NAME`.
fn parts<'a>(id: &'a str, kind: &str) -> Result<(AutoScalingGroupName, &'a str)> {
    match id.split_once(':').or_else(|| id.split_once('/')) {
        Some((group, name)) if !group.is_empty() && !name.is_empty() => Ok((group.into(), name)),
        _ => Err(ProviderError::refused(format!("`{id}` does not name a group and one of its parts"))
            .hint(format!("write `GROUP/{kind}`, by their names"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_that_an_earlier_version_recorded_gets_its_group() {
        let group = AutoScalingGroupName::from("web").into();
        assert_eq!(recorded_id("drain/abc", &group), "web:drain/abc");
        assert_eq!(recorded_id("web:drain", &group), "web:drain");
    }
}
