//! Amazon S3 with files as storage. s3s implements the protocol. It decodes `aws-chunked` bodies only of requests with
//! a verified signature, so this module decodes them.

// Glob imports, because s3s has many input and output types, named after their operations.
#![allow(clippy::wildcard_imports)]

mod access;
mod acl;
mod actions;
mod attributes;
mod bucket;
mod chunked;
mod conditions;
mod configuration;
mod configurations;
mod continuation;
mod copy;
mod cors;
mod delete;
mod digest;
mod documents;
mod failures;
mod form;
mod lifecycle;
mod listing;
mod lock;
mod multipart;
mod numbered;
mod object;
mod object_attributes;
mod outputs;
mod ownership;
mod parts;
mod policy;
mod presigned;
mod read;
mod restore;
mod service;
mod tags;
mod trace;
mod upload;
mod versions;
mod website;

use chrono::Utc;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use s3s::dto::TagSet;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::access::Identity;
use crate::state::Shared;
use crate::wire::body::RequestBody;
use crate::wire::sigv4::{ChunkSignatures, Scope, Signed};
use crate::wire::{ApiError, Protocol};

use chunked::Trailers;
pub(crate) use form::is_form;
use trace::Trace;
pub(crate) use trace::Traced;

/// Inputs of operations besides those of the request.
#[derive(Clone)]
struct Context {
    /// Region of the request's signature.
    region: String,
    /// Identity that signed the request.
    identity: Identity,
    /// Trailing checksums, complete once the body has been read to its end.
    trailers: Trailers,
    /// Tags of a new bucket.
    bucket_tags: TagSet,
    authentication: Authentication,
    trace: Trace,
}

/// Properties of a request's signature, which are condition keys of policies.
#[derive(Clone)]
struct Authentication {
    /// `REST-HEADER`, `REST-QUERY-STRING` or `POST`; `None` for a request without a signature.
    kind: Option<&'static str>,
    /// `AWS4-HMAC-SHA256`, or `AWS` for Signature Version 2.
    version: Option<&'static str>,
    /// Age of the signature in milliseconds.
    age: Option<i64>,
    content_sha256: Option<String>,
}

impl Authentication {
    fn of(signed: Option<&Signed>, content_sha256: Option<&str>) -> Authentication {
        Authentication {
            kind: signed.map(|it| if it.is_presigned() { "REST-QUERY-STRING" } else { "REST-HEADER" }),
            version: signed.map(|signed| signature_version(&signed.scope)),
            age: signed.and_then(|signed| signed.age(Utc::now())).map(|age| age.num_milliseconds()),
            content_sha256: content_sha256.map(str::to_owned),
        }
    }
}

fn signature_version(scope: &Scope) -> &'static str {
    if scope.is_regional() { "AWS4-HMAC-SHA256" } else { "AWS" }
}

/// HTTP handler of the object store.
pub(crate) struct Store {
    shared: Shared,
    service: S3Service,
}

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

impl Store {
    pub(crate) fn new(shared: &Shared, enforce_iam: bool) -> Store {
        let mut builder = S3ServiceBuilder::new(service::Service::new(shared.clone()));
        builder.set_auth(access::Nobody);
        builder.set_access(access::Policies::new(shared.clone(), enforce_iam));
        Store { shared: shared.clone(), service: builder.build() }
    }

