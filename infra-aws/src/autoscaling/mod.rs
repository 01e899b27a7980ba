//! EC2 Auto Scaling.

pub mod group;
mod health;
pub mod lifecycle_hook;
pub mod refresh;
pub mod scaling_policy;
pub mod scheduled_action;
pub mod settings;
pub mod steps;

use crate::{
    error::{AwsError, SdkContext},
    ids::AutoScalingGroupName,
};
use aws_sdk_autoscaling::{Client, types::AutoScalingGroup as Described};
use infra_core::provider::{ErrorKind, ProviderError};

async fn describe(client: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let call = client.describe_auto_scaling_groups().auto_scaling_group_names(name);
    let answer = call.send().await.context("DescribeAutoScalingGroups")?;
    Ok(answer.auto_scaling_groups.unwrap_or_default().pop())
}

/// Auto Scaling has no error code for a group or policy that is not there; it says so in words.
fn named<T>(answer: Result<T, AwsError>) -> Result<T, AwsError> {
    answer.map_err(|mut error| {
        let text = error.message.to_ascii_lowercase();
        if error.is(&["ValidationError"]) && (text.contains("not found") || text.starts_with("no ")) {
            error.kind = ErrorKind::NotFound;
        }
        error
    })
}

/// The parts of an id by which something that belongs to a group is imported.
fn import_id<'a>(id: &'a str, what: &str) -> Result<(AutoScalingGroupName, &'a str), ProviderError> {
    match id.split_once('/') {
        Some((group, name)) if !group.is_empty() && !name.is_empty() => Ok((group.into(), name)),
        _ => Err(ProviderError::refused(format!("`{id}` does not name a group and what belongs to it"))
            .hint(format!("write `GROUP/{what}`, by their names"))),
    }
}
