//! Changes of the configuration documents of buckets.

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::service::Service;

pub(super) use crate::domain::s3::documents::{read, write};

impl Service {
    /// Replaces or removes the configuration of a kind.
    pub(super) fn set_document(&self, bucket: &str, kind: &str, document: Option<String>) -> S3Result<()> {
        self.objects().change_settings(bucket, |settings| match document {
            Some(document) => drop(settings.configurations.insert(kind.to_owned(), document)),
            None => drop(settings.configurations.remove(kind)),
        })
    }
}

pub(super) fn malformed() -> S3Error {
    s3_error!(MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
}

/// Returns an error with a code that s3s does not define.
pub(super) fn error(status: u16, code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        error.set_status_code(status);
    }
    error
}

/// Returns an error with the status 404.
pub(super) fn not_found(code: &'static str, message: &'static str) -> S3Error {
    error(404, code, message)
}
