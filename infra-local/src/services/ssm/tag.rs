//! Tags of parameters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{SsmOperation, TAGGED, input, validation};
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::ssm::Parameter;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    Operation::writes("AddTagsToResource", add, &[&["ResourceType", "ResourceId", "Tags"]]).on(&[TAGGED]),
    Operation::writes("RemoveTagsFromResource", remove, &[&["ResourceType", "ResourceId", "TagKeys"]]).on(&[TAGGED]),
    Operation::reads("ListTagsForResource", list, &[&["ResourceType", "ResourceId"]]).on(&[TAGGED]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    resource_type: String,
    resource_id: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Request {
    fn parse(call: &Call<'_, Value>) -> Outcome<Request> {
        let request: Request = input(call)?;
        if request.resource_type == "Parameter" {
            return Ok(request);
        }
        Err(ApiError::new(
            "InvalidResourceType",
            format!("The local cloud has no tags for resources of type {}, only for Parameter", request.resource_type),
        ))
    }

    fn unknown(&self) -> ApiError {
        ApiError::new(
            "InvalidResourceId",
            format!("The resource ID {} is not valid. Verify that you entered the correct ID", self.resource_id),
        )
    }

    fn parameter<'a>(&self, cloud: &'a mut Cloud, region: &str) -> Outcome<&'a mut Parameter> {
        cloud.region_mut(region)?.ssm.parameters.get_mut(&self.resource_id).ok_or_else(|| self.unknown())
    }
}

fn add(cloud: &mut Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let mut request = Request::parse(call)?;
    let added = read_tags(std::mem::take(&mut request.tags))?;
    let parameter = request.parameter(cloud, call.region)?;
    parameter.tags.extend(added);
    tags::check(&parameter.tags).map_err(too_many)?;
    Ok(json!({}))
}

fn remove(cloud: &mut Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request = Request::parse(call)?;
    let parameter = request.parameter(cloud, call.region)?;
    for key in &request.tag_keys {
        parameter.tags.remove(key);
    }
    Ok(json!({}))
}

fn list(cloud: &Cloud, call: &Call<'_, Value>) -> Outcome<Value> {
    let request = Request::parse(call)?;
    let parameter =
        cloud.region(call.region)?.ssm.parameters.get(&request.resource_id).ok_or_else(|| request.unknown())?;
    let tags: Vec<Value> = parameter.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"TagList": tags}))
}

/// Collects and checks the tags of a request.
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
