//! Objects that services of AWS write, such as logs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Crc64Nvme, Md5};

use super::{Objects, internal, no_such_bucket};
use crate::model::s3::{Blob, Object};
use crate::state::files::write_private;

impl Objects {
    /// Stores a small object with the default encryption of its bucket.
    pub(crate) fn deliver(&self, bucket: &str, key: String, content: &[u8]) -> S3Result<()> {
        let encryption = self.lock().get(bucket).ok_or_else(no_such_bucket)?.settings.encryption.clone();
        let path = self.new_blob_path(bucket);
        write_private(&path, content).map_err(internal)?;
        let (mut md5, mut crc) = (Md5::new(), Crc64Nvme::new());
        md5.update(content);
        crc.update(content);
        let blob = Blob {
            file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            size: content.len() as u64,
            e_tag: hex::encode(md5.finalize()),
            checksums: BTreeMap::from([("crc64nvme".to_owned(), STANDARD.encode(crc.finalize()))]),
            composite: false,
        };
        let object = Object { key, blob: blob.clone(), modified: Utc::now(), encryption, ..Object::default() };
        self.commit(bucket, object, |_| Ok(())).map(drop).inspect_err(|_| self.discard(bucket, [&blob]))
    }
}
