//! Single objects: put, delete, copy, tags. Reads are in a separate file.

use chrono::Utc;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::conditions::{read_conditions, write_conditions};
use super::service::{Service, refuse, timestamp};
use super::tags::{read_tags, tag_set};
use super::upload::{Claims, claimed, receive};
use crate::model::Tags;
use crate::model::s3::{Encryption, Headers};
use crate::state::objects::internal;

impl Service {
    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let context = Service::context(&request)?;
        let settings = self.settings(&request, &request.input.bucket)?;
        let announced = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let input = request.input;
        let grants = input.grant_full_control.is_some()
            || input.grant_read.is_some()
            || input.grant_read_acp.is_some()
            || input.grant_write_acp.is_some();
        let locks = input.object_lock_mode.is_some()
            || input.object_lock_legal_hold_status.is_some()
            || input.object_lock_retain_until_date.is_some();
        refuse(
            "PutObject",
            &[
                (grants, "x-amz-grant-*"),
                (input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private"), "x-amz-acl other than private"),
                (locks, "x-amz-object-lock-*"),
                (input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*"),
                (input.website_redirect_location.is_some(), "x-amz-website-redirect-location"),
                (input.write_offset_bytes.is_some(), "x-amz-write-offset-bytes"),
                (input.expires.is_some(), "Expires"),
            ],
        )?;
        log_storage_class("PutObject", input.storage_class.as_ref());
        let claims = Claims {
            length: input.content_length,
            md5: input.content_md5,
            checksums: claimed(Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                ..Default::default()
            }),
            trailers: Some(context.trailers),
            announced,
            algorithm: input.checksum_algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        };
        let tags = parse_tagging(input.tagging.as_deref())?;
        let encryption = encryption(
            input.server_side_encryption,
            input.ssekms_key_id,
            input.bucket_key_enabled,
            settings.encryption,
        );
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        // A failed condition is refused before the content is received.
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
        self.objects().bucket(&input.bucket, |bucket| {
            write_conditions(bucket.objects.get(&input.key), if_match.as_ref(), if_none_match.as_ref())
        })?;
        let new = receive(self.objects(), &input.bucket, input.body, claims).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let object = crate::model::s3::Object { key: input.key, blob, modified: Utc::now(), headers, encryption, tags };
        let answer = PutObjectOutput {
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            checksum_crc32: object.blob.checksums.get("crc32").cloned(),
            checksum_crc32c: object.blob.checksums.get("crc32c").cloned(),
            checksum_crc64nvme: object.blob.checksums.get("crc64nvme").cloned(),
            checksum_sha1: object.blob.checksums.get("sha1").cloned(),
            checksum_sha256: object.blob.checksums.get("sha256").cloned(),
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            server_side_encryption: Some(ServerSideEncryption::from(object.encryption.algorithm.clone())),
            ssekms_key_id: object.encryption.key_id.clone(),
            size: i64::try_from(object.blob.size).ok(),
            ..Default::default()
        };
        self.objects().commit(&input.bucket, object, |current| {
            write_conditions(current, if_match.as_ref(), if_none_match.as_ref())
        })?;
        new.keep();
        Ok(S3Response::new(answer))
    }

