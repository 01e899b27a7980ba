//! PutObject.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::sent;
use super::conditions::{check_write_headers, write_conditions};
use super::outputs::{checksums, encrypted};
use super::service::{Service, refuse};
use super::upload::{Claims, claimed, receive};
use crate::model::s3::Object as StoredObject;

/// AWS's limit for one request, in bytes: 5 GiB.
const PUT_LIMIT_BYTES: i64 = 5 * 1024 * 1024 * 1024;

impl Service {
    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let context = Service::context(&request)?;
        let settings = self.settings(&request, &request.input.bucket)?;
        let announced = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let input = request.input;
        refuse("PutObject", &[(input.write_offset_bytes.is_some(), "x-amz-write-offset-bytes")])?;
        if input.content_length.is_some_and(|length| length > PUT_LIMIT_BYTES) {
            return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
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
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
        check_write_headers(if_match.as_ref(), if_none_match.as_ref())?;
        let object = sent!("PutObject", input).object(input.key, &settings)?;
        // A failed condition is refused before the content is received.
        self.objects().bucket(&input.bucket, |bucket| {
            write_conditions(bucket.current(&object.key), if_match.as_ref(), if_none_match.as_ref())
        })?;
        let new = receive(self.objects(), &input.bucket, input.body, claims).await?;
        let Some(blob) = new.blob().cloned() else { return Err(s3_error!(InternalError)) };
        let object = self.objects().commit(&input.bucket, StoredObject { blob, ..object }, |current| {
            write_conditions(current, if_match.as_ref(), if_none_match.as_ref())
        })?;
        new.keep();
        let mut answer = PutObjectOutput {
            e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            version_id: settings.is_versioned().then(|| object.version().to_owned()),
            expiration: super::lifecycle::expiration(&settings, &object),
            ..Default::default()
        };
        checksums!(answer, object.blob.checksums);
        encrypted!(answer, object);
        Ok(S3Response::new(answer))
    }
}
