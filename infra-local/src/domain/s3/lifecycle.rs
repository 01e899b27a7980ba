//! Lifecycle rules: which versions and uploads are due for which change.
//!
//! Source: Amazon S3 User Guide, "Managing the lifecycle of objects", "Lifecycle configuration elements".

use chrono::{DateTime, Days, NaiveTime, Utc};
use s3s::dto::{BucketLifecycleConfiguration, LifecycleRule, Tag, Timestamp, TimestampFormat};

use super::documents;
use crate::model::clock::TimeScale;
use crate::model::s3::{Object, Settings};
use crate::state::objects::{Bucket, Versions};

/// Kind of the document with the rules.
pub(crate) const KIND: &str = "lifecycle";

/// Kind of the text that S3 calls `TransitionDefaultMinimumObjectSize`.
pub(crate) const MINIMUM_SIZE: &str = "lifecycle-minimum-size";

/// Size below which objects change their storage class only if a rule filters by size.
const TRANSITION_MINIMUM_BYTES: u64 = 128 * 1024;

/// The storage classes in the order in which rules may change them.
const CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];

/// A change that a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Delete the current version: in a bucket with versions, a delete marker hides it.
    Expire {
        key: String,
        version: String,
    },
    /// Delete a noncurrent version, or a delete marker without other versions.
    Remove {
        key: String,
        version: String,
    },
    Transition {
        key: String,
        version: String,
        class: String,
    },
    Abort {
        key: String,
        upload: String,
    },
}

/// The time at which rules are evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: DateTime<Utc>,
    pub(crate) scale: TimeScale,
}

impl Clock {
    /// Returns whether a number of days has passed. AWS rounds to the next midnight UTC; the scale divides the period.
    fn over(&self, since: DateTime<Utc>, days: Option<i32>) -> bool {
        days.and_then(|days| due_date(since, days)).is_some_and(|due| {
            let seconds = (due - since).num_seconds();
            self.now >= since + self.scale.scaled(seconds as f64)
        })
    }
}

/// Returns the midnight that follows a number of days.
fn due_date(since: DateTime<Utc>, days: i32) -> Option<DateTime<Utc>> {
    let due = since.checked_add_days(Days::new(u64::try_from(days).ok()?))?;
    let midnight = due.date_naive().and_time(NaiveTime::MIN).and_utc();
    if midnight == due { Some(due) } else { midnight.checked_add_days(Days::new(1)) }
}

/// Returns the changes that are due in a bucket.
pub(crate) fn due(bucket: &Bucket, clock: Clock) -> Vec<Due> {
    let rules = rules(&bucket.settings);
    let mut due = Vec::new();
    for (key, versions) in bucket.objects.iter().filter(|_| !rules.is_empty()) {
        due.extend(of_current(&rules, &bucket.settings, versions, clock));
        due.extend(of_noncurrent(&rules, &bucket.settings, key, versions, clock));
    }
    for (id, upload) in &bucket.uploads {
        let is_due = rules.iter().any(|rule| {
            let days = rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation);
            prefix(rule).is_none_or(|prefix| upload.object.key.starts_with(prefix))
                && clock.over(upload.initiated, days)
        });
        if is_due {
            due.push(Due::Abort { key: upload.object.key.clone(), upload: id.clone() });
        }
    }
    due
}

/// Returns the date at which a current version expires, and the id of the rule.
pub(crate) fn expiration(settings: &Settings, object: &Object) -> Option<(DateTime<Utc>, String)> {
    let rules = rules(settings);
    let dates = rules.iter().filter(|rule| applies(rule, object)).filter_map(|rule| {
        let expiration = rule.expiration.as_ref()?;
        let date = expiration.date.as_ref().and_then(instant);
        let due = expiration.days.and_then(|days| due_date(object.modified, days)).or(date)?;
        Some((due, rule.id.clone().unwrap_or_default()))
    });
    dates.min_by_key(|(due, _)| *due)
}

/// Returns the enabled rules.
fn rules(settings: &Settings) -> Vec<LifecycleRule> {
    let configuration: Option<BucketLifecycleConfiguration> = documents::read(settings, KIND).ok().flatten();
    let rules = configuration.map(|configuration| configuration.rules).unwrap_or_default();
    rules.into_iter().filter(|rule| rule.status.as_str() == "Enabled").collect()
}

