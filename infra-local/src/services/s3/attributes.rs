//! Attributes of a new object in the headers of PutObject, CopyObject and CreateMultipartUpload.

use chrono::Utc;
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::service::refuse;
use super::tags::read_tags;
use super::{acl, lock};
use crate::model::Tags;
use crate::model::s3::{Encryption, Headers, Object, Settings};

/// The storage classes of general purpose buckets.
const STORAGE_CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// Maximum size of the names and values of user-defined metadata, in bytes.
///
/// Source: Amazon S3 User Guide, "Working with object metadata".
const METADATA_LIMIT_BYTES: usize = 2048;

/// The headers of a request that describe a new object.
pub(super) struct Sent {
    pub(super) operation: &'static str,
    pub(super) headers: Headers,
    pub(super) acl: Option<ObjectCannedACL>,
    /// `x-amz-grant-*`: full control, read, read ACP and write ACP.
    pub(super) grants: [Option<String>; 4],
    pub(super) algorithm: Option<ServerSideEncryption>,
    pub(super) key_id: Option<String>,
    pub(super) bucket_key: Option<bool>,
    pub(super) has_customer_key: bool,
    pub(super) tagging: Option<String>,
    pub(super) storage_class: Option<StorageClass>,
    pub(super) lock_mode: Option<ObjectLockMode>,
    pub(super) retain_until: Option<Timestamp>,
    pub(super) legal_hold: Option<ObjectLockLegalHoldStatus>,
}

/// Moves the describing headers out of an operation's input, which has the same fields in all three operations.
macro_rules! sent {
    ($operation:literal, $input:ident) => {
        $crate::services::s3::attributes::Sent {
            operation: $operation,
            headers: $crate::model::s3::Headers {
                content_type: $input.content_type,
                content_encoding: $input.content_encoding,
                content_language: $input.content_language,
                content_disposition: $input.content_disposition,
                cache_control: $input.cache_control,
                expires: $input.expires.as_ref().map($crate::services::s3::service::http_date),
                website_redirect: $input.website_redirect_location,
                metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
            },
            acl: $input.acl,
            grants: [$input.grant_full_control, $input.grant_read, $input.grant_read_acp, $input.grant_write_acp],
            algorithm: $input.server_side_encryption,
            key_id: $input.ssekms_key_id,
            bucket_key: $input.bucket_key_enabled,
            has_customer_key: $input.sse_customer_algorithm.is_some() || $input.sse_customer_key.is_some(),
            tagging: $input.tagging,
            storage_class: $input.storage_class,
            lock_mode: $input.object_lock_mode,
            retain_until: $input.object_lock_retain_until_date,
            legal_hold: $input.object_lock_legal_hold_status,
        }
    };
}
pub(super) use sent;

impl Sent {
    /// Validates the headers, and returns an object with them and without content.
    pub(super) fn object(self, key: String, settings: &Settings) -> S3Result<Object> {
        refuse(self.operation, &[(self.has_customer_key, "x-amz-server-side-encryption-customer-*")])?;
        check_headers(&self.headers)?;
        let now = Utc::now();
        Ok(Object {
            key,
            modified: now,
            encryption: encryption(self.algorithm, self.key_id, self.bucket_key, &settings.encryption)?,
            tags: parse_tagging(self.tagging.as_deref())?,
            storage_class: storage_class(self.storage_class.as_ref().map(StorageClass::as_str))?,
            lock: lock::of_new_object(settings, self.lock_mode, self.retain_until.as_ref(), self.legal_hold, now)?,
            acl: acl::of_new_object(settings, self.acl.as_ref().map(ObjectCannedACL::as_str), &self.grants)?,
            headers: self.headers,
            ..Object::default()
        })
    }
}

fn check_headers(headers: &Headers) -> S3Result<()> {
    let size: usize = headers.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > METADATA_LIMIT_BYTES {
        return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size"));
    }
    let redirect = headers.website_redirect.as_deref();
    if redirect.is_some_and(|target| !["/", "http://", "https://"].iter().any(|prefix| target.starts_with(prefix))) {
        return Err(super::documents::error(
            400,
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    Ok(())
}

/// Validates a storage class; `None` stands for `STANDARD`.
pub(super) fn storage_class(class: Option<&str>) -> S3Result<Option<String>> {
    match class {
        None | Some("STANDARD") => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class) => Ok(Some(class.to_owned())),
        Some(_) => Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid")),
    }
}

/// Returns the encryption in the request, or else the bucket's default.
fn encryption(
    algorithm: Option<ServerSideEncryption>,
    key_id: Option<String>,
    bucket_key: Option<bool>,
    default: &Encryption,
) -> S3Result<Encryption> {
    let Some(algorithm) = algorithm else {
        if key_id.is_some() && default.algorithm == "AES256" {
            return Err(key_without_kms());
        }
        let bucket_key = bucket_key.unwrap_or(default.bucket_key);
        return Ok(Encryption { key_id: key_id.or_else(|| default.key_id.clone()), bucket_key, ..default.clone() });
    };
    check_algorithm(algorithm.as_str())?;
    if key_id.is_some() && algorithm.as_str() == "AES256" {
        return Err(key_without_kms());
    }
    Ok(Encryption { algorithm: algorithm.as_str().to_owned(), key_id, bucket_key: bucket_key.unwrap_or(false) })
}

/// Checks the name of an algorithm of server-side encryption.
pub(super) fn check_algorithm(algorithm: &str) -> S3Result<()> {
    if ["AES256", "aws:kms", "aws:kms:dsse"].contains(&algorithm) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "The encryption method specified is not supported"))
}

fn key_without_kms() -> s3s::S3Error {
    s3_error!(
        InvalidArgument,
        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
    )
}

/// Parses tags in the form of a query string: `a=1&b=2`.
pub(super) fn parse_tagging(header: Option<&str>) -> S3Result<Tags> {
    let pairs = form_urlencoded::parse(header.unwrap_or_default().as_bytes());
    read_tags(
        pairs.map(|(key, value)| Tag { key: Some(key.into_owned()), value: Some(value.into_owned()) }).collect(),
        10,
    )
}

/// Returns the instant of a stored `Expires` header.
pub(super) fn expires(headers: &Headers) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, headers.expires.as_deref()?).ok()
}
