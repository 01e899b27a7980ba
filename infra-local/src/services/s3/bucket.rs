//! Buckets and their settings.

use chrono::Utc;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Context;
use super::service::{Service, timestamp};
use super::tags::{read_tags, tag_set};
use crate::model::s3::{Encryption, PublicAccessBlock, Settings};
use crate::model::{REGIONS, Tags};

impl Service {
    pub(super) fn make_bucket(
        &self,
        request: &S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = &request.input;
        let Context { region: home, bucket_tags, .. } = Service::context(request)?;
        let tags = read_tags(bucket_tags, 50)?;
        let refused = [
            (
                input.grant_full_control.is_some() || input.grant_read.is_some() || input.grant_read_acp.is_some(),
                "x-amz-grant-*",
            ),
            (input.grant_write.is_some() || input.grant_write_acp.is_some(), "x-amz-grant-write*"),
            (input.object_lock_enabled_for_bucket == Some(true), "x-amz-bucket-object-lock-enabled"),
            (input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private"), "x-amz-acl other than private"),
        ];
        super::service::refuse("CreateBucket", &refused)?;
        if let Some(ownership) = &input.object_ownership {
            tracing::info!(
                operation = "CreateBucket",
                parameters = "ObjectOwnership",
                value = ownership.as_str(),
                "accepted parameters without effect"
            );
        }
        let constraint = input
            .create_bucket_configuration
            .as_ref()
            .and_then(|configuration| configuration.location_constraint.as_ref());
        let region = match (constraint.map(BucketLocationConstraint::as_str), home.as_str()) {
            (None, "us-east-1") => "us-east-1",
            (Some("us-east-1"), _) => {
                return Err(s3_error!(
                    InvalidLocationConstraint,
                    "The specified location-constraint is not valid: us-east-1 is what you get without one"
                ));
            }
            (Some(wanted), "us-east-1") => wanted,
            (Some(wanted), home) if wanted == home => wanted,
            (other, home) => {
                return Err(s3_error!(
                    IllegalLocationConstraintException,
                    "The {} location constraint is incompatible for the region specific endpoint this request was sent to ({home}).",
                    other.unwrap_or("unspecified")
                ));
            }
        };
        if !REGIONS.iter().any(|(known, _)| *known == region) {
            return Err(s3_error!(InvalidLocationConstraint, "The local cloud has no region {region}"));
        }
        let known = self.objects().lock().get(&input.bucket).map(|bucket| bucket.settings.region.clone());
        match known.as_deref() {
            // In us-east-1, creating one's own bucket again succeeds, for compatibility.
            Some("us-east-1") if region == "us-east-1" => {}
            Some(_) => {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                ));
            }
            None => self.objects().create_bucket(Settings {
                name: input.bucket.clone(),
                region: region.to_owned(),
                created: Utc::now(),
                tags: (!tags.is_empty()).then_some(tags),
                versioning: None,
                // AWS has blocked public access to new buckets and disabled their ACLs since 2023.
                public_access_block: Some(PublicAccessBlock {
                    block_public_acls: true,
                    ignore_public_acls: true,
                    block_public_policy: true,
                    restrict_public_buckets: true,
                }),
                encryption: Encryption::default(),
                cors: Vec::new(),
            })?,
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    pub(super) fn all_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Response<ListBucketsOutput> {
        let input = request.input;
        let buckets = self.objects().lock();
        let limit = input.max_buckets.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let prefix = input.prefix.clone().unwrap_or_default();
        let wanted = buckets.values().map(|bucket| &bucket.settings).filter(|settings| {
            settings.name.starts_with(&prefix)
                && input.bucket_region.as_ref().is_none_or(|region| *region == settings.region)
                && input.continuation_token.as_ref().is_none_or(|after| settings.name > *after)
        });
        let mut found: Vec<Bucket> = wanted
            .map(|settings| Bucket {
                name: Some(settings.name.clone()),
                creation_date: Some(timestamp(settings.created)),
                bucket_region: Some(settings.region.clone()),
            })
            .collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let token = found.last().and_then(|bucket| bucket.name.clone()).filter(|_| more);
        S3Response::new(ListBucketsOutput {
            buckets: Some(found),
            owner: Some(super::service::owner()),
            continuation_token: token,
            prefix: input.prefix,
        })
    }

    pub(super) fn location(
        &self,
        request: &S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self.objects().bucket(&request.input.bucket, |bucket| Ok(bucket.settings.region.clone()))?;
        let constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
    }

    pub(super) fn bucket_tags(
        &self,
        request: &S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let tags = self.settings(request, &request.input.bucket)?.tags;
        match tags {
            Some(tags) => Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tag_set(&tags) })),
            None => Err(s3_error!(NoSuchTagSet, "The TagSet does not exist")),
        }
    }

    pub(super) fn set_bucket_tags<T>(&self, request: &S3Request<T>, bucket: &str, tags: Option<Tags>) -> S3Result<()> {
        self.settings(request, bucket)?;
        self.objects().change_settings(bucket, |settings| settings.tags = tags)
    }

    pub(super) fn versioning(
        &self,
        request: &S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let status = self.settings(request, &request.input.bucket)?.versioning;
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: status.map(BucketVersioningStatus::from),
            ..Default::default()
        }))
    }

    pub(super) fn set_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        super::service::refuse(
            "PutBucketVersioning",
            &[(input.mfa.is_some() || input.versioning_configuration.mfa_delete.is_some(), "MFA delete")],
        )?;
        let status = input.versioning_configuration.status.map(|status| status.as_str().to_owned());
        if status.as_deref() == Some("Enabled") {
            tracing::info!(
                bucket = input.bucket,
                "versioning is kept as a setting; the local cloud keeps the latest version of an object only"
            );
        }
        self.objects().change_settings(&input.bucket, |settings| settings.versioning = status)?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    pub(super) fn access_block(
        &self,
        request: &S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let Some(block) = self.settings(request, &request.input.bucket)?.public_access_block else {
            let mut error = s3s::S3Error::with_message(
                s3s::S3ErrorCode::Custom("NoSuchPublicAccessBlockConfiguration".into()),
                "The public access block configuration was not found",
            );
            error.set_status_code(hyper::StatusCode::NOT_FOUND);
            return Err(error);
        };
        let configuration = PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            ignore_public_acls: Some(block.ignore_public_acls),
            block_public_policy: Some(block.block_public_policy),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        };
        Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) }))
    }

    pub(super) fn set_access_block<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        block: Option<&PublicAccessBlockConfiguration>,
    ) -> S3Result<()> {
        self.settings(request, bucket)?;
        let block = block.map(|block| PublicAccessBlock {
            block_public_acls: block.block_public_acls.unwrap_or(false),
            ignore_public_acls: block.ignore_public_acls.unwrap_or(false),
            block_public_policy: block.block_public_policy.unwrap_or(false),
            restrict_public_buckets: block.restrict_public_buckets.unwrap_or(false),
        });
        self.objects().change_settings(bucket, |settings| settings.public_access_block = block)
    }

    pub(super) fn encryption(
        &self,
        request: &S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let encryption = self.settings(request, &request.input.bucket)?.encryption;
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                kms_master_key_id: encryption.key_id,
                sse_algorithm: ServerSideEncryption::from(encryption.algorithm),
            }),
            bucket_key_enabled: Some(encryption.bucket_key),
        };
        Ok(S3Response::new(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration { rules: vec![rule] }),
        }))
    }

    pub(super) fn set_encryption<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        rules: Vec<ServerSideEncryptionRule>,
    ) -> S3Result<()> {
        self.settings(request, bucket)?;
        let rule = rules.into_iter().next();
        let bucket_key = rule.as_ref().and_then(|rule| rule.bucket_key_enabled).unwrap_or(false);
        let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
        let encryption = default.map_or_else(Encryption::default, |default| Encryption {
            algorithm: default.sse_algorithm.as_str().to_owned(),
            key_id: default.kms_master_key_id,
            bucket_key,
        });
        self.objects().change_settings(bucket, |settings| settings.encryption = encryption)
    }

    /// Returns a bucket's settings if the request was sent to the bucket's region.
    pub(super) fn settings<T>(&self, request: &S3Request<T>, bucket: &str) -> S3Result<Settings> {
        let settings = self.objects().bucket(bucket, |bucket| Ok(bucket.settings.clone()))?;
        let region = Service::context(request)?.region;
        if settings.region == region {
            return Ok(settings);
        }
        let mut error = s3_error!(
            PermanentRedirect,
            "The bucket {bucket} is in {}, and the request was signed for {region}: send it there",
            settings.region
        );
        let mut headers = hyper::HeaderMap::new();
        if let Ok(value) = settings.region.parse() {
            headers.insert("x-amz-bucket-region", value);
        }
        error.set_headers(headers);
        error.set_status_code(hyper::StatusCode::MOVED_PERMANENTLY);
        Err(error)
    }
}