fn of_current(rules: &[LifecycleRule], settings: &Settings, versions: &Versions, clock: Clock) -> Option<Due> {
    let object = versions.latest()?;
    let (key, version) = (object.key.clone(), object.version().to_owned());
    let mut applying = rules.iter().filter(|rule| applies(rule, object));
    if object.delete_marker {
        let is_alone = versions.newest_first().count() == 1;
        let expires = |rule: &LifecycleRule| {
            rule.expiration.as_ref().is_some_and(|expiration| {
                expiration.expired_object_delete_marker == Some(true) || clock.over(object.modified, expiration.days)
            })
        };
        return (is_alone && applying.any(expires)).then_some(Due::Remove { key, version });
    }
    let mut class: Option<String> = None;
    for rule in applying {
        let expires = rule.expiration.as_ref().is_some_and(|expiration| {
            clock.over(object.modified, expiration.days) || is_past(expiration.date.as_ref(), clock)
        });
        if expires {
            return Some(Due::Expire { key, version });
        }
        for transition in rule.transitions.iter().flatten() {
            let is_due = clock.over(object.modified, transition.days) || is_past(transition.date.as_ref(), clock);
            let wanted = transition.storage_class.as_ref().map(s3s::dto::TransitionStorageClass::as_str);
            if is_due && may_transition(rule, settings, object) {
                advance(&mut class, object, wanted);
            }
        }
    }
    class.map(|class| Due::Transition { key, version, class })
}

fn of_noncurrent(
    rules: &[LifecycleRule],
    settings: &Settings,
    key: &str,
    versions: &Versions,
    clock: Clock,
) -> Vec<Due> {
    let mut due = Vec::new();
    let all: Vec<&Object> = versions.newest_first().collect();
    for (index, pair) in all.windows(2).enumerate() {
        // A version is noncurrent since its successor exists. `index` newer noncurrent versions precede it.
        let [successor, object] = pair else { continue };
        let since = successor.modified;
        let is_kept = |newer: Option<i32>| newer.and_then(|newer| usize::try_from(newer).ok()) > Some(index);
        let mut class: Option<String> = None;
        let mut is_expired = false;
        for rule in rules.iter().filter(|rule| applies(rule, object)) {
            if let Some(expiration) = &rule.noncurrent_version_expiration {
                is_expired |=
                    clock.over(since, expiration.noncurrent_days) && !is_kept(expiration.newer_noncurrent_versions);
            }
            for transition in rule.noncurrent_version_transitions.iter().flatten() {
                let wanted = transition.storage_class.as_ref().map(s3s::dto::TransitionStorageClass::as_str);
                if clock.over(since, transition.noncurrent_days)
                    && !is_kept(transition.newer_noncurrent_versions)
                    && !object.delete_marker
                    && may_transition(rule, settings, object)
                {
                    advance(&mut class, object, wanted);
                }
            }
        }
        let version = object.version().to_owned();
        if is_expired && !is_locked(object, clock.now) {
            due.push(Due::Remove { key: key.to_owned(), version });
        } else if let Some(class) = class {
            due.push(Due::Transition { key: key.to_owned(), version, class });
        }
    }
    due
}

/// Returns whether retention or a legal hold prevents the deletion of a version.
fn is_locked(object: &Object, now: DateTime<Utc>) -> bool {
    object.lock.legal_hold == Some(true)
        || object.lock.retention.as_ref().is_some_and(|retention| retention.until > now)
}

/// Keeps the later one of two storage classes, if it is later than the object's.
fn advance(class: &mut Option<String>, object: &Object, wanted: Option<&str>) {
    let rank = |class: &str| CLASSES.iter().position(|known| *known == class);
    let current = class.as_deref().unwrap_or_else(|| object.storage_class());
    if let Some(wanted) = wanted.filter(|wanted| rank(wanted) > rank(current)) {
        *class = Some(wanted.to_owned());
    }
}

/// Returns whether an object is large enough to change its storage class.
fn may_transition(rule: &LifecycleRule, settings: &Settings, object: &Object) -> bool {
    let (greater, less) = sizes(rule);
    let has_minimum = settings.configurations.get(MINIMUM_SIZE).is_none_or(|kind| kind != "varies_by_storage_class");
    !has_minimum || greater.is_some() || less.is_some() || object.blob.size >= TRANSITION_MINIMUM_BYTES
}

/// Returns whether the filter of a rule selects a version.
fn applies(rule: &LifecycleRule, object: &Object) -> bool {
    let (greater, less) = sizes(rule);
    let size = i64::try_from(object.blob.size).unwrap_or(i64::MAX);
    let has_tag = |tag: &Tag| {
        let value = tag.key.as_ref().and_then(|key| object.tags.get(key));
        value == Some(tag.value.as_ref().unwrap_or(&String::new()))
    };
    // A delete marker has neither tags nor a size, so that such filters do not select it.
    let selects_content = tags(rule).next().is_some() || greater.is_some() || less.is_some();
    prefix(rule).is_none_or(|prefix| object.key.starts_with(prefix))
        && !(object.delete_marker && selects_content)
        && tags(rule).all(has_tag)
        && greater.is_none_or(|limit| size > limit)
        && less.is_none_or(|limit| size < limit)
}

