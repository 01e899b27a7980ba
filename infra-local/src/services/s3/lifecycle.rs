//! Lifecycle configurations of buckets: validation and storage. `runtime/s3` applies them.
//!
//! Source: Amazon S3 API Reference, "PutBucketLifecycleConfiguration"; User Guide, "Lifecycle configuration elements".

use std::collections::BTreeSet;

use chrono::NaiveTime;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::documents::{self, malformed, not_found};
use super::service::{Service, http_date, timestamp};
use crate::domain::s3::lifecycle::{self, KIND, MINIMUM_SIZE};
use crate::model::s3::{Object as StoredObject, Settings};

const RULES_LIMIT: usize = 1000;
const ID_LIMIT: usize = 255;

/// The targets of transitions.
const CLASSES: &[&str] = &["GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"];

/// Returns the header `x-amz-expiration` of an object.
pub(super) fn expiration(settings: &Settings, object: &StoredObject) -> Option<String> {
    let (date, rule) = lifecycle::expiration(settings, object)?;
    Some(format!("expiry-date=\"{}\", rule-id=\"{rule}\"", http_date(&timestamp(date))))
}

impl Service {
    pub(super) fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let configuration: Option<BucketLifecycleConfiguration> = documents::read(&settings, KIND)?;
        let configuration = configuration
            .ok_or_else(|| not_found("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"))?;
        let minimum = settings.configurations.get(MINIMUM_SIZE).cloned();
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(configuration.rules),
            transition_default_minimum_object_size: minimum.map(TransitionDefaultMinimumObjectSize::from),
        }))
    }

    pub(super) fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let mut configuration = input.lifecycle_configuration.ok_or_else(malformed)?;
        check(&mut configuration.rules)?;
        let minimum = input.transition_default_minimum_object_size;
        let minimum = minimum.map_or_else(|| "all_storage_classes_128K".to_owned(), |kind| kind.as_str().to_owned());
        if !["all_storage_classes_128K", "varies_by_storage_class"].contains(&minimum.as_str()) {
            return Err(s3_error!(InvalidRequest, "Invalid value for x-amz-transition-default-minimum-object-size"));
        }
        let document = documents::write(&configuration)?;
        self.objects().change_settings(&input.bucket, |settings| {
            settings.configurations.insert(KIND.to_owned(), document);
            settings.configurations.insert(MINIMUM_SIZE.to_owned(), minimum.clone());
        })?;
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput {
            transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from(minimum)),
        }))
    }

    pub(super) fn delete_bucket_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects().change_settings(&request.input.bucket, |settings| {
            settings.configurations.remove(KIND);
            settings.configurations.remove(MINIMUM_SIZE);
        })?;
        Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
    }
}

