//! Cross-origin resource sharing: which web pages may use a bucket.
//!
//! Source: Amazon S3 User Guide, "Using cross-origin resource sharing (CORS)"; `PutBucketCors`.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, VARY,
};
use hyper::{Method, Response, StatusCode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::service::Service;
use super::{Store, failure};
use crate::model::s3::CorsRule;
use crate::wire::ApiError;

/// AWS's limit of rules per configuration.
const RULES_LIMIT: usize = 100;

const METHODS: &[&str] = &["GET", "PUT", "HEAD", "POST", "DELETE"];

/// Permission for a web page to read a response.
pub(crate) struct Granted {
    rule: CorsRule,
    origin: String,
}

impl Granted {
    /// Adds the headers because of which the browser passes the response to the page.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        let any = self.rule.origins.iter().any(|origin| origin == "*");
        set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { &self.origin });
        if !any {
            set(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        set(headers, ACCESS_CONTROL_ALLOW_METHODS, &self.rule.methods.join(", "));
        if !self.rule.exposed.is_empty() {
            set(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &self.rule.exposed.join(", "));
        }
        if let Some(seconds) = self.rule.max_age {
            set(headers, ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
        set(headers, VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
    }
}

impl CorsRule {
    fn admits(&self, origin: &str, method: &str) -> bool {
        self.methods.iter().any(|allowed| allowed == method)
            && self.origins.iter().any(|pattern| matches(pattern, origin))
    }

    fn admits_headers(&self, wanted: &[String]) -> bool {
        let allows = |name: &String| self.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name));
        wanted.iter().all(allows)
    }

    fn parse(rule: CORSRule) -> S3Result<CorsRule> {
        for pattern in rule.allowed_origins.iter().chain(rule.allowed_headers.iter().flatten()) {
            if pattern.matches('*').count() > 1 {
                return Err(s3_error!(InvalidRequest, "\"{pattern}\" can not have more than one wildcard."));
            }
        }
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(s3_error!(
                InvalidRequest,
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            ));
        }
        if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
            return Err(s3_error!(MalformedXML, "A CORSRule needs an AllowedOrigin and an AllowedMethod."));
        }
        Ok(CorsRule {
            id: rule.id,
            origins: rule.allowed_origins,
            methods: rule.allowed_methods,
            headers: rule.allowed_headers.unwrap_or_default(),
            exposed: rule.expose_headers.unwrap_or_default(),
            max_age: rule.max_age_seconds,
        })
    }

    fn render(self) -> CORSRule {
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        CORSRule {
            id: self.id,
            allowed_origins: self.origins,
            allowed_methods: self.methods,
            allowed_headers: some(self.headers),
            expose_headers: some(self.exposed),
            max_age_seconds: self.max_age,
        }
    }
}

impl Store {
    /// Returns the grant for an actual request of a page, if the bucket's configuration has one.
    pub(crate) fn cors(&self, bucket: &str, origin: &str, method: &Method) -> Option<Granted> {
        let rules = self.rules(bucket)?;
        let rule = rules.into_iter().find(|rule| rule.admits(origin, method.as_str()))?;
        Some(Granted { rule, origin: origin.to_owned() })
    }

    /// Responds to a preflight request, which is not signed. The response reveals only the configuration.
    pub(crate) fn preflight(
        &self,
        headers: &HeaderMap,
        origin: &str,
        bucket: &str,
        request_id: &str,
    ) -> Response<s3s::Body> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let refused = |message: &str| {
            let error = ApiError::new("AccessForbidden", format!("CORSResponse: {message}")).with_status(403);
            failure(&error, request_id)
        };
        let Some(method) = text(ACCESS_CONTROL_REQUEST_METHOD) else {
            return refused("a preflight request needs the header Access-Control-Request-Method");
        };
        let Some(rules) = self.rules(bucket).filter(|rules| !rules.is_empty()) else {
            return refused("CORS is not enabled for this bucket.");
        };
        let wanted = text(ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let wanted: Vec<String> =
            wanted.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
        let admits = |rule: &CorsRule| rule.admits(origin, method) && rule.admits_headers(&wanted);
        let Some(rule) = rules.into_iter().find(admits) else {
            return refused("no rule of the bucket's configuration admits this origin, method and these headers");
        };
        let mut answer = Response::new(s3s::Body::empty());
        *answer.status_mut() = StatusCode::OK;
        let headers = answer.headers_mut();
        Granted { rule, origin: origin.to_owned() }.mark(headers);
        if !wanted.is_empty() {
            set(headers, ACCESS_CONTROL_ALLOW_HEADERS, &wanted.join(", "));
        }
        set(headers, HeaderName::from_static("x-amz-request-id"), request_id);
        answer
    }

