//! Signature Version 4: the signer of a request, its region and service, and the verification of the signature.
//!
//! Source: AWS, "Signature Version 4 for API requests", both for headers and for query parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use hmac::{Hmac, Mac as _};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Uri};
use sha2::{Digest as _, Sha256};

use super::error::{ApiError, Outcome};
use super::sigv2;

/// Placeholder for the digest of an unsigned body.
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Prefix of the placeholder for a body whose chunks are signed one by one.
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// Limit of the difference to the client's clock.
const SKEW: Duration = Duration::minutes(15);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const TIMESTAMP: &str = "%Y%m%dT%H%M%SZ";

/// The credential scope of a request. In Signature Version 2 it consists of the access key; see [`Scope::is_regional`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    /// The day, `20250101`.
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// The signature of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) scope: Scope,
    /// The token of temporary credentials.
    pub(crate) session_token: Option<String>,
    /// `20250101T000000Z`, or the expiration of a URL of Signature Version 2 in seconds since 1970.
    timestamp: String,
    /// Lifetime of a presigned URL.
    expires: Option<Duration>,
    /// Names of the signed headers, in lower case.
    headers: Vec<String>,
    signature: String,
}

/// The signed policy of an upload by an HTML form.
///
/// Source: Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedPolicy {
    pub(crate) scope: Scope,
    pub(crate) session_token: Option<String>,
    /// The policy document in base64.
    pub(crate) policy: String,
    signature: String,
}

impl SignedPolicy {
    /// Parses a form's fields, whose names are in lower case.
    pub(crate) fn of(fields: &BTreeMap<String, String>) -> Outcome<SignedPolicy> {
        let field = |name: &str| {
            fields.get(name).ok_or_else(|| malformed(&format!("the form has no field {name} before its file")))
        };
        if let (false, Some(key)) = (fields.contains_key("x-amz-algorithm"), fields.get("awsaccesskeyid")) {
            return Ok(SignedPolicy {
                scope: Scope::of_key(key),
                session_token: fields.get("x-amz-security-token").cloned(),
                policy: field("policy")?.clone(),
                signature: field("signature")?.clone(),
            });
        }
        if field("x-amz-algorithm")? != ALGORITHM {
            return Err(malformed("the form's x-amz-algorithm is not AWS4-HMAC-SHA256"));
        }
        Ok(SignedPolicy {
            scope: Scope::from_credential(field("x-amz-credential")?)?,
            session_token: fields.get("x-amz-security-token").cloned(),
            policy: field("policy")?.clone(),
            signature: checked_signature(field("x-amz-signature")?)?,
        })
    }

    /// Returns whether the policy is signed with this secret.
    pub(crate) fn check(&self, secret: &str) -> Result<(), BadSignature> {
        if !self.scope.is_regional() {
            let is_right = sigv2::verifies(secret, &self.policy, &self.signature);
            return if is_right { Ok(()) } else { Err(BadSignature::Wrong) };
        }
        let given = hex::decode(&self.signature).map_err(|_| BadSignature::Wrong)?;
        let mac = keyed(&self.scope.signing_key(secret)).chain_update(&self.policy);
        mac.verify_slice(&given).map_err(|_| BadSignature::Wrong)
    }
}

/// Reasons for which a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadSignature {
    /// The signature belongs to another secret or another request.
    Wrong,
    /// The difference to the client's clock is too large.
    Skewed { signed: DateTime<Utc> },
    /// The presigned URL has expired.
    Expired,
}

/// Longest validity of a presigned URL.
const WEEK_SECONDS: i64 = 604_800;

