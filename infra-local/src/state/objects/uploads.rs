//! Multipart uploads in progress.

use std::path::PathBuf;

use s3s::{S3Error, S3Result, s3_error};

use super::{Objects, internal, no_such_bucket};
use crate::model::s3::{Blob, Object, Part, Upload};
use crate::state::files::write_private;

impl Objects {
    pub(crate) fn begin_upload(&self, bucket: &str, id: &str, upload: Upload) -> S3Result<()> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        let bytes = serde_json::to_vec(&upload).map_err(internal)?;
        write_private(&self.upload_path(bucket, id), &bytes).map_err(internal)?;
        found.uploads.insert(id.to_owned(), upload);
        Ok(())
    }

    /// Reads an upload of this key.
    pub(crate) fn upload<T>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        look: impl FnOnce(&Upload) -> S3Result<T>,
    ) -> S3Result<T> {
        self.bucket(bucket, |bucket| {
            let upload = bucket.uploads.get(id).filter(|upload| upload.object.key == key);
            look(upload.ok_or_else(unknown_upload)?)
        })
    }

    /// Adds a part to an upload, or replaces one.
    pub(crate) fn add_part(&self, bucket: &str, key: &str, id: &str, number: i32, part: Part) -> S3Result<()> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        let upload = found.uploads.get_mut(id).filter(|upload| upload.object.key == key).ok_or_else(unknown_upload)?;
        let bytes = serde_json::to_vec(&part).map_err(internal)?;
        write_private(&self.part_path(bucket, id, number), &bytes).map_err(internal)?;
        let former = upload.parts.insert(number, part);
        self.discard(bucket, former.iter().map(|former| &former.blob));
        Ok(())
    }

    /// Turns an upload into a version with this content, if `check` accepts the current version of the object.
    pub(crate) fn complete_upload(
        &self,
        bucket: &str,
        id: &str,
        object: Object,
        check: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<Object> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        if found.uploads.get(id).is_none_or(|upload| upload.object.key != object.key) {
            return Err(unknown_upload());
        }
        check(found.current(&object.key))?;
        let object = self.add(found, object)?;
        // The version contains the id of its upload, so that the next start removes files that remain.
        if let Some(upload) = found.uploads.remove(id) {
            self.forget(bucket, id, &upload)?;
        }
        Ok(object)
    }

    pub(crate) fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        let upload = found.uploads.get(id).filter(|upload| upload.object.key == key).ok_or_else(unknown_upload)?;
        self.forget(bucket, id, upload)?;
        found.uploads.remove(id);
        Ok(())
    }

    /// Removes the files of an upload. Without the upload's own file, its parts are removed at the next start.
    fn forget(&self, bucket: &str, id: &str, upload: &Upload) -> S3Result<()> {
        std::fs::remove_file(self.upload_path(bucket, id)).map_err(internal)?;
        for number in upload.parts.keys() {
            let _ = std::fs::remove_file(self.part_path(bucket, id, *number));
        }
        let blobs: Vec<&Blob> = upload.parts.values().map(|part| &part.blob).collect();
        self.discard(bucket, blobs);
        Ok(())
    }

    fn upload_path(&self, bucket: &str, id: &str) -> PathBuf {
        self.root.join(bucket).join("uploads").join(format!("{id}.json"))
    }

    fn part_path(&self, bucket: &str, id: &str, number: i32) -> PathBuf {
        self.root.join(bucket).join("uploads").join(format!("{id}.{number}.json"))
    }
}

fn unknown_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
