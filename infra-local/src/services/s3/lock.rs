//! Object Lock: the bucket's configuration, and retention and legal hold of versions.
//!
//! Source: Amazon S3 User Guide, "Locking objects with Object Lock".

use chrono::{DateTime, Days, Months, Utc};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::documents::{self, malformed, not_found};
use super::service::{Service, instant, timestamp};
use crate::model::s3::{Lock, Object as StoredObject, Retention, Settings};

const KIND: &str = "object-lock";

/// Returns the document of a bucket that is created with Object Lock.
pub(super) fn enabled() -> S3Result<String> {
    documents::write(&ObjectLockConfiguration {
        object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
        rule: None,
    })
}

/// Returns whether Object Lock is enabled in a bucket.
pub(super) fn is_enabled(settings: &Settings) -> bool {
    settings.configurations.contains_key(KIND)
}

/// Returns the lock of a new object: that of the request, or else the bucket's default retention.
pub(super) fn of_new_object(
    settings: &Settings,
    mode: Option<ObjectLockMode>,
    until: Option<&Timestamp>,
    legal_hold: Option<ObjectLockLegalHoldStatus>,
    now: DateTime<Utc>,
) -> S3Result<Lock> {
    let has_lock = mode.is_some() || until.is_some() || legal_hold.is_some();
    if has_lock && !is_enabled(settings) {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    let legal_hold = legal_hold.map(|status| is_on(status.as_str())).transpose()?;
    let retention = match (mode, until) {
        (None, None) => default_retention(settings, now)?,
        (Some(mode), Some(until)) => Some(retention(mode.as_str(), until, now)?),
        _ => {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
            ));
        }
    };
    Ok(Lock { retention, legal_hold })
}

/// Refuses the permanent deletion of a version that is locked.
pub(super) fn check_deletion(object: &StoredObject, may_bypass: bool) -> S3Result<()> {
    let Lock { retention, legal_hold } = &object.lock;
    let is_retained = retention
        .as_ref()
        .is_some_and(|retention| retention.until > Utc::now() && !(may_bypass && retention.mode == "GOVERNANCE"));
    if is_retained || *legal_hold == Some(true) {
        return Err(s3_error!(AccessDenied, "Access Denied because object protected by object lock."));
    }
    Ok(())
}

pub(super) fn mode(object: &StoredObject) -> Option<ObjectLockMode> {
    object.lock.retention.as_ref().map(|retention| ObjectLockMode::from(retention.mode.clone()))
}

pub(super) fn until(object: &StoredObject) -> Option<Timestamp> {
    object.lock.retention.as_ref().map(|retention| timestamp(retention.until))
}

pub(super) fn legal_hold(object: &StoredObject) -> Option<ObjectLockLegalHoldStatus> {
    let status = if object.lock.legal_hold? { "ON" } else { "OFF" };
    Some(ObjectLockLegalHoldStatus::from_static(status))
}

