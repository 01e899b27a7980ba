//! Notification configurations: the topics that are notified of a group's events.
//!
//! The local cloud has no topics, so it records the configurations and sends no notification. Source: Amazon EC2 Auto
//! Scaling API reference, `PutNotificationConfiguration` and related operations.

use super::{NAME, PAGES, named_mut, page, required, resource, validation};
use crate::model::Cloud;
use crate::model::autoscaling::Group;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("PutNotificationConfiguration", put, &[NAME, &["TopicARN", "NotificationTypes.N"]])
        .on(&[resource::GROUP]),
    Operation::reads("DescribeNotificationConfigurations", describe, &[&["AutoScalingGroupNames.N"], PAGES]).on_any(),
    Operation::writes("DeleteNotificationConfiguration", delete, &[NAME, &["TopicARN"]]).on(&[resource::GROUP]),
];

/// Events of groups.
pub(super) const TYPES: [&str; 5] = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION",
];

/// AWS's quota of topics per group.
const LIMIT: usize = 10;

/// Replaces the events of which a topic is notified.
fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let topic = topic(&call.input)?;
    let types = call.input.texts("NotificationTypes");
    if types.is_empty() {
        return Err(validation("NotificationTypes must have at least one member"));
    }
    if let Some(other) = types.iter().find(|kind| !TYPES.contains(&kind.as_str())) {
        return Err(validation(format!("\"{other}\" is not a valid Notification Type.")));
    }
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    group.notifications.insert(topic, types.into_iter().collect());
    if group.notifications.len() > LIMIT {
        return Err(ApiError::new("LimitExceeded", format!("A group has at most {LIMIT} topics of notifications")));
    }
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let names = call.input.texts("AutoScalingGroupNames");
    let groups = cloud.region(call.region)?.autoscaling.groups.values();
    let wanted = groups.filter(|group| names.is_empty() || names.contains(&group.name));
    let mut entries: Vec<(String, &Group, &str, &str)> = Vec::new();
    for group in wanted {
        for (topic, types) in &group.notifications {
            let keyed = |kind: &str| format!("{} {topic} {kind}", group.name);
            entries.extend(types.iter().map(|kind| (keyed(kind), group, topic.as_str(), kind.as_str())));
        }
    }
    let page = page(entries, &call.input, |(key, ..)| key)?;
    let shown = page.items.into_iter().map(|(_, group, topic, kind)| {
        Node::new().with("AutoScalingGroupName", &group.name).with("TopicARN", topic).with("NotificationType", kind)
    });
    Ok(Node::new().list("NotificationConfigurations", shown).maybe("NextToken", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let topic = topic(&call.input)?;
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    match group.notifications.remove(&topic) {
        Some(_) => Ok(Node::new()),
        None => Err(validation(format!("Notification Topic '{topic}' doesn't exist for '{}'", group.name))),
    }
}

fn topic(params: &Params) -> Outcome<String> {
    let topic = required(params, "TopicARN")?;
    if topic.starts_with("arn:aws:sns:") && topic.split(':').count() == 6 {
        return Ok(topic.to_owned());
    }
    Err(validation(format!("Invalid topic ARN '{topic}': it is the ARN of a topic of SNS")))
}