    fn rules(&self, bucket: &str) -> Option<Vec<CorsRule>> {
        let objects = self.shared.objects();
        objects.lock().get(bucket).map(|bucket| bucket.settings.cors.clone())
    }
}

impl Service {
    pub(super) fn get_bucket_cors(
        &self,
        request: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let rules = self.settings(&request, &request.input.bucket)?.cors;
        if rules.is_empty() {
            return Err(super::documents::not_found(
                "NoSuchCORSConfiguration",
                "The CORS configuration does not exist",
            ));
        }
        let cors_rules = Some(rules.into_iter().map(CorsRule::render).collect());
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules }))
    }

    pub(super) fn put_bucket_cors(
        &self,
        request: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let rules = input.cors_configuration.cors_rules;
        if rules.is_empty() {
            return Err(super::documents::malformed());
        }
        if rules.len() > RULES_LIMIT {
            return Err(s3_error!(
                InvalidRequest,
                "The number of CORS rules should not exceed allowed limit of {RULES_LIMIT} rules."
            ));
        }
        let rules = rules.into_iter().map(CorsRule::parse).collect::<S3Result<Vec<_>>>()?;
        self.objects().change_settings(&input.bucket, |settings| settings.cors = rules)?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    pub(super) fn delete_bucket_cors(
        &self,
        request: S3Request<DeleteBucketCorsInput>,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.objects().change_settings(&request.input.bucket, |settings| settings.cors = Vec::new())?;
        Ok(S3Response::new(DeleteBucketCorsOutput::default()))
    }
}

/// Returns whether a text matches a pattern with at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
        None => pattern == text,
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rule(origin: &str) -> CorsRule {
        CorsRule { origins: vec![origin.to_owned()], methods: vec!["PUT".to_owned()], ..CorsRule::default() }
    }

    #[test]
    fn a_pattern_has_at_most_one_wildcard() {
        assert!(matches("*", "http://a.example"));
        assert!(matches("http://*.example", "http://a.example"));
        assert!(!matches("http://*.example", "http://a.example:81"));
        assert!(!matches("http://aa*aa", "http://aaa"));
        let two = CORSRule {
            allowed_origins: vec!["*.*".to_owned()],
            allowed_methods: vec!["GET".to_owned()],
            allowed_headers: None,
            expose_headers: None,
            id: None,
            max_age_seconds: None,
        };
        assert!(CorsRule::parse(two.clone()).is_err());
        assert!(
            CorsRule::parse(CORSRule {
                allowed_origins: vec!["*".to_owned()],
                allowed_methods: vec!["PATCH".to_owned()],
                ..two
            })
            .is_err()
        );
    }

    #[test]
    fn the_opaque_origin_matches_only_a_wildcard() {
        assert!(rule("*").admits("null", "PUT"));
        assert!(!rule("http://a.example").admits("null", "PUT"));
        assert!(!rule("*").admits("null", "GET"));
    }

    #[test]
    fn credentials_are_allowed_only_for_a_named_origin() {
        let mut headers = HeaderMap::new();
        Granted { rule: rule("*"), origin: "http://a.example".to_owned() }.mark(&mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        Granted { rule: rule("http://a*"), origin: "http://a.example".to_owned() }.mark(&mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "http://a.example");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    }
}
