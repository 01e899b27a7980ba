//! The supported operations, which the other modules implement under the same names.

use chrono::{DateTime, Utc};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::Context;
use crate::domain::s3::lifecycle;
use crate::model::Account;
use crate::state::Shared;
use crate::state::objects::Objects;

/// S3's operations on the objects of a cloud.
pub(super) struct Service {
    shared: Shared,
    account: Account,
}

impl Service {
    pub(super) fn new(shared: Shared) -> Service {
        let account = shared.account();
        Service { shared, account }
    }

    pub(super) fn objects(&self) -> &Objects {
        self.shared.objects()
    }

    pub(super) fn context<T>(request: &S3Request<T>) -> S3Result<Context> {
        request.extensions.get::<Context>().cloned().ok_or_else(|| s3_error!(InternalError))
    }

    /// Returns the account as owner of buckets and objects.
    pub(super) fn owner(&self) -> Owner {
        let account = self.account;
        Owner { id: Some(format!("{account:0>64}")), display_name: Some("local".to_owned()) }
    }

    /// Returns the ARN of the identity that sent a request.
    pub(super) fn caller<T>(&self, request: &S3Request<T>) -> S3Result<String> {
        let identity = Service::context(request)?.identity;
        Ok(self.shared.read(|cloud| identity.arn(&cloud.iam)))
    }
}

/// Implements the operations of s3s by the methods of [`Service`] with the same names.
macro_rules! operations {
    (awaited { $($slow:ident($slow_input:ty) -> $slow_output:ty,)* }
     immediate { $($name:ident($input:ty) -> $output:ty,)* }) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $slow(&self, request: S3Request<$slow_input>) -> S3Result<S3Response<$slow_output>> {
                Service::$slow(self, request).await
            })*
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                Service::$name(self, request)
            })*
        }

        /// Names of the operations.
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$(stringify!($slow),)* $(stringify!($name),)*];
    };
}

operations! {
    awaited {
        put_object(PutObjectInput) -> PutObjectOutput,
        get_object(GetObjectInput) -> GetObjectOutput,
        copy_object(CopyObjectInput) -> CopyObjectOutput,
        upload_part(UploadPartInput) -> UploadPartOutput,
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput,
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput,
    }
    immediate {
        create_bucket(CreateBucketInput) -> CreateBucketOutput,
        head_bucket(HeadBucketInput) -> HeadBucketOutput,
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput,
        list_buckets(ListBucketsInput) -> ListBucketsOutput,
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput,
        get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput,
        put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput,
        delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput,
        get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput,
        put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput,
        get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput,
        put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput,
        delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput,
        get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput,
        put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput,
        delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput,
        get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput,
        put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput,
        get_object_acl(GetObjectAclInput) -> GetObjectAclOutput,
        put_object_acl(PutObjectAclInput) -> PutObjectAclOutput,
        get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput,
        put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput,
        delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput,
        get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput,
        get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput,
        put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput,
        delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput,
        get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput,
        put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput,
        delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput,
        get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput,
        put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput,
        delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput,
        get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput,
        put_bucket_website(PutBucketWebsiteInput) -> PutBucketWebsiteOutput,
        delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput,
        get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput,
        put_bucket_logging(PutBucketLoggingInput) -> PutBucketLoggingOutput,
        get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput,
        put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput,
        get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput,
        put_bucket_accelerate_configuration(PutBucketAccelerateConfigurationInput) -> PutBucketAccelerateConfigurationOutput,
        get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput,
        put_bucket_request_payment(PutBucketRequestPaymentInput) -> PutBucketRequestPaymentOutput,
        get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput,
        put_bucket_replication(PutBucketReplicationInput) -> PutBucketReplicationOutput,
        delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput,
        get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput,
        put_bucket_analytics_configuration(PutBucketAnalyticsConfigurationInput) -> PutBucketAnalyticsConfigurationOutput,
        delete_bucket_analytics_configuration(DeleteBucketAnalyticsConfigurationInput) -> DeleteBucketAnalyticsConfigurationOutput,
        list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput) -> ListBucketAnalyticsConfigurationsOutput,
        get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput) -> GetBucketIntelligentTieringConfigurationOutput,
        put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput) -> PutBucketIntelligentTieringConfigurationOutput,
        delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput) -> DeleteBucketIntelligentTieringConfigurationOutput,
        list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput) -> ListBucketIntelligentTieringConfigurationsOutput,
        get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput,
        put_bucket_inventory_configuration(PutBucketInventoryConfigurationInput) -> PutBucketInventoryConfigurationOutput,
        delete_bucket_inventory_configuration(DeleteBucketInventoryConfigurationInput) -> DeleteBucketInventoryConfigurationOutput,
        list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput) -> ListBucketInventoryConfigurationsOutput,
        get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput,
        put_bucket_metrics_configuration(PutBucketMetricsConfigurationInput) -> PutBucketMetricsConfigurationOutput,
        delete_bucket_metrics_configuration(DeleteBucketMetricsConfigurationInput) -> DeleteBucketMetricsConfigurationOutput,
        list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput,
        get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput,
        put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput,
        get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput,
        put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput,
        get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput,
        put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput,
        head_object(HeadObjectInput) -> HeadObjectOutput,
        delete_object(DeleteObjectInput) -> DeleteObjectOutput,
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput,
        get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput,
        restore_object(RestoreObjectInput) -> RestoreObjectOutput,
        get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput,
        put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput,
        delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput,
        list_objects(ListObjectsInput) -> ListObjectsOutput,
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output,
        list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput,
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput,
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput,
        list_parts(ListPartsInput) -> ListPartsOutput,
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput,
    }
}

/// Refuses parameters that are set and not honoured.
pub(super) fn refuse(operation: &str, parameters: &[(bool, &str)]) -> S3Result<()> {
    match parameters.iter().find(|(sent, _)| *sent) {
        Some((_, name)) => Err(s3_error!(
            NotImplemented,
            "The local cloud does not honour {name} of {operation}; leave it out, or use AWS"
        )),
        None => Ok(()),
    }
}

pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp::from(std::time::SystemTime::from(time))
}

/// Converts a time of the API.
pub(super) fn instant(time: &Timestamp) -> DateTime<Utc> {
    lifecycle::instant(time).unwrap_or_default()
}

/// Returns a time in the form of HTTP's headers.
pub(super) fn http_date(time: &Timestamp) -> String {
    instant(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
