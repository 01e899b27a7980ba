//! GetObject and HeadObject.

use std::io::SeekFrom;

use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{ALLOW, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::attributes::expires;
use super::conditions::read_conditions;
use super::outputs::{checksums, encrypted};
use super::service::{Service, refuse, timestamp};
use super::{lifecycle, lock, restore};
use crate::model::s3::{Object, Settings};
use crate::state::objects::{internal, no_such_key};

/// Number of bytes to read from disk at once.
const PIECE: usize = 128 * 1024;

/// A version and the range of it that GetObject or HeadObject reads.
struct Reading {
    settings: Settings,
    object: Object,
    span: std::ops::Range<u64>,
    /// `bytes 0-9/100`; `None` for the whole object.
    content_range: Option<String>,
    /// True when the client requests checksums.
    checksums: bool,
    /// Number of the object's parts, for a request of one of them.
    parts_count: Option<i32>,
}

impl Reading {
    fn of(
        settings: Settings,
        object: Object,
        range: Option<Range>,
        part: Option<i32>,
        checksums: bool,
    ) -> S3Result<Reading> {
        let size = object.blob.size;
        let span = match (range, part) {
            (Some(_), Some(_)) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Cannot specify both Range header and partNumber query parameter"
                ));
            }
            (Some(range), None) => Some(range.check(size).map_err(|_| not_satisfiable(size))?),
            (None, Some(part)) => Some(part_span(&object, part)?),
            (None, None) => None,
        };
        let content_range = span
            .as_ref()
            .filter(|span| !span.is_empty())
            .map(|span| format!("bytes {}-{}/{size}", span.start, span.end - 1));
        let parts_count = part.and_then(|_| i32::try_from(object.parts.len()).ok()).filter(|count| *count > 0);
        Ok(Reading { settings, span: span.unwrap_or(0..size), object, content_range, checksums, parts_count })
    }

    fn length(&self) -> u64 {
        self.span.end - self.span.start
    }

    /// Returns whether the response contains checksums, which cover the whole object.
    fn has_checksums(&self) -> bool {
        self.checksums && self.length() == self.object.blob.size
    }
}

/// Returns the error of a range outside of the object, with the object's size.
fn not_satisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = HeaderMap::new();
    headers.extend(format!("bytes */{size}").parse().ok().map(|value| (CONTENT_RANGE, value)));
    error.set_headers(headers);
    error
}

/// Returns the bytes of a part. An object that was not uploaded in parts has one.
fn part_span(object: &Object, number: i32) -> S3Result<std::ops::Range<u64>> {
    if !(1..=10_000).contains(&number) {
        return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
    }
    if object.parts.is_empty() && number == 1 {
        return Ok(0..object.blob.size);
    }
    let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let Some(part) = object.parts.get(index) else {
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("InvalidPartNumber".into()),
            "The requested partnumber is not satisfiable",
        );
        error.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
        return Err(error);
    };
    let start = object.parts[..index].iter().map(|part| part.size).sum();
    Ok(start..start + part.size)
}

/// Returns the outputs of GetObject and HeadObject, whose fields are the same except for a few.
macro_rules! object_output {
    ($output:ident, $input:ident, $reading:ident, { $($field:ident),* }) => {{
        let object = &$reading.object;
        let headers = &object.headers;
        let mut answer = $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from($reading.length()).ok(),
            content_range: $reading.content_range.clone(),
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            last_modified: Some(timestamp(object.modified)),
            content_type: $input.response_content_type.or_else(|| content_type(object)),
            content_encoding: $input.response_content_encoding.or_else(|| headers.content_encoding.clone()),
            content_language: $input.response_content_language.or_else(|| headers.content_language.clone()),
            content_disposition: $input.response_content_disposition.or_else(|| headers.content_disposition.clone()),
            cache_control: $input.response_cache_control.or_else(|| headers.cache_control.clone()),
            expires: $input.response_expires.or_else(|| expires(headers)),
            website_redirect_location: headers.website_redirect.clone(),
            metadata: Some(headers.metadata.clone().into_iter().collect()),
            // S3 returns this header for all classes but the standard one.
            storage_class: object.storage_class.clone().map(StorageClass::from),
            parts_count: $reading.parts_count,
            version_id: $reading.settings.is_versioned().then(|| object.version().to_owned()),
            expiration: lifecycle::expiration(&$reading.settings, object),
            restore: restore::header(object),
            object_lock_mode: lock::mode(object),
            object_lock_retain_until_date: lock::until(object),
            object_lock_legal_hold_status: lock::legal_hold(object),
            $($field,)*
            ..Default::default()
        };
        if $reading.has_checksums() {
            checksums!(answer, object.blob.checksums);
            answer.checksum_type = checksum_type(object);
        }
        encrypted!(answer, object);
        answer
    }};
}

