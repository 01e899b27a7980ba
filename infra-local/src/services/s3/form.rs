//! Uploads by HTML forms. The file is streamed to disk after the policy in the preceding fields has been verified.
//!
//! Source: Amazon S3 API Reference, "POST Object" and "Creating a POST policy".

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyDataStream, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use multer::{Field, Multipart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;
use s3s::dto::{TagSet, Tagging};
use s3s::xml::{Deserialize as _, Deserializer};
use serde_json::Value;

use super::chunked::Trailers;
use super::trace::{Trace, Traced};
use super::{Authentication, Context, Store, bucket_of, failure, signature_version};
use crate::access::Identity;
use crate::wire::body::RequestBody;
use crate::wire::sigv4::SignedPolicy;
use crate::wire::{ApiError, Outcome};

/// Maximum size of the fields before the file.
const FIELDS_LIMIT: u64 = 64 * 1024;

/// Characters that object keys in URLs need not escape.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Fields that the policy need not contain.
const FREE_FIELDS: &[&str] = &["policy", "x-amz-signature", "file", "awsaccesskeyid", "signature"];

/// Returns whether a request is an upload by a form.
pub(crate) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    method == Method::POST && content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

/// Fields of a form by their names in lower case.
type Fields = BTreeMap<String, String>;

impl Store {
    /// Stores the file of a form as an object; `identify` verifies the policy's signature. Returns the response, and the
    /// facts about the request.
    pub(crate) async fn answer_form(
        &self,
        request: Request<RequestBody>,
        identify: impl FnMut(&SignedPolicy) -> Outcome<Identity>,
        request_id: &str,
    ) -> (Response<s3s::Body>, Traced) {
        let trace = Trace::default();
        let stored = self.upload(request, identify, &trace, request_id).await;
        (stored.unwrap_or_else(|error| failure(&error, request_id)), trace.take())
    }

    async fn upload(
        &self,
        request: Request<RequestBody>,
        mut identify: impl FnMut(&SignedPolicy) -> Outcome<Identity>,
        trace: &Trace,
        request_id: &str,
    ) -> Outcome<Response<s3s::Body>> {
        let bucket = bucket_of(request.uri()).to_owned();
        let (mut fields, mut form) = read_fields(request).await?;
        let signed = SignedPolicy::of(&fields)?;
        let identity = identify(&signed)?;
        let policy = Policy::parse(&signed.policy)?;
        let file = form.file.take().ok_or_else(|| invalid("POST requires exactly one file upload per request."))?;
        fields.insert("bucket".to_owned(), bucket.clone());
        policy.check(&fields, Utc::now())?;
        let key = fields.get("key").filter(|key| !key.is_empty()).cloned();
        let key = key.ok_or_else(|| invalid("Bucket POST must contain a field named 'key'."))?;
        let key = key.replace("${filename}", file.file_name().unwrap_or_default());

        let content = Content::new(file, policy.length);
        let verdict = content.verdict.clone();
        form.limit.store(u64::MAX, Ordering::Relaxed);
        let put = put_request(&bucket, &key, &fields, content.into_body())?;
        let context = Context {
            region: self.region(Some(&signed.scope), &bucket),
            identity,
            trailers: Trailers::default(),
            bucket_tags: TagSet::new(),
            authentication: Authentication {
                kind: Some("POST"),
                version: Some(signature_version(&signed.scope)),
                age: None,
                content_sha256: None,
            },
            trace: trace.clone(),
        };
        let stored = self.call(put, context, request_id).await;
        if let Some(error) = verdict.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        if stored.status() != StatusCode::OK {
            return Ok(stored);
        }
        Ok(answer(&bucket, &key, &fields, stored.headers(), request_id))
    }
}

/// The file of a form, after its fields.
struct Form {
    file: Option<Field<'static>>,
    /// Limit of the bytes of the request.
    limit: Arc<AtomicU64>,
}

/// Reads the fields before the file.
async fn read_fields(request: Request<RequestBody>) -> Outcome<(Fields, Form)> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|error| malformed(&error))?;
    let limit = Arc::new(AtomicU64::new(FIELDS_LIMIT));
    let (allowed, mut read) = (Arc::clone(&limit), 0);
    let body = BodyDataStream::new(request.into_body()).map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        // Bytes that are read beyond the fields belong to the file.
        let too_many = read > allowed.load(Ordering::Relaxed);
        read += piece.len() as u64;
        if too_many { Err(io::Error::other("the fields before the file are too long")) } else { Ok(piece) }
    });
    let mut multipart = Multipart::new(body, boundary);
    let mut fields = Fields::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| malformed(&error))? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            return Ok((fields, Form { file: Some(field), limit }));
        }
        let text = field.text().await.map_err(|error| malformed(&error))?;
        if fields.insert(name.clone(), text).is_some() {
            return Err(invalid(&format!("the form has two fields named {name}")));
        }
    }
    Ok((fields, Form { file: None, limit }))
}

