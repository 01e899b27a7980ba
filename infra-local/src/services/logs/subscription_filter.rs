//! Subscription filters. They are recorded and described; the local cloud has no destinations to which it could deliver.

use serde::Deserialize;
use serde_json::{Value, json};

use super::metric_filter::check_name;
use super::pattern::Pattern;
use super::{LogOperation, input, invalid, milliseconds, no_group, resource};
use crate::model::Cloud;
use crate::model::logs::{LogGroup, SubscriptionFilter};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "PutSubscriptionFilter", put).on(&[resource::GROUP]),
    typed!(Reads, "DescribeSubscriptionFilters", describe).on(&[resource::GROUP]),
    typed!(Writes, "DeleteSubscriptionFilter", delete).on(&[resource::GROUP]),
];

/// AWS's limit of filters per group.
const MOST: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    log_group_name: String,
    filter_name: String,
    filter_pattern: String,
    destination_arn: String,
    role_arn: Option<String>,
    distribution: Option<String>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    check_name(&request.filter_name)?;
    Pattern::parse(&request.filter_pattern)?;
    let service = request.destination_arn.split(':').nth(2).unwrap_or_default();
    if !request.destination_arn.starts_with("arn:") || !["lambda", "kinesis", "firehose", "logs"].contains(&service) {
        return Err(invalid(format!("Invalid destinationArn: {}", request.destination_arn)));
    }
    let distribution = request.distribution.unwrap_or_else(|| "ByLogStream".to_owned());
    if !["ByLogStream", "Random"].contains(&distribution.as_str()) {
        return Err(invalid(format!("distribution must be Random or ByLogStream, not {distribution}")));
    }
    let groups = &mut cloud.region_mut(call.region)?.logs.groups;
    let group = groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    if group.subscription_filters.len() >= MOST && !group.subscription_filters.contains_key(&request.filter_name) {
        return Err(ApiError::new("LimitExceededException", "Resource limit exceeded."));
    }
    tracing::warn!(
        group = group.name,
        destination = request.destination_arn,
        "a subscription filter is recorded, but nothing is delivered"
    );
    let created = group.subscription_filters.get(&request.filter_name).map_or(call.now, |filter| filter.created);
    let filter = SubscriptionFilter {
        pattern: request.filter_pattern,
        destination: request.destination_arn,
        role: request.role_arn,
        distribution,
        created,
        name: request.filter_name,
    };
    group.subscription_filters.insert(filter.name.clone(), filter);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name: String,
    filter_name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    let group = cloud.region(call.region)?.logs.groups.get(&request.log_group_name).ok_or_else(no_group)?;
    let prefix = request.filter_name_prefix.unwrap_or_default();
    let wanted = group.subscription_filters.values().filter(|filter| filter.name.starts_with(&prefix));
    let limit = super::group::limit(request.limit)?;
    let page =
        Page::cut(wanted.collect(), limit, request.next_token.as_deref(), |filter: &&SubscriptionFilter| &filter.name)?;
    let shown = page.items.into_iter().map(|filter| render(group, filter));
    let mut answer = json!({"subscriptionFilters": shown.collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn render(group: &LogGroup, filter: &SubscriptionFilter) -> Value {
    let mut node = json!({
        "filterName": filter.name,
        "logGroupName": group.name,
        "filterPattern": filter.pattern,
        "destinationArn": filter.destination,
        "distribution": filter.distribution,
        "creationTime": milliseconds(filter.created),
    });
    if let Some(role) = &filter.role {
        node["roleArn"] = json!(role);
    }
    node
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delete {
    log_group_name: String,
    filter_name: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let groups = &mut cloud.region_mut(call.region)?.logs.groups;
    let group = groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    let removed = group.subscription_filters.remove(&request.filter_name);
    removed
        .map(|_| json!({}))
        .ok_or_else(|| ApiError::new("ResourceNotFoundException", "The specified subscription filter does not exist."))
}
