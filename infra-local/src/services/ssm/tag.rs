//! Tags of parameters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{SsmOperation, TAGGED, input, validation};
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::ssm::Parameter;
use crate::services::tags;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    typed!(Writes, "AddTagsToResource", add).on(&[TAGGED]),
    typed!(Writes, "RemoveTagsFromResource", remove).on(&[TAGGED]),
    typed!(Reads, "ListTagsForResource", list).on(&[TAGGED]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Add {
    resource_type: String,
    resource_id: String,
    tags: Vec<Tag>,
}

fn add(cloud: &mut Cloud, call: &Call<'_, Value>, request: Add) -> Outcome<Value> {
    check_type(&request.resource_type)?;
    let added = read_tags(request.tags)?;
    let parameter = parameter_mut(cloud, call.region, &request.resource_id)?;
    parameter.tags.extend(added);
    tags::check(&parameter.tags).map_err(too_many)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Remove {
    resource_type: String,
    resource_id: String,
    tag_keys: Vec<String>,
}

fn remove(cloud: &mut Cloud, call: &Call<'_, Value>, request: Remove) -> Outcome<Value> {
    check_type(&request.resource_type)?;
    let parameter = parameter_mut(cloud, call.region, &request.resource_id)?;
    for key in &request.tag_keys {
        parameter.tags.remove(key);
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    resource_type: String,
    resource_id: String,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    check_type(&request.resource_type)?;
    let parameters = &cloud.region(call.region)?.ssm.parameters;
    let parameter = parameters.get(&request.resource_id).ok_or_else(|| unknown(&request.resource_id))?;
    let tags: Vec<Value> = parameter.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"TagList": tags}))
}

fn check_type(resource_type: &str) -> Outcome<()> {
    if resource_type == "Parameter" {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidResourceType",
        format!("The local cloud has no tags for resources of type {resource_type}, only for Parameter"),
    ))
}

fn parameter_mut<'a>(cloud: &'a mut Cloud, region: &str, id: &str) -> Outcome<&'a mut Parameter> {
    cloud.region_mut(region)?.ssm.parameters.get_mut(id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ApiError {
    let message = format!("The resource ID {id} is not valid. Verify that you entered the correct ID");
    ApiError::new("InvalidResourceId", message)
}

/// Parses and validates the tags of a request.
pub(super) fn read_tags(list: Vec<Tag>) -> Outcome<Tags> {
    let mut all = Tags::new();
    for tag in list {
        if all.insert(tag.key.clone(), tag.value).is_some() {
            return Err(validation(format!("Duplicate tag key '{}'", tag.key)));
        }
    }
    tags::check(&all).map_err(too_many)?;
    Ok(all)
}

fn too_many(error: ApiError) -> ApiError {
    let code = if error.code == "TagLimitExceeded" { "TooManyTagsError" } else { "ValidationException" };
    ApiError::new(code, error.message)
}
