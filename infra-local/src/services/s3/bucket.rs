//! Buckets and their settings.

use std::collections::BTreeMap;

use chrono::Utc;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::service::{Service, timestamp};
use super::tags::read_tags;
use super::{Context, acl, continuation, lock, ownership};
use crate::model::REGIONS;
use crate::model::s3::{Encryption, PublicAccessBlock, Settings};

/// AWS's limit of buckets per response, which is also the default.
const BUCKETS_LIMIT: i32 = 10_000;

impl Service {
    pub(super) fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let Context { region: home, bucket_tags, .. } = Service::context(&request)?;
        let input = request.input;
        check_name(&input.bucket)?;
        let constraint = input
            .create_bucket_configuration
            .as_ref()
            .and_then(|configuration| configuration.location_constraint.as_ref());
        let region = region(constraint.map(BucketLocationConstraint::as_str), &home)?.to_owned();
        let tags = read_tags(bucket_tags, 50)?;
        let (ownership, document, kind) = ownership::of_new_bucket(input.object_ownership.as_ref())?;
        let grants = [
            input.grant_full_control,
            input.grant_read,
            input.grant_read_acp,
            input.grant_write_acp,
            input.grant_write,
        ];
        let acl = acl::of_new_bucket(&ownership, input.acl.as_ref().map(BucketCannedACL::as_str), &grants)?;
        let mut configurations = BTreeMap::from([(kind.to_owned(), document)]);
        let has_lock = input.object_lock_enabled_for_bucket == Some(true);
        if has_lock {
            configurations.insert("object-lock".to_owned(), lock::enabled()?);
        }
        let known = self.objects().lock().get(&input.bucket).map(|bucket| bucket.settings.region.clone());
        match known.as_deref() {
            // In us-east-1, the owner may create a bucket again, for compatibility.
            Some("us-east-1") if region == "us-east-1" => {}
            Some(_) => {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                ));
            }
            None => self.objects().create_bucket(Settings {
                name: input.bucket.clone(),
                region,
                created: Utc::now(),
                tags: (!tags.is_empty()).then_some(tags),
                versioning: has_lock.then(|| "Enabled".to_owned()),
                // AWS has blocked public access to new buckets and disabled their ACLs since 2023.
                public_access_block: Some(PublicAccessBlock {
                    block_public_acls: true,
                    ignore_public_acls: true,
                    block_public_policy: true,
                    restrict_public_buckets: true,
                }),
                encryption: Encryption::default(),
                cors: Vec::new(),
                configurations,
                acl,
            })?,
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    pub(super) fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(settings.region),
            access_point_alias: Some(false),
            ..Default::default()
        }))
    }

    pub(super) fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects().delete_bucket(&request.input.bucket)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = request.input;
        let limit = input.max_buckets.unwrap_or(BUCKETS_LIMIT);
        if !(1..=BUCKETS_LIMIT).contains(&limit) {
            return Err(s3_error!(InvalidArgument, "Argument max-buckets must be an integer between 1 and 10000"));
        }
        let after = input.continuation_token.as_deref().map(continuation::parse).transpose()?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let buckets = self.objects().lock();
        let wanted = buckets.values().map(|bucket| &bucket.settings).filter(|settings| {
            settings.name.starts_with(&prefix)
                && input.bucket_region.as_ref().is_none_or(|region| *region == settings.region)
                && after.as_ref().is_none_or(|after| settings.name > *after)
        });
        let mut found: Vec<Bucket> = wanted
            .map(|settings| Bucket {
                name: Some(settings.name.clone()),
                creation_date: Some(timestamp(settings.created)),
                bucket_region: Some(settings.region.clone()),
            })
            .collect();
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = found.len() > limit;
        found.truncate(limit);
        let token = found.last().and_then(|bucket| bucket.name.as_deref()).filter(|_| more).map(continuation::token);
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(found),
            owner: Some(self.owner()),
            continuation_token: token,
            prefix: input.prefix,
        }))
    }

    pub(super) fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self.objects().bucket(&request.input.bucket, |bucket| Ok(bucket.settings.region.clone()))?;
        let constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
    }

    pub(super) fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let status = self.settings(&request, &request.input.bucket)?.versioning;
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: status.map(BucketVersioningStatus::from),
            ..Default::default()
        }))
    }

    pub(super) fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let mfa = input.versioning_configuration.mfa_delete.as_ref();
        super::service::refuse(
            "PutBucketVersioning",
            &[(input.mfa.is_some() || mfa.is_some_and(|mfa| mfa.as_str() == "Enabled"), "MFA delete")],
        )?;
        let status = input.versioning_configuration.status.ok_or_else(|| {
            s3_error!(IllegalVersioningConfigurationException, "The Versioning element must be specified")
        })?;
        match status.as_str() {
            "Suspended" if lock::is_enabled(&settings) => {
                return Err(s3_error!(
                    InvalidBucketState,
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
                ));
            }
            "Enabled" | "Suspended" => {}
            _ => return Err(super::documents::malformed()),
        }
        self.objects()
            .change_settings(&input.bucket, |settings| settings.versioning = Some(status.as_str().to_owned()))?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    pub(super) fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let encryption = self.settings(&request, &request.input.bucket)?.encryption;
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

    pub(super) fn put_bucket_encryption(
        &self,
        request: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let [rule] = &input.server_side_encryption_configuration.rules[..] else {
            return Err(super::documents::malformed());
        };
        let bucket_key = rule.bucket_key_enabled.unwrap_or(false);
        let encryption = match &rule.apply_server_side_encryption_by_default {
            None => Encryption { bucket_key, ..Encryption::default() },
            Some(default) => {
                let algorithm = default.sse_algorithm.as_str();
                if super::attributes::check_algorithm(algorithm).is_err() {
                    return Err(super::documents::malformed());
                }
                if algorithm == "AES256" && default.kms_master_key_id.is_some() {
                    return Err(s3_error!(
                        InvalidArgument,
                        "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
                    ));
                }
                let key_id = default.kms_master_key_id.clone();
                Encryption { algorithm: algorithm.to_owned(), key_id, bucket_key }
            }
        };
        self.objects().change_settings(&input.bucket, |settings| settings.encryption = encryption)?;
        Ok(S3Response::new(PutBucketEncryptionOutput::default()))
    }

    pub(super) fn delete_bucket_encryption(
        &self,
        request: S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects()
            .change_settings(&request.input.bucket, |settings| settings.encryption = Encryption::default())?;
        Ok(S3Response::new(DeleteBucketEncryptionOutput::default()))
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

/// Checks the naming rules that s3s does not check.
///
/// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
fn check_name(name: &str) -> S3Result<()> {
    let prefixes = ["xn--", "sthree-", "amzn-s3-demo-"];
    let suffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let is_reserved = prefixes.iter().any(|prefix| name.starts_with(prefix))
        || suffixes.iter().any(|suffix| name.ends_with(suffix))
        || name.contains(".-")
        || name.contains("-.");
    if is_reserved {
        return Err(s3_error!(InvalidBucketName, "The specified bucket is not valid."));
    }
    Ok(())
}

/// Returns the region of a new bucket from its location constraint and the region of the request.
fn region<'a>(constraint: Option<&'a str>, home: &'a str) -> S3Result<&'a str> {
    let region = match (constraint, home) {
        (None, "us-east-1") => "us-east-1",
        (Some("us-east-1"), _) => {
            return Err(s3_error!(InvalidLocationConstraint, "The specified location-constraint is not valid"));
        }
        (Some("EU"), "us-east-1" | "eu-west-1") => "eu-west-1",
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
    if REGIONS.iter().any(|(known, _)| *known == region) {
        return Ok(region);
    }
    Err(s3_error!(InvalidLocationConstraint, "The specified location-constraint is not valid"))
}
