//! Signature Version 2 of S3, in presigned URLs and form policies, which AWS's SDK for Python creates by default.
//!
//! Source: Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)".

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::request::Parts;
use s3s::crypto::{Checksum as _, Sha1};
use subtle::ConstantTimeEq as _;

/// Block size of SHA-1, in bytes.
const BLOCK: usize = 64;

/// Parameters of the query that belong to the signed resource.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Returns whether `signature` is the one of a presigned URL with this secret.
pub(crate) fn verifies_url(secret: &str, request: &Parts, expires: &str, signature: &str) -> bool {
    let path = request.uri.path();
    // Clients sign the path of a bucket with a slash at its end, and send it with or without one.
    let of_bucket = (path.len() > 1 && path.rfind('/') == Some(0)).then(|| format!("{path}/"));
    let paths = std::iter::once(path.to_owned()).chain(of_bucket);
    paths.into_iter().any(|path| verifies(secret, &string_to_sign(request, &path, expires), signature))
}

/// Returns whether `signature`, in base64, is the one of a text with this secret.
pub(crate) fn verifies(secret: &str, text: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature) else { return false };
    bool::from(hmac_sha1(secret.as_bytes(), text.as_bytes()).ct_eq(&given))
}

/// Returns the HMAC of RFC 2104 with SHA-1.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let digest = |pieces: &[&[u8]]| {
        let mut hasher = Sha1::new();
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finalize().as_ref().to_vec()
    };
    let mut block = if key.len() > BLOCK { digest(&[key]) } else { key.to_vec() };
    block.resize(BLOCK, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = digest(&[&padded(0x36), text]);
    digest(&[&padded(0x5c), &inner])
}

/// Returns the text that the signature of a presigned URL covers. Headers of S3 may be parameters of the query.
fn string_to_sign(request: &Parts, path: &str, expires: &str) -> String {
    let query = request.uri.query().unwrap_or_default();
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |name: &str| {
        let header = request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parameter = || parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.or_else(|| parameter().map(|(_, value)| value.clone())).unwrap_or_default()
    };
    let mut text = format!("{}\n{}\n{}\n{expires}\n", request.method, value("content-md5"), value("content-type"));
    let is_of_s3 = |name: &str| name.starts_with("x-amz-");
    let of_query = parameters.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let of_headers = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.trim().to_owned())));
    let signed: BTreeMap<String, String> = of_query.chain(of_headers).filter(|(name, _)| is_of_s3(name)).collect();
    for (name, value) in signed {
        let _ = writeln!(text, "{name}:{value}");
    }
    text.push_str(path);
    let mut resources: Vec<(&str, Option<String>)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        if SUBRESOURCES.contains(&name) {
            let decoded =
                value.map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned());
            resources.push((name, decoded.filter(|value| !value.is_empty())));
        }
    }
    resources.sort();
    for (index, (name, value)) in resources.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use hyper::Request;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn parts(uri: &str) -> Parts {
        Request::get(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn hmac_follows_rfc_2202() {
        let hmac = |key: &[u8], text: &[u8]| hex::encode(hmac_sha1(key, text));
        assert_eq!(hmac(b"Jefe", b"what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let long = [0xaa; 80];
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hmac(&long, text), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }

    #[test]
    fn documented_presigned_url_is_verified() {
        // The example of the User Guide, whose bucket is part of the host there and of the path here.
        let request = parts("/johnsmith/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620");
        assert!(
            verifies_url(SECRET, &request, "1175139620", "NpgCjnDzrM+WFzoENXmpNDUsSn8="),
            "{}",
            string_to_sign(&request, request.uri.path(), "1175139620")
        );
        assert!(!verifies_url(SECRET, &request, "1175139621", "NpgCjnDzrM+WFzoENXmpNDUsSn8="));
        let listing = parts("/johnsmith?prefix=photos");
        let signature = "O0v6SWPdo4x4nFD0qcXbN1ErM/8=";
        assert!(verifies_url(SECRET, &listing, "1175139620", signature), "the signed path ends with a slash");
        assert!(!verifies_url("other", &request, "1175139620", "NpgCjnDzrM+WFzoENXmpNDUsSn8="));
    }

    #[test]
    fn signed_text_contains_headers_of_the_query_and_subresources() {
        let request = parts(
            "/b/k%20y?versionId=3&x-amz-security-token=T&response-content-type=text%2Fplain&prefix=no&uploads&Expires=9",
        );
        insta::assert_snapshot!(string_to_sign(&request, request.uri.path(), "9"), @r"
        GET


        9
        x-amz-security-token:T
        /b/k%20y?response-content-type=text/plain&uploads&versionId=3
        ");
    }
}
