//! Settings of buckets and descriptions of objects. They are kept in separate files, outside of the state tree.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Tags;

/// Settings of a bucket; the content of `bucket.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Option<Tags>,
    pub(crate) versioning: Option<String>,
    pub(crate) public_access_block: Option<PublicAccessBlock>,
    pub(crate) encryption: Encryption,
    #[serde(default)]
    pub(crate) cors: Vec<CorsRule>,
    /// Documents of the other configurations by their kind: the XML of S3's API, and the JSON of the bucket policy.
    #[serde(default)]
    pub(crate) configurations: BTreeMap<String, String>,
    /// Grants besides the owner's.
    #[serde(default)]
    pub(crate) acl: Vec<Grant>,
}

impl Settings {
    /// Returns whether a new object gets a version id of its own.
    pub(crate) fn keeps_versions(&self) -> bool {
        self.versioning.as_deref() == Some("Enabled")
    }

    /// Returns the text of the bucket policy.
    pub(crate) fn policy(&self) -> Option<&str> {
        self.configurations.get("policy").map(String::as_str)
    }

    /// Returns whether the bucket may contain several versions of an object: versioning is or was enabled.
    pub(crate) fn is_versioned(&self) -> bool {
        self.versioning.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct PublicAccessBlock {
    pub(crate) block_public_acls: bool,
    pub(crate) ignore_public_acls: bool,
    pub(crate) block_public_policy: bool,
    pub(crate) restrict_public_buckets: bool,
}

/// Declared encryption of objects. Files on disk are not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    pub(crate) algorithm: String,
    pub(crate) key_id: Option<String>,
    pub(crate) bucket_key: bool,
}

impl Default for Encryption {
    fn default() -> Self {
        Encryption { algorithm: "AES256".to_owned(), key_id: None, bucket_key: false }
    }
}

/// Description of a version of an object, or a delete marker; a file in `meta`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) blob: Blob,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) headers: Headers,
    pub(crate) encryption: Encryption,
    pub(crate) tags: Tags,
    /// `None` for the version `null`, which a bucket has whose versioning is not enabled.
    #[serde(default)]
    pub(crate) version_id: Option<String>,
    /// Position among the versions of the key; the newest version has the greatest.
    #[serde(default)]
    pub(crate) sequence: u64,
    #[serde(default)]
    pub(crate) delete_marker: bool,
    /// `None` for `STANDARD`.
    #[serde(default)]
    pub(crate) storage_class: Option<String>,
    /// Parts of the multipart upload that created the object, in their order.
    #[serde(default)]
    pub(crate) parts: Vec<CompletedPart>,
    /// Id of the multipart upload that created the object, by which a repeated completion is recognised.
    #[serde(default)]
    pub(crate) upload: Option<String>,
    #[serde(default)]
    pub(crate) lock: Lock,
    /// End of the temporary copy of an archived object.
    #[serde(default)]
    pub(crate) restored_until: Option<DateTime<Utc>>,
    /// Grants besides the owner's.
    #[serde(default)]
    pub(crate) acl: Vec<Grant>,
}

impl Object {
    /// Returns the version id as the API writes it.
    pub(crate) fn version(&self) -> &str {
        self.version_id.as_deref().unwrap_or("null")
    }

    /// Returns the storage class as the API writes it.
    pub(crate) fn storage_class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

/// A part of a completed multipart upload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompletedPart {
    pub(crate) number: i32,
    pub(crate) size: u64,
    /// Checksums in base64, as those of [`Blob`].
    #[serde(default)]
    pub(crate) checksums: BTreeMap<String, String>,
}

/// Retention and legal hold of a version, which prevent its deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lock {
    pub(crate) retention: Option<Retention>,
    pub(crate) legal_hold: Option<bool>,
}

/// Retention of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub(crate) mode: String,
    pub(crate) until: DateTime<Utc>,
}

/// A grant of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) grantee: Grantee,
    /// `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub(crate) permission: String,
}

/// The account or group that receives a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grantee {
    /// Canonical id of an account.
    Account(String),
    /// URI of a predefined group.
    Group(String),
}

/// Content on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub(crate) file: String,
    pub(crate) size: u64,
    /// The ETag without quotes: MD5, or MD5 of MD5s and the number of parts.
    pub(crate) e_tag: String,
    /// Checksums in base64, by the suffix of their header: `crc32`, `sha256`…
    pub(crate) checksums: BTreeMap<String, String>,
    /// True for composite checksums: checksums of the parts' checksums.
    #[serde(default)]
    pub(crate) composite: bool,
}

/// Headers that are stored with an object and returned with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) expires: Option<String>,
    pub(crate) website_redirect: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A multipart upload in progress; a file in `uploads`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) initiated: DateTime<Utc>,
    /// ARN of the identity that began the upload.
    pub(crate) initiator: String,
    /// The object without its content.
    pub(crate) object: Object,
    /// Checksum algorithm of the parts: `crc32`, `sha256`…
    pub(crate) algorithm: Option<String>,
    /// True when the checksum is that of the parts' checksums.
    pub(crate) composite: bool,
    /// Parts by their numbers, each a file beside the upload's.
    #[serde(skip)]
    pub(crate) parts: BTreeMap<i32, Part>,
}

/// A part of a multipart upload in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) blob: Blob,
    pub(crate) modified: DateTime<Utc>,
}

/// A rule of a bucket's CORS configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CorsRule {
    pub(crate) id: Option<String>,
    /// Origins, with at most one `*`.
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<String>,
    /// Headers that a preflight request may request, with at most one `*`.
    pub(crate) headers: Vec<String>,
    pub(crate) exposed: Vec<String>,
    /// Time for which browsers may cache the response to a preflight request, in seconds.
    pub(crate) max_age: Option<i32>,
}
