//! Permissions that the operations of S3 need.
//!
//! Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3", and the sections
//! on permissions of the API reference.

use hyper::HeaderMap;

/// Returns the actions that an operation needs on its own bucket or object, without the prefix `s3:`.
pub(super) fn needed(operation: &str, has_version: bool, headers: &HeaderMap) -> Vec<&'static str> {
    let mut actions = own(operation, has_version);
    let writes = ["PutObject", "CopyObject", "CreateMultipartUpload"].contains(&operation);
    let sent = |prefix: &str| headers.keys().any(|name| name.as_str().starts_with(prefix));
    if writes && sent("x-amz-tagging") && !headers.contains_key("x-amz-tagging-directive") {
        actions.push("PutObjectTagging");
    }
    if writes && (headers.contains_key("x-amz-acl") || sent("x-amz-grant-")) {
        actions.push("PutObjectAcl");
    }
    if writes && (sent("x-amz-object-lock-mode") || sent("x-amz-object-lock-retain")) {
        actions.push("PutObjectRetention");
    }
    if writes && sent("x-amz-object-lock-legal-hold") {
        actions.push("PutObjectLegalHold");
    }
    if operation == "CreateBucket" {
        let has_acl = headers.get("x-amz-acl").is_some_and(|acl| acl != "private") || sent("x-amz-grant-");
        actions.extend(has_acl.then_some("PutBucketAcl"));
        actions.extend(sent("x-amz-object-ownership").then_some("PutBucketOwnershipControls"));
        if sent("x-amz-bucket-object-lock") {
            actions.extend(["PutBucketVersioning", "PutBucketObjectLockConfiguration"]);
        }
    }
    if headers.get("x-amz-bypass-governance-retention").is_some_and(|value| value == "true") {
        actions.push("BypassGovernanceRetention");
    }
    actions
}

/// Returns the action that reads an object or a version of it.
pub(super) fn reading(has_version: bool) -> &'static str {
    if has_version { "GetObjectVersion" } else { "GetObject" }
}

fn own(operation: &str, has_version: bool) -> Vec<&'static str> {
    if let Some(actions) = of_object(operation, has_version) {
        return actions;
    }
    let known = OF_BUCKETS.iter().find(|(name, _)| *name == operation);
    known.map(|(_, action)| vec![*action]).unwrap_or_default()
}

fn of_object(operation: &str, has_version: bool) -> Option<Vec<&'static str>> {
    let either = |plain, of_version| if has_version { vec![of_version] } else { vec![plain] };
    Some(match operation {
        "GetObject" | "HeadObject" => vec![reading(has_version)],
        "GetObjectAttributes" if has_version => vec!["GetObjectVersion", "GetObjectVersionAttributes"],
        "GetObjectAttributes" => vec!["GetObject", "GetObjectAttributes"],
        "GetObjectTagging" => either("GetObjectTagging", "GetObjectVersionTagging"),
        "PutObjectTagging" => either("PutObjectTagging", "PutObjectVersionTagging"),
        "DeleteObjectTagging" => either("DeleteObjectTagging", "DeleteObjectVersionTagging"),
        "GetObjectAcl" => either("GetObjectAcl", "GetObjectVersionAcl"),
        "PutObjectAcl" => either("PutObjectAcl", "PutObjectVersionAcl"),
        "DeleteObject" => either("DeleteObject", "DeleteObjectVersion"),
        "GetObjectRetention" => vec!["GetObjectRetention"],
        "PutObjectRetention" => vec!["PutObjectRetention"],
        "GetObjectLegalHold" => vec!["GetObjectLegalHold"],
        "PutObjectLegalHold" => vec!["PutObjectLegalHold"],
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => vec!["PutObject"],
        "RestoreObject" => vec!["RestoreObject"],
        "AbortMultipartUpload" => vec!["AbortMultipartUpload"],
        "ListParts" => vec!["ListMultipartUploadParts"],
        _ => return None,
    })
}

