//! Tags of log groups, by ARN and by name, as older clients do.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogOperation, input, invalid, no_group, plain_name, resource};
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::logs::LogGroup;
use crate::services::tags;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "TagResource", tag).on(&[resource::TAGGED]),
    typed!(Writes, "UntagResource", untag).on(&[resource::TAGGED]),
    typed!(Reads, "ListTagsForResource", list).on(&[resource::TAGGED]),
    typed!(Writes, "TagLogGroup", tag_named).on(&[resource::GROUP]),
    typed!(Writes, "UntagLogGroup", untag_named).on(&[resource::GROUP]),
    typed!(Reads, "ListTagsLogGroup", list_named).on(&[resource::GROUP]),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tag {
    resource_arn: String,
    tags: Tags,
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Value>, request: Tag) -> Outcome<Value> {
    extend(group_mut(cloud, call, name(&request.resource_arn)?)?, request.tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Untag {
    resource_arn: String,
    tag_keys: Vec<String>,
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Value>, request: Untag) -> Outcome<Value> {
    let group = group_mut(cloud, call, name(&request.resource_arn)?)?;
    group.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct List {
    resource_arn: String,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    tags_of(cloud, call, name(&request.resource_arn)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagNamed {
    log_group_name: String,
    tags: Tags,
}

fn tag_named(cloud: &mut Cloud, call: &Call<'_, Value>, request: TagNamed) -> Outcome<Value> {
    extend(group_mut(cloud, call, &request.log_group_name)?, request.tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UntagNamed {
    log_group_name: String,
    tags: Vec<String>,
}

fn untag_named(cloud: &mut Cloud, call: &Call<'_, Value>, request: UntagNamed) -> Outcome<Value> {
    group_mut(cloud, call, &request.log_group_name)?.tags.retain(|key, _| !request.tags.contains(key));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListNamed {
    log_group_name: String,
}

fn list_named(cloud: &Cloud, call: &Call<'_, Value>, request: ListNamed) -> Outcome<Value> {
    tags_of(cloud, call, &request.log_group_name)
}

/// Returns the name of the log group with an ARN.
fn name(arn: &str) -> Outcome<&str> {
    if arn.contains(":log-group:") {
        return Ok(plain_name(arn));
    }
    Err(invalid("The local cloud has tags of log groups: give the ARN of one."))
}

fn extend(group: &mut LogGroup, added: Tags) -> Outcome<Value> {
    group.tags.extend(added);
    check(&group.tags)?;
    Ok(json!({}))
}

fn tags_of(cloud: &Cloud, call: &Call<'_, Value>, name: &str) -> Outcome<Value> {
    let group = cloud.region(call.region)?.logs.groups.get(name).ok_or_else(no_group)?;
    Ok(json!({"tags": group.tags}))
}

fn group_mut<'a>(cloud: &'a mut Cloud, call: &Call<'_, Value>, name: &str) -> Outcome<&'a mut LogGroup> {
    cloud.region_mut(call.region)?.logs.groups.get_mut(name).ok_or_else(no_group)
}

pub(super) fn check(all: &Tags) -> Outcome<()> {
    tags::check(all).map_err(|error| match error.code.as_ref() {
        "TagLimitExceeded" => ApiError::new("TooManyTagsException", error.message),
        _ => invalid(error.message),
    })
}
