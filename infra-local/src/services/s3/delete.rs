//! DeleteObject and DeleteObjects.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::conditions::write_conditions;
use super::service::{Service, refuse, timestamp};
use super::{access, lock};
use crate::model::s3::Object as StoredObject;
use crate::state::objects::{Removed, no_such_version};

/// Conditions of a deletion: the ETag, the time of the last change, and the size of the object.
#[derive(Default)]
struct Conditions {
    e_tag: Option<ETagCondition>,
    modified: Option<Timestamp>,
    size: Option<i64>,
}

impl Conditions {
    fn check(&self, current: Option<&StoredObject>) -> S3Result<()> {
        write_conditions(current, self.e_tag.as_ref(), None)?;
        let Some(current) = current else { return Ok(()) };
        let is_same_second = |wanted: &Timestamp| {
            let whole = chrono::DateTime::from_timestamp(current.modified.timestamp(), 0);
            [whole, Some(current.modified)].into_iter().flatten().any(|time| timestamp(time) == *wanted)
        };
        if self.modified.as_ref().is_some_and(|wanted| !is_same_second(wanted))
            || self.size.is_some_and(|wanted| u64::try_from(wanted) != Ok(current.blob.size))
        {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        Ok(())
    }
}

impl Service {
    pub(super) fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let may_bypass = request.input.bypass_governance_retention == Some(true);
        let input = request.input;
        refuse("DeleteObject", &[(input.mfa.is_some(), "x-amz-mfa")])?;
        let conditions = Conditions {
            e_tag: input.if_match,
            modified: input.if_match_last_modified_time,
            size: input.if_match_size,
        };
        let removed = self.remove(&input.bucket, &input.key, input.version_id.as_deref(), may_bypass, &conditions)?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: removed.delete_marker.then_some(true),
            version_id: removed.version,
            ..Default::default()
        }))
    }

    pub(super) fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let denied = request.extensions.get::<access::DeniedKeys>().cloned().unwrap_or_default();
        let may_bypass = request.input.bypass_governance_retention == Some(true);
        let input = request.input;
        refuse("DeleteObjects", &[(input.mfa.is_some(), "x-amz-mfa")])?;
        if !(1..=1000).contains(&input.delete.objects.len()) {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        let quiet = input.delete.quiet == Some(true);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for identifier in input.delete.objects {
            let version = identifier.version_id;
            let conditions = Conditions {
                e_tag: identifier.e_tag.map(ETagCondition::ETag),
                modified: identifier.last_modified_time,
                size: identifier.size,
            };
            let outcome = match denied.message(&identifier.key, version.as_deref()) {
                Some(message) => Err(s3_error!(AccessDenied, "{message}")),
                None => self.remove(&input.bucket, &identifier.key, version.as_deref(), may_bypass, &conditions),
            };
            match outcome {
                Ok(_) if quiet => {}
                Ok(removed) => deleted.push(DeletedObject {
                    key: Some(identifier.key),
                    delete_marker: removed.delete_marker.then_some(true),
                    delete_marker_version_id: removed.version.filter(|_| removed.delete_marker),
                    version_id: version,
                }),
                Err(error) => {
                    // An id that no version can have is an error of the entry, as a missing version.
                    let is_unknown = *error.code() == S3ErrorCode::InvalidArgument;
                    let error = if is_unknown { no_such_version() } else { error };
                    errors.push(Error {
                        key: Some(identifier.key),
                        version_id: version,
                        code: Some(error.code().as_str().to_owned()),
                        message: error.message().map(str::to_owned),
                    });
                }
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() }))
    }

    fn remove(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        may_bypass: bool,
        conditions: &Conditions,
    ) -> S3Result<Removed> {
        self.objects().remove(bucket, key, version, |found| {
            conditions.check(found)?;
            // A delete marker does not touch a locked version.
            match found.filter(|_| version.is_some()) {
                Some(object) => lock::check_deletion(object, may_bypass),
                None => Ok(()),
            }
        })
    }
}