impl Signed {
    /// Parses the `Authorization` header, or the `X-Amz-…` parameters of a presigned URL.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Outcome<Signed> {
        if let Some(header) = headers.get(AUTHORIZATION) {
            let header = header.to_str().map_err(|_| malformed("the Authorization header is not text"))?;
            return Signed::from_header(header, headers);
        }
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        if query.contains_key("X-Amz-Credential") {
            return Signed::from_query(&query);
        }
        if query.contains_key("AWSAccessKeyId") {
            return Signed::from_query_of_version_2(&query);
        }
        let message = "Request is missing Authentication Token: sign it with AWS Signature Version 4 and the key that `stack local env` prints";
        Err(ApiError::new("MissingAuthenticationToken", message).with_status(403))
    }

    fn from_header(header: &str, headers: &HeaderMap) -> Outcome<Signed> {
        let fields = header
            .strip_prefix(ALGORITHM)
            .ok_or_else(|| malformed("the Authorization header does not start with AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| malformed(&format!("Authorization header requires '{name}' parameter")))
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Signed {
            scope: Scope::from_credential(field("Credential")?)?,
            session_token: text("x-amz-security-token"),
            timestamp: text("x-amz-date")
                .ok_or_else(|| malformed("Authorization header requires an X-Amz-Date header"))?,
            expires: None,
            headers: signed_headers(field("SignedHeaders")?),
            signature: checked_signature(field("Signature")?)?,
        })
    }

    fn from_query(query: &BTreeMap<String, String>) -> Outcome<Signed> {
        let field = |name: &str| {
            let value = query.get(name).map(String::as_str);
            value.ok_or_else(|| malformed(&format!("the presigned URL lacks the parameter {name}")))
        };
        let invalid = |detail: &str| ApiError::new("AuthorizationQueryParametersError", detail);
        let seconds: i64 = field("X-Amz-Expires")?.parse().map_err(|_| invalid("X-Amz-Expires should be a number"))?;
        if seconds < 0 {
            return Err(invalid("X-Amz-Expires must be non-negative"));
        }
        if seconds > WEEK_SECONDS {
            return Err(invalid(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        Ok(Signed {
            scope: Scope::from_credential(field("X-Amz-Credential")?)?,
            session_token: query.get("X-Amz-Security-Token").cloned(),
            timestamp: field("X-Amz-Date")?.to_owned(),
            expires: Some(Duration::seconds(seconds)),
            headers: signed_headers(field("X-Amz-SignedHeaders")?),
            signature: checked_signature(field("X-Amz-Signature")?)?,
        })
    }

    fn from_query_of_version_2(query: &BTreeMap<String, String>) -> Outcome<Signed> {
        let field = |name: &str| {
            query.get(name).cloned().ok_or_else(|| {
                ApiError::new(
                    "AccessDenied",
                    "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
                )
                .with_status(403)
            })
        };
        let token = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-security-token"));
        Ok(Signed {
            scope: Scope::of_key(&field("AWSAccessKeyId")?),
            session_token: token.map(|(_, value)| value.clone()),
            timestamp: field("Expires")?,
            expires: None,
            headers: Vec::new(),
            signature: field("Signature")?,
        })
    }

    /// Returns the age of the signature, or `None` if it does not contain the time at which it was created.
    pub(crate) fn age(&self, now: DateTime<Utc>) -> Option<Duration> {
        let signed = NaiveDateTime::parse_from_str(&self.timestamp, TIMESTAMP).ok()?;
        Some(now - signed.and_utc())
    }

    /// Returns whether the signature is part of the URL.
    pub(crate) fn is_presigned(&self) -> bool {
        self.expires.is_some() || !self.scope.is_regional()
    }

    /// Checks that the request was signed recently, or that its presigned URL has not expired.
    pub(crate) fn check_time(&self, now: DateTime<Utc>) -> Result<(), BadSignature> {
        if !self.scope.is_regional() {
            let expires = self.timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            let expires = expires.ok_or(BadSignature::Wrong)?;
            return if now > expires { Err(BadSignature::Expired) } else { Ok(()) };
        }
        let signed = NaiveDateTime::parse_from_str(&self.timestamp, TIMESTAMP).map_err(|_| BadSignature::Wrong)?;
        let signed = signed.and_utc();
        match self.expires {
            Some(expires) if now > signed + expires => Err(BadSignature::Expired),
            Some(_) if signed > now + SKEW => Err(BadSignature::Skewed { signed }),
            None if (now - signed).abs() > SKEW => Err(BadSignature::Skewed { signed }),
            _ => Ok(()),
        }
    }

    /// Checks that the signature was computed with this secret; `payload` is the digest of the body in hexadecimal
    /// digits, or its placeholder.
    pub(crate) fn check(&self, secret: &str, request: &Parts, payload: &str) -> Result<(), BadSignature> {
        if !self.scope.is_regional() {
            let is_right = sigv2::verifies_url(secret, request, &self.timestamp, &self.signature);
            return if is_right { Ok(()) } else { Err(BadSignature::Wrong) };
        }
        let scope = self.scope.text();
        let canonical = self.canonical_request(request, payload).ok_or(BadSignature::Wrong)?;
        let digest = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{digest}", self.timestamp);
        let given = hex::decode(&self.signature).map_err(|_| BadSignature::Wrong)?;
        let mac = keyed(&self.scope.signing_key(secret)).chain_update(to_sign);
        mac.verify_slice(&given).map_err(|_| BadSignature::Wrong)
    }

    /// Returns the verifier of a body's chunks. The signature of the request must have been verified.
    pub(crate) fn chunks(&self, secret: &str, payload: &str) -> Option<ChunkSignatures> {
        payload.starts_with(SIGNED_CHUNKS).then(|| ChunkSignatures {
            key: self.scope.signing_key(secret),
            stamp: format!("{}\n{}", self.timestamp, self.scope.text()),
            previous: self.signature.clone(),
        })
    }

    /// Returns the canonical request, or `None` if a header in `SignedHeaders` is missing.
    fn canonical_request(&self, request: &Parts, payload: &str) -> Option<String> {
        let path = request.uri.path();
        let path = if self.scope.service == "s3" { encode(&decode(path), true) } else { encode(path.as_bytes(), true) };
        let query = canonical_query(request.uri.query().unwrap_or_default());
        let mut headers = String::new();
        for name in &self.headers {
            let _ = writeln!(headers, "{name}:{}", canonical_header(request, name)?);
        }
        let names = self.headers.join(";");
        Some(format!("{}\n{path}\n{query}\n{headers}\n{names}\n{payload}", request.method))
    }
}

impl Scope {
    fn from_credential(credential: &str) -> Outcome<Scope> {
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        match (next(), next(), next(), next(), next()) {
            (Some(end), Some(service), Some(region), Some(date), Some(access_key)) if end == "aws4_request" => {
                Ok(Scope { access_key, date, region, service })
            }
            _ => Err(malformed(
                "Credential must have 5 slash-delimited elements: access key, date, region, service, aws4_request",
            )),
        }
    }

    /// Returns the scope of a signature of version 2, which only S3 accepts.
    fn of_key(access_key: &str) -> Scope {
        Scope {
            access_key: access_key.to_owned(),
            date: String::new(),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        }
    }

    /// Returns whether the signature covers a region. One of version 2 does not.
    pub(crate) fn is_regional(&self) -> bool {
        !self.date.is_empty()
    }

    fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }

    fn signing_key(&self, secret: &str) -> Vec<u8> {
        let first = format!("AWS4{secret}").into_bytes();
        let parts = [self.date.as_str(), &self.region, &self.service, "aws4_request"];
        parts.iter().fold(first, |key, part| keyed(&key).chain_update(part).finalize().into_bytes().to_vec())
    }
}

/// Verifier of chunk signatures. Each covers the previous signature; that of the first chunk covers the request's.
pub(crate) struct ChunkSignatures {
    key: Vec<u8>,
    /// Time and credential scope.
    stamp: String,
    previous: String,
}

impl ChunkSignatures {
    /// Verifies the next chunk: the SHA-256 of its data, and its signature.
    pub(crate) fn check(&mut self, data: &[u8], signature: &str) -> Result<(), BadSignature> {
        self.next("PAYLOAD", &format!("{}\n{}", digest(b""), hex::encode(data)), signature)
    }

    /// Verifies the trailers after the last chunk: lines of a name, a colon and a value.
    pub(crate) fn check_trailers(&mut self, lines: &[u8], signature: &str) -> Result<(), BadSignature> {
        self.next("TRAILER", &digest(lines), signature)
    }

    fn next(&mut self, kind: &str, content: &str, signature: &str) -> Result<(), BadSignature> {
        let to_sign = format!("{ALGORITHM}-{kind}\n{}\n{}\n{content}", self.stamp, self.previous);
        let given = hex::decode(signature).map_err(|_| BadSignature::Wrong)?;
        keyed(&self.key).chain_update(to_sign).verify_slice(&given).map_err(|_| BadSignature::Wrong)?;
        signature.clone_into(&mut self.previous);
        Ok(())
    }
}

/// Returns the digest of a body in the form that signatures contain.
pub(crate) fn digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

#[allow(clippy::expect_used)]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn signed_headers(list: &str) -> Vec<String> {
    list.split(';').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn checked_signature(text: &str) -> Outcome<String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err(malformed("the Signature is not 64 hexadecimal digits"))
}

fn canonical_header(request: &Parts, name: &str) -> Option<String> {
    let values: Vec<&str> = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        // HTTP/2 has the host in the URI.
        let authority = request.uri.authority().filter(|_| name == HOST.as_str());
        return authority.map(ToString::to_string);
    }
    let words = |value: &&str| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Some(values.iter().map(words).collect::<Vec<_>>().join(","))
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encode(&decode(name), false), encode(&decode(value), false))
    });
    let mut pairs: Vec<(String, String)> = pairs.filter(|(name, _)| name != "X-Amz-Signature").collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Decodes percent-encoding; other characters are kept.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let encoded = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Percent-encodes all characters except for letters, digits, `-`, `.`, `_`, `~`, and in paths `/`.