/// The policy of a form: conditions on its fields.
struct Policy {
    expires: DateTime<Utc>,
    conditions: Vec<Condition>,
    /// Minimum and maximum size of the file.
    length: (u64, u64),
}

struct Condition {
    /// In lower case.
    field: String,
    value: String,
    is_prefix: bool,
}

impl Policy {
    fn parse(base64: &str) -> Outcome<Policy> {
        let wrong = |problem: &str| invalid_policy(&format!("Invalid Policy: {problem}"));
        let compact: String = base64.split_ascii_whitespace().collect();
        let text = STANDARD.decode(compact).map_err(|_| wrong("it is not base64"))?;
        let document: Value =
            serde_json::from_slice(&text).map_err(|error| wrong(&format!("Invalid JSON: {error}")))?;
        let expires = document["expiration"].as_str().and_then(|time| time.parse().ok());
        let expires = expires.ok_or_else(|| wrong("Policy missing expiration."))?;
        let list = document["conditions"].as_array().ok_or_else(|| wrong("Policy missing conditions."))?;
        let mut policy = Policy { expires, conditions: Vec::new(), length: (0, u64::MAX) };
        for condition in list {
            policy.add(condition).ok_or_else(|| wrong(&format!("Invalid condition {condition}")))?;
        }
        Ok(policy)
    }

    fn add(&mut self, condition: &Value) -> Option<()> {
        if let Some(exact) = condition.as_object() {
            for (field, value) in exact {
                self.demand(field, value.as_str()?, false);
            }
            return Some(());
        }
        let [operator, field, value] = condition.as_array()?.as_slice() else { return None };
        match operator.as_str()? {
            "content-length-range" => {
                let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
                self.length = (number(field)?, number(value)?);
            }
            operator @ ("eq" | "starts-with") => {
                self.demand(field.as_str()?.strip_prefix('$')?, value.as_str()?, operator == "starts-with");
            }
            _ => return None,
        }
        Some(())
    }

    fn demand(&mut self, field: &str, value: &str, is_prefix: bool) {
        let (field, value) = (field.to_ascii_lowercase(), value.to_owned());
        self.conditions.push(Condition { field, value, is_prefix });
    }

    /// Checks that every condition holds and that every field has a condition.
    fn check(&self, fields: &Fields, now: DateTime<Utc>) -> Outcome<()> {
        if self.expires <= now {
            return Err(denied("Invalid according to Policy: Policy expired."));
        }
        for Condition { field, value, is_prefix } in &self.conditions {
            let given = fields.get(field).map(String::as_str).unwrap_or_default();
            let holds = if *is_prefix { given.starts_with(value.as_str()) } else { given == value };
            if !holds {
                let operator = if *is_prefix { "starts-with" } else { "eq" };
                return Err(denied(&format!(
                    "Invalid according to Policy: Policy Condition failed: [\"{operator}\", \"${field}\", \"{value}\"]"
                )));
            }
        }
        let has_condition = |name: &str| self.conditions.iter().any(|condition| condition.field == name);
        let is_free = |name: &str| FREE_FIELDS.contains(&name) || name.starts_with("x-ignore-") || name == "bucket";
        match fields.keys().find(|name| !is_free(name) && !has_condition(name)) {
            Some(name) => Err(denied(&format!("Invalid according to Policy: Extra input fields: {name}"))),
            None => Ok(()),
        }
    }
}

