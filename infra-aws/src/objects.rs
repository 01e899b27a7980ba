//! S3 as the object store of states, through the same SDK client as the resources. It implements the operations that the
//! store of infra-core uses.

use crate::{client::Aws, error::aws_error};
use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::{ByteStream, DateTime as SdkTime},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use infra_core::{Target, diagnostic::Diagnostic};
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UpdateVersion, path::Path,
};
use std::{fmt, sync::Arc};

const STORE: &str = "S3";

/// The scheme of the URLs. A command line enables states in S3 by
/// `infra_cli::Cli::new(programs).backend(objects::SCHEME, objects::open)`.
pub const SCHEME: &str = "s3";

/// Opens the bucket of a URL `s3://BUCKET/PREFIX?region=REGION&endpoint=URL` and returns it with the prefix.
///
/// The region defaults to us-east-1 and the endpoint to AWS's own. The store uses
/// [conditional writes](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
pub async fn open(url: String) -> std::result::Result<(Arc<dyn ObjectStore>, String), Diagnostic> {
    open_with_target(&Target::aws(), &url).await
}

/// Opens the bucket of a URL on another target. An endpoint in the URL takes precedence over the target's.
pub async fn open_with_target(
    target: &Target,
    url: &str,
) -> std::result::Result<(Arc<dyn ObjectStore>, String), Diagnostic> {
    let Place { bucket, prefix, region, endpoint } = Place::of(url)?;
    let endpoint = endpoint.or_else(|| target.endpoint.clone());
    let client = Aws::new(&Target { endpoint, ..target.clone() }).s3(&region).await;
    Ok((Arc::new(Bucket { client, name: bucket }), prefix))
}

/// A parsed URL.
#[derive(Debug, PartialEq)]
struct Place {
    bucket: String,
    prefix: String,
    region: String,
    endpoint: Option<String>,
}

impl Place {
    fn of(url: &str) -> std::result::Result<Self, Diagnostic> {
        let wrong = |why: &str| {
            Diagnostic::error(format!("`{url}` is not a valid S3 URL: {why}"))
                .hint("write `s3://BUCKET/PREFIX?region=us-east-1`")
        };
        let rest = url.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with `s3://`"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() {
            return Err(wrong("the bucket is missing"));
        }
        let mut place = Self {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("region", region) if !region.is_empty() => region.clone_into(&mut place.region),
                ("endpoint", endpoint) if endpoint.starts_with("http://") || endpoint.starts_with("https://") => {
                    place.endpoint = Some(endpoint.to_owned());
                }
                _ => return Err(wrong(&format!("`{name}={value}` is neither `region=…` nor `endpoint=http…`"))),
            }
        }
        Ok(place)
    }
}

/// A bucket.
#[derive(Clone, Debug)]
struct Bucket {
    client: Client,
    name: String,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

impl Bucket {
    async fn delete(&self, path: Path) -> Result<Path> {
        let call = self.client.delete_object().bucket(&self.name).key(path.as_ref());
        call.send().await.map_err(|error| failed(&path, error))?;
        Ok(path)
    }

