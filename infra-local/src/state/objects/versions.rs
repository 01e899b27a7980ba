//! Versions of objects, and their changes.
//!
//! Source: Amazon S3 User Guide, "Working with objects in a versioning-enabled bucket" and "… in a
//! versioning-suspended bucket".

use s3s::{S3Error, S3Result, s3_error};
use uuid::Uuid;

use super::{Bucket, Objects, internal, no_such_bucket, stem};
use crate::model::s3::Object;
use crate::state::files::write_private;

/// Number of hexadecimal digits of a version id that contain the position of the version.
const SEQUENCE_DIGITS: usize = 8;

/// The versions and delete markers of a key, from the oldest to the newest.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Versions(Vec<Object>);

/// Result of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// The deleted version or the new delete marker; `None` in a bucket without versions.
    pub(crate) version: Option<String>,
    /// True when the deletion created a delete marker or deleted one.
    pub(crate) delete_marker: bool,
}

impl Versions {
    /// Returns the newest version, which may be a delete marker.
    pub(crate) fn latest(&self) -> Option<&Object> {
        self.0.last()
    }

    /// Returns the version that a request without a version id reads.
    pub(crate) fn current(&self) -> Option<&Object> {
        self.latest().filter(|object| !object.delete_marker)
    }

    /// Returns the version with this id; the id of a version without one is `null`.
    pub(crate) fn find(&self, version: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.version() == version)
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Object> {
        self.0.iter().rev()
    }

    /// Returns the version that a multipart upload created.
    pub(crate) fn of_upload(&self, id: &str) -> Option<&Object> {
        self.newest_first().find(|object| object.upload.as_deref() == Some(id))
    }

    /// Returns the position of a version, which may have been deleted: clients delete the versions of one page before they
    /// request the next. The position of a deleted version `null` is unknown, so that it precedes all versions.
    pub(crate) fn sequence(&self, version: &str) -> u64 {
        match self.find(version) {
            Some(object) => object.sequence,
            None => version
                .get(..SEQUENCE_DIGITS)
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .unwrap_or(u64::MAX),
        }
    }

    /// Adds a version in its place, instead of one with the same id, which is returned.
    pub(super) fn insert(&mut self, object: Object) -> Option<Object> {
        let former = self.take(object.version());
        let place = self.0.partition_point(|other| other.sequence < object.sequence);
        self.0.insert(place, object);
        former
    }

    fn take(&mut self, version: &str) -> Option<Object> {
        let index = self.0.iter().position(|object| object.version() == version)?;
        Some(self.0.remove(index))
    }
}

#[cfg(test)]
impl FromIterator<Object> for Versions {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Versions {
        let mut versions = Versions::default();
        for object in objects {
            versions.insert(object);
        }
        versions
    }
}

impl Bucket {
    /// Returns the current version of an object.
    pub(crate) fn current(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)?.current()
    }

    /// Returns the version with this id, or without an id the newest one. Both may be delete markers.
    pub(crate) fn version(&self, key: &str, version: Option<&str>) -> S3Result<&Object> {
        let versions = self.objects.get(key);
        match version {
            None => versions.and_then(Versions::latest).ok_or_else(no_such_key),
            Some(id) => {
                check_version_id(id)?;
                versions.and_then(|versions| versions.find(id)).ok_or_else(no_such_version)
            }
        }
    }
}

impl Objects {
    /// Adds a version, or replaces the version `null`, if `check` accepts the current version. Check and change are
    /// atomic. Returns the version with its id.
    pub(crate) fn commit(
        &self,
        bucket: &str,
        object: Object,
        check: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<Object> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        check(found.current(&object.key))?;
        self.add(found, object)
    }

    /// Adds a version to a bucket that is locked.
    pub(super) fn add(&self, bucket: &mut Bucket, mut object: Object) -> S3Result<Object> {
        let name = bucket.settings.name.clone();
        let newest = bucket.objects.get(&object.key).and_then(Versions::latest);
        object.sequence = newest.map_or(0, |newest| newest.sequence + 1);
        object.version_id = bucket.settings.keeps_versions().then(|| new_version_id(object.sequence));
        self.save(&name, &object)?;
        let former = bucket.objects.entry(object.key.clone()).or_default().insert(object.clone());
        self.discard(&name, former.iter().map(|former| &former.blob));
        Ok(object)
    }

    /// Changes a version in place; `change` may refuse.
    pub(crate) fn change(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        change: impl FnOnce(&mut Object) -> S3Result<()>,
    ) -> S3Result<Object> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        let mut object = found.version(key, version)?.clone();
        change(&mut object)?;
        self.save(bucket, &object)?;
        found.objects.entry(key.to_owned()).or_default().insert(object.clone());
        Ok(object)
    }

    /// Deletes an object if `check` accepts the version concerned. Without a version id, a delete marker hides the object
    /// in a bucket with versions; with one, the version is deleted permanently. Deleting a missing object succeeds.
    pub(crate) fn remove(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        check: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<Removed> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        if let Some(version) = version {
            check_version_id(version)?;
            check(found.objects.get(key).and_then(|versions| versions.find(version)))?;
            let delete_marker = self.remove_version(found, key, version)?.is_some_and(|object| object.delete_marker);
            return Ok(Removed { version: Some(version.to_owned()), delete_marker });
        }
        check(found.current(key))?;
        if !found.settings.is_versioned() {
            self.remove_version(found, key, "null")?;
            return Ok(Removed::default());
        }
        let marker =
            Object { key: key.to_owned(), modified: chrono::Utc::now(), delete_marker: true, ..Object::default() };
        let marker = self.add(found, marker)?;
        Ok(Removed { version: Some(marker.version().to_owned()), delete_marker: true })
    }

    fn remove_version(&self, bucket: &mut Bucket, key: &str, version: &str) -> S3Result<Option<Object>> {
        let name = bucket.settings.name.clone();
        let Some(versions) = bucket.objects.get_mut(key) else { return Ok(None) };
        let Some(object) = versions.find(version) else { return Ok(None) };
        std::fs::remove_file(self.meta_path(&name, object)).map_err(internal)?;
        let object = versions.take(version);
        if versions.0.is_empty() {
            bucket.objects.remove(key);
        }
        self.discard(&name, object.iter().map(|object| &object.blob));
        Ok(object)
    }

    fn save(&self, bucket: &str, object: &Object) -> S3Result<()> {
        let bytes = serde_json::to_vec(object).map_err(internal)?;
        write_private(&self.meta_path(bucket, object), &bytes).map_err(internal)
    }

    fn meta_path(&self, bucket: &str, object: &Object) -> std::path::PathBuf {
        let stem = stem(&object.key);
        let name = match &object.version_id {
            Some(version) => format!("{stem}.{version}.json"),
            None => format!("{stem}.json"),
        };
        self.root.join(bucket).join("meta").join(name)
    }
}

/// Returns a random id that begins with the position of the version.
fn new_version_id(sequence: u64) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{sequence:0width$x}{}", &random[SEQUENCE_DIGITS..], width = SEQUENCE_DIGITS)
}

/// Checks the form of a version id: 32 hexadecimal digits, or `null`.
fn check_version_id(id: &str) -> S3Result<()> {
    if id == "null" || id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Invalid version id specified"))
}

pub(crate) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(crate) fn no_such_version() -> S3Error {
    s3_error!(NoSuchVersion, "The specified version does not exist.")
}
