//! CopyObject and UploadPartCopy.

use std::io::SeekFrom;

use chrono::Utc;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use tokio::io::AsyncSeekExt as _;

use super::attributes::sent;
use super::conditions::{check_write_headers, read_conditions};
use super::outputs::{checksums, encrypted};
use super::read::file_body;
use super::service::{Service, refuse, timestamp};
use super::upload::{Claims, receive};
use crate::model::s3::{Object as StoredObject, Part as StoredPart, Settings};
use crate::state::objects::internal;

/// AWS's limit for a copy by one request, in bytes: 5 GiB.
const COPY_LIMIT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The version that a request copies.
struct Source {
    bucket: String,
    /// True when the source's bucket has versions, so that the response names the copied one.
    is_versioned: bool,
    object: StoredObject,
}

/// Conditions on the source of a copy.
struct SourceConditions<'a> {
    matching: Option<&'a ETagCondition>,
    not_matching: Option<&'a ETagCondition>,
    modified_since: Option<&'a Timestamp>,
    unmodified_since: Option<&'a Timestamp>,
}

/// Returns the conditions on the source in an operation's input.
macro_rules! source_conditions {
    ($input:ident) => {
        SourceConditions {
            matching: $input.copy_source_if_match.as_ref(),
            not_matching: $input.copy_source_if_none_match.as_ref(),
            modified_since: $input.copy_source_if_modified_since.as_ref(),
            unmodified_since: $input.copy_source_if_unmodified_since.as_ref(),
        }
    };
}

