//! GetObjectAttributes.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::outputs::checksums;
use super::read::checksum_type;
use super::service::{Service, refuse, timestamp};
use crate::model::s3::Object as StoredObject;

const ATTRIBUTES: &[&str] = &["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

/// AWS's limit of parts per response.
const PARTS_LIMIT: usize = 1000;

impl Service {
    pub(super) fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse("GetObjectAttributes", &[(input.sse_customer_algorithm.is_some(), "customer-provided keys")])?;
        // A client may send several names in one header.
        let names: Vec<&str> = input.object_attributes.iter().flat_map(|name| name.as_str().split(',')).collect();
        let names: Vec<&str> = names.into_iter().map(str::trim).collect();
        if names.iter().any(|name| !ATTRIBUTES.contains(name)) {
            return Err(s3_error!(InvalidArgument, "Invalid attribute name specified"));
        }
        let (settings, object) = self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let wants = |name: &str| names.contains(&name);
        let page = || parts(&object, input.max_parts, input.part_number_marker);
        let object_parts = if wants("ObjectParts") { page()? } else { None };
        Ok(S3Response::new(GetObjectAttributesOutput {
            checksum: wants("Checksum").then(|| checksum(&object)).flatten(),
            e_tag: wants("ETag").then(|| ETag::Strong(object.blob.e_tag.clone())),
            last_modified: Some(timestamp(object.modified)),
            object_parts,
            object_size: wants("ObjectSize").then(|| i64::try_from(object.blob.size).unwrap_or(i64::MAX)),
            storage_class: wants("StorageClass").then(|| StorageClass::from(object.storage_class().to_owned())),
            version_id: settings.is_versioned().then(|| object.version().to_owned()),
            ..Default::default()
        }))
    }
}

fn checksum(object: &StoredObject) -> Option<Checksum> {
    if object.blob.checksums.is_empty() {
        return None;
    }
    let mut checksum = Checksum { checksum_type: checksum_type(object), ..Default::default() };
    checksums!(checksum, object.blob.checksums);
    Some(checksum)
}

/// Returns a page of the parts of an object that was uploaded in parts. The parts themselves are listed only if they have
/// checksums.
fn parts(object: &StoredObject, max: Option<i32>, marker: Option<i32>) -> S3Result<Option<GetObjectAttributesParts>> {
    if object.parts.is_empty() {
        return Ok(None);
    }
    let limit = usize::try_from(max.unwrap_or(1000))
        .map_err(|_| s3_error!(InvalidArgument, "Argument max-parts must be an integer between 0 and 2147483647"))?
        .min(PARTS_LIMIT);
    let after = marker.unwrap_or(0);
    let mut page: Vec<_> = object.parts.iter().filter(|part| part.number > after).collect();
    let is_truncated = page.len() > limit;
    page.truncate(limit);
    let next = page.last().map_or(after, |part| part.number);
    let listed = page.iter().filter(|part| !part.checksums.is_empty()).map(|part| {
        let mut shown =
            ObjectPart { part_number: Some(part.number), size: i64::try_from(part.size).ok(), ..Default::default() };
        checksums!(shown, part.checksums);
        shown
    });
    Ok(Some(GetObjectAttributesParts {
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(limit).ok(),
        next_part_number_marker: Some(next),
        part_number_marker: Some(after),
        parts: Some(listed.collect()).filter(|parts: &Vec<_>| !parts.is_empty()),
        total_parts_count: i32::try_from(object.parts.len()).ok(),
    }))
}
