//! Small configurations of buckets: logging, notification, acceleration, request payment and replication.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::documents::{self, malformed, not_found};
use super::service::{Service, refuse};

const LOGGING: &str = "logging";
const ACCELERATION: &str = "accelerate";
const PAYMENT: &str = "request-payment";

impl Service {
    pub(super) fn get_bucket_logging(
        &self,
        request: S3Request<GetBucketLoggingInput>,
    ) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let status: Option<BucketLoggingStatus> = documents::read(&settings, LOGGING)?;
        let logging_enabled = status.and_then(|status| status.logging_enabled);
        Ok(S3Response::new(GetBucketLoggingOutput { logging_enabled }))
    }

    pub(super) fn put_bucket_logging(
        &self,
        request: S3Request<PutBucketLoggingInput>,
    ) -> S3Result<S3Response<PutBucketLoggingOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let Some(logging) = &input.bucket_logging_status.logging_enabled else {
            self.set_document(&input.bucket, LOGGING, None)?;
            return Ok(S3Response::new(PutBucketLoggingOutput::default()));
        };
        let target = self.objects().bucket(&logging.target_bucket, |bucket| Ok(bucket.settings.region.clone()));
        if target.ok() != Some(settings.region) {
            return Err(s3_error!(
                InvalidTargetBucketForLogging,
                "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group."
            ));
        }
        tracing::info!(
            bucket = input.bucket,
            "access logging is kept as a setting; the local cloud writes no access logs"
        );
        let document = documents::write(&input.bucket_logging_status)?;
        self.set_document(&input.bucket, LOGGING, Some(document))?;
        Ok(S3Response::new(PutBucketLoggingOutput::default()))
    }

    pub(super) fn get_bucket_notification_configuration(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        Ok(S3Response::new(GetBucketNotificationConfigurationOutput::default()))
    }

    /// Accepts the empty configuration, which removes all notifications: the local cloud has no destinations of events.
    pub(super) fn put_bucket_notification_configuration(
        &self,
        request: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let configuration = &request.input.notification_configuration;
        refuse(
            "PutBucketNotificationConfiguration",
            &[
                (
                    configuration.event_bridge_configuration.is_some(),
                    "EventBridgeConfiguration (it has no EventBridge)",
                ),
                (
                    configuration.lambda_function_configurations.as_ref().is_some_and(|list| !list.is_empty()),
                    "CloudFunctionConfiguration (it has no Lambda)",
                ),
                (
                    configuration.queue_configurations.as_ref().is_some_and(|list| !list.is_empty()),
                    "QueueConfiguration (it has no SQS)",
                ),
                (
                    configuration.topic_configurations.as_ref().is_some_and(|list| !list.is_empty()),
                    "TopicConfiguration (it has no SNS)",
                ),
            ],
        )?;
        Ok(S3Response::new(PutBucketNotificationConfigurationOutput::default()))
    }

    pub(super) fn get_bucket_accelerate_configuration(
        &self,
        request: S3Request<GetBucketAccelerateConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketAccelerateConfigurationOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let configuration: Option<AccelerateConfiguration> = documents::read(&settings, ACCELERATION)?;
        let status = configuration.and_then(|configuration| configuration.status);
        Ok(S3Response::new(GetBucketAccelerateConfigurationOutput { status, ..Default::default() }))
    }

    pub(super) fn put_bucket_accelerate_configuration(
        &self,
        request: S3Request<PutBucketAccelerateConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketAccelerateConfigurationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        if input.bucket.contains('.') {
            return Err(s3_error!(
                InvalidRequest,
                "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"
            ));
        }
        let status = input.accelerate_configuration.status.as_ref().map(BucketAccelerateStatus::as_str);
        if !matches!(status, Some("Enabled" | "Suspended")) {
            return Err(malformed());
        }
        let document = documents::write(&input.accelerate_configuration)?;
        self.set_document(&input.bucket, ACCELERATION, Some(document))?;
        Ok(S3Response::new(PutBucketAccelerateConfigurationOutput::default()))
    }

    pub(super) fn get_bucket_request_payment(
        &self,
        request: S3Request<GetBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let configuration: Option<RequestPaymentConfiguration> = documents::read(&settings, PAYMENT)?;
        let payer =
            configuration.map_or_else(|| Payer::from_static("BucketOwner"), |configuration| configuration.payer);
        Ok(S3Response::new(GetBucketRequestPaymentOutput { payer: Some(payer) }))
    }

    pub(super) fn put_bucket_request_payment(
        &self,
        request: S3Request<PutBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<PutBucketRequestPaymentOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        if !["BucketOwner", "Requester"].contains(&input.request_payment_configuration.payer.as_str()) {
            return Err(malformed());
        }
        let document = documents::write(&input.request_payment_configuration)?;
        self.set_document(&input.bucket, PAYMENT, Some(document))?;
        Ok(S3Response::new(PutBucketRequestPaymentOutput::default()))
    }

    pub(super) fn get_bucket_replication(
        &self,
        request: S3Request<GetBucketReplicationInput>,
    ) -> S3Result<S3Response<GetBucketReplicationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        Err(not_found("ReplicationConfigurationNotFoundError", "The replication configuration was not found"))
    }

    pub(super) fn put_bucket_replication(
        &self,
        request: S3Request<PutBucketReplicationInput>,
    ) -> S3Result<S3Response<PutBucketReplicationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        Err(s3_error!(
            NotImplemented,
            "The local cloud does not replicate objects, so it refuses PutBucketReplication; leave the replication configuration out, or use AWS"
        ))
    }

    pub(super) fn delete_bucket_replication(
        &self,
        request: S3Request<DeleteBucketReplicationInput>,
    ) -> S3Result<S3Response<DeleteBucketReplicationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        Ok(S3Response::new(DeleteBucketReplicationOutput::default()))
    }
}
