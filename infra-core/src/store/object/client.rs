//! Conditional puts, and their result if the response was lost.

use crate::{
    boundary::{self, Boundary},
    store::{
        Clock, StoreError,
        clock::{sleep, within},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion, path::Path,
};
use std::{sync::Arc, time::Duration};

/// Timeout of a call, in addition to the time for its bytes. After it the response counts as lost.
const CALL: Duration = Duration::from_secs(5);
/// Time that the store may take for its own retries.
const COPY: Duration = Duration::from_secs(20);
/// Minimum transfer rate.
const BYTES_PER_SECOND: u64 = 128 * 1024;
/// Number of attempts of a call.
const ATTEMPTS: u32 = 5;

/// The objects of one stack.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) directory: Path,
    pub(super) clock: Arc<dyn Clock>,
}

/// An object as it was read.
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    pub(super) version: UpdateVersion,
}

/// The result of a conditional put.
pub(super) enum Put {
    /// The object was put.
    Done(UpdateVersion),
    /// Another writer put an object.
    Collided,
}

impl Objects {
    pub(super) fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.directory.clone(), Path::join)
    }

    /// Puts an object on a condition. `nonce` is a part of `body` that is in no other object: after a lost response the
    /// object is read, and the nonce shows if the put succeeded. The same applies to a collision, because the client
    /// below may have sent the request twice.
    pub(super) async fn put(&self, name: &str, body: Vec<u8>, mode: PutMode, nonce: &[u8]) -> Result<Put, StoreError> {
        let path = self.path(name);
        let limit = limit(body.len() as u64);
        let body = PutPayload::from(body);
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            self.pause(attempt).await;
            boundary::reached(Boundary::ObjectPut);
            let options = PutOptions::from(mode.clone());
            let answer = self.bounded(limit, self.store.put_opts(&path, body.clone(), options)).await;
            boundary::reached(Boundary::ObjectPutDone);
            let error = match answer {
                Ok(put) => return Ok(Put::Done(put.into())),
                Err(error) if is_final(&error) => return Err(self.error(name, error)),
                Err(error) => error,
            };
            let collided = is_collision(&error);
            match self.get_once(name).await {
                Ok(Some(found)) if contains(&found.bytes, nonce) => return Ok(Put::Done(found.version)),
                // The read returned an older object than the one that the put collided with, or that is unknown.
                Ok(found) if collided && is_stale(found.as_ref(), &mode) => {}
                Ok(_) if collided => return Ok(Put::Collided),
                Ok(_) | Err(_) => {}
            }
            last = Some(error);
        }
        match last {
            Some(error) if is_collision(&error) => Ok(Put::Collided),
            Some(error) => Err(self.error(name, error)),
            None => Ok(Put::Collided),
        }
    }

    /// Puts an object unconditionally.
    pub(super) async fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let (path, body) = (self.path(name), PutPayload::from(content.to_vec()));
        let put = || self.bounded(limit(content.len() as u64), self.store.put(&path, body.clone()));
        self.retried(name, put).await.map(drop)
    }

    /// Replaces an object by the result of `make`, unless another writer replaced it in between, and returns whether it
    /// did. `None` leaves the object unchanged.
    pub(super) async fn update(
        &self,
        name: &str,
        make: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<bool, StoreError> {
        let found = self.get(name).await?;
        let Some(body) = make(found.as_ref().map(|found| &found.bytes[..]))? else {
            return Ok(true);
        };
        let mode = found.map_or(PutMode::Create, |found| PutMode::Update(found.version));
        // Equal content from another writer is a success as well.
        Ok(matches!(self.put(name, body.clone(), mode, &body).await?, Put::Done(_)))
    }

    /// Reads an object; `None` if it does not exist.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Found>, StoreError> {
        self.retried(name, || self.get_once(name)).await
    }

    /// Returns the version of an object.
    pub(super) async fn version(&self, name: &str) -> Result<Option<UpdateVersion>, StoreError> {
        let path = self.path(name);
        let head = || async {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let found = absent(self.bounded(CALL, self.store.get_opts(&path, options)).await)?;
            Ok(found.map(|found| UpdateVersion { e_tag: found.meta.e_tag, version: found.meta.version }))
        };
        self.retried(name, head).await
    }

    /// Copies an object over another one.
    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (source, target) = (self.path(from), self.path(to));
        self.retried(to, || self.bounded(COPY, self.store.copy(&source, &target))).await
    }

    /// Returns the names in a directory.
    pub(super) async fn list(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(name);
        let list = || self.bounded(COPY, self.store.list(Some(&path)).map_ok(|object| object.location).try_collect());
        let found: Vec<Path> = self.retried(name, list).await?;
        Ok(found.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Deletes objects that are not needed. A later run retries failed deletions.
    pub(super) async fn delete(&self, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        boundary::reached(Boundary::ObjectDelete);
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let deletions = self.store.delete_stream(stream::iter(paths).boxed());
        let deletions = deletions.filter_map(async |answer| absent(answer).err()).collect::<Vec<_>>();
        match within(&*self.clock, COPY, deletions).await {
            Some(errors) => errors
                .iter()
                .for_each(|error| tracing::debug!(%error, "an object that a snapshot includes could not be deleted")),
            None => tracing::debug!("objects that a snapshot includes could not be deleted: no response"),
        }
    }

    async fn get_once(&self, name: &str) -> object_store::Result<Option<Found>> {
        let path = self.path(name);
        let answer = self.bounded(CALL, self.store.get_opts(&path, GetOptions::default())).await;
        let Some(found) = absent(answer)? else {
            return Ok(None);
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = self.bounded(limit(found.meta.size), found.bytes()).await?.to_vec();
        Ok(Some(Found { bytes, version }))
    }

    async fn retried<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        name: &str,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut attempt = 0;
        loop {
            self.pause(attempt).await;
            attempt += 1;
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_final(&error) || attempt == ATTEMPTS => return Err(self.error(name, error)),
                Err(_) => {}
            }
        }
    }

    async fn bounded<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        within(&*self.clock, limit, call).await.unwrap_or_else(|| {
            let source = format!("no response within {} s", limit.as_secs()).into();
            Err(Error::Generic { store: "object store", source })
        })
    }

    /// Waits longer before each further attempt.
    async fn pause(&self, attempt: u32) {
        if attempt > 0 {
            sleep(&*self.clock, Duration::from_millis(100) * 2_u32.pow(attempt)).await;
        }
    }

    fn error(&self, name: &str, error: Error) -> StoreError {
        StoreError::Object { path: self.path(name).to_string(), error }
    }
}

fn limit(bytes: u64) -> Duration {
    CALL + Duration::from_secs(bytes / BYTES_PER_SECOND)
}

fn absent<T>(answer: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_collision(error: &Error) -> bool {
    // Some stores report a conditional update of a missing object as not found.
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. })
}

/// Returns `true` for errors that another attempt cannot fix.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}

/// Returns `true` if a read after a collision does not show the object that the put collided with.
fn is_stale(found: Option<&Found>, mode: &PutMode) -> bool {
    match (mode, found) {
        (PutMode::Update(expected), Some(found)) => found.version == *expected,
        (PutMode::Create, None) => true,
        _ => false,
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    what.is_empty() || bytes.windows(what.len()).any(|window| window == what)
}
