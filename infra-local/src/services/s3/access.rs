//! Authorisation of requests to the object store by IAM's policies, and the trace of its operations and decisions.

use chrono::Utc;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CreateBucketInput, DeleteObjectsInput};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::Context;
use crate::access::{self, RequestedAction, RequestedResource, decide, decide_unenforced, permitted};
use crate::state::Shared;
use crate::wire::Protocol;

/// Authentication for s3s that knows no secrets: signatures are verified before s3s receives a request, but s3s checks
/// access only if there is an `S3Auth`.
pub(super) struct Nobody;

#[async_trait::async_trait]
impl S3Auth for Nobody {
    async fn get_secret_key(&self, _: &str) -> S3Result<SecretKey> {
        Err(s3_error!(InvalidAccessKeyId))
    }
}

/// The policies of the identity that signed the request.
pub(super) struct Policies {
    shared: Shared,
    /// True when the policies of users and roles are enforced.
    enforced: bool,
}

impl Policies {
    pub(super) fn new(shared: Shared, enforced: bool) -> Policies {
        Policies { shared, enforced }
    }

    fn allow(&self, context: Option<&Context>, action: &str, resource: String) -> S3Result<()> {
        let Some(Context { region, identity, trace, .. }) = context else {
            return Err(s3_error!(AccessDenied));
        };
        let resources = [RequestedResource::new(resource)];
        let context = &access::Context::default();
        let requested = RequestedAction { action, resources: &resources, region, now: Utc::now(), context };
        let denied = if self.enforced {
            self.shared.read(|cloud| {
                let decisions = decide(cloud, identity, &requested);
                let permitted = permitted(&identity.arn(&cloud.iam), &decisions);
                trace.decide(decisions);
                permitted
            })
        } else {
            trace.decide(self.shared.read(|cloud| decide_unenforced(cloud, identity, &requested)));
            Ok(())
        };
        denied.map_err(|refusal| {
            S3Error::with_message(S3ErrorCode::AccessDenied, refusal.to_error(Protocol::RestXml).message)
        })
    }
}

#[async_trait::async_trait]
impl S3Access for Policies {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let context = request.extensions_mut().get::<Context>().cloned();
        let operation = request.s3_op().name();
        if let Some(context) = &context {
            context.trace.name(operation, request.s3_path());
        }
        // The body contains the keys of the deleted objects, which are checked below one by one.
        if operation == "DeleteObjects" {
            return Ok(());
        }
        let resource = match request.s3_path() {
            S3Path::Root => "*".to_owned(),
            S3Path::Bucket { bucket } => format!("arn:aws:s3:::{bucket}"),
            S3Path::Object { bucket, key } => format!("arn:aws:s3:::{bucket}/{key}"),
        };
        let action = format!("s3:{}", action(operation));
        self.allow(context.as_ref(), &action, resource)
    }

    async fn create_bucket(&self, request: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let context = request.extensions.get::<Context>();
        if context.is_none_or(|context| context.bucket_tags.is_empty()) {
            return Ok(());
        }
        self.allow(context, "s3:TagResource", format!("arn:aws:s3:::{}", request.input.bucket))
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let context = request.extensions.get::<Context>();
        for object in &request.input.delete.objects {
            let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
            self.allow(context, action, format!("arn:aws:s3:::{}/{}", request.input.bucket, object.key))?;
        }
        Ok(())
    }

    /// Checks the permission for the copy, and the one to read its source.
    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let s3s::dto::CopySource::Bucket { bucket, key, .. } = &request.input.copy_source else {
            return Ok(());
        };
        self.allow(request.extensions.get::<Context>(), "s3:GetObject", format!("arn:aws:s3:::{bucket}/{key}"))
    }
}

/// Returns IAM's name of an operation's permission.
fn action(operation: &str) -> &str {
    match operation {
        "HeadObject" => "GetObject",
        "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "PutObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListBuckets" => "ListAllMyBuckets",
        "ListObjectVersions" => "ListBucketVersions",
        "DeleteBucketTagging" => "PutBucketTagging",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        other => other,
    }
}
