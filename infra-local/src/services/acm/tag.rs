//! Tags of certificates.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{AcmOperation, CERTIFICATE, Named, find, find_mut, input, validation};
use crate::model::Cloud;
use crate::model::Tags;
use crate::services::tags;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[AcmOperation] = &[
    typed!(Writes, "AddTagsToCertificate", add).on(&[CERTIFICATE]),
    typed!(Writes, "RemoveTagsFromCertificate", remove).on(&[CERTIFICATE]),
    typed!(Reads, "ListTagsForCertificate", list).on(&[CERTIFICATE]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    certificate_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn add(cloud: &mut Cloud, call: &Call<'_, Value>, request: Request) -> Outcome<Value> {
    let added = read_tags(some(request.tags)?)?;
    let certificate = find_mut(cloud.region_mut(call.region)?, &request.certificate_arn)?;
    certificate.tags.extend(added);
    tags::check(&certificate.tags).map_err(refused)?;
    Ok(json!({}))
}

/// Removes tags. A tag that is given with a value is removed only if it has this value.
fn remove(cloud: &mut Cloud, call: &Call<'_, Value>, request: Request) -> Outcome<Value> {
    let removed = some(request.tags)?;
    if let Some(tag) = removed.iter().find(|tag| tag.key.to_lowercase().starts_with("aws:")) {
        let message = format!("The tag key '{}' begins with 'aws:', which is reserved for AWS.", tag.key);
        return Err(ApiError::new("InvalidTagException", message));
    }
    let certificate = find_mut(cloud.region_mut(call.region)?, &request.certificate_arn)?;
    certificate.tags.retain(|key, value| {
        !removed.iter().any(|tag| tag.key == *key && tag.value.as_ref().is_none_or(|wanted| wanted == value))
    });
    Ok(json!({}))
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let certificate = find(cloud.region(call.region)?, &request.certificate_arn)?;
    let tags: Vec<Value> = certificate.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}

fn some(tags: Vec<Tag>) -> Outcome<Vec<Tag>> {
    if tags.is_empty() { Err(validation("At least one tag must be specified")) } else { Ok(tags) }
}

/// Parses and validates the tags of a request.
pub(super) fn read_tags(list: Vec<Tag>) -> Outcome<Tags> {
    let mut all = Tags::new();
    for tag in list {
        if all.insert(tag.key.clone(), tag.value.unwrap_or_default()).is_some() {
            return Err(ApiError::new("InvalidTagException", format!("Duplicate tag key '{}'", tag.key)));
        }
    }
    tags::check(&all).map_err(refused)?;
    Ok(all)
}

fn refused(error: ApiError) -> ApiError {
    let code = if error.code == "TagLimitExceeded" { "TooManyTagsException" } else { "InvalidTagException" };
    ApiError::new(code, error.message)
}