    /// Returns the response to a request of this identity, and the facts that are known about it only here.
    pub(crate) async fn answer(
        &self,
        request: Request<RequestBody>,
        signed: Option<&Signed>,
        identity: Identity,
        chunks: Option<ChunkSignatures>,
        request_id: &str,
    ) -> (Response<s3s::Body>, Traced) {
        let (mut head, body) = request.into_parts();
        // The identity is verified, so s3s receives the request without a signature.
        head.headers.remove(AUTHORIZATION);
        if signed.is_some_and(Signed::is_presigned) {
            presigned::plain(&mut head);
        }
        let trailers = Trailers::default();
        let streaming =
            head.headers.get(CONTENT_SHA256).is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
        let digest = head.headers.remove(CONTENT_SHA256).and_then(|value| value.to_str().ok().map(str::to_owned));
        let authentication = Authentication::of(signed, digest.as_deref());
        let body = if streaming {
            match undo_chunking(&mut head.headers) {
                Ok(()) => chunked::decode(body, trailers.clone(), chunks),
                Err(error) => return (failure(&error, request_id), Traced::default()),
            }
        } else {
            match digest.filter(|digest| digest.len() == 64) {
                Some(digest) => digest::verify(body, digest),
                None => s3s::Body::http_body(body),
            }
        };
        let (bucket_tags, body) = if configuration::creates_bucket(&head) {
            match configuration::read(body).await {
                Ok(read) => read,
                Err(error) => return (failure(&error, request_id), Traced::default()),
            }
        } else {
            (TagSet::new(), body)
        };
        let trace = Trace::default();
        let region = self.region(signed.map(|signed| &signed.scope), bucket_of(&head.uri));
        let context = Context { region, identity, trailers, bucket_tags, authentication, trace: trace.clone() };
        let answer = self.call(Request::from_parts(head, body), context, request_id).await;
        (answer, trace.take())
    }

    /// Returns the region that a request was signed for. Signature Version 2 covers no region, so that the bucket's counts.
    fn region(&self, scope: Option<&Scope>, bucket: &str) -> String {
        if let Some(scope) = scope.filter(|scope| scope.is_regional()) {
            return scope.region.clone();
        }
        let buckets = self.shared.objects().lock();
        let bucket = buckets.get(bucket).map(|bucket| bucket.settings.region.clone());
        bucket.or_else(|| Some(scope?.region.clone())).unwrap_or_default()
    }

    /// Returns whether a request without a signature is for a bucket, which may be public.
    pub(crate) fn accepts_unsigned<B>(&self, request: &Request<B>) -> bool {
        let query = request.uri().query().unwrap_or_default();
        let is_signed = request.headers().contains_key(AUTHORIZATION)
            || ["X-Amz-Credential=", "AWSAccessKeyId="].iter().any(|parameter| query.contains(parameter));
        !is_signed && self.shared.objects().lock().contains_key(bucket_of(request.uri()))
    }

    /// Passes a request to s3s.
    async fn call(&self, mut request: Request<s3s::Body>, context: Context, request_id: &str) -> Response<s3s::Body> {
        let trace = context.trace.clone();
        request.extensions_mut().insert(context);
        let mut answer = match self.service.call(request).await {
            Ok(answer) => answer,
            Err(error) => failure(&ApiError::internal(format!("{error:?}")), request_id),
        };
        failures::complete(&mut answer, &trace, request_id).await;
        if let Ok(id) = HeaderValue::from_str(request_id) {
            answer.headers_mut().insert("x-amz-request-id", id);
        }
        answer
    }
}

/// Returns the bucket in a path-style URI; empty when there is none.
pub(crate) fn bucket_of(uri: &hyper::Uri) -> &str {
    uri.path().trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Adapts the headers to the decoded body.
fn undo_chunking(headers: &mut HeaderMap) -> Result<(), ApiError> {
    let length = headers.remove(DECODED_LENGTH).ok_or_else(|| {
        ApiError::new("MissingContentLength", "a streamed body needs the header x-amz-decoded-content-length")
            .with_status(411)
    })?;
    headers.insert(CONTENT_LENGTH, length);
    let encoding = headers.remove(CONTENT_ENCODING);
    let rest: Vec<String> = encoding
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .split(',')
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty() && part != "aws-chunked")
        .collect();
    if let Ok(value) = HeaderValue::from_str(&rest.join(","))
        && !rest.is_empty()
    {
        headers.insert(CONTENT_ENCODING, value);
    }
    Ok(())
}

fn failure(error: &ApiError, request_id: &str) -> Response<s3s::Body> {
    let mut answer = Response::new(s3s::Body::from(Protocol::RestXml.error(error, request_id)));
    *answer.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}
