//! Buckets and objects as files.
//!
//! `<root>/<bucket>/bucket.json` contains a bucket's settings, `data/<random>` the content of a version or a part. The
//! version `null` of an object is described by `meta/<sha256 of the key>.json`, any other version and any delete marker
//! by `meta/<sha256 of the key>.<version>.json`. A multipart upload is `uploads/<id>.json`, its parts
//! `uploads/<id>.<number>.json`. Content is written first and never changed; the replacement or removal of one of these
//! small files changes an object atomically. Content that no file refers to is removed at the next start. An index of
//! all buckets, versions and uploads is kept in memory.

mod delivery;
mod load;
#[cfg(test)]
mod tests;
mod uploads;
mod versions;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::model::s3::{Blob, Settings, Upload};
use crate::state::files;
use crate::state::files::write_private;
use crate::wire::ApiError;
use crate::wire::error::{DISK_FULL, is_full};

pub(crate) use versions::{Removed, Versions, no_such_key, no_such_version};

/// All buckets.
pub(crate) struct Objects {
    root: PathBuf,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// A bucket with its objects and uploads.
pub(crate) struct Bucket {
    pub(crate) settings: Settings,
    /// Versions by key.
    pub(crate) objects: BTreeMap<String, Versions>,
    /// Multipart uploads in progress, by id.
    pub(crate) uploads: BTreeMap<String, Upload>,
}

impl Objects {
    /// Reads the directory, and removes content that does not belong to an object or an upload.
    pub(crate) fn load(root: PathBuf) -> io::Result<Objects> {
        let buckets = load::buckets(&root)?;
        Ok(Objects { root, buckets: Mutex::new(buckets) })
    }

    /// Returns the file with the content of an object's current version.
    pub(crate) fn file(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let buckets = self.lock();
        let object = buckets.get(bucket)?.current(key)?;
        Some(self.blob_path(bucket, &object.blob))
    }

    /// Returns the number of buckets.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns the names of all buckets.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Returns the buckets, their objects and their uploads, as `BUCKET` and `BUCKET/KEY`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let buckets = self.lock();
        let parts = buckets.iter().flat_map(|(name, bucket)| {
            let keys = bucket.objects.keys().chain(bucket.uploads.values().map(|upload| &upload.object.key));
            keys.map(move |key| format!("{name}/{key}")).chain([name.clone()])
        });
        parts.collect()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn blob_path(&self, bucket: &str, blob: &Blob) -> PathBuf {
        self.root.join(bucket).join("data").join(&blob.file)
    }

    /// Returns an unused path for new content.
    pub(crate) fn new_blob_path(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket).join("data").join(Uuid::new_v4().simple().to_string())
    }

    /// Removes content that no object and no upload refers to any longer.
    pub(crate) fn discard<'a>(&self, bucket: &str, blobs: impl IntoIterator<Item = &'a Blob>) {
        // A delete marker has no content.
        for blob in blobs.into_iter().filter(|blob| !blob.file.is_empty()) {
            let _ = std::fs::remove_file(self.blob_path(bucket, blob));
        }
    }

    pub(crate) fn create_bucket(&self, settings: Settings) -> S3Result<()> {
        let path = self.root.join(&settings.name);
        let bucket = Bucket { settings, objects: BTreeMap::new(), uploads: BTreeMap::new() };
        let mut buckets = self.lock();
        make_directories(&path).map_err(internal)?;
        save_settings(&path, &bucket.settings)?;
        buckets.insert(bucket.settings.name.clone(), bucket);
        Ok(())
    }

    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.lock();
        let bucket = buckets.get(name).ok_or_else(no_such_bucket)?;
        if !bucket.objects.is_empty() {
            let message = if bucket.settings.is_versioned() {
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            } else {
                "The bucket you tried to delete is not empty"
            };
            return Err(s3_error!(BucketNotEmpty, "{message}"));
        }
        let path = self.root.join(name);
        std::fs::remove_file(path.join("bucket.json")).map_err(internal)?;
        buckets.remove(name);
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(%error, bucket = name, "a deleted bucket's directory could not be removed");
        }
        Ok(())
    }

    /// Reads a bucket.
    pub(crate) fn bucket<T>(&self, name: &str, look: impl FnOnce(&Bucket) -> S3Result<T>) -> S3Result<T> {
        look(self.lock().get(name).ok_or_else(no_such_bucket)?)
    }

    /// Changes a bucket's settings.
    pub(crate) fn change_settings(&self, name: &str, change: impl FnOnce(&mut Settings)) -> S3Result<()> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(name).ok_or_else(no_such_bucket)?;
        let mut settings = bucket.settings.clone();
        change(&mut settings);
        save_settings(&self.root.join(name), &settings)?;
        bucket.settings = settings;
        Ok(())
    }
}

pub(crate) fn no_such_bucket() -> s3s::S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

/// Returns S3's error for a failure of the disk. The client may retry, unless the disk is full.
pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> s3s::S3Error {
    tracing::error!(%error, "object storage");
    let cause = std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>());
    let Some(full) = cause.filter(|error| is_full(error)) else { return s3_error!(error, InternalError) };
    let error = ApiError::from(io::Error::from(full.kind()));
    let mut answer = s3s::S3Error::with_message(s3s::S3ErrorCode::Custom(DISK_FULL.into()), error.message);
    answer.set_status_code(hyper::StatusCode::INSUFFICIENT_STORAGE);
    answer
}

/// Returns the name that all files of a key begin with.
fn stem(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

fn make_directories(bucket: &Path) -> io::Result<()> {
    ["meta", "data", "uploads"].iter().try_for_each(|name| files::create_directory(&bucket.join(name)))
}

fn save_settings(bucket: &Path, settings: &Settings) -> S3Result<()> {
    let bytes = serde_json::to_vec_pretty(settings).map_err(internal)?;
    write_private(&bucket.join("bucket.json"), &bytes).map_err(internal)
}