/// Validates rules, and gives those without an id a random one.
fn check(rules: &mut [LifecycleRule]) -> S3Result<()> {
    if !(1..=RULES_LIMIT).contains(&rules.len()) {
        return Err(malformed());
    }
    let mut ids = BTreeSet::new();
    for rule in rules {
        let id = rule.id.get_or_insert_with(|| Uuid::new_v4().to_string());
        if id.len() > ID_LIMIT {
            return Err(s3_error!(InvalidArgument, "ID length should not exceed allowed limit of 255"));
        }
        if !ids.insert(id.clone()) {
            return Err(s3_error!(InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule"));
        }
        check_rule(rule)?;
    }
    Ok(())
}

fn check_rule(rule: &LifecycleRule) -> S3Result<()> {
    // Either the element Prefix of earlier versions or a filter selects the objects.
    if !["Enabled", "Disabled"].contains(&rule.status.as_str()) || rule.prefix.is_some() == rule.filter.is_some() {
        return Err(malformed());
    }
    let has_tags = rule.filter.as_ref().map_or(Ok(false), check_filter)?;
    let abort = rule.abort_incomplete_multipart_upload.as_ref();
    let has_action = abort.is_some()
        || rule.expiration.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.transitions.as_ref().is_some_and(|list| !list.is_empty())
        || rule.noncurrent_version_transitions.as_ref().is_some_and(|list| !list.is_empty());
    if !has_action {
        return Err(s3_error!(InvalidRequest, "At least one action needs to be specified in a rule"));
    }
    if let Some(abort) = abort {
        positive(abort.days_after_initiation, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")?;
        if has_tags {
            return Err(s3_error!(InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Tags"));
        }
    }
    if let Some(expiration) = &rule.expiration {
        check_expiration(expiration, has_tags)?;
    }
    if let Some(expiration) = &rule.noncurrent_version_expiration {
        positive(expiration.noncurrent_days, "NoncurrentDays", "NoncurrentVersionExpiration")?;
        check_newer(expiration.newer_noncurrent_versions)?;
    }
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        check_newer(transition.newer_noncurrent_versions)?;
        check_class(transition.storage_class.as_ref(), transition.noncurrent_days, "NoncurrentDays")?;
    }
    check_transitions(rule)
}

/// Checks a filter, and returns whether it has tags.
fn check_filter(filter: &LifecycleRuleFilter) -> S3Result<bool> {
    let criteria = [
        filter.prefix.is_some(),
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
        filter.and.is_some(),
    ];
    if criteria.iter().filter(|is_set| **is_set).count() > 1 {
        return Err(malformed());
    }
    let Some(and) = &filter.and else { return Ok(filter.tag.is_some()) };
    let tags = and.tags.as_ref().map_or(0, Vec::len);
    let others = [and.prefix.is_some(), and.object_size_greater_than.is_some(), and.object_size_less_than.is_some()];
    if others.iter().filter(|is_set| **is_set).count() + tags < 2 {
        return Err(malformed());
    }
    let keys: BTreeSet<_> = and.tags.iter().flatten().map(|tag| &tag.key).collect();
    if keys.len() < tags {
        return Err(s3_error!(InvalidRequest, "Duplicate Tag Keys are not allowed."));
    }
    Ok(tags > 0)
}

fn check_expiration(expiration: &LifecycleExpiration, has_tags: bool) -> S3Result<()> {
    match (expiration.days, &expiration.date, expiration.expired_object_delete_marker) {
        (Some(_), None, None) => positive(expiration.days, "Days", "Expiration"),
        (None, Some(date), None) => midnight(date),
        (None, None, Some(_)) if has_tags => {
            Err(s3_error!(InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Tags."))
        }
        (None, None, Some(_)) => Ok(()),
        _ => Err(malformed()),
    }
}

fn check_transitions(rule: &LifecycleRule) -> S3Result<()> {
    for transition in rule.transitions.iter().flatten() {
        match (transition.days, &transition.date) {
            (Some(_), Some(_)) => return Err(malformed()),
            (None, Some(date)) => midnight(date)?,
            _ => {}
        }
        check_class(transition.storage_class.as_ref(), transition.days, "Days")?;
        let expires = rule.expiration.as_ref().and_then(|expiration| expiration.days);
        if let (Some(expires), Some(days)) = (expires, transition.days)
            && expires <= days
        {
            return Err(s3_error!(
                InvalidArgument,
                "'Days' in the Expiration action for filter '(prefix={})' must be greater than 'Days' in the Transition action",
                rule.filter.as_ref().and_then(|filter| filter.prefix.as_deref()).unwrap_or_default()
            ));
        }
    }
    Ok(())
}

/// Checks the storage class of a transition, and the days before it.
fn check_class(class: Option<&TransitionStorageClass>, days: Option<i32>, name: &str) -> S3Result<()> {
    let class = class.map(TransitionStorageClass::as_str).ok_or_else(malformed)?;
    if !CLASSES.contains(&class) {
        return Err(malformed());
    }
    if days.is_some_and(|days| days < 0) {
        return Err(s3_error!(InvalidArgument, "'{name}' in Transition action must be nonnegative"));
    }
    if name == "Days" && ["STANDARD_IA", "ONEZONE_IA"].contains(&class) && days.is_some_and(|days| days < 30) {
        return Err(s3_error!(
            InvalidArgument,
            "'Days' in Transition action must be greater than or equal to 30 for storageClass '{class}'"
        ));
    }
    Ok(())
}

fn check_newer(newer: Option<i32>) -> S3Result<()> {
    if newer.is_some_and(|newer| !(1..=100).contains(&newer)) {
        return Err(s3_error!(InvalidArgument, "'NewerNoncurrentVersions' must be a positive integer of at most 100"));
    }
    Ok(())
}

fn positive(days: Option<i32>, name: &str, action: &str) -> S3Result<()> {
    match days {
        Some(days) if days > 0 => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "'{name}' for {action} action must be a positive integer")),
        None => Err(malformed()),
    }
}

fn midnight(date: &Timestamp) -> S3Result<()> {
    if lifecycle::instant(date).is_some_and(|date| date.time() == NaiveTime::MIN) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "'Date' must be at midnight GMT"))
}