impl Service {
    pub(super) fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let configuration = documents::read(&settings, KIND)?.ok_or_else(|| {
            not_found(
                "ObjectLockConfigurationNotFoundError",
                "Object Lock configuration does not exist for this bucket",
            )
        })?;
        Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) }))
    }

    pub(super) fn put_object_lock_configuration(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        if !settings.keeps_versions() {
            return Err(s3_error!(
                InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            ));
        }
        let configuration = input.object_lock_configuration.ok_or_else(malformed)?;
        if configuration.object_lock_enabled.as_ref().is_none_or(|enabled| enabled.as_str() != "Enabled") {
            return Err(malformed());
        }
        if let Some(rule) = &configuration.rule {
            check_default(rule.default_retention.as_ref().ok_or_else(malformed)?)?;
        }
        let document = documents::write(&configuration)?;
        self.set_document(&input.bucket, KIND, Some(document))?;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    pub(super) fn get_object_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        check_enabled(&settings)?;
        let input = request.input;
        let (_, object) = self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let retention = object.lock.retention.ok_or_else(no_lock)?;
        Ok(S3Response::new(GetObjectRetentionOutput {
            retention: Some(ObjectLockRetention {
                mode: Some(ObjectLockRetentionMode::from(retention.mode)),
                retain_until_date: Some(timestamp(retention.until)),
            }),
        }))
    }

    pub(super) fn put_object_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        check_enabled(&settings)?;
        let input = request.input;
        let now = Utc::now();
        let wanted = input.retention.ok_or_else(malformed)?;
        let wanted = match (wanted.mode, wanted.retain_until_date) {
            (None, None) => None,
            (Some(mode), Some(until)) => Some(retention(mode.as_str(), &until, now)?),
            _ => return Err(malformed()),
        };
        let may_bypass = input.bypass_governance_retention == Some(true);
        self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        self.objects().change(&input.bucket, &input.key, input.version_id.as_deref(), |object| {
            if let Some(current) = object.lock.retention.as_ref().filter(|current| current.until > now) {
                let is_stronger = |wanted: &Retention| {
                    wanted.until >= current.until && (wanted.mode == current.mode || wanted.mode == "COMPLIANCE")
                };
                let may_weaken = may_bypass && current.mode == "GOVERNANCE";
                if !may_weaken && !wanted.as_ref().is_some_and(is_stronger) {
                    return Err(s3_error!(AccessDenied, "Access Denied because object protected by object lock."));
                }
            }
            object.lock.retention = wanted;
            Ok(())
        })?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    pub(super) fn get_object_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        check_enabled(&settings)?;
        let input = request.input;
        let (_, object) = self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let status = legal_hold(&object).ok_or_else(no_lock)?;
        Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status: Some(status) }) }))
    }

    pub(super) fn put_object_legal_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        check_enabled(&settings)?;
        let input = request.input;
        let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(malformed)?;
        let hold = is_on(status.as_str())?;
        self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        self.objects().change(&input.bucket, &input.key, input.version_id.as_deref(), |object| {
            object.lock.legal_hold = Some(hold);
            Ok(())
        })?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }
}

/// Returns the retention that the bucket's configuration gives a new object.
fn default_retention(settings: &Settings, now: DateTime<Utc>) -> S3Result<Option<Retention>> {
    let configuration: Option<ObjectLockConfiguration> = documents::read(settings, KIND)?;
    let default = configuration.and_then(|configuration| configuration.rule).and_then(|rule| rule.default_retention);
    let Some(DefaultRetention { mode: Some(mode), days, years }) = default else { return Ok(None) };
    let days = days.and_then(|days| u64::try_from(days).ok()).map(Days::new);
    let months = years.and_then(|years| u32::try_from(years).ok()).map(|years| Months::new(12 * years));
    let until = match (days, months) {
        (Some(days), _) => now.checked_add_days(days),
        (None, Some(months)) => now.checked_add_months(months),
        (None, None) => None,
    };
    Ok(until.map(|until| Retention { mode: mode.as_str().to_owned(), until }))
}

fn check_default(default: &DefaultRetention) -> S3Result<()> {
    if !default.mode.as_ref().is_some_and(|mode| ["GOVERNANCE", "COMPLIANCE"].contains(&mode.as_str())) {
        return Err(malformed());
    }
    match (default.days, default.years) {
        (Some(period), None) | (None, Some(period)) if period > 0 => Ok(()),
        (Some(_), None) | (None, Some(_)) => {
            Err(s3_error!(InvalidArgument, "Default retention period must be a positive integer value"))
        }
        _ => Err(malformed()),
    }
}

fn retention(mode: &str, until: &Timestamp, now: DateTime<Utc>) -> S3Result<Retention> {
    if !["GOVERNANCE", "COMPLIANCE"].contains(&mode) {
        return Err(s3_error!(InvalidArgument, "Unknown wormMode directive."));
    }
    let until = instant(until);
    if until <= now {
        return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
    }
    Ok(Retention { mode: mode.to_owned(), until })
}

fn is_on(status: &str) -> S3Result<bool> {
    match status {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        _ => Err(s3_error!(InvalidArgument, "Legal Hold must be either of 'ON' or 'OFF'")),
    }
}

fn check_enabled(settings: &Settings) -> S3Result<()> {
    if is_enabled(settings) {
        return Ok(());
    }
    Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"))
}

fn no_lock() -> S3Error {
    not_found("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
}