/// The stream of the file's content.
struct Content {
    file: Field<'static>,
    read: u64,
    length: (u64, u64),
    verdict: Arc<Mutex<Option<ApiError>>>,
}

impl Content {
    fn new(file: Field<'static>, length: (u64, u64)) -> Content {
        Content { file, read: 0, length, verdict: Arc::default() }
    }

    fn into_body(self) -> s3s::Body {
        let pieces = stream::try_unfold(self, |mut content| async move {
            Ok::<_, io::Error>(content.next().await?.map(|piece| (piece, content)))
        });
        s3s::Body::http_body_unsync(StreamBody::new(pieces.map_ok(Frame::data)))
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let piece = self.file.chunk().await.map_err(|error| self.refuse(malformed(&error)))?;
        self.read += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let (least, greatest) = self.length;
        if self.read > greatest {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(self.refuse(ApiError::new("EntityTooLarge", message)));
        }
        if piece.is_none() && self.read < least {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(self.refuse(ApiError::new("EntityTooSmall", message)));
        }
        Ok(piece)
    }

    /// Stops the upload with an error, which the caller returns to the client.
    fn refuse(&self, error: ApiError) -> io::Error {
        let message = error.message.clone();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other(message)
    }
}

/// Converts the upload to a `PutObject` request.
fn put_request(bucket: &str, key: &str, fields: &Fields, body: s3s::Body) -> Outcome<Request<s3s::Body>> {
    let request = Request::put(format!("/{bucket}/{}", utf8_percent_encode(key, KEY)));
    let mut request = request.body(body).map_err(|_| invalid("the field key cannot be a key"))?;
    for (name, value) in fields {
        let header = match name.as_str() {
            "acl" => "x-amz-acl",
            "tagging" => {
                let tags =
                    HeaderValue::from_str(&tagging(value)?).map_err(|_| invalid("the tags cannot be a header"))?;
                request.headers_mut().insert("x-amz-tagging", tags);
                continue;
            }
            "cache-control" | "content-type" | "content-disposition" | "content-encoding" | "expires" => name,
            "x-amz-algorithm" | "x-amz-credential" | "x-amz-date" | "x-amz-signature" | "x-amz-security-token" => {
                continue;
            }
            name if name.starts_with("x-amz-") => name,
            _ => continue,
        };
        let pair = HeaderName::from_bytes(header.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let (header, value) = pair.ok_or_else(|| invalid(&format!("the field {name} cannot be a header")))?;
        request.headers_mut().insert(header, value);
    }
    Ok(request)
}

/// Converts the XML of the field `tagging` to the form of the header `x-amz-tagging`.
fn tagging(xml: &str) -> Outcome<String> {
    let malformed = |_| {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        ApiError::new("MalformedXML", message)
    };
    let tagging = Tagging::deserialize(&mut Deserializer::new(xml.as_bytes())).map_err(malformed)?;
    let mut header = form_urlencoded::Serializer::new(String::new());
    for tag in tagging.tag_set {
        header.append_pair(&tag.key.unwrap_or_default(), &tag.value.unwrap_or_default());
    }
    Ok(header.finish())
}

/// Returns the response that the form requested by `success_action_redirect` or `success_action_status`.
fn answer(bucket: &str, key: &str, fields: &Fields, stored: &HeaderMap, request_id: &str) -> Response<s3s::Body> {
    let e_tag = stored.get("etag").cloned().unwrap_or(HeaderValue::from_static(""));
    let location = format!("/{bucket}/{}", utf8_percent_encode(key, KEY));
    let redirect = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
    let redirect = redirect.and_then(|target| {
        let separator = if target.contains('?') { '&' } else { '?' };
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("bucket", bucket), ("key", key), ("etag", e_tag.to_str().unwrap_or_default())])
            .finish();
        HeaderValue::from_str(&format!("{target}{separator}{query}")).ok()
    });
    let status = match (&redirect, fields.get("success_action_status").map(String::as_str)) {
        (Some(_), _) => StatusCode::SEE_OTHER,
        (None, Some("200")) => StatusCode::OK,
        (None, Some("201")) => StatusCode::CREATED,
        _ => StatusCode::NO_CONTENT,
    };
    let body = match status {
        StatusCode::CREATED => s3s::Body::from(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket>\
             <Key>{}</Key><ETag>{}</ETag></PostResponse>",
            escape(location.as_str()),
            escape(bucket),
            escape(key),
            escape(e_tag.to_str().unwrap_or_default())
        )),
        _ => s3s::Body::empty(),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if let Some(location) = redirect.or_else(|| HeaderValue::from_str(&location).ok()) {
        headers.insert(LOCATION, location);
    }
    if status == StatusCode::CREATED {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    headers.insert("etag", e_tag);
    let copied = ["x-amz-version-id", "x-amz-server-side-encryption", "x-amz-expiration"];
    for name in copied {
        headers.extend(stored.get(name).map(|value| (HeaderName::from_static(name), value.clone())));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amz-request-id", id);
    }
    answer
}

