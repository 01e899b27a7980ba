//! Buckets for the logs of balancers.
//!
//! Source: Application Load Balancers, "Enable access logs", "Enable connection logs"
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html>).

use super::not_honoured;
use crate::access::admits_log_delivery;
use crate::domain::elbv2::logs::LogPlace;
use crate::services::State;
use crate::wire::Outcome;

/// Checks that Elastic Load Balancing can write to the bucket of a log, and writes AWS's test file.
pub(super) fn prepare(state: &State<'_>, place: &LogPlace) -> Outcome<()> {
    let LogPlace { bucket, region, prefix, .. } = place;
    let attribute = place.kind.attribute();
    if bucket.is_empty() {
        return Err(not_honoured(format!("The value of '{attribute}.bucket' cannot be empty")));
    }
    if prefix.contains("AWSLogs") {
        return Err(not_honoured(format!("The value of '{attribute}.prefix' must not contain 'AWSLogs'")));
    }
    let Some(objects) = state.objects() else { return Ok(()) };
    let settings = objects.bucket(bucket, |found| Ok(found.settings.clone()));
    let Ok(settings) = settings else {
        return Err(not_honoured(format!("S3Bucket: {bucket} does not exist")));
    };
    if settings.region != *region {
        return Err(not_honoured(format!(
            "S3Bucket: {bucket} is not located in the same region as the load balancer: {} instead of {region}",
            settings.region
        )));
    }
    let denied = || not_honoured(format!("Access Denied for bucket: {bucket}. Please check S3bucket permission"));
    let key = place.test_key();
    // Only keys of Amazon S3 (SSE-S3) encrypt logs.
    if !admits_log_delivery(settings.policy(), place.scope(), &format!("arn:aws:s3:::{bucket}/{key}"))
        || settings.encryption.algorithm != "AES256"
    {
        return Err(denied());
    }
    objects.deliver(bucket, key, b"").map_err(|error| not_honoured(format!("S3Bucket: {bucket}: {error}")))
}
