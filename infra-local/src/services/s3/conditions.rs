//! Conditions of reads and writes: ETags and dates.

use hyper::header::{ETAG, HeaderMap, LAST_MODIFIED};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use super::service::{http_date, timestamp};

/// Refuses conditions that S3 does not offer for writes: `If-Match: *`, and `If-None-Match` with an ETag.
pub(super) fn check_write_headers(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if matches!(if_match, Some(ETagCondition::Any)) || matches!(if_none_match, Some(ETagCondition::ETag(_))) {
        return Err(s3_error!(NotImplemented, "A header you provided implies functionality that is not implemented"));
    }
    Ok(())
}

/// Checks `If-Match` and `If-None-Match` of writes.
pub(super) fn write_conditions(
    current: Option<&crate::model::s3::Object>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let failed = || Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    match (if_match, current) {
        (Some(_), None) => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(condition), Some(current)) if !matches(condition, current) => return failed(),
        _ => {}
    }
    match (if_none_match, current) {
        (Some(condition), Some(current)) if matches(condition, current) => failed(),
        _ => Ok(()),
    }
}

/// Checks the conditions of reads, with HTTP's precedence: ETags before dates.
pub(super) fn read_conditions(
    object: &crate::model::s3::Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&Timestamp>,
    if_unmodified_since: Option<&Timestamp>,
) -> S3Result<()> {
    // HTTP dates have a resolution of one second.
    let modified =
        timestamp(chrono::DateTime::from_timestamp(object.modified.timestamp(), 0).unwrap_or(object.modified));
    let holds = match (if_match, if_unmodified_since) {
        (Some(condition), _) => matches(condition, object),
        (None, Some(since)) => modified <= *since,
        (None, None) => true,
    };
    if !holds {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    }
    let unchanged = match (if_none_match, if_modified_since) {
        (Some(condition), _) => matches(condition, object),
        (None, Some(since)) => modified <= *since,
        (None, None) => false,
    };
    if !unchanged {
        return Ok(());
    }
    let mut error = s3_error!(NotModified);
    let mut headers = HeaderMap::new();
    headers.extend(format!("\"{}\"", object.blob.e_tag).parse().ok().map(|value| (ETAG, value)));
    headers.extend(http_date(&modified).parse().ok().map(|value| (LAST_MODIFIED, value)));
    error.set_headers(headers);
    Err(error)
}

fn matches(condition: &ETagCondition, object: &crate::model::s3::Object) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(e_tag) => e_tag.value() == object.blob.e_tag,
    }
}
