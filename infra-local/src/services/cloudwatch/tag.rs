//! Tags of alarms.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{TAGGED, WatchOperation, input, invalid};
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::cloudwatch::alarm::Alarm;
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
    let alarm = alarm_mut(cloud, call, &request.arn)?;
    alarm.tags.extend(added);
    check(&alarm.tags)?;
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
    let alarm = alarm_mut(cloud, call, &request.arn)?;
    alarm.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    #[serde(rename = "ResourceARN")]
    arn: String,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let mut alarms = cloud.region(call.region)?.cloudwatch.alarms.values();
    let alarm = alarms.find(|alarm| alarm.arn == request.arn).ok_or_else(|| not_found(&request.arn))?;
    let tags: Vec<Value> = alarm.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}

fn alarm_mut<'a>(cloud: &'a mut Cloud, call: &Call<'_, Value>, arn: &str) -> Outcome<&'a mut Alarm> {
    let mut alarms = cloud.region_mut(call.region)?.cloudwatch.alarms.values_mut();
    alarms.find(|alarm| alarm.arn == arn).ok_or_else(|| not_found(arn))
}

fn not_found(arn: &str) -> ApiError {
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
