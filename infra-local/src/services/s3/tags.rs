//! Tags of buckets and objects.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::service::Service;
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

impl Service {
    pub(super) fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let tags = self.settings(&request, &request.input.bucket)?.tags;
        match tags {
            Some(tags) => Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tag_set(&tags) })),
            None => Err(s3_error!(NoSuchTagSet, "The TagSet does not exist")),
        }
    }

    pub(super) fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let tags = read_tags(request.input.tagging.tag_set, 50)?;
        self.objects().change_settings(&request.input.bucket, |settings| settings.tags = Some(tags))?;
        Ok(S3Response::new(PutBucketTaggingOutput::default()))
    }

    pub(super) fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects().change_settings(&request.input.bucket, |settings| settings.tags = None)?;
        Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
    }

    pub(super) fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let (settings, object) = self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let version_id = settings.is_versioned().then(|| object.version().to_owned());
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: tag_set(&object.tags), version_id }))
    }

    pub(super) fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let tags = read_tags(input.tagging.tag_set, 10)?;
        let version_id = self.set_tags(&input.bucket, &input.key, input.version_id.as_deref(), tags)?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let version_id = self.set_tags(&input.bucket, &input.key, input.version_id.as_deref(), Tags::new())?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
    }

    /// Replaces the tags of a version, and returns its id if the bucket has versions.
    fn set_tags(&self, bucket: &str, key: &str, version: Option<&str>, tags: Tags) -> S3Result<Option<String>> {
        let (settings, _) = self.version(bucket, key, version)?;
        let object = self.objects().change(bucket, key, version, |object| {
            object.tags = tags;
            Ok(())
        })?;
        Ok(settings.is_versioned().then(|| object.version().to_owned()))
    }
}