fn encode(bytes: &[u8], path: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new("IncompleteSignature", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use hyper::Request;

    /// Returns the example of AWS's documentation: `GET /?Param2=value2&Param1=value1` of the service `service`.
    fn example(query: &str) -> Parts {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        let request = Request::get(format!("/?{query}"))
            .header("Host", "example.amazonaws.com")
            .header("X-Amz-Date", "20150830T123600Z")
            .header("Authorization", authorization);
        request.body(()).unwrap().into_parts().0
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[test]
    fn the_documented_example_is_verified() {
        let parts = example("Param2=value2&Param1=value1");
        let signed = Signed::of(&parts.headers, &parts.uri).unwrap();
        assert_eq!(signed.scope.service, "service");
        assert_eq!(signed.check(SECRET, &parts, &digest(b"")), Ok(()));
    }

    #[test]
    fn another_secret_body_or_query_is_refused() {
        let parts = example("Param2=value2&Param1=value1");
        let signed = Signed::of(&parts.headers, &parts.uri).unwrap();
        assert_eq!(signed.check("other", &parts, &digest(b"")), Err(BadSignature::Wrong));
        assert_eq!(signed.check(SECRET, &parts, &digest(b"x")), Err(BadSignature::Wrong));
        let other = example("Param2=value2&Param1=value3");
        assert_eq!(signed.check(SECRET, &other, &digest(b"")), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_signature_is_valid_for_fifteen_minutes() {
        let parts = example("");
        let signed = Signed::of(&parts.headers, &parts.uri).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(signed.check_time(at("2015-08-30T12:50:00Z")), Ok(()));
        assert!(matches!(signed.check_time(at("2015-08-30T12:52:00Z")), Err(BadSignature::Skewed { .. })));
        let presigned = Signed { expires: Some(Duration::seconds(60)), ..signed };
        assert_eq!(presigned.check_time(at("2015-08-30T12:37:01Z")), Err(BadSignature::Expired));
    }

    #[test]
    fn presigned_urls_are_verified_by_their_query() {
        let signature = "a".repeat(64);
        let uri: Uri = format!(
            "/bucket/key?X-Amz-Credential=K%2F20250101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20250101T000000Z\
             &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        )
        .parse()
        .unwrap();
        assert_eq!(Signed::of(&HeaderMap::new(), &uri).unwrap().scope.service, "s3");
    }

    #[test]
    fn urls_of_version_2_expire_at_their_time() {
        let uri: Uri = "/b/k?AWSAccessKeyId=K&Signature=c2ln&Expires=1700000000".parse().unwrap();
        let signed = Signed::of(&HeaderMap::new(), &uri).unwrap();
        assert!(signed.is_presigned() && !signed.scope.is_regional());
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        assert_eq!(signed.check_time(at(1_700_000_000)), Ok(()));
        assert_eq!(signed.check_time(at(1_700_000_001)), Err(BadSignature::Expired));
        let parts = Request::get(uri).body(()).unwrap().into_parts().0;
        assert_eq!(signed.check(SECRET, &parts, UNSIGNED_PAYLOAD), Err(BadSignature::Wrong));
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("/");
        assert_eq!(Signed::of(&headers, &uri).unwrap_err().status, 403);
        headers.insert(AUTHORIZATION, "Basic abc".parse().unwrap());
        assert_eq!(Signed::of(&headers, &uri).unwrap_err().code, "IncompleteSignature");
    }

    #[test]
    fn paths_and_queries_are_encoded_as_aws_does() {
        assert_eq!(encode(&decode("/a%20b/c+d"), true), "/a%20b/c%2Bd");
        assert_eq!(canonical_query("b=2&a=%20x&a&X-Amz-Signature=1"), "a=&a=%20x&b=2");
        assert_eq!(decode("%zz%4"), b"%zz%4");
    }
}
