//! Multipart uploads, which clients use for large objects.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::conditions::write_conditions;
use super::object::{encryption, log_storage_class, parse_tagging};
use super::service::{Service, refuse};
use super::upload::{Claims, claimed, receive};
use crate::model::s3::{Blob, Headers, Upload};
use crate::state::objects::internal;

/// Minimum size of every part but the last.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

impl Service {
    pub(super) fn begin_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        refuse(
            "CreateMultipartUpload",
            &[
                (input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private"), "x-amz-acl other than private"),
                (input.sse_customer_algorithm.is_some(), "x-amz-server-side-encryption-customer-*"),
                (
                    input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
                    "x-amz-object-lock-*",
                ),
                (input.website_redirect_location.is_some(), "x-amz-website-redirect-location"),
                (input.expires.is_some(), "Expires"),
            ],
        )?;
        log_storage_class("CreateMultipartUpload", input.storage_class.as_ref());
        let id = Uuid::new_v4().simple().to_string();
        let upload = Upload {
            key: input.key.clone(),
            headers: Headers {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            encryption: encryption(
                input.server_side_encryption,
                input.ssekms_key_id,
                input.bucket_key_enabled,
                settings.encryption,
            ),
            tags: parse_tagging(input.tagging.as_deref())?,
            parts: BTreeMap::new(),
        };
        self.objects().uploads(&input.bucket, |uploads| {
            uploads.insert(id.clone(), upload);
            Ok(())
        })?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        }))
    }

    pub(super) async fn part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let context = Service::context(&request)?;
        self.settings(&request, &request.input.bucket)?;
        let announced = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let input = request.input;
        if !(1..=10_000).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        self.objects().uploads(&input.bucket, |uploads| find(uploads, &input.upload_id, &input.key).map(|_| ()))?;
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
        let new = receive(self.objects(), &input.bucket, input.body, claims).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let answer = UploadPartOutput {
            e_tag: Some(ETag::Strong(blob.e_tag.clone())),
            checksum_crc32: blob.checksums.get("crc32").cloned(),
            checksum_crc32c: blob.checksums.get("crc32c").cloned(),
            checksum_crc64nvme: blob.checksums.get("crc64nvme").cloned(),
            checksum_sha1: blob.checksums.get("sha1").cloned(),
            checksum_sha256: blob.checksums.get("sha256").cloned(),
            ..Default::default()
        };
        let former = self.objects().uploads(&input.bucket, |uploads| {
            Ok(find(uploads, &input.upload_id, &input.key)?.parts.insert(input.part_number, blob))
        })?;
        new.keep();
        self.discard(&input.bucket, former.iter());
        Ok(S3Response::new(answer))
    }

    pub(super) async fn complete_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let parts = self
            .objects()
            .uploads(&input.bucket, |uploads| chosen(find(uploads, &input.upload_id, &input.key)?, &listed))?;
        self.objects().bucket(&input.bucket, |bucket| {
            write_conditions(bucket.objects.get(&input.key), input.if_match.as_ref(), input.if_none_match.as_ref())
        })?;
        let blob = self.join(&input.bucket, &parts).await?;
        let upload = self.objects().uploads(&input.bucket, |uploads| {
            find(uploads, &input.upload_id, &input.key)?;
            uploads.remove(&input.upload_id).ok_or_else(unknown_upload)
        });
        let upload = match upload {
            Ok(upload) => upload,
            Err(error) => {
                self.discard(&input.bucket, [&blob]);
                return Err(error);
            }
        };
        let object = crate::model::s3::Object {
            key: upload.key,
            blob: blob.clone(),
            modified: Utc::now(),
            headers: upload.headers,
            encryption: upload.encryption,
            tags: upload.tags,
        };
        let committed = self.objects().commit(&input.bucket, object, |existing| {
            write_conditions(existing, input.if_match.as_ref(), input.if_none_match.as_ref())
        });
        self.discard(&input.bucket, upload.parts.values());
        if let Err(error) = committed {
            self.discard(&input.bucket, [&blob]);
            return Err(error);
        }
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(blob.e_tag)),
            ..Default::default()
        }))
    }

    pub(super) fn abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let upload = self.objects().uploads(&input.bucket, |uploads| {
            find(uploads, &input.upload_id, &input.key)?;
            uploads.remove(&input.upload_id).ok_or_else(unknown_upload)
        })?;
        self.discard(&input.bucket, upload.parts.values());
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    /// Concatenates the parts.
    async fn join(&self, bucket: &str, parts: &[Blob]) -> S3Result<Blob> {
        let path = self.objects().new_blob_path(bucket);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut blob = Blob { file: name, ..Blob::default() };
        let written = self.copy_parts(bucket, parts, &path, &mut blob).await;
        if let Err(error) = written {
            self.discard(bucket, [&blob]);
            return Err(error);
        }
        Ok(blob)
    }

    async fn copy_parts(&self, bucket: &str, parts: &[Blob], path: &std::path::Path, blob: &mut Blob) -> S3Result<()> {
        let mut file =
            tokio::fs::File::options().create_new(true).write(true).mode(0o600).open(path).await.map_err(internal)?;
        let mut of_parts = Md5::new();
        // The SHA checksum of a multipart upload is that of the parts' checksums; a CRC can be that of the whole
        // content.
        let algorithms: Vec<&String> = parts.first().map(|part| part.checksums.keys().collect()).unwrap_or_default();
        let wants = |name: &str| algorithms.iter().any(|algorithm| *algorithm == name);
        let mut total = ChecksumHasher {
            crc32: wants("crc32").then(Crc32::new),
            crc32c: wants("crc32c").then(Crc32c::new),
            crc64nvme: wants("crc64nvme").then(Crc64Nvme::new),
            sha1: None,
            sha256: None,
        };
        let (mut sha1, mut sha256) = (wants("sha1").then(Sha1::new), wants("sha256").then(Sha256::new));
        let mut piece = vec![0; 256 * 1024];
        for part in parts {
            let mut source = tokio::fs::File::open(self.objects().blob_path(bucket, part)).await.map_err(internal)?;
            loop {
                let read = source.read(&mut piece).await.map_err(internal)?;
                if read == 0 {
                    break;
                }
                total.update(&piece[..read]);
                file.write_all(&piece[..read]).await.map_err(internal)?;
            }
            of_parts.update(&hex::decode(&part.e_tag).map_err(internal)?);
            let decode =
                |name: &str| part.checksums.get(name).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            if let Some(hasher) = &mut sha1 {
                hasher.update(&decode("sha1"));
            }
            if let Some(hasher) = &mut sha256 {
                hasher.update(&decode("sha256"));
            }
            blob.size += part.size;
        }
        file.flush().await.map_err(internal)?;
        blob.e_tag = format!("{}-{}", hex::encode(of_parts.finalize()), parts.len());
        blob.composite = sha1.is_some() || sha256.is_some();
        let composite = |digest: &[u8]| format!("{}-{}", STANDARD.encode(digest), parts.len());
        blob.checksums = claimed(total.finalize()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        blob.checksums.extend(sha1.map(|hasher| ("sha1".to_owned(), composite(hasher.finalize().as_ref()))));
        blob.checksums.extend(sha256.map(|hasher| ("sha256".to_owned(), composite(hasher.finalize().as_ref()))));
        Ok(())
    }

    fn discard<'a>(&self, bucket: &str, blobs: impl IntoIterator<Item = &'a Blob>) {
        for blob in blobs {
            let _ = std::fs::remove_file(self.objects().blob_path(bucket, blob));
        }
    }
}

fn find<'a>(uploads: &'a mut BTreeMap<String, Upload>, id: &str, key: &str) -> S3Result<&'a mut Upload> {
    uploads.get_mut(id).filter(|upload| upload.key == key).ok_or_else(unknown_upload)
}

fn unknown_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

/// Returns the parts that the client lists, after validation.
fn chosen(upload: &Upload, listed: &[CompletedPart]) -> S3Result<Vec<Blob>> {
    let mut parts = Vec::new();
    let mut last = 0;
    for part in listed {
        let number = part.part_number.unwrap_or_default();
        if number <= last {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        last = number;
        let existing = upload
            .parts
            .get(&number)
            .filter(|existing| part.e_tag.as_ref().is_some_and(|e_tag| e_tag.value() == existing.e_tag));
        let existing = existing.ok_or_else(|| {
            s3_error!(InvalidPart, "Part {number} could not be found, or its entity tag does not match")
        })?;
        parts.push(existing.clone());
    }
    match parts.split_last() {
        None => Err(s3_error!(MalformedXML, "You must specify at least one part")),
        Some((_, others)) if others.iter().any(|part| part.size < SMALLEST_PART) => {
            Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"))
        }
        Some(_) => Ok(parts),
    }
}
