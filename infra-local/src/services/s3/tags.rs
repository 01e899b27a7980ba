//! Tags of buckets and objects.

use s3s::dto::{Tag, TagSet};
use s3s::{S3Result, s3_error};

use crate::services::tags::{self, Tags};

/// Converts tags to S3's form.
pub(super) fn tag_set(tags: &Tags) -> TagSet {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// Parses and validates tags; an object has at most ten, a bucket fifty.
pub(super) fn read_tags(tags: TagSet, limit: usize) -> S3Result<Tags> {
    let mut all = Tags::new();
    for tag in tags {
        let key = tag.key.unwrap_or_default();
        if all.insert(key, tag.value.unwrap_or_default()).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    if all.len() > limit {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {limit}"));
    }
    tags::check(&all).map_err(|error| s3_error!(InvalidTag, "{}", error.message))?;
    Ok(all)
}