impl Service {
    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let (if_match, if_none_match) = (condition(&request, "if-match")?, condition(&request, "if-none-match")?);
        let input = request.input;
        refuse("CopyObject", &[(input.copy_source_sse_customer_algorithm.is_some(), "customer-provided keys")])?;
        check_write_headers(if_match.as_ref(), if_none_match.as_ref())?;
        let source = self.source(&input.copy_source, &source_conditions!(input))?;
        if source.object.blob.size > COPY_LIMIT_BYTES {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
            ));
        }
        let replace_headers = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str), "metadata")?;
        let replace_tags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str), "tagging")?;
        let changes = replace_headers
            || replace_tags
            || input.storage_class.is_some()
            || input.server_side_encryption.is_some()
            || input.website_redirect_location.is_some();
        let is_itself = source.bucket == input.bucket && source.object.key == input.key;
        let is_current = !matches!(&input.copy_source, CopySource::Bucket { version_id: Some(_), .. });
        if is_itself && is_current && !changes {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
        let mut object = sent!("CopyObject", input).object(input.key, &settings)?;
        if !replace_headers {
            let website_redirect = object.headers.website_redirect.take();
            object.headers = crate::model::s3::Headers { website_redirect, ..source.object.headers.clone() };
        }
        if !replace_tags {
            object.tags.clone_from(&source.object.tags);
        }
        let object = self.copy_content(&settings, &source, object, algorithm, (if_match, if_none_match)).await?;
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            last_modified: Some(timestamp(object.modified)),
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            ..Default::default()
        };
        checksums!(result, object.blob.checksums);
        let mut answer = CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.version_id(),
            version_id: settings.is_versioned().then(|| object.version().to_owned()),
            expiration: super::lifecycle::expiration(&settings, &object),
            ..Default::default()
        };
        encrypted!(answer, object);
        Ok(S3Response::new(answer))
    }

    /// Copies the content of `source` into a new version with the attributes of `object`. The checksum is computed by the
    /// requested algorithm, or else by the source's.
    async fn copy_content(
        &self,
        settings: &Settings,
        source: &Source,
        object: StoredObject,
        algorithm: Option<String>,
        (if_match, if_none_match): (Option<ETagCondition>, Option<ETagCondition>),
    ) -> S3Result<StoredObject> {
        let algorithm = algorithm.or_else(|| source.object.blob.checksums.keys().next().cloned());
        let body = self.content(source, 0..source.object.blob.size).await?;
        let new =
            receive(self.objects(), &settings.name, Some(body), Claims { algorithm, ..Claims::default() }).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let object = self.objects().commit(
            &settings.name,
            StoredObject { blob, modified: Utc::now(), ..object },
            |current| super::conditions::write_conditions(current, if_match.as_ref(), if_none_match.as_ref()),
        )?;
        new.keep();
        Ok(object)
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let has_customer_key =
            input.sse_customer_algorithm.is_some() || input.copy_source_sse_customer_algorithm.is_some();
        refuse("UploadPartCopy", &[(has_customer_key, "customer-provided keys")])?;
        super::multipart::check_part_number(input.part_number)?;
        let (algorithm, encryption) = self.objects().upload(&input.bucket, &input.key, &input.upload_id, |upload| {
            Ok((upload.algorithm.clone(), upload.object.encryption.clone()))
        })?;
        let source = self.source(&input.copy_source, &source_conditions!(input))?;
        let range = match input.copy_source_range.as_deref() {
            Some(range) => source_range(range, source.object.blob.size)?,
            None => 0..source.object.blob.size,
        };
        let body = self.content(&source, range).await?;
        let claims = Claims { algorithm, ..Claims::default() };
        let new = receive(self.objects(), &input.bucket, Some(body), claims).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let part = StoredPart { blob, modified: Utc::now() };
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(part.blob.e_tag.clone())),
            last_modified: Some(timestamp(part.modified)),
            ..Default::default()
        };
        checksums!(result, part.blob.checksums);
        self.objects().add_part(&input.bucket, &input.key, &input.upload_id, input.part_number, part)?;
        new.keep();
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: source.version_id(),
            server_side_encryption: Some(ServerSideEncryption::from(encryption.algorithm)),
            ssekms_key_id: encryption.key_id,
            ..Default::default()
        }))
    }

    /// Returns the version that `x-amz-copy-source` names, if it satisfies the conditions.
    fn source(&self, source: &CopySource, conditions: &SourceConditions<'_>) -> S3Result<Source> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "The local cloud copies from buckets, and not from access points"));
        };
        let (object, is_versioned) = self.objects().bucket(bucket, |found| {
            Ok((found.version(key, version_id.as_deref())?.clone(), found.settings.is_versioned()))
        })?;
        if object.delete_marker {
            return Err(match version_id {
                Some(_) => s3_error!(
                    InvalidRequest,
                    "The source of a copy request may not specifically refer to a delete marker by version id."
                ),
                None => crate::state::objects::no_such_key(),
            });
        }
        super::restore::check_readable(&object)?;
        read_conditions(
            &object,
            conditions.matching,
            conditions.not_matching,
            conditions.modified_since,
            conditions.unmodified_since,
        )
        .map_err(|error| match error.code() {
            s3s::S3ErrorCode::NotModified => {
                s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
            }
            _ => error,
        })?;
        Ok(Source { bucket: bucket.to_string(), is_versioned, object })
    }

    /// Returns a range of the source's content.
    async fn content(&self, source: &Source, range: std::ops::Range<u64>) -> S3Result<StreamingBlob> {
        let path = self.objects().blob_path(&source.bucket, &source.object.blob);
        let mut file = tokio::fs::File::open(path).await.map_err(internal)?;
        file.seek(SeekFrom::Start(range.start)).await.map_err(internal)?;
        Ok(file_body(file, range.end - range.start))
    }
}

impl Source {
    fn version_id(&self) -> Option<String> {
        self.is_versioned.then(|| self.object.version().to_owned())
    }
}

/// Parses a condition on the target of a copy, which s3s leaves in the headers.
fn condition(request: &S3Request<CopyObjectInput>, name: &str) -> S3Result<Option<ETagCondition>> {
    let Some(value) = request.headers.get(name) else { return Ok(None) };
    let parsed = ETagCondition::parse_http_header(value.as_bytes());
    parsed.map(Some).map_err(|_| s3_error!(InvalidArgument, "The header {name} is not an ETag"))
}

/// Returns whether a directive asks for replacement.
fn directive(value: Option<&str>, name: &str) -> S3Result<bool> {
    match value {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown {name} directive.")),
    }
}

/// Parses the range of a part's source, which must lie within it.
fn source_range(range: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    let Some((first, last)) = bounds.filter(|(first, last)| first <= last) else {
        return Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        ));
    };
    if last >= size {
        return Err(s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {size}"));
    }
    Ok(first..last + 1)
}
