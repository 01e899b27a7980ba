//! Buckets and objects as files.
//!
//! `<root>/<bucket>/bucket.json` contains a bucket's settings, `meta/<sha256 of the key>.json` the description of an
//! object, and `data/<random>` its content. Content is written first and never changed; the replacement of the small
//! file in `meta` creates or changes an object atomically. An index of all buckets and objects is kept in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::{S3Result, s3_error};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::model::s3::{Blob, Object, Settings, Upload};
use crate::state::files;
use crate::state::files::write_private;
use crate::wire::ApiError;
use crate::wire::error::{DISK_FULL, is_full};

/// All buckets.
pub(crate) struct Objects {
    root: PathBuf,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// A bucket and its objects.
pub(crate) struct Bucket {
    pub(crate) settings: Settings,
    pub(crate) objects: BTreeMap<String, Object>,
    /// Multipart uploads in progress, which do not survive the process.
    pub(crate) uploads: BTreeMap<String, Upload>,
}

impl Objects {
    /// Reads the directory, and removes content that does not belong to an object.
    pub(crate) fn load(root: PathBuf) -> io::Result<Objects> {
        files::create_directory(&root)?;
        let mut buckets = BTreeMap::new();
        for entry in std::fs::read_dir(&root)? {
            let path = entry?.path();
            // A directory without settings belongs to a bucket whose creation or deletion was interrupted.
            let Some(settings) = read_json::<Settings>(&path.join("bucket.json"))? else {
                let _ = std::fs::remove_dir_all(&path);
                continue;
            };
            let bucket = Bucket { objects: load_objects(&path)?, settings, uploads: BTreeMap::new() };
            buckets.insert(bucket.settings.name.clone(), bucket);
        }
        Ok(Objects { root, buckets: Mutex::new(buckets) })
    }

    /// Returns the file with an object's content.
    pub(crate) fn file(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let buckets = self.lock();
        let object = buckets.get(bucket)?.objects.get(key)?;
        Some(self.blob_path(bucket, &object.blob))
    }

    /// Returns the number of buckets.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns the buckets, their objects and their uploads, as `BUCKET` and `BUCKET/KEY`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let buckets = self.lock();
        let parts = buckets.iter().flat_map(|(name, bucket)| {
            let keys = bucket.objects.keys().chain(bucket.uploads.keys());
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
        let bucket = buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
        if !bucket.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
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
        look(self.lock().get(name).ok_or_else(|| no_such_bucket(name))?)
    }

    /// Changes a bucket's multipart uploads.
    pub(crate) fn uploads<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, Upload>) -> S3Result<T>,
    ) -> S3Result<T> {
        change(&mut self.lock().get_mut(name).ok_or_else(|| no_such_bucket(name))?.uploads)
    }

    /// Changes a bucket's settings.
    pub(crate) fn change_settings(&self, name: &str, change: impl FnOnce(&mut Settings)) -> S3Result<()> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(name).ok_or_else(|| no_such_bucket(name))?;
        let mut settings = bucket.settings.clone();
        change(&mut settings);
        save_settings(&self.root.join(name), &settings)?;
        bucket.settings = settings;
        Ok(())
    }

    /// Replaces an object if `check` accepts the current one. Check and change are atomic.
    pub(crate) fn commit(
        &self,
        bucket: &str,
        object: Object,
        check: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<()> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        check(found.objects.get(&object.key))?;
        let bytes = serde_json::to_vec(&object).map_err(internal)?;
        write_private(&self.meta_path(bucket, &object.key), &bytes).map_err(internal)?;
        let file = object.blob.file.clone();
        if let Some(former) = found.objects.insert(object.key.clone(), object)
            && former.blob.file != file
        {
            let _ = std::fs::remove_file(self.blob_path(bucket, &former.blob));
        }
        Ok(())
    }

    /// Removes an object, if `check` accepts it. Removing a missing object succeeds.
    pub(crate) fn remove(
        &self,
        bucket: &str,
        key: &str,
        check: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<()> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        check(found.objects.get(key))?;
        if found.objects.contains_key(key) {
            std::fs::remove_file(self.meta_path(bucket, key)).map_err(internal)?;
        }
        if let Some(object) = found.objects.remove(key) {
            let _ = std::fs::remove_file(self.blob_path(bucket, &object.blob));
        }
        Ok(())
    }

    fn meta_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join(bucket).join("meta").join(format!("{}.json", hex::encode(Sha256::digest(key))))
    }
}

pub(crate) fn no_such_bucket(name: &str) -> s3s::S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist: {name}")
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

fn make_directories(bucket: &Path) -> io::Result<()> {
    files::create_directory(&bucket.join("meta"))?;
    files::create_directory(&bucket.join("data"))
}

fn save_settings(bucket: &Path, settings: &Settings) -> S3Result<()> {
    let bytes = serde_json::to_vec_pretty(settings).map_err(internal)?;
    write_private(&bucket.join("bucket.json"), &bytes).map_err(internal)
}

fn load_objects(bucket: &Path) -> io::Result<BTreeMap<String, Object>> {
    make_directories(bucket)?;
    let mut objects = BTreeMap::new();
    for entry in std::fs::read_dir(bucket.join("meta"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            let _ = std::fs::remove_file(&path);
        } else if let Some(object) = read_json::<Object>(&path)? {
            objects.insert(object.key.clone(), object);
        }
    }
    let used: std::collections::BTreeSet<&str> = objects.values().map(|object| object.blob.file.as_str()).collect();
    for entry in std::fs::read_dir(bucket.join("data"))? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| used.contains(name)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(objects)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
