//! Elements of S3's errors that s3s does not write: the resource, and the request's id.
//!
//! Source: Amazon S3 API Reference, "Error responses", "REST error responses".

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Response, StatusCode};
use quick_xml::escape::escape;

use super::trace::Trace;

/// Codes of errors that name the bucket.
const OF_BUCKETS: &[&str] = &[
    "BucketAlreadyOwnedByYou",
    "BucketNotEmpty",
    "InvalidBucketName",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
];

/// Adds the elements to a response that is an error.
pub(super) async fn complete(answer: &mut Response<s3s::Body>, trace: &Trace, request_id: &str) {
    let status = answer.status();
    if status == StatusCode::OK && trace.is("GetObjectAttributes") {
        return unquote_e_tag(answer).await;
    }
    if status == StatusCode::NOT_MODIFIED {
        *answer.body_mut() = s3s::Body::empty();
        return;
    }
    if !(status.is_client_error() || status.is_server_error() || status.is_redirection()) {
        return;
    }
    let body = std::mem::take(answer.body_mut());
    let Ok(body) = body.collect().await else { return };
    let body = body.to_bytes();
    let completed = trace.place(|bucket, key| with_details(&body, bucket, key, request_id));
    let body = completed.map_or(body, Bytes::from);
    if answer.headers().contains_key(CONTENT_LENGTH)
        && let Ok(length) = HeaderValue::from_str(&body.len().to_string())
    {
        answer.headers_mut().insert(CONTENT_LENGTH, length);
    }
    *answer.body_mut() = s3s::Body::from(body);
}

/// Removes the quotes from the `ETag` of GetObjectAttributes, which the other operations of S3 return with quotes.
async fn unquote_e_tag(answer: &mut Response<s3s::Body>) {
    let body = std::mem::take(answer.body_mut());
    let Ok(body) = body.collect().await else { return };
    let text = String::from_utf8_lossy(&body.to_bytes()).replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>");
    answer.headers_mut().remove(CONTENT_LENGTH);
    *answer.body_mut() = s3s::Body::from(text);
}

/// Returns an error's document with the details, unless it is not one or already has them.
fn with_details(body: &[u8], bucket: Option<&str>, key: Option<&str>, request_id: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let head = text.trim_end().strip_suffix("</Error>")?;
    let code = head.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let mut out = head.to_owned();
    // The protocol's own check of the name has no message.
    if code == "InvalidBucketName" && !head.contains("<Message>") {
        out.push_str("<Message>The specified bucket is not valid.</Message>");
    }
    match (code, bucket, key) {
        ("NoSuchKey" | "NoSuchVersion", _, Some(key)) => {
            let _ = write!(out, "<Key>{}</Key>", escape(key));
        }
        (code, Some(bucket), _) if OF_BUCKETS.contains(&code) => {
            let _ = write!(out, "<BucketName>{}</BucketName>", escape(bucket));
        }
        _ => {
            let resource = match (bucket, key) {
                (Some(bucket), Some(key)) => format!("/{bucket}/{key}"),
                (bucket, _) => format!("/{}", bucket.unwrap_or_default()),
            };
            let _ = write!(out, "<Resource>{}</Resource>", escape(&resource));
        }
    }
    if !head.contains("<RequestId>") {
        let _ = write!(out, "<RequestId>{request_id}</RequestId>");
    }
    let _ = write!(out, "<HostId>{request_id}</HostId></Error>");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_object_or_the_bucket() {
        let error = |code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
            with_details(body.as_bytes(), Some("photos"), Some("a&b"), "R").unwrap_or_default()
        };
        insta::assert_snapshot!(error("NoSuchKey"), @"<Error><Code>NoSuchKey</Code><Message>m</Message><Key>a&amp;b</Key><RequestId>R</RequestId><HostId>R</HostId></Error>");
        insta::assert_snapshot!(error("NoSuchBucket"), @"<Error><Code>NoSuchBucket</Code><Message>m</Message><BucketName>photos</BucketName><RequestId>R</RequestId><HostId>R</HostId></Error>");
        insta::assert_snapshot!(error("InvalidRange"), @"<Error><Code>InvalidRange</Code><Message>m</Message><Resource>/photos/a&amp;b</Resource><RequestId>R</RequestId><HostId>R</HostId></Error>");
        assert_eq!(with_details(b"<Other/>", None, None, "R"), None);
    }
}
