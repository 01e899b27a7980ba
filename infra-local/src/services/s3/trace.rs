//! Operation of a request to the object store, and the decisions about it.

use std::sync::{Arc, Mutex, PoisonError};

use s3s::path::S3Path;

use crate::access::Decision;

/// Record of a request while s3s handles it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace(Arc<Mutex<Traced>>);

/// Facts about a request that only s3s and the handlers of its operations know.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// Name of the operation in S3's API; `None` if the request was refused before it was recognised.
    pub(crate) operation: Option<String>,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) decisions: Vec<Decision>,
}

impl Trace {
    /// Records the operation, and the bucket and the object that it is about.
    pub(super) fn name(&self, operation: &str, path: &S3Path) {
        self.with(|traced| {
            traced.operation = Some(operation.to_owned());
            traced.bucket = path.get_bucket_name().map(str::to_owned);
            traced.key = path.get_object_key().map(str::to_owned);
        });
    }

    pub(super) fn decide(&self, decisions: Vec<Decision>) {
        self.with(|traced| traced.decisions.extend(decisions));
    }

    /// Returns whether the request is of this operation.
    pub(super) fn is(&self, operation: &str) -> bool {
        self.with(|traced| traced.operation.as_deref() == Some(operation))
    }

    /// Passes the bucket and the key to a function.
    pub(super) fn place<T>(&self, read: impl FnOnce(Option<&str>, Option<&str>) -> T) -> T {
        self.with(|traced| read(traced.bucket.as_deref(), traced.key.as_deref()))
    }

    /// Returns the record so far, and clears it.
    pub(super) fn take(&self) -> Traced {
        self.with(std::mem::take)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Traced) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
