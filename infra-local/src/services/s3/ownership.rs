//! Ownership controls and the public access block of buckets.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::documents::{self, error, not_found};
use super::service::Service;
use crate::model::s3::{PublicAccessBlock, Settings};

const KIND: &str = "ownership";
const ENFORCED: &str = "BucketOwnerEnforced";

/// Returns whether the bucket's ACLs are disabled.
pub(super) fn is_enforced(settings: &Settings) -> bool {
    let controls: Option<OwnershipControls> = documents::read(settings, KIND).ok().flatten();
    controls.is_some_and(|controls| controls.rules.iter().any(|rule| rule.object_ownership.as_str() == ENFORCED))
}

/// Returns the ownership that a new bucket gets, and its document.
pub(super) fn of_new_bucket(ownership: Option<&ObjectOwnership>) -> S3Result<(String, String, &'static str)> {
    let wanted = ownership.map_or(ENFORCED, ObjectOwnership::as_str);
    check(wanted)?;
    let rule = OwnershipControlsRule { object_ownership: ObjectOwnership::from(wanted.to_owned()) };
    Ok((wanted.to_owned(), documents::write(&OwnershipControls { rules: vec![rule] })?, KIND))
}

fn check(ownership: &str) -> S3Result<()> {
    if [ENFORCED, "BucketOwnerPreferred", "ObjectWriter"].contains(&ownership) {
        return Ok(());
    }
    Err(documents::malformed())
}

impl Service {
    pub(super) fn get_bucket_ownership_controls(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let controls = documents::read(&settings, KIND)?;
        let controls = controls.ok_or_else(|| {
            not_found("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
        })?;
        Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) }))
    }

    pub(super) fn put_bucket_ownership_controls(
        &self,
        request: S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let [rule] = &input.ownership_controls.rules[..] else { return Err(documents::malformed()) };
        check(rule.object_ownership.as_str())?;
        if rule.object_ownership.as_str() == ENFORCED && !settings.acl.is_empty() {
            return Err(error(
                400,
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        let document = documents::write(&input.ownership_controls)?;
        self.set_document(&input.bucket, KIND, Some(document))?;
        Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
    }

    pub(super) fn delete_bucket_ownership_controls(
        &self,
        request: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.set_document(&request.input.bucket, KIND, None)?;
        Ok(S3Response::new(DeleteBucketOwnershipControlsOutput::default()))
    }

    pub(super) fn get_public_access_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let Some(block) = self.settings(&request, &request.input.bucket)?.public_access_block else {
            return Err(not_found(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ));
        };
        let configuration = PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            ignore_public_acls: Some(block.ignore_public_acls),
            block_public_policy: Some(block.block_public_policy),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        };
        Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) }))
    }

    pub(super) fn put_public_access_block(
        &self,
        request: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let block = &request.input.public_access_block_configuration;
        let PublicAccessBlockConfiguration {
            block_public_acls,
            ignore_public_acls,
            block_public_policy,
            restrict_public_buckets,
        } = *block;
        if [block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets]
            .iter()
            .all(Option::is_none)
        {
            return Err(s3_error!(InvalidRequest, "Must specify at least one configuration."));
        }
        let block = PublicAccessBlock {
            block_public_acls: block_public_acls.unwrap_or(false),
            ignore_public_acls: ignore_public_acls.unwrap_or(false),
            block_public_policy: block_public_policy.unwrap_or(false),
            restrict_public_buckets: restrict_public_buckets.unwrap_or(false),
        };
        self.objects().change_settings(&request.input.bucket, |settings| settings.public_access_block = Some(block))?;
        Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
    }

    pub(super) fn delete_public_access_block(
        &self,
        request: S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects().change_settings(&request.input.bucket, |settings| settings.public_access_block = None)?;
        Ok(S3Response::new(DeletePublicAccessBlockOutput::default()))
    }
}