fn prefix(rule: &LifecycleRule) -> Option<&str> {
    let filter = rule.filter.as_ref();
    let of_and = filter.and_then(|filter| filter.and.as_ref()).and_then(|and| and.prefix.as_deref());
    rule.prefix.as_deref().or_else(|| filter?.prefix.as_deref()).or(of_and)
}

fn tags(rule: &LifecycleRule) -> impl Iterator<Item = &Tag> {
    let filter = rule.filter.as_ref();
    let of_and = filter.and_then(|filter| filter.and.as_ref()).and_then(|and| and.tags.as_ref());
    filter.and_then(|filter| filter.tag.as_ref()).into_iter().chain(of_and.into_iter().flatten())
}

/// Returns the limits of a rule: greater than, and less than.
fn sizes(rule: &LifecycleRule) -> (Option<i64>, Option<i64>) {
    let Some(filter) = &rule.filter else { return (None, None) };
    let and = filter.and.as_ref();
    (
        filter.object_size_greater_than.or_else(|| and?.object_size_greater_than),
        filter.object_size_less_than.or_else(|| and?.object_size_less_than),
    )
}

fn is_past(date: Option<&Timestamp>, clock: Clock) -> bool {
    date.and_then(instant).is_some_and(|date| clock.now >= date)
}

