//! Who signed a request, and for which region and service.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::error::{ApiError, Outcome};

/// The credential scope of a Signature Version 4 request.
///
/// The signature itself is not verified: the local cloud listens on loopback only and accepts every key. What it demands
/// is that the request is signed in the right form, so that a client that would be refused by AWS is refused here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Scope {
    /// Reads the scope from the `Authorization` header, or from a presigned URL's `X-Amz-Credential`.
    pub(crate) fn of(headers: &HeaderMap, query: Option<&str>) -> Outcome<Scope> {
        if let Some(header) = headers.get(AUTHORIZATION) {
            let header = header.to_str().map_err(|_| malformed("the Authorization header is not text"))?;
            return Scope::from_header(header);
        }
        let presigned = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "X-Amz-Credential")
            .map(|(_, value)| value.into_owned());
        match presigned {
            Some(credential) => Scope::from_credential(&credential),
            None => Err(ApiError::new(
                "MissingAuthenticationToken",
                "Request is missing Authentication Token: sign it with AWS Signature Version 4; any access key will do",
            )
            .with_status(403)),
        }
    }

    fn from_header(header: &str) -> Outcome<Scope> {
        let fields = header
            .strip_prefix("AWS4-HMAC-SHA256")
            .ok_or_else(|| malformed("the Authorization header does not start with AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| malformed(&format!("Authorization header requires '{name}' parameter")))
        };
        field("SignedHeaders")?;
        let signature = field("Signature")?;
        if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed("the Signature is not 64 hexadecimal digits"));
        }
        Scope::from_credential(field("Credential")?)
    }

    fn from_credential(credential: &str) -> Outcome<Scope> {
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        match (next(), next(), next(), next(), next()) {
            (Some("aws4_request"), Some(service), Some(region), Some(_date), Some(access_key)) => {
                Ok(Scope { access_key: access_key.to_owned(), region: region.to_owned(), service: service.to_owned() })
            }
            _ => Err(malformed(
                "Credential must have 5 slash-delimited elements: access key, date, region, service, aws4_request",
            )),
        }
    }
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new("IncompleteSignature", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Outcome<Scope> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, text.parse().map_err(|_| malformed("header"))?);
        Scope::of(&headers, None)
    }

    #[test]
    fn the_scope_names_region_and_service() {
        let signature = "a".repeat(64);
        let scope = header(&format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20250101/us-east-2/ec2/aws4_request, SignedHeaders=host, Signature={signature}"
        ));
        assert_eq!(scope, Ok(Scope { access_key: "AKID".into(), region: "us-east-2".into(), service: "ec2".into() }));
    }

    #[test]
    fn presigned_urls_carry_it_in_the_query() {
        let scope = Scope::of(&HeaderMap::new(), Some("X-Amz-Credential=K%2F20250101%2Fus-east-1%2Fs3%2Faws4_request"));
        assert_eq!(scope.map(|scope| scope.service), Ok("s3".to_owned()));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(header("Basic abc").map_err(|error| error.code), Err("IncompleteSignature".into()));
        assert_eq!(Scope::of(&HeaderMap::new(), None).map_err(|error| error.status), Err(403));
    }
}
