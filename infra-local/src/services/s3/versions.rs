//! ListObjectVersions.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::listing::{algorithms, encoder, limit};
use super::read::checksum_type;
use super::service::{Service, timestamp};
use crate::model::s3::Object as StoredObject;
use crate::state::objects::Bucket as StoredBucket;

/// Parameters of a list.
struct Query<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    key_marker: Option<&'a str>,
    /// The list begins after this version of the key of the marker.
    version_marker: Option<&'a str>,
    limit: usize,
}

/// An entry: a version or a delete marker, or a common prefix.
enum Entry<'a> {
    Version(&'a StoredObject, bool),
    Prefix(&'a str),
}

impl Query<'_> {
    /// Returns the entries of the page, in the order of keys and from the newest version to the oldest, and whether more
    /// follow.
    fn run<'a>(&self, bucket: &'a StoredBucket) -> (Vec<Entry<'a>>, bool) {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let start = self.key_marker.filter(|marker| *marker > self.prefix).unwrap_or(self.prefix);
        for (key, versions) in bucket.objects.range(start.to_owned()..) {
            if !key.starts_with(self.prefix) {
                break;
            }
            let is_marker = self.key_marker == Some(key.as_str());
            let is_listed_prefix =
                self.key_marker.is_some_and(|marker| self.is_common_prefix(marker) && key.starts_with(marker));
            if is_marker && self.version_marker.is_none() || is_listed_prefix {
                continue;
            }
            if let Some(common) = self.common_prefix(key) {
                if matches!(entries.last(), Some(Entry::Prefix(last)) if *last == common) {
                    continue;
                }
                if entries.len() == self.limit {
                    return (entries, self.limit > 0);
                }
                entries.push(Entry::Prefix(common));
                continue;
            }
            let marker = self.version_marker.filter(|_| is_marker);
            let before = marker.map_or(u64::MAX, |marker| versions.sequence(marker));
            for (index, object) in versions.newest_first().enumerate() {
                if object.sequence >= before {
                    continue;
                }
                if entries.len() == self.limit {
                    return (entries, self.limit > 0);
                }
                entries.push(Entry::Version(object, index == 0));
            }
        }
        (entries, false)
    }

    /// Returns the part of a key up to the first delimiter after the prefix.
    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter?;
        let end = key[self.prefix.len()..].find(delimiter)? + self.prefix.len() + delimiter.len();
        Some(&key[..end])
    }

    /// Returns whether an earlier page ended with this common prefix.
    fn is_common_prefix(&self, text: &str) -> bool {
        self.delimiter.is_some_and(|delimiter| text.len() > self.prefix.len() && text.ends_with(delimiter))
    }
}

impl Service {
    pub(super) fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let key_marker = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
        let version_marker = input.version_id_marker.as_deref();
        if version_marker == Some("") {
            return Err(s3_error!(InvalidArgument, "A version-id marker cannot be empty."));
        }
        if version_marker.is_some() && key_marker.is_none() {
            return Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."));
        }
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            key_marker,
            version_marker,
            limit: limit(input.max_keys, "max-keys")?,
        };
        let encode = encoder(input.encoding_type.as_ref())?;
        self.objects().bucket(&input.bucket, |bucket| {
            let (entries, is_truncated) = query.run(bucket);
            let (next_key, next_version) = match entries.last().filter(|_| is_truncated) {
                Some(Entry::Version(object, _)) => (Some(encode(&object.key)), Some(object.version().to_owned())),
                Some(Entry::Prefix(prefix)) => (Some(encode(prefix)), None),
                None => (None, None),
            };
            let mut output = ListObjectVersionsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(encode(query.prefix)),
                delimiter: input.delimiter.as_deref().map(encode),
                key_marker: Some(encode(key_marker.unwrap_or_default())),
                version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
                max_keys: Some(i32::try_from(query.limit).unwrap_or(i32::MAX)),
                is_truncated: Some(is_truncated),
                next_key_marker: next_key,
                next_version_id_marker: next_version,
                encoding_type: input.encoding_type.clone(),
                ..Default::default()
            };
            for entry in entries {
                match entry {
                    Entry::Prefix(prefix) => {
                        let prefix = CommonPrefix { prefix: Some(encode(prefix)) };
                        output.common_prefixes.get_or_insert_default().push(prefix);
                    }
                    Entry::Version(object, is_latest) if object.delete_marker => {
                        output.delete_markers.get_or_insert_default().push(marker(
                            object,
                            is_latest,
                            encode,
                            self.owner(),
                        ));
                    }
                    Entry::Version(object, is_latest) => {
                        output.versions.get_or_insert_default().push(version(object, is_latest, encode, self.owner()));
                    }
                }
            }
            Ok(S3Response::new(output))
        })
    }
}

fn version(object: &StoredObject, is_latest: bool, encode: fn(&str) -> String, owner: Owner) -> ObjectVersion {
    ObjectVersion {
        key: Some(encode(&object.key)),
        version_id: Some(object.version().to_owned()),
        is_latest: Some(is_latest),
        e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
        size: i64::try_from(object.blob.size).ok(),
        last_modified: Some(timestamp(object.modified)),
        storage_class: Some(ObjectVersionStorageClass::from(object.storage_class().to_owned())),
        owner: Some(owner),
        checksum_algorithm: algorithms(object),
        checksum_type: checksum_type(object).filter(|_| !object.blob.checksums.is_empty()),
        ..Default::default()
    }
}

fn marker(object: &StoredObject, is_latest: bool, encode: fn(&str) -> String, owner: Owner) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(encode(&object.key)),
        version_id: Some(object.version().to_owned()),
        is_latest: Some(is_latest),
        last_modified: Some(timestamp(object.modified)),
        owner: Some(owner),
    }
}