/// Converts a time of the API.
pub(crate) fn instant(time: &Timestamp) -> Option<DateTime<Utc>> {
    let mut text = Vec::new();
    time.format(TimestampFormat::DateTime, &mut text).ok()?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::model::s3::{Blob, Encryption, Retention, Upload};

    const DAY: u64 = 24 * 3600;

    fn start() -> DateTime<Utc> {
        "2026-01-01T10:00:00Z".parse().unwrap()
    }

    fn after(days: u64) -> Clock {
        Clock { now: start() + std::time::Duration::from_secs(days * DAY), scale: TimeScale(1.0) }
    }

    fn object(version: Option<&str>, sequence: u64, days: u64) -> Object {
        Object {
            key: "logs/a".to_owned(),
            blob: Blob { size: 200 * 1024, ..Blob::default() },
            version_id: version.map(str::to_owned),
            sequence,
            modified: start() + std::time::Duration::from_secs(days * DAY),
            ..Object::default()
        }
    }

    fn bucket(rule: &str, objects: Vec<Object>) -> Bucket {
        let document = format!(
            "<LifecycleConfiguration><Rule><ID>r</ID>{rule}<Status>Enabled</Status></Rule></LifecycleConfiguration>"
        );
        let settings = Settings {
            name: "b".to_owned(),
            region: "us-east-1".to_owned(),
            created: start(),
            tags: None,
            versioning: Some("Enabled".to_owned()),
            public_access_block: None,
            encryption: Encryption::default(),
            cors: Vec::new(),
            configurations: BTreeMap::from([(KIND.to_owned(), document)]),
            acl: Vec::new(),
        };
        let objects = BTreeMap::from([("logs/a".to_owned(), objects.into_iter().collect())]);
        Bucket { settings, objects, uploads: BTreeMap::new() }
    }

    fn shown(bucket: &Bucket, clock: Clock) -> String {
        format!("{:?}", due(bucket, clock))
    }

    #[test]
    fn objects_expire_at_the_midnight_after_their_days() {
        let rule = "<Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>1</Days></Expiration>";
        let bucket = bucket(rule, vec![object(Some("v1"), 0, 0)]);
        let at = |text: &str| Clock { now: text.parse().unwrap(), scale: TimeScale(1.0) };
        insta::assert_snapshot!(shown(&bucket, at("2026-01-02T23:59:59Z")), @"[]");
        insta::assert_snapshot!(shown(&bucket, at("2026-01-03T00:00:00Z")), @r#"[Expire { key: "logs/a", version: "v1" }]"#);
        let (date, rule) = expiration(&bucket.settings, &object(None, 0, 0)).unwrap();
        assert_eq!((date.to_rfc3339(), rule.as_str()), ("2026-01-03T00:00:00+00:00".to_owned(), "r"));
        // At a scale of 3600, 38 hours are 38 seconds.
        let fast = |seconds| Clock { now: start() + TimeScale(1.0).scaled(seconds), scale: TimeScale(3600.0) };
        insta::assert_snapshot!(shown(&bucket, fast(37.0)), @"[]");
        insta::assert_snapshot!(shown(&bucket, fast(38.0)), @r#"[Expire { key: "logs/a", version: "v1" }]"#);
    }

    #[test]
    fn filters_select_by_prefix_tag_and_size() {
        let selects = |filter: &str| {
            let rule = format!("<Filter>{filter}</Filter><Expiration><Days>1</Days></Expiration>");
            let mut version = object(None, 0, 0);
            version.tags.insert("kind".to_owned(), "log".to_owned());
            !due(&bucket(&rule, vec![version]), after(9)).is_empty()
        };
        assert!(selects("") && selects("<Prefix>logs/</Prefix>") && !selects("<Prefix>data/</Prefix>"));
        assert!(selects("<Tag><Key>kind</Key><Value>log</Value></Tag>"));
        assert!(!selects("<Tag><Key>kind</Key><Value>other</Value></Tag>"));
        assert!(selects("<ObjectSizeGreaterThan>100</ObjectSizeGreaterThan>"));
        assert!(!selects("<ObjectSizeLessThan>100</ObjectSizeLessThan>"));
        let and = "<And><Prefix>logs/</Prefix><Tag><Key>kind</Key><Value>log</Value></Tag></And>";
        assert!(selects(and) && !selects(&and.replace("logs/", "data/")));
    }

    #[test]
    fn noncurrent_versions_expire_except_for_the_newest_and_the_locked() {
        let rule = "<Filter/><NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions>\
                    <NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>";
        let mut all = vec![object(Some("v1"), 0, 0), object(Some("v2"), 1, 1), object(Some("v3"), 2, 2)];
        let before = bucket(rule, all.clone());
        insta::assert_snapshot!(shown(&before, after(4)), @"[]");
        insta::assert_snapshot!(shown(&before, after(5)), @r#"[Remove { key: "logs/a", version: "v1" }]"#);
        all[0].lock.retention = Some(Retention { mode: "COMPLIANCE".to_owned(), until: after(90).now });
        insta::assert_snapshot!(shown(&bucket(rule, all), after(5)), @"[]");
    }

    #[test]
    fn lone_delete_markers_are_removed() {
        let rule = "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
        let marker = Object { delete_marker: true, ..object(Some("v2"), 1, 1) };
        insta::assert_snapshot!(shown(&bucket(rule, vec![marker.clone()]), after(1)), @r#"[Remove { key: "logs/a", version: "v2" }]"#);
        insta::assert_snapshot!(shown(&bucket(rule, vec![object(Some("v1"), 0, 0), marker]), after(1)), @"[]");
    }

    #[test]
    fn transitions_lead_to_colder_classes_only() {
        let rule = "<Filter/><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>\
                    <Transition><Days>60</Days><StorageClass>GLACIER</StorageClass></Transition>";
        let class = |class: Option<&str>, size: u64, days: u64| {
            let mut version = object(None, 0, 0);
            version.storage_class = class.map(str::to_owned);
            version.blob.size = size;
            shown(&bucket(rule, vec![version]), after(days))
        };
        let large = 200 * 1024;
        insta::assert_snapshot!(class(None, large, 29), @"[]");
        insta::assert_snapshot!(class(None, large, 32), @r#"[Transition { key: "logs/a", version: "null", class: "STANDARD_IA" }]"#);
        insta::assert_snapshot!(class(None, large, 62), @r#"[Transition { key: "logs/a", version: "null", class: "GLACIER" }]"#);
        insta::assert_snapshot!(class(Some("DEEP_ARCHIVE"), large, 62), @"[]");
        insta::assert_snapshot!(class(None, 1000, 62), @"[]");
    }

    #[test]
    fn incomplete_uploads_are_aborted() {
        let rule = "<Filter><Prefix>logs/</Prefix></Filter><AbortIncompleteMultipartUpload>\
                    <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
        let mut bucket = bucket(rule, Vec::new());
        let upload = |key: &str| Upload {
            initiated: start(),
            object: Object { key: key.to_owned(), ..Object::default() },
            ..Upload::default()
        };
        bucket.uploads.insert("u1".to_owned(), upload("logs/a"));
        bucket.uploads.insert("u2".to_owned(), upload("data/a"));
        insta::assert_snapshot!(shown(&bucket, after(7)), @"[]");
        insta::assert_snapshot!(shown(&bucket, after(8)), @r#"[Abort { key: "logs/a", upload: "u1" }]"#);
    }
}
