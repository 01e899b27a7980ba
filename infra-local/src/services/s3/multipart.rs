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

use super::attributes::sent;
use super::conditions::{check_write_headers, write_conditions};
use super::outputs::{checksums, encrypted};
use super::service::{Service, refuse, timestamp};
use super::upload::{Claims, claimed, receive};
use crate::model::s3::{Blob, Object, Part, Upload};
use crate::state::objects::internal;

/// Minimum size of every part but the last.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// AWS's limits of part numbers.
pub(super) fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

impl Service {
    pub(super) fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let initiator = self.caller(&request)?;
        let input = request.input;
        let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_lowercase());
        let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let composite = is_composite(algorithm.as_deref(), kind)?;
        let (checksum_algorithm, checksum_type) = (input.checksum_algorithm.clone(), input.checksum_type.clone());
        let object = sent!("CreateMultipartUpload", input).object(input.key.clone(), &settings)?;
        let mut answer = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key),
            checksum_type: checksum_type.or_else(|| {
                let name = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
                checksum_algorithm.as_ref().map(|_| ChecksumType::from_static(name))
            }),
            checksum_algorithm,
            ..Default::default()
        };
        encrypted!(answer, object);
        let id = Uuid::new_v4().simple().to_string();
        let upload = Upload { initiated: Utc::now(), initiator, object, algorithm, composite, parts: BTreeMap::new() };
        self.objects().begin_upload(&input.bucket, &id, upload)?;
        answer.upload_id = Some(id);
        Ok(S3Response::new(answer))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let context = Service::context(&request)?;
        self.settings(&request, &request.input.bucket)?;
        let announced = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let input = request.input;
        refuse("UploadPart", &[(input.sse_customer_algorithm.is_some(), "customer-provided keys")])?;
        check_part_number(input.part_number)?;
        let (of_upload, encryption) = self.objects().upload(&input.bucket, &input.key, &input.upload_id, |upload| {
            Ok((upload.algorithm.clone(), upload.object.encryption.clone()))
        })?;
        let sent = input.checksum_algorithm.map(|algorithm| algorithm.as_str().to_owned());
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
            algorithm: sent.or(of_upload),
        };
        let new = receive(self.objects(), &input.bucket, input.body, claims).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let mut answer = UploadPartOutput {
            e_tag: Some(ETag::Strong(blob.e_tag.clone())),
            server_side_encryption: Some(ServerSideEncryption::from(encryption.algorithm)),
            ssekms_key_id: encryption.key_id,
            ..Default::default()
        };
        checksums!(answer, blob.checksums);
        let part = Part { blob, modified: Utc::now() };
        self.objects().add_part(&input.bucket, &input.key, &input.upload_id, input.part_number, part)?;
        new.keep();
        Ok(S3Response::new(answer))
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let endpoint = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        let input = request.input;
        let answer = |object: &Object| {
            let mut answer = CompleteMultipartUploadOutput {
                location: Some(format!("http://{endpoint}/{}/{}", input.bucket, encode_key(&input.key))),
                bucket: Some(input.bucket.clone()),
                key: Some(input.key.clone()),
                e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
                checksum_type: super::read::checksum_type(object),
                version_id: settings.is_versioned().then(|| object.version().to_owned()),
                expiration: super::lifecycle::expiration(&settings, object),
                ..Default::default()
            };
            checksums!(answer, object.blob.checksums);
            encrypted!(answer, object);
            S3Response::new(answer)
        };
        // A client repeats the request if the response was lost; AWS answers both alike.
        let completed = |bucket: &crate::state::objects::Bucket| {
            bucket.objects.get(&input.key).and_then(|versions| versions.of_upload(&input.upload_id)).cloned()
        };
        if let Some(object) = self.objects().bucket(&input.bucket, |bucket| Ok(completed(bucket)))? {
            return Ok(answer(&object));
        }
        check_write_headers(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (upload, parts) = self.objects().upload(&input.bucket, &input.key, &input.upload_id, |upload| {
            Ok((upload.clone(), chosen(upload, &listed)?))
        })?;
        let check =
            |current: Option<&Object>| write_conditions(current, input.if_match.as_ref(), input.if_none_match.as_ref());
        self.objects().bucket(&input.bucket, |bucket| check(bucket.current(&input.key)))?;
        let claims = claimed(Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        });
        let blob = self.join(&input.bucket, &upload, &parts).await?;
        let object = Object {
            blob: blob.clone(),
            modified: upload.initiated,
            parts: parts.into_iter().map(|(number, part)| completed_part(number, part.blob)).collect(),
            upload: Some(input.upload_id.clone()),
            ..upload.object
        };
        let committed = check_claims(&claims, input.mpu_object_size, &blob)
            .and_then(|()| self.objects().complete_upload(&input.bucket, &input.upload_id, object, check));
        match committed {
            Ok(object) => Ok(answer(&object)),
            Err(error) => {
                self.objects().discard(&input.bucket, [&blob]);
                // Another request may have completed the upload meanwhile.
                match self.objects().bucket(&input.bucket, |bucket| Ok(completed(bucket)))? {
                    Some(object) => Ok(answer(&object)),
                    None => Err(error),
                }
            }
        }
    }

    pub(super) fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        if let Some(wanted) = input.if_match_initiated_time {
            self.objects().upload(&input.bucket, &input.key, &input.upload_id, |upload| {
                let initiated = chrono::DateTime::from_timestamp(upload.initiated.timestamp(), 0);
                if initiated.map(timestamp) == Some(wanted) {
                    return Ok(());
                }
                Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"))
            })?;
        }
        self.objects().abort_upload(&input.bucket, &input.key, &input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    /// Concatenates the parts.
    async fn join(&self, bucket: &str, upload: &Upload, parts: &[(i32, Part)]) -> S3Result<Blob> {
        let path = self.objects().new_blob_path(bucket);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut blob = Blob { file: name, composite: upload.composite, ..Blob::default() };
        let written = self.copy_parts(bucket, parts, &path, &mut blob).await;
        if let Err(error) = written {
            self.objects().discard(bucket, [&blob]);
            return Err(error);
        }
        Ok(blob)
    }

    async fn copy_parts(
        &self,
        bucket: &str,
        parts: &[(i32, Part)],
        path: &std::path::Path,
        blob: &mut Blob,
    ) -> S3Result<()> {
        let mut file =
            tokio::fs::File::options().create_new(true).write(true).mode(0o600).open(path).await.map_err(internal)?;
        let mut of_parts = Md5::new();
        let algorithms: Vec<&String> =
            parts.first().map(|(_, part)| part.blob.checksums.keys().collect()).unwrap_or_default();
        let wants = |name: &str| algorithms.iter().any(|algorithm| *algorithm == name);
        // A SHA checksum has no other form than that of the parts' checksums.
        blob.composite |= wants("sha1") || wants("sha256");
        let mut total = hashers(wants);
        let mut composites = composite_hashers(wants);
        let mut piece = vec![0; 256 * 1024];
        for (_, part) in parts {
            let source = self.objects().blob_path(bucket, &part.blob);
            let mut source = tokio::fs::File::open(source).await.map_err(internal)?;
            loop {
                let read = source.read(&mut piece).await.map_err(internal)?;
                if read == 0 {
                    break;
                }
                total.update(&piece[..read]);
                file.write_all(&piece[..read]).await.map_err(internal)?;
            }
            of_parts.update(&hex::decode(&part.blob.e_tag).map_err(internal)?);
            for (name, hasher) in &mut composites {
                let digest = part.blob.checksums.get(*name).and_then(|text| STANDARD.decode(text).ok());
                hasher.update(&digest.unwrap_or_default());
            }
            blob.size += part.blob.size;
        }
        file.flush().await.map_err(internal)?;
        blob.e_tag = format!("{}-{}", hex::encode(of_parts.finalize()), parts.len());
        blob.checksums = if blob.composite {
            let of_parts = composites.into_iter().flat_map(|(_, hasher)| claimed(hasher.finalize()));
            of_parts.map(|(name, value)| (name.to_owned(), format!("{value}-{}", parts.len()))).collect()
        } else {
            claimed(total.finalize()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        Ok(())
    }
}

/// Returns hashers of the whole content for the algorithms that can be applied to it.
fn hashers(wants: impl Fn(&str) -> bool) -> ChecksumHasher {
    ChecksumHasher {
        crc32: wants("crc32").then(Crc32::new),
        crc32c: wants("crc32c").then(Crc32c::new),
        crc64nvme: wants("crc64nvme").then(Crc64Nvme::new),
        sha1: None,
        sha256: None,
    }
}

/// Returns a hasher of the parts' checksums for each algorithm.
fn composite_hashers(wants: impl Fn(&str) -> bool) -> Vec<(&'static str, ChecksumHasher)> {
    let one = |name: &'static str| {
        let is = |other: &str| other == name && wants(name);
        let hasher = ChecksumHasher {
            crc32: is("crc32").then(Crc32::new),
            crc32c: is("crc32c").then(Crc32c::new),
            crc64nvme: None,
            sha1: is("sha1").then(Sha1::new),
            sha256: is("sha256").then(Sha256::new),
        };
        (name, hasher)
    };
    ["crc32", "crc32c", "sha1", "sha256"].into_iter().filter(|name| wants(name)).map(one).collect()
}

/// Returns whether the checksum of an upload is that of its parts' checksums.
///
/// Source: Amazon S3 User Guide, "Checking object integrity": SHA allows composite checksums only, CRC-64/NVME only those
/// of the full object, and the default of the others is composite.
fn is_composite(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<bool> {
    match (algorithm, kind) {
        (None | Some("crc64nvme"), None) | (Some("crc32" | "crc32c" | "crc64nvme"), Some("FULL_OBJECT")) => Ok(false),
        (None, Some(_)) => Err(s3_error!(
            InvalidRequest,
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
        )),
        (Some("crc64nvme"), Some("COMPOSITE")) | (Some("sha1" | "sha256"), Some("FULL_OBJECT")) => Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.unwrap_or_default(),
            algorithm.unwrap_or_default()
        )),
        (Some("crc32" | "crc32c" | "sha1" | "sha256"), None | Some("COMPOSITE")) => Ok(true),
        (Some("crc32" | "crc32c" | "crc64nvme" | "sha1" | "sha256"), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Value for x-amz-checksum-type header is invalid."))
        }
        (Some(_), _) => Err(s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        )),
    }
}