/// Operations on buckets, and their actions.
const OF_BUCKETS: &[(&str, &str)] = &[
    ("ListBuckets", "ListAllMyBuckets"),
    ("CreateBucket", "CreateBucket"),
    ("DeleteBucket", "DeleteBucket"),
    ("HeadBucket", "ListBucket"),
    ("ListObjects", "ListBucket"),
    ("ListObjectsV2", "ListBucket"),
    ("ListObjectVersions", "ListBucketVersions"),
    ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("GetBucketLocation", "GetBucketLocation"),
    ("GetBucketTagging", "GetBucketTagging"),
    ("PutBucketTagging", "PutBucketTagging"),
    ("DeleteBucketTagging", "PutBucketTagging"),
    ("GetBucketVersioning", "GetBucketVersioning"),
    ("PutBucketVersioning", "PutBucketVersioning"),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("GetBucketOwnershipControls", "GetBucketOwnershipControls"),
    ("PutBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("GetBucketAcl", "GetBucketAcl"),
    ("PutBucketAcl", "PutBucketAcl"),
    ("GetBucketPolicy", "GetBucketPolicy"),
    ("PutBucketPolicy", "PutBucketPolicy"),
    ("DeleteBucketPolicy", "DeleteBucketPolicy"),
    ("GetBucketPolicyStatus", "GetBucketPolicyStatus"),
    ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("GetBucketCors", "GetBucketCORS"),
    ("PutBucketCors", "PutBucketCORS"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    ("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("GetBucketWebsite", "GetBucketWebsite"),
    ("PutBucketWebsite", "PutBucketWebsite"),
    ("DeleteBucketWebsite", "DeleteBucketWebsite"),
    ("GetBucketLogging", "GetBucketLogging"),
    ("PutBucketLogging", "PutBucketLogging"),
    ("GetBucketNotificationConfiguration", "GetBucketNotification"),
    ("PutBucketNotificationConfiguration", "PutBucketNotification"),
    ("GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"),
    ("PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"),
    ("GetBucketRequestPayment", "GetBucketRequestPayment"),
    ("PutBucketRequestPayment", "PutBucketRequestPayment"),
    ("GetBucketReplication", "GetReplicationConfiguration"),
    ("PutBucketReplication", "PutReplicationConfiguration"),
    ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    ("GetBucketAnalyticsConfiguration", "GetAnalyticsConfiguration"),
    ("ListBucketAnalyticsConfigurations", "GetAnalyticsConfiguration"),
    ("PutBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    ("DeleteBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    ("GetBucketIntelligentTieringConfiguration", "GetIntelligentTieringConfiguration"),
    ("ListBucketIntelligentTieringConfigurations", "GetIntelligentTieringConfiguration"),
    ("PutBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("DeleteBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("GetBucketInventoryConfiguration", "GetInventoryConfiguration"),
    ("ListBucketInventoryConfigurations", "GetInventoryConfiguration"),
    ("PutBucketInventoryConfiguration", "PutInventoryConfiguration"),
    ("DeleteBucketInventoryConfiguration", "PutInventoryConfiguration"),
    ("GetBucketMetricsConfiguration", "GetMetricsConfiguration"),
    ("ListBucketMetricsConfigurations", "GetMetricsConfiguration"),
    ("PutBucketMetricsConfiguration", "PutMetricsConfiguration"),
    ("DeleteBucketMetricsConfiguration", "PutMetricsConfiguration"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::s3::service::NAMES;

    /// Converts `get_object` to `GetObject`.
    fn operation(name: &str) -> String {
        let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
        name.split('_').map(capital).collect()
    }

    #[test]
    fn every_operation_needs_permission() {
        let free: Vec<_> = NAMES
            .iter()
            .map(|name| operation(name))
            .filter(|name| needed(name, false, &HeaderMap::new()).is_empty())
            .collect();
        // DeleteObjects needs permission for each key in its body.
        assert_eq!(free, ["DeleteObjects"]);
        let unused: Vec<_> =
            OF_BUCKETS.iter().filter(|(known, _)| !NAMES.iter().any(|name| operation(name) == *known)).collect();
        assert!(unused.is_empty(), "the table has operations that do not exist: {unused:?}");
    }

    #[test]
    fn headers_and_versions_need_additional_permissions() {
        let with = |operation: &str, has_version: bool, names: &[&'static str]| {
            let pairs = names.iter().map(|name| (hyper::header::HeaderName::from_static(name), "true".parse()));
            let headers = pairs.filter_map(|(name, value)| Some((name, value.ok()?))).collect();
            needed(operation, has_version, &headers).join(" ")
        };
        assert_eq!(with("HeadObject", true, &[]), "GetObjectVersion");
        assert_eq!(
            with("PutObject", false, &["x-amz-tagging", "x-amz-acl"]),
            "PutObject PutObjectTagging PutObjectAcl"
        );
        assert_eq!(with("PutObject", false, &["x-amz-object-lock-legal-hold"]), "PutObject PutObjectLegalHold");
        let bypass = &["x-amz-bypass-governance-retention"];
        assert_eq!(with("DeleteObject", true, bypass), "DeleteObjectVersion BypassGovernanceRetention");
    }
}
