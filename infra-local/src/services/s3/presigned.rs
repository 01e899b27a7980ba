//! Requests by presigned URLs, whose query contains the signature and may contain headers.

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;

/// Parameters of signatures, in lower case.
const SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "awsaccesskeyid",
    "signature",
    "expires",
];

/// Removes the parameters of the signature from the URL, and turns parameters that are headers into headers.
pub(super) fn plain(head: &mut Parts) {
    let query = head.uri.query().unwrap_or_default().to_owned();
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { continue };
        let name = name.to_ascii_lowercase();
        if SIGNATURE.contains(&name.as_str()) {
            continue;
        }
        if !name.starts_with("x-amz-") && !["content-type", "content-md5"].contains(&name.as_str()) {
            kept.push(pair);
            continue;
        }
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        if let Some((name, value)) = header
            && !head.headers.contains_key(&name)
        {
            head.headers.insert(name, value);
        }
    }
    let path = head.uri.path();
    let uri = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    if let Ok(uri) = uri.parse::<Uri>() {
        head.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use hyper::Request;

    #[test]
    fn headers_in_the_query_become_headers() {
        let uri = "/b/k?versionId=1&X-Amz-Signature=s&x-amz-meta-a=b%20c&Expires=1&response-content-type=x";
        let mut head = Request::get(uri).body(()).unwrap().into_parts().0;
        plain(&mut head);
        assert_eq!(head.uri, "/b/k?versionId=1&response-content-type=x");
        assert_eq!(head.headers["x-amz-meta-a"], "b c");
    }
}