    /// Lists the objects below a prefix page by page; with a delimiter, also the common prefixes.
    fn pages(&self, prefix: Option<&Path>, delimiter: Option<&str>) -> BoxStream<'static, Result<ListResult>> {
        let below = prefix.map(|prefix| format!("{prefix}/")).filter(|prefix| prefix != "/").unwrap_or_default();
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(below.clone());
        let pages = list.set_delimiter(delimiter.map(str::to_owned)).into_paginator().send();
        let pages = stream::unfold(pages, async |mut pages| pages.next().await.map(|page| (page, pages)));
        let read = move |page: std::result::Result<_, _>| {
            let page: aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output =
                page.map_err(|error| failed(&Path::from(below.as_str()), error))?;
            let objects = page.contents().iter().map(|object| {
                let path = Path::parse(object.key().unwrap_or_default())?;
                Ok(meta(path, object.last_modified(), object.size(), object.e_tag(), None))
            });
            let directories = page.common_prefixes().iter().filter_map(|found| found.prefix());
            Ok(ListResult {
                objects: objects.collect::<Result<_>>()?,
                common_prefixes: directories.map(|path| Ok(Path::parse(path)?)).collect::<Result<_>>()?,
                extensions: Extensions::default(),
            })
        };
        pages.map(read).boxed()
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let call = self.client.put_object().bucket(&self.name).key(location.as_ref());
        let call = match options.mode {
            PutMode::Overwrite => call,
            PutMode::Create => call.if_none_match("*"),
            PutMode::Update(UpdateVersion { e_tag: Some(e_tag), .. }) => call.if_match(e_tag),
            PutMode::Update(_) => {
                return Err(Error::Generic { store: STORE, source: "an update in S3 needs the object's ETag".into() });
            }
        };
        let response = call.body(ByteStream::from(Bytes::from(payload))).send().await;
        let response = response.map_err(|error| failed(location, error))?;
        Ok(PutResult { e_tag: response.e_tag, version: response.version_id, extensions: Extensions::default() })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "multipart uploads are not supported".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.range.is_some() || options.if_modified_since.is_some() || options.if_unmodified_since.is_some() {
            return Err(Error::NotSupported { source: "ranges and conditions on time are not supported".into() });
        }
        let path = || location.clone();
        let (meta, payload) = if options.head {
            let call = self.client.head_object().bucket(&self.name).key(location.as_ref());
            let call = call.set_if_match(options.if_match).set_if_none_match(options.if_none_match);
            let found = call.set_version_id(options.version).send().await.map_err(|error| failed(location, error))?;
            let (time, size) = (found.last_modified(), found.content_length());
            (meta(path(), time, size, found.e_tag(), found.version_id()), stream::empty().boxed())
        } else {
            let call = self.client.get_object().bucket(&self.name).key(location.as_ref());
            let call = call.set_if_match(options.if_match).set_if_none_match(options.if_none_match);
            let found = call.set_version_id(options.version).send().await.map_err(|error| failed(location, error))?;
            let (time, size) = (found.last_modified(), found.content_length());
            let meta = meta(path(), time, size, found.e_tag(), found.version_id());
            let broken = |error| Error::Generic { store: STORE, source: Box::new(error) };
            let body = stream::unfold(found.body, async |mut body| body.next().await.map(|bytes| (bytes, body)));
            (meta, body.map_err(broken).boxed())
        };
        let range = 0..meta.size;
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let bucket = self.clone();
        let delete = move |path: Result<Path>| {
            let bucket = bucket.clone();
            async move { bucket.delete(path?).await }
        };
        locations.map(delete).buffered(8).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = self.pages(prefix, None);
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let empty = ListResult { objects: Vec::new(), common_prefixes: Vec::new(), extensions: Extensions::default() };
        let join = async |mut all: ListResult, page: ListResult| {
            all.objects.extend(page.objects);
            all.common_prefixes.extend(page.common_prefixes);
            Ok(all)
        };
        self.pages(prefix, Some("/")).try_fold(empty, join).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let call = self.client.copy_object().bucket(&self.name).key(to.as_ref());
        let call = match options.mode {
            CopyMode::Overwrite => call,
            CopyMode::Create => call.if_none_match("*"),
        };
        let call = call.copy_source(format!("{}/{from}", self.name));
        call.send().await.map(drop).map_err(|error| failed(from, error))
    }
}

fn meta(
    location: Path,
    modified: Option<&SdkTime>,
    size: Option<i64>,
    e_tag: Option<&str>,
    version: Option<&str>,
) -> ObjectMeta {
    let modified = modified.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
    ObjectMeta {
        location,
        last_modified: modified.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
        size: size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
        e_tag: e_tag.map(str::to_owned),
        version: version.map(str::to_owned),
    }
}

/// Converts an error without a response: the request was not sent, or its response was lost.
fn without_response<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    Error::Generic { store: STORE, source: aws_error("the object store")(error).message.into() }
}

fn failed<E>(path: &Path, error: SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let message = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        // The response to a HEAD request has no body.
        _ if status.is_some() => "the response has no body".to_owned(),
        _ => return without_response(error),
    };
    let (path, source) = (path.to_string(), message.into());
    match status {
        // Not `NotFound`: the store would take a missing object for a stack without resources.
        Some(404) if error.code() == Some("NoSuchBucket") => Error::Generic { store: STORE, source },
        Some(404) => Error::NotFound { path, source },
        Some(304) => Error::NotModified { path, source },
        // S3 responds with 409 to a put while another put of the same key is in progress.
        Some(409 | 412) => Error::Precondition { path, source },
        Some(401) => Error::Unauthenticated { path, source },
        Some(403) => Error::PermissionDenied { path, source },
        _ => Error::Generic { store: STORE, source },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn url_contains_bucket_prefix_region_and_endpoint() {
        let place = Place::of("s3://b/team/infra/?region=eu-west-1&endpoint=http%3A%2F%2F127.0.0.1%3A5000").unwrap();
        let endpoint = Some("http://127.0.0.1:5000".to_owned());
        let (bucket, prefix, region) = ("b".to_owned(), "team/infra".to_owned(), "eu-west-1".to_owned());
        assert_eq!(place, Place { bucket, prefix, region, endpoint });
        assert_eq!(Place::of("s3://b").unwrap().region, "us-east-1");
        for wrong in ["s3://", "s3:///x", "gs://b", "s3://b?zone=a", "s3://b?region=", "s3://b?endpoint=host"] {
            assert!(Place::of(wrong).is_err(), "{wrong}");
        }
    }
}