/// Compares the content with the checksum and the size in the request.
fn check_claims(claims: &BTreeMap<&str, String>, size: Option<i64>, blob: &Blob) -> S3Result<()> {
    if size.is_some_and(|size| u64::try_from(size) != Ok(blob.size)) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        ));
    }
    for (name, claimed) in claims {
        let computed = blob.checksums.get(*name).map(String::as_str);
        // A client may omit the number of parts behind a composite checksum.
        let is_same =
            computed.is_some_and(|computed| computed == claimed || computed.split('-').next() == Some(claimed));
        if !is_same {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                name.to_uppercase()
            ));
        }
    }
    Ok(())
}

fn completed_part(number: i32, blob: Blob) -> crate::model::s3::CompletedPart {
    crate::model::s3::CompletedPart { number, size: blob.size, checksums: blob.checksums }
}

fn encode_key(key: &str) -> String {
    form_urlencoded::byte_serialize(key.as_bytes()).collect()
}

/// Returns the parts that the client lists, after validation.
fn chosen(upload: &Upload, listed: &[CompletedPart]) -> S3Result<Vec<(i32, Part)>> {
    let mut parts = Vec::new();
    let mut last = 0;
    for part in listed {
        let number = part.part_number.unwrap_or_default();
        if number <= last {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. The parts list must be specified in order by part number."
            ));
        }
        last = number;
        let claims = claimed(Checksum {
            checksum_crc32: part.checksum_crc32.clone(),
            checksum_crc32c: part.checksum_crc32c.clone(),
            checksum_crc64nvme: part.checksum_crc64nvme.clone(),
            checksum_sha1: part.checksum_sha1.clone(),
            checksum_sha256: part.checksum_sha256.clone(),
            ..Default::default()
        });
        let is_same = |existing: &&Part| {
            part.e_tag.as_ref().is_some_and(|e_tag| e_tag.value() == existing.blob.e_tag)
                && claims.iter().all(|(name, claimed)| existing.blob.checksums.get(*name) == Some(claimed))
        };
        let existing = upload.parts.get(&number).filter(is_same).ok_or_else(|| {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
            )
        })?;
        parts.push((number, existing.clone()));
    }
    match parts.split_last() {
        None => Err(super::documents::malformed()),
        Some((_, others)) if others.iter().any(|(_, part)| part.blob.size < SMALLEST_PART) => {
            Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"))
        }
        Some(_) => Ok(parts),
    }
}
