//! ListParts and ListMultipartUploads.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::listing::{encoder, limit};
use super::outputs::checksums;
use super::service::{Service, timestamp};
use crate::model::s3::{Part as StoredPart, Upload};
use crate::state::objects::Bucket as StoredBucket;

impl Service {
    pub(super) fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let limit = limit(input.max_parts, "max-parts")?;
        let after = input.part_number_marker.unwrap_or(0);
        if after < 0 {
            return Err(s3_error!(
                InvalidArgument,
                "Argument part-number-marker must be an integer between 0 and 2147483647"
            ));
        }
        self.objects().upload(&input.bucket, &input.key, &input.upload_id, |upload| {
            let mut page: Vec<_> = upload.parts.range(after.saturating_add(1)..).collect();
            let is_truncated = page.len() > limit;
            page.truncate(limit);
            let next = page.last().map_or(0, |(number, _)| **number);
            Ok(S3Response::new(ListPartsOutput {
                bucket: Some(input.bucket.clone()),
                key: Some(input.key.clone()),
                upload_id: Some(input.upload_id.clone()),
                part_number_marker: Some(after),
                next_part_number_marker: Some(next),
                max_parts: i32::try_from(limit).ok(),
                is_truncated: Some(is_truncated),
                parts: Some(page.into_iter().map(part).collect()),
                initiator: Some(initiator(upload)),
                owner: Some(self.owner()),
                storage_class: Some(StorageClass::from(upload.object.storage_class().to_owned())),
                checksum_algorithm: algorithm(upload),
                checksum_type: checksum_type(upload),
                ..Default::default()
            }))
        })
    }

    pub(super) fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let encode = encoder(input.encoding_type.as_ref())?;
        let key_marker = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            key_marker,
            // Without a key marker, the upload id marker is ignored.
            id_marker: input.upload_id_marker.as_deref().filter(|id| key_marker.is_some() && !id.is_empty()),
            limit: limit(input.max_uploads, "max-uploads")?,
        };
        self.objects().bucket(&input.bucket, |bucket| {
            let (entries, is_truncated) = query.run(bucket);
            let (next_key, next_id) = match entries.last().filter(|_| is_truncated) {
                Some(Entry::Upload(id, upload)) => (Some(encode(&upload.object.key)), Some((*id).to_owned())),
                Some(Entry::Prefix(prefix)) => (Some(encode(prefix)), None),
                None => (None, None),
            };
            let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
            for entry in entries {
                match entry {
                    Entry::Upload(id, upload) => uploads.push(shown(id, upload, encode, self.owner())),
                    Entry::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(encode(prefix)) }),
                }
            }
            Ok(S3Response::new(ListMultipartUploadsOutput {
                bucket: Some(input.bucket.clone()),
                key_marker: Some(encode(key_marker.unwrap_or_default())),
                upload_id_marker: Some(input.upload_id_marker.clone().unwrap_or_default()),
                next_key_marker: next_key,
                next_upload_id_marker: next_id,
                prefix: input.prefix.as_deref().map(encode),
                delimiter: input.delimiter.as_deref().map(encode),
                encoding_type: input.encoding_type.clone(),
                max_uploads: i32::try_from(query.limit).ok(),
                is_truncated: Some(is_truncated),
                uploads: Some(uploads),
                common_prefixes: Some(prefixes),
                ..Default::default()
            }))
        })
    }
}

/// Parameters of a list of uploads.
struct Query<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    key_marker: Option<&'a str>,
    id_marker: Option<&'a str>,
    limit: usize,
}

/// An entry: an upload with its id, or a common prefix.
enum Entry<'a> {
    Upload(&'a str, &'a Upload),
    Prefix(&'a str),
}

impl Query<'_> {
    /// Returns the entries of the page, by key and by time of initiation, and whether more follow.
    fn run<'a>(&self, bucket: &'a StoredBucket) -> (Vec<Entry<'a>>, bool) {
        let sorted: BTreeMap<_, _> = bucket
            .uploads
            .iter()
            .map(|(id, upload)| ((upload.object.key.as_str(), upload.initiated, id.as_str()), upload))
            .collect();
        let marked = self.id_marker.and_then(|id| bucket.uploads.get(id)).map(|upload| upload.initiated);
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for ((key, initiated, id), upload) in sorted {
            if !key.starts_with(self.prefix) {
                continue;
            }
            let common = self.delimiter.and_then(|delimiter| {
                let end = key[self.prefix.len()..].find(delimiter)? + self.prefix.len() + delimiter.len();
                Some(&key[..end])
            });
            let is_listed = self.key_marker.is_some_and(|marker| match (self.id_marker, marked) {
                (Some(mark), Some(time)) if key == marker => (initiated, id) <= (time, mark),
                // The marked upload may have been aborted or completed since.
                (Some(_), None) if key == marker => false,
                _ => common.unwrap_or(key) <= marker,
            });
            if is_listed || matches!((common, entries.last()), (Some(new), Some(Entry::Prefix(last))) if new == *last) {
                continue;
            }
            if entries.len() == self.limit {
                return (entries, self.limit > 0);
            }
            entries.push(common.map_or(Entry::Upload(id, upload), Entry::Prefix));
        }
        (entries, false)
    }
}

fn part((number, part): (&i32, &StoredPart)) -> Part {
    let mut shown = Part {
        part_number: Some(*number),
        e_tag: Some(ETag::Strong(part.blob.e_tag.clone())),
        size: i64::try_from(part.blob.size).ok(),
        last_modified: Some(timestamp(part.modified)),
        ..Default::default()
    };
    checksums!(shown, part.blob.checksums);
    shown
}

fn shown(id: &str, upload: &Upload, encode: fn(&str) -> String, owner: Owner) -> MultipartUpload {
    MultipartUpload {
        key: Some(encode(&upload.object.key)),
        upload_id: Some(id.to_owned()),
        initiated: Some(timestamp(upload.initiated)),
        initiator: Some(initiator(upload)),
        owner: Some(owner),
        storage_class: Some(StorageClass::from(upload.object.storage_class().to_owned())),
        checksum_algorithm: algorithm(upload),
        checksum_type: checksum_type(upload),
    }
}

fn initiator(upload: &Upload) -> Initiator {
    Initiator { id: Some(upload.initiator.clone()), display_name: None }
}

fn algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.algorithm.as_ref().map(|name| ChecksumAlgorithm::from(name.to_uppercase()))
}

fn checksum_type(upload: &Upload) -> Option<ChecksumType> {
    let name = if upload.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    upload.algorithm.as_ref().map(|_| ChecksumType::from_static(name))
}
