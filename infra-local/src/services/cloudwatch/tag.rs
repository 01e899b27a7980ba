//! Tags of alarms.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{TAGGED, WatchOperation, input, invalid};
use crate::model::Cloud;
use crate::model::Tags;
use crate::services::tags;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[WatchOperation] = &[
    typed!(Writes, "TagResource", tag).on(&[TAGGED]),
    typed!(Writes, "UntagResource", untag).on(&[TAGGED]),
    typed!(Reads, "ListTagsForResource", list).on(&[TAGGED]),
];

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AddTags {
    #[serde(rename = "ResourceARN")]
    arn: String,
    tags: Vec<Tag>,
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Value>, request: AddTags) -> Outcome<Value> {
    let added = read_tags(request.tags)?;
    let tags = tags_mut(cloud, call, &request.arn)?;
    tags.extend(added);
    check(tags)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RemoveTags {
    #[serde(rename = "ResourceARN")]
    arn: String,
    tag_keys: Vec<String>,
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Value>, request: RemoveTags) -> Outcome<Value> {
    tags_mut(cloud, call, &request.arn)?.retain(|key, _| !request.tag_keys.contains(key));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    #[serde(rename = "ResourceARN")]
    arn: String,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let watching = &cloud.region(call.region)?.cloudwatch;
    let metric = watching.alarms.values().map(|alarm| (&alarm.arn, &alarm.tags));
    let mut all = metric.chain(watching.composites.values().map(|alarm| (&alarm.arn, &alarm.tags)));
    let (_, tags) = all.find(|(arn, _)| **arn == request.arn).ok_or_else(|| not_found(&request.arn))?;
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}

fn tags_mut<'a>(cloud: &'a mut Cloud, call: &Call<'_, Value>, arn: &str) -> Outcome<&'a mut Tags> {
    let watching = &mut cloud.region_mut(call.region)?.cloudwatch;
    let metric = watching.alarms.values_mut().map(|alarm| (&alarm.arn, &mut alarm.tags));
    let mut all = metric.chain(watching.composites.values_mut().map(|alarm| (&alarm.arn, &mut alarm.tags)));
    all.find(|(known, _)| *known == arn).map(|(_, tags)| tags).ok_or_else(|| not_found(arn))
}

/// Returns the error for a resource without tags: an ARN of another service is invalid.
fn not_found(arn: &str) -> ApiError {
    if !arn.starts_with("arn:aws:cloudwatch:") {
        return invalid(format!("The value {arn} for parameter ResourceARN is invalid: it is no ARN of CloudWatch."));
    }
    ApiError::new("ResourceNotFoundException", format!("There is no alarm {arn} in this region.")).with_status(404)
}

/// Parses and validates the tags of a request.
pub(super) fn read_tags(list: Vec<Tag>) -> Outcome<Tags> {
    let mut all = Tags::new();
    for tag in list {
        if all.insert(tag.key.clone(), tag.value).is_some() {
            return Err(invalid(format!("Duplicate tag key '{}'", tag.key)));
        }
    }
    check(&all)?;
    Ok(all)
}

fn check(all: &Tags) -> Outcome<()> {
    tags::check(all).map_err(|error| invalid(error.message))
}
