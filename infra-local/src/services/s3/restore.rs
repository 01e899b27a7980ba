//! RestoreObject: temporary copies of objects in archives, which are available at once here and after hours on AWS.
//!
//! Source: Amazon S3 API Reference, "RestoreObject".

use chrono::{Days, Utc};
use hyper::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::documents::malformed;
use super::service::{Service, http_date, refuse, timestamp};
use crate::model::s3::Object as StoredObject;

/// Storage classes whose objects are restored before they are read.
const ARCHIVES: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];

/// Refuses to read an archived object of which there is no restored copy.
pub(super) fn check_readable(object: &StoredObject) -> S3Result<()> {
    let is_restored = object.restored_until.is_some_and(|until| until > Utc::now());
    if ARCHIVES.contains(&object.storage_class()) && !is_restored {
        return Err(s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class"));
    }
    Ok(())
}

/// Returns the header `x-amz-restore` of an object.
pub(super) fn header(object: &StoredObject) -> Option<String> {
    let until = object.restored_until.filter(|until| *until > Utc::now())?;
    Some(format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(&timestamp(until))))
}

impl Service {
    pub(super) fn restore_object(
        &self,
        request: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let restore = input.restore_request.ok_or_else(malformed)?;
        let selects = restore.select_parameters.is_some() || restore.output_location.is_some();
        refuse("RestoreObject", &[(selects, "SelectParameters and OutputLocation")])?;
        let tier = restore.tier.as_ref().or_else(|| restore.glacier_job_parameters.as_ref().map(|job| &job.tier));
        if tier.is_some_and(|tier| !["Standard", "Bulk", "Expedited"].contains(&tier.as_str())) {
            return Err(malformed());
        }
        let days = restore.days.and_then(|days| u64::try_from(days).ok()).filter(|days| *days > 0);
        let days = days.ok_or_else(malformed)?;
        self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let mut is_new = false;
        self.objects().change(&input.bucket, &input.key, input.version_id.as_deref(), |object| {
            if !ARCHIVES.contains(&object.storage_class()) {
                return Err(s3_error!(
                    InvalidObjectState,
                    "Restore is not allowed for the object's current storage class"
                ));
            }
            let now = Utc::now();
            is_new = object.restored_until.is_none_or(|until| until <= now);
            object.restored_until = now.checked_add_days(Days::new(days));
            Ok(())
        })?;
        let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
        Ok(S3Response::with_status(RestoreObjectOutput::default(), status))
    }
}
