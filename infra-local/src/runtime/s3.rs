//! Applies the lifecycle rules of buckets.

use std::time::Duration;

use chrono::Utc;
use s3s::{S3Result, s3_error};

use super::background::PhaseWatch;
use crate::domain::s3::lifecycle::{self, Clock, Due};
use crate::model::clock::TimeScale;
use crate::model::s3::Object;
use crate::state::Shared;
use crate::state::objects::Objects;

/// Longest interval of evaluations. AWS evaluates the rules once a day, so that an object may outlive its expiration.
const LONGEST: Duration = Duration::from_mins(1);

const SHORTEST: Duration = Duration::from_secs(1);

/// Evaluates the rules until the cloud stops.
pub(crate) async fn run(shared: Shared, scale: f64, mut phase: PhaseWatch) {
    let scale = TimeScale(scale);
    let hour = scale.scaled(3600.0).to_std().unwrap_or(LONGEST);
    let mut look = tokio::time::interval(hour.clamp(SHORTEST, LONGEST));
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = phase.ended() => return,
        }
        apply(shared.objects(), Clock { now: Utc::now(), scale });
    }
}

/// Applies all changes that are due.
fn apply(objects: &Objects, clock: Clock) {
    for name in objects.names() {
        let due = objects.bucket(&name, |bucket| Ok(lifecycle::due(bucket, clock)));
        for due in due.unwrap_or_default() {
            match apply_one(objects, &name, &due) {
                Ok(()) => tracing::info!(bucket = name, ?due, "applied a lifecycle rule"),
                Err(error) => tracing::warn!(bucket = name, ?due, %error, "a lifecycle rule could not be applied"),
            }
        }
    }
}

fn apply_one(objects: &Objects, bucket: &str, due: &Due) -> S3Result<()> {
    match due {
        Due::Expire { key, version } => {
            // The object may have been replaced since the evaluation.
            let is_same = |current: Option<&Object>| match current {
                Some(current) if current.version() == version => Ok(()),
                _ => Err(s3_error!(OperationAborted)),
            };
            objects.remove(bucket, key, None, is_same).map(drop)
        }
        Due::Remove { key, version } => objects.remove(bucket, key, Some(version), |_| Ok(())).map(drop),
        Due::Transition { key, version, class } => {
            let change = |object: &mut Object| {
                object.storage_class = Some(class.clone());
                Ok(())
            };
            objects.change(bucket, key, Some(version), change).map(drop)
        }
        Due::Abort { key, upload } => objects.abort_upload(bucket, key, upload),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use chrono::TimeDelta;

    use super::*;
    use crate::model::s3::{Blob, Encryption, Settings, Upload};
    use crate::state::objects::Versions;

    const RULES: &str = "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status>\
        <Expiration><Days>10</Days></Expiration>\
        <Transition><Days>2</Days><StorageClass>GLACIER_IR</StorageClass></Transition>\
        <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
        </Rule></LifecycleConfiguration>";

    #[test]
    fn rules_change_versions_and_uploads() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::load(directory.path().to_owned()).unwrap();
        let start = Utc::now();
        let settings = Settings {
            name: "b".to_owned(),
            region: "us-east-1".to_owned(),
            created: start,
            tags: None,
            versioning: Some("Enabled".to_owned()),
            public_access_block: None,
            encryption: Encryption::default(),
            cors: Vec::new(),
            configurations: BTreeMap::from([(lifecycle::KIND.to_owned(), RULES.to_owned())]),
            acl: Vec::new(),
        };
        objects.create_bucket(settings).unwrap();
        let object = Object {
            key: "k".to_owned(),
            modified: start,
            blob: Blob { size: 1024 * 1024, ..Blob::default() },
            ..Object::default()
        };
        let version = objects.commit("b", object.clone(), |_| Ok(())).unwrap();
        let upload = Upload { initiated: start, object, ..Upload::default() };
        objects.begin_upload("b", "u", upload).unwrap();
        let shown = || {
            let buckets = objects.lock();
            let bucket = &buckets["b"];
            let versions = bucket.objects.get("k").into_iter().flat_map(Versions::newest_first);
            let versions: Vec<_> =
                versions.map(|one| if one.delete_marker { "marker" } else { one.storage_class() }).collect();
            format!("{versions:?}, {} uploads", bucket.uploads.len())
        };
        let after = |days| apply(&objects, Clock { now: start + TimeDelta::days(days), scale: TimeScale(1.0) });
        after(1);
        assert_eq!(shown(), r#"["STANDARD"], 1 uploads"#);
        after(3);
        assert_eq!(shown(), r#"["GLACIER_IR"], 0 uploads"#);
        after(11);
        assert_eq!(shown(), r#"["marker", "GLACIER_IR"], 0 uploads"#);
        // The version is noncurrent since the marker exists, whose time is that of this test.
        after(12);
        assert_eq!(shown(), r#"["marker"], 0 uploads"#);
        // The version is deleted permanently.
        assert!(objects.bucket("b", |bucket| Ok(bucket.version("k", Some(version.version())).is_err())).unwrap());
    }
}
