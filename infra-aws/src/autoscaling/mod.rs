//! EC2 Auto Scaling.

pub mod group;
mod health;
mod refresh;
pub mod scaling_policy;

use crate::error::{AwsError, SdkContext};
use aws_sdk_autoscaling::{Client, types::AutoScalingGroup as Described};
use infra_core::provider::ErrorKind;

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
