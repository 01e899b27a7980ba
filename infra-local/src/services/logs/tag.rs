//! Tags of log groups, by ARN and, as older clients ask, by name.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogOperation, input, invalid, no_group, plain_name, resource};
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::logs::LogGroup;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[LogOperation] = &[
    Operation::writes("TagResource", tag, &[&["resourceArn", "tags"]]).on(&[resource::TAGGED]),
    Operation::writes("UntagResource", untag, &[&["resourceArn", "tagKeys"]]).on(&[resource::TAGGED]),
    Operation::reads("ListTagsForResource", list, &[&["resourceArn"]]).on(&[resource::TAGGED]),
    Operation::writes("TagLogGroup", tag, &[&["logGroupName", "tags"]]).on(&[resource::GROUP]),
    Operation::writes("UntagLogGroup", untag_named, &[&["logGroupName", "tags"]]).on(&[resource::GROUP]),
    Operation::reads("ListTagsLogGroup", list, &[&["logGroupName"]]).on(&[resource::GROUP]),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    resource_arn: Option<String>,
    log_group_name: Option<String>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UntagNamed {
    log_group_name: String,
    tags: Vec<String>,
}

impl Request {
    fn name(&self) -> Outcome<&str> {
        match (&self.resource_arn, &self.log_group_name) {
            (Some(arn), None) if arn.contains(":log-group:") => Ok(plain_name(arn)),
            (None, Some(name)) => Ok(name),
            _ => Err(invalid("The local cloud has tags of log groups: give the ARN of one.")),
        }
    }
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request: Request = input(call)?;
    let group = group_mut(cloud, call, request.name()?)?;
    group.tags.extend(request.tags);
    check(&group.tags)?;
    Ok(json!({}))
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request: Request = input(call)?;
    group_mut(cloud, call, request.name()?)?.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(json!({}))
}

fn untag_named(cloud: &mut Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request: UntagNamed = input(call)?;
    group_mut(cloud, call, &request.log_group_name)?.tags.retain(|key, _| !request.tags.contains(key));
    Ok(json!({}))
}

fn list(cloud: &Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request: Request = input(call)?;
    let group = cloud.region(call.region)?.logs.groups.get(request.name()?).ok_or_else(no_group)?;
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
