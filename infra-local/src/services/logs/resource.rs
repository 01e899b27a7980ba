//! Resources of CloudWatch Logs' operations, for authorisation.

use crate::access::{RequestedResource, Resource};

const ARN: &str = "arn:aws:logs:{region}:{account}:log-group:{}";

pub(super) const GROUP: Resource = Resource::Named("logGroupName", ARN);
pub(super) const IDENTIFIED_GROUP: Resource = Resource::Named("logGroupIdentifier", ARN);
pub(super) const NAMED_GROUPS: Resource = Resource::Named("logGroupNames", ARN);
pub(super) const IDENTIFIED_GROUPS: Resource = Resource::Named("logGroupIdentifiers", ARN);
pub(super) const TAGGED: Resource = Resource::Arn("resourceArn");

/// A stream of a group.
pub(super) const STREAM: Resource = Resource::Computed(|cloud, region, parameters| {
    let value = |wanted: &[&str]| {
        let found = parameters.iter().find(|(name, value)| wanted.contains(&name.as_str()) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let group = value(&["logGroupName", "logGroupIdentifier"]).map(|group| group.rsplit(':').next().unwrap_or(group));
    let (Some(group), Some(stream)) = (group, value(&["logStreamName"])) else { return Vec::new() };
    let arn = cloud.scope(region).arn("logs", format_args!("log-group:{group}:log-stream:{stream}"));
    vec![RequestedResource::new(arn)]
});