/// Returns the version that an operation's input names, after its conditions.
macro_rules! reading {
    ($service:ident, $input:ident) => {{
        let (settings, object) = $service.version(&$input.bucket, &$input.key, $input.version_id.as_deref())?;
        read_conditions(
            &object,
            $input.if_match.as_ref(),
            $input.if_none_match.as_ref(),
            $input.if_modified_since.as_ref(),
            $input.if_unmodified_since.as_ref(),
        )?;
        let checksums = $input.checksum_mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        Reading::of(settings, object, $input.range, $input.part_number, checksums)?
    }};
}

impl Service {
    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse("GetObject", &[(input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*")])?;
        let reading = reading!(self, input);
        restore::check_readable(&reading.object)?;
        let length = reading.length();
        // An open file remains readable if the object is replaced meanwhile.
        let mut file = tokio::fs::File::open(self.objects().blob_path(&input.bucket, &reading.object.blob))
            .await
            .map_err(internal)?;
        file.seek(SeekFrom::Start(reading.span.start)).await.map_err(internal)?;
        let tag_count = i32::try_from(reading.object.tags.len()).ok().filter(|count| *count > 0);
        let body = Some(file_body(file, length));
        Ok(S3Response::new(object_output!(GetObjectOutput, input, reading, { body, tag_count })))
    }

    pub(super) fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse("HeadObject", &[(input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*")])?;
        let reading = reading!(self, input);
        Ok(S3Response::new(object_output!(HeadObjectOutput, input, reading, {})))
    }

    /// Returns a version that is not a delete marker, and the settings of its bucket.
    pub(super) fn version(&self, bucket: &str, key: &str, version: Option<&str>) -> S3Result<(Settings, Object)> {
        let (settings, object) = self
            .objects()
            .bucket(bucket, |bucket| Ok((bucket.settings.clone(), bucket.version(key, version)?.clone())))?;
        if object.delete_marker { Err(hidden(&object, version)) } else { Ok((settings, object)) }
    }
}

/// Returns the error of a request that reads a delete marker.
///
/// Source: Amazon S3 User Guide, "Working with delete markers".
fn hidden(marker: &Object, version: Option<&str>) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    headers.extend(marker.version().parse().ok().map(|id| (HeaderName::from_static("x-amz-version-id"), id)));
    let mut error = if version.is_some() {
        headers.insert(ALLOW, HeaderValue::from_static("DELETE"));
        let modified = super::service::http_date(&timestamp(marker.modified));
        headers.extend(modified.parse().ok().map(|time| (LAST_MODIFIED, time)));
        s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.")
    } else {
        no_such_key()
    };
    error.set_headers(headers);
    error
}

fn content_type(object: &Object) -> Option<String> {
    Some(object.headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()))
}

pub(super) fn checksum_type(object: &Object) -> Option<ChecksumType> {
    let name = if object.blob.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Some(ChecksumType::from_static(name))
}

/// Returns a body of `length` bytes of a file.
pub(super) fn file_body(file: tokio::fs::File, length: u64) -> StreamingBlob {
    let frames = stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        piece.truncate(read);
        Ok(Some((Frame::data(Bytes::from(piece)), (file, left - read as u64))))
    });
    StreamingBlob::from(s3s::Body::http_body_unsync(StreamBody::new(frames)))
}