    pub(super) fn delete(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse(
            "DeleteObject",
            &[
                (input.mfa.is_some(), "x-amz-mfa"),
                (input.bypass_governance_retention == Some(true), "x-amz-bypass-governance-retention"),
                (input.version_id.as_ref().is_some_and(|version| version != "null"), "versionId"),
                (input.if_match_size.is_some() || input.if_match_last_modified_time.is_some(), "x-amz-if-match-*"),
            ],
        )?;
        self.objects()
            .remove(&input.bucket, &input.key, |current| write_conditions(current, input.if_match.as_ref(), None))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) fn delete_several(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse("DeleteObjects", &[(input.mfa.is_some(), "x-amz-mfa")])?;
        if !(1..=1000).contains(&input.delete.objects.len()) {
            return Err(s3_error!(MalformedXML, "1 to 1000 objects are deleted at once"));
        }
        let quiet = input.delete.quiet == Some(true);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for identifier in input.delete.objects {
            let condition = identifier.e_tag.map(ETagCondition::ETag);
            let version_id = identifier.version_id;
            // The only version of an object is called `null`.
            if version_id.as_ref().is_some_and(|version| version != "null") {
                errors.push(Error {
                    key: Some(identifier.key),
                    version_id,
                    code: Some("NoSuchVersion".to_owned()),
                    message: Some("The specified version does not exist.".to_owned()),
                });
                continue;
            }
            match self
                .objects()
                .remove(&input.bucket, &identifier.key, |current| write_conditions(current, condition.as_ref(), None))
            {
                Ok(()) if quiet => {}
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(identifier.key), version_id, ..Default::default() });
                }
                Err(error) => errors.push(Error {
                    key: Some(identifier.key),
                    version_id,
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() }))
    }

    pub(super) async fn copy(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let CopySource::Bucket { bucket: source_bucket, key: source_key, version_id } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "the local cloud copies from buckets only"));
        };
        refuse(
            "CopyObject",
            &[
                (version_id.as_ref().is_some_and(|version| &**version != "null"), "versionId of the source"),
                (input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private"), "x-amz-acl other than private"),
                (
                    input.sse_customer_algorithm.is_some() || input.copy_source_sse_customer_algorithm.is_some(),
                    "customer-provided keys",
                ),
                (
                    input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
                    "x-amz-object-lock-*",
                ),
                (input.website_redirect_location.is_some(), "x-amz-website-redirect-location"),
                (input.expires.is_some(), "Expires"),
            ],
        )?;
        log_storage_class("CopyObject", input.storage_class.as_ref());
        let source = self.object(source_bucket, source_key)?;
        read_conditions(
            &source,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            input.copy_source_if_modified_since.as_ref(),
            input.copy_source_if_unmodified_since.as_ref(),
        )
        .map_err(|error| match error.code() {
            s3s::S3ErrorCode::NotModified => s3_error!(PreconditionFailed),
            _ => error,
        })?;
        let replace_headers =
            input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let replace_tags =
            input.tagging_directive.as_ref().is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
        if source_bucket.as_ref() == input.bucket
            && source_key.as_ref() == input.key
            && !replace_headers
            && !replace_tags
        {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let headers = if replace_headers {
            Headers {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            }
        } else {
            source.headers.clone()
        };
        let tags = if replace_tags { parse_tagging(input.tagging.as_deref())? } else { source.tags.clone() };
        let path = self.objects().new_blob_path(&input.bucket);
        tokio::fs::copy(self.objects().blob_path(source_bucket, &source.blob), &path).await.map_err(internal)?;
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let object = crate::model::s3::Object {
            key: input.key,
            blob: crate::model::s3::Blob { file, ..source.blob },
            modified: Utc::now(),
            headers,
            encryption: encryption(
                input.server_side_encryption,
                input.ssekms_key_id,
                input.bucket_key_enabled,
                settings.encryption,
            ),
            tags,
        };
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            last_modified: Some(timestamp(object.modified)),
            ..Default::default()
        };
        if let Err(error) = self.objects().commit(&input.bucket, object, |_| Ok(())) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    pub(super) fn tags(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse("GetObjectTagging", &[(input.version_id.is_some_and(|version| version != "null"), "versionId")])?;
        let object = self.object(&input.bucket, &input.key)?;
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: tag_set(&object.tags), ..Default::default() }))
    }

    pub(super) fn set_tags<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        key: &str,
        version: Option<&String>,
        tags: Tags,
    ) -> S3Result<()> {
        self.settings(request, bucket)?;
        refuse("PutObjectTagging", &[(version.is_some_and(|version| version != "null"), "versionId")])?;
        let object = self.object(bucket, key)?;
        let e_tag = object.blob.file.clone();
        self.objects().commit(bucket, crate::model::s3::Object { tags, ..object }, |current| match current {
            Some(current) if current.blob.file == e_tag => Ok(()),
            _ => Err(s3_error!(OperationAborted, "the object was changed meanwhile; try again")),
        })
    }

    /// Returns the description of an object.
    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<crate::model::s3::Object> {
        self.objects().bucket(bucket, |bucket| {
            bucket.objects.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }
}

/// Returns the encryption in the request, or else the bucket's default.
pub(super) fn encryption(
    algorithm: Option<ServerSideEncryption>,
    key_id: Option<String>,
    bucket_key: Option<bool>,
    default: Encryption,
) -> Encryption {
    match algorithm {
        Some(algorithm) => {
            Encryption { algorithm: algorithm.as_str().to_owned(), key_id, bucket_key: bucket_key.unwrap_or(false) }
        }
        None => default,
    }
}

/// Parses tags in the form of a query string: `a=1&b=2`.
pub(super) fn parse_tagging(header: Option<&str>) -> S3Result<Tags> {
    let pairs = form_urlencoded::parse(header.unwrap_or_default().as_bytes());
    read_tags(
        pairs.map(|(key, value)| Tag { key: Some(key.into_owned()), value: Some(value.into_owned()) }).collect(),
        10,
    )
}

/// Logs a requested storage class: all objects are stored alike.
pub(super) fn log_storage_class(operation: &str, class: Option<&StorageClass>) {
    if let Some(class) = class
        && class.as_str() != StorageClass::STANDARD
    {
        tracing::info!(
            operation,
            parameters = "x-amz-storage-class",
            class = class.as_str(),
            "accepted parameters without effect"
        );
    }
}
