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

/// Description of an object; a file in `meta`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) blob: Blob,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) headers: Headers,
    pub(crate) encryption: Encryption,
    pub(crate) tags: Tags,
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
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A multipart upload in progress.
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) headers: Headers,
    pub(crate) encryption: Encryption,
    pub(crate) tags: Tags,
    pub(crate) parts: BTreeMap<i32, Blob>,
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
