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