fn malformed(error: &multer::Error) -> ApiError {
    ApiError::new(
        "MalformedPOSTRequest",
        format!("The body of your POST request is not well-formed multipart/form-data: {error}"),
    )
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidArgument", message)
}

fn invalid_policy(message: &str) -> ApiError {
    ApiError::new("InvalidPolicyDocument", message)
}

fn denied(message: &str) -> ApiError {
    ApiError::new("AccessDenied", message).with_status(403)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn policy(conditions: &Value) -> Policy {
        let document = json!({"expiration": "2026-01-01T00:00:00Z", "conditions": conditions});
        Policy::parse(&STANDARD.encode(document.to_string())).unwrap()
    }

    fn check(conditions: &Value, fields: &[(&str, &str)]) -> Result<(), String> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let now = "2025-12-31T23:59:59Z".parse().unwrap();
        policy(conditions).check(&fields, now).map_err(|error| error.message)
    }

    #[test]
    fn conditions_hold_and_every_field_has_one() {
        let conditions =
            json!([{"bucket": "b"}, ["starts-with", "$key", "user/"], ["eq", "$Content-Type", "text/plain"]]);
        let fields = [("bucket", "b"), ("key", "user/x"), ("content-type", "text/plain"), ("policy", "p")];
        assert_eq!(check(&conditions, &fields), Ok(()));
        let wrong = check(&conditions, &[("bucket", "c"), fields[1], fields[2]]).unwrap_err();
        assert!(wrong.ends_with(r#"["eq", "$bucket", "b"]"#), "{wrong}");
        let extra = check(&conditions, &[&fields[..], &[("acl", "private")]].concat()).unwrap_err();
        assert!(extra.ends_with("Extra input fields: acl"), "{extra}");
        assert!(check(&conditions, &fields[..2]).is_err());
    }

    #[test]
    fn an_expired_policy_is_refused() {
        let error = policy(&json!([])).check(&Fields::new(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
        assert_eq!((error.status, &*error.code), (403, "AccessDenied"));
    }

    #[test]
    fn an_unreadable_policy_is_refused() {
        let encode = |document: Value| STANDARD.encode(document.to_string());
        let expiration = "2026-01-01T00:00:00Z";
        for text in [
            "%".to_owned(),
            STANDARD.encode("{"),
            encode(json!({"conditions": []})),
            encode(json!({"expiration": expiration})),
            encode(json!({"expiration": expiration, "conditions": [["less", "$key", "a"]]})),
            encode(json!({"expiration": expiration, "conditions": [["eq", "key", "a"]]})),
        ] {
            assert!(Policy::parse(&text).is_err(), "{text}");
        }
        assert_eq!(policy(&json!([["content-length-range", 1, "10"]])).length, (1, 10));
    }
}
