//! Lists of objects.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::continuation;
use super::read::checksum_type;
use super::service::{Service, timestamp};
use crate::state::objects::Bucket as StoredBucket;

/// AWS's limit of entries per response.
const LIMIT: usize = 1000;

/// Parameters of a list.
struct Query<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// The list contains only entries after this key.
    after: Option<&'a str>,
    limit: usize,
}

/// An entry: an object, or a common prefix.
enum Entry<'a> {
    Object(&'a crate::model::s3::Object),
    Prefix(String),
}

struct Listed<'a> {
    entries: Vec<Entry<'a>>,
    truncated: bool,
}

impl Query<'_> {
    fn run<'a>(&self, bucket: &'a StoredBucket) -> Listed<'a> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let start = self.after.filter(|after| *after > self.prefix).unwrap_or(self.prefix);
        for (key, versions) in bucket.objects.range(start.to_owned()..) {
            if !key.starts_with(self.prefix) {
                break;
            }
            let Some(object) = versions.current() else { continue };
            if self.after.is_some_and(|after| key.as_str() <= after || self.is_prefix(after) && key.starts_with(after))
            {
                continue;
            }
            let common = self.delimiter.and_then(|delimiter| {
                let end = key[self.prefix.len()..].find(delimiter)? + self.prefix.len() + delimiter.len();
                Some(&key[..end])
            });
            if let (Some(common), Some(Entry::Prefix(last))) = (common, entries.last())
                && common == last
            {
                continue;
            }
            if entries.len() == self.limit {
                return Listed { entries, truncated: self.limit > 0 };
            }
            entries.push(match common {
                Some(common) => Entry::Prefix(common.to_owned()),
                None => Entry::Object(object),
            });
        }
        Listed { entries, truncated: false }
    }

    /// Returns whether an earlier page ended with this common prefix.
    fn is_prefix(&self, text: &str) -> bool {
        self.delimiter.is_some_and(|delimiter| text.len() > self.prefix.len() && text.ends_with(delimiter))
    }
}

impl Entry<'_> {
    fn name(&self) -> &str {
        match self {
            Entry::Object(object) => &object.key,
            Entry::Prefix(prefix) => prefix,
        }
    }
}

impl Service {
    pub(super) fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let token = input.continuation_token.as_ref().map(|token| continuation::parse(token)).transpose()?;
        let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter,
            after: token.as_deref().or(input.start_after.as_deref()),
            limit: limit(input.max_keys, "max-keys")?,
        };
        let encode = encoder(input.encoding_type.as_ref())?;
        let with_owner = input.fetch_owner == Some(true);
        self.objects().bucket(&input.bucket, |bucket| {
            let listed = query.run(bucket);
            let next =
                listed.entries.last().map(|entry| continuation::token(entry.name())).filter(|_| listed.truncated);
            let count = i32::try_from(listed.entries.len()).unwrap_or(i32::MAX);
            let (contents, common_prefixes) = render(listed.entries, encode, with_owner.then(|| self.owner()).as_ref());
            Ok(S3Response::new(ListObjectsV2Output {
                name: Some(input.bucket.clone()),
                prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
                delimiter: input.delimiter.as_deref().map(encode),
                max_keys: Some(i32::try_from(query.limit).unwrap_or(i32::MAX)),
                key_count: Some(count),
                continuation_token: input.continuation_token.clone(),
                is_truncated: Some(listed.truncated),
                next_continuation_token: next,
                contents: Some(contents),
                common_prefixes: Some(common_prefixes),
                encoding_type: input.encoding_type.clone(),
                start_after: input.start_after.as_deref().map(encode),
                ..Default::default()
            }))
        })
    }

    pub(super) fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter,
            after: input.marker.as_deref(),
            limit: limit(input.max_keys, "max-keys")?,
        };
        let encode = encoder(input.encoding_type.as_ref())?;
        self.objects().bucket(&input.bucket, |bucket| {
            let listed = query.run(bucket);
            let next = listed
                .entries
                .last()
                .map(|entry| encode(entry.name()))
                .filter(|_| listed.truncated && delimiter.is_some());
            let (contents, common_prefixes) = render(listed.entries, encode, Some(&self.owner()));
            Ok(S3Response::new(ListObjectsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
                marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
                delimiter: input.delimiter.as_deref().map(encode),
                max_keys: Some(i32::try_from(query.limit).unwrap_or(i32::MAX)),
                is_truncated: Some(listed.truncated),
                next_marker: next,
                contents: Some(contents),
                common_prefixes: Some(common_prefixes),
                encoding_type: input.encoding_type.clone(),
                ..Default::default()
            }))
        })
    }
}

/// Returns the number of entries of a page; `name` is the parameter.
pub(super) fn limit(wanted: Option<i32>, name: &str) -> S3Result<usize> {
    let wanted = usize::try_from(wanted.unwrap_or(1000));
    wanted
        .map(|wanted| wanted.min(LIMIT))
        .map_err(|_| s3_error!(InvalidArgument, "Argument {name} must be an integer between 0 and 2147483647"))
}

/// Returns the encoder of keys. Keys may contain characters that XML does not allow, so clients request URL encoding.
pub(super) fn encoder(encoding: Option<&EncodingType>) -> S3Result<fn(&str) -> String> {
    match encoding.map(EncodingType::as_str) {
        Some("url") => {
            Ok(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace("%2F", "/"))
        }
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        None => Ok(str::to_owned),
    }
}

fn render(
    entries: Vec<Entry<'_>>,
    encode: fn(&str) -> String,
    owner: Option<&Owner>,
) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(encode(&prefix)) }),
            Entry::Object(object) => contents.push(Object {
                key: Some(encode(&object.key)),
                e_tag: Some(ETag::Strong(object.blob.e_tag.clone())),
                size: i64::try_from(object.blob.size).ok(),
                last_modified: Some(timestamp(object.modified)),
                storage_class: Some(ObjectStorageClass::from(object.storage_class().to_owned())),
                owner: owner.cloned(),
                checksum_algorithm: algorithms(object),
                checksum_type: checksum_type(object).filter(|_| !object.blob.checksums.is_empty()),
                ..Default::default()
            }),
        }
    }
    (contents, prefixes)
}

/// Returns the algorithms of an object's checksums.
pub(super) fn algorithms(object: &crate::model::s3::Object) -> Option<Vec<ChecksumAlgorithm>> {
    let names = object.blob.checksums.keys().map(|name| ChecksumAlgorithm::from(name.to_uppercase()));
    Some(names.collect()).filter(|names: &Vec<_>| !names.is_empty())
}
