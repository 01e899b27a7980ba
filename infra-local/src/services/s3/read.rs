//! GetObject and HeadObject.

use std::io::SeekFrom;

use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::conditions::read_conditions;
use super::service::{Service, refuse, timestamp};
use crate::model::s3::Object;
use crate::state::objects::internal;

/// Number of bytes to read from disk at once.
const PIECE: usize = 128 * 1024;

/// An object and the range of it that GetObject or HeadObject reads.
struct Reading {
    object: Object,
    span: std::ops::Range<u64>,
    /// `bytes 0-9/100`; `None` for the whole object.
    content_range: Option<String>,
    /// True when the client requests checksums.
    checksums: bool,
}

impl Reading {
    fn of(object: Object, range: Option<Range>, checksums: bool) -> S3Result<Reading> {
        let size = object.blob.size;
        let range = range.map(|range| range.check(size)).transpose()?;
        let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
        Ok(Reading { object, span: range.unwrap_or(0..size), content_range, checksums })
    }

    fn length(&self) -> u64 {
        self.span.end - self.span.start
    }

    /// Returns whether the response contains checksums, which cover the whole object.
    fn has_checksums(&self) -> bool {
        self.checksums && self.content_range.is_none()
    }

    fn checksum(&self, name: &str) -> Option<String> {
        self.object.blob.checksums.get(name).filter(|_| self.has_checksums()).cloned()
    }
}

/// The headers that GetObject and HeadObject share, and additional fields of the output.
macro_rules! object_output {
    ($output:ident, $input:ident, $reading:ident, { $($field:ident),* }) => {{
        let object = &$reading.object;
        $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from($reading.length()).ok(),
            content_range: $reading.content_range.clone(),
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            last_modified: Some(timestamp(object.modified)),
            checksum_crc32: $reading.checksum("crc32"),
            checksum_crc32c: $reading.checksum("crc32c"),
            checksum_crc64nvme: $reading.checksum("crc64nvme"),
            checksum_sha1: $reading.checksum("sha1"),
            checksum_sha256: $reading.checksum("sha256"),
            checksum_type: checksum_type(object).filter(|_| $reading.has_checksums()),
            content_type: $input.response_content_type.or_else(|| content_type(object)),
            content_encoding: $input.response_content_encoding.or_else(|| object.headers.content_encoding.clone()),
            content_language: $input.response_content_language.or_else(|| object.headers.content_language.clone()),
            content_disposition: $input
                .response_content_disposition
                .or_else(|| object.headers.content_disposition.clone()),
            cache_control: $input.response_cache_control.or_else(|| object.headers.cache_control.clone()),
            metadata: Some(object.headers.metadata.clone().into_iter().collect()),
            server_side_encryption: Some(ServerSideEncryption::from(object.encryption.algorithm.clone())),
            ssekms_key_id: object.encryption.key_id.clone(),
            $($field,)*
            ..Default::default()
        }
    }};
}

impl Service {
    pub(super) async fn get(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse(
            "GetObject",
            &[
                (input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*"),
                (input.version_id.as_ref().is_some_and(|version| version != "null"), "versionId"),
                (input.part_number.is_some_and(|part| part != 1), "partNumber other than 1"),
            ],
        )?;
        let object = self.object(&input.bucket, &input.key)?;
        read_conditions(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let reading = Reading::of(object, input.range, input.checksum_mode.is_some())?;
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

    pub(super) fn head(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse(
            "HeadObject",
            &[
                (input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*"),
                (input.version_id.as_ref().is_some_and(|version| version != "null"), "versionId"),
            ],
        )?;
        let object = self.object(&input.bucket, &input.key)?;
        read_conditions(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let reading = Reading::of(object, input.range, input.checksum_mode.is_some())?;
        Ok(S3Response::new(object_output!(HeadObjectOutput, input, reading, {})))
    }
}

fn content_type(object: &Object) -> Option<String> {
    Some(object.headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()))
}

fn checksum_type(object: &Object) -> Option<ChecksumType> {
    let name = if object.blob.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Some(ChecksumType::from_static(name))
}

/// Returns a body of `length` bytes of a file.
fn file_body(file: tokio::fs::File, length: u64) -> StreamingBlob {
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
