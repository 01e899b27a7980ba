//! Requests to the next tier.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `TRUSTED_HOST_URL` (gatekeeper), `PROXY_URL` (trusted host) | required | `http://HOST:PORT` of the next tier |
//! | `FORWARD_SECONDS` | 6 (gatekeeper), 5 (trusted host) | time limit of a request to the next tier |
//!
//! The limit of a tier is longer than that of the next one, so that the response names the tier that does not answer, and
//! shorter than `LIMIT_SECONDS`.

use std::{error::Error, fmt::Write, time::Duration};

use actix_web::http::header::HeaderValue;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kit::settings::{self, SettingError, Variables};
use tokio::time::timeout;

/// Time limit of a connection to the next tier.
const CONNECT: Duration = Duration::from_secs(2);
/// Time for which an idle connection is kept: shorter than that of the next tier, which would otherwise close it first.
const IDLE: Duration = Duration::from_secs(3);
/// Time limit of a health check, which includes those of the tiers behind.
const HEALTH: Duration = Duration::from_millis(1800);
/// Maximum length of a response, in bytes: longer than every response of the proxy.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Header with the name of the node that ran the statement.
pub const NODE: &str = "x-db-node";

/// Settings of the next tier.
#[derive(Debug, Clone)]
pub struct NextTier {
    /// Name for errors.
    pub name: &'static str,
    base: String,
    time: Duration,
}

impl NextTier {
    /// Reads the settings. The URL is in `variable`.
    ///
    /// # Errors
    /// [`NextTierError`] for the first invalid setting.
    pub fn from(
        name: &'static str,
        variable: &'static str,
        default_seconds: u32,
        variables: Variables,
    ) -> Result<Self, NextTierError> {
        let url = variables(variable).ok_or(NextTierError::NotSet { variable })?;
        let base = base(&url).ok_or(NextTierError::NotAUrl { variable, url })?;
        let time = settings::seconds(variables, "FORWARD_SECONDS", default_seconds)?;
        Ok(Self { name, base, time })
    }

    /// Returns a client with connections of its own, for one thread: a connection stops with its thread.
    pub fn client(&self) -> TierClient {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        TierClient { tier: self.clone(), client }
    }
}

/// Returns the base of the paths, or `None` if this is not the URL of a tier.
fn base(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let is_root = uri.path() == "/" && uri.query().is_none();
    let is_tier = uri.scheme_str() == Some("http") && is_root;
    let host = uri.authority().filter(|authority| is_tier && !authority.as_str().contains('@'))?;
    Some(format!("http://{host}"))
}

/// Error of the settings of a [`NextTier`].
#[derive(Debug, thiserror::Error)]
pub enum NextTierError {
    /// The URL is not set.
    #[error("{variable} is not set; write the URL of the next tier, such as http://10.0.1.7:8080")]
    NotSet {
        /// Name of the variable.
        variable: &'static str,
    },
    /// The value is not a URL of a tier.
    #[error("{variable}={url} is not the URL of a tier; write http://HOST:PORT")]
    NotAUrl {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable.
        url: String,
    },
    /// The time limit is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Client of the next tier.
#[derive(Debug, Clone)]
pub struct TierClient {
    tier: NextTier,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Response of a tier, or of the proxy itself.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Name of the node that ran the statement.
    pub node: Option<HeaderValue>,
    /// Body, which is JSON.
    pub body: Bytes,
}

/// Error of a request to the next tier. The client receives the text; the cause is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The tier cannot be reached, or does not answer in time.
    #[error("The {tier} does not answer")]
    Away {
        /// Name of the tier.
        tier: &'static str,
    },
    /// The tier refuses this tier, or its response is not one of the API.
    #[error("The {tier} does not accept the request (status {status})")]
    Unexpected {
        /// Name of the tier.
        tier: &'static str,
        /// Status of the response.
        status: u16,
    },
}

impl TierClient {
    /// Sends a request with a JSON body and these headers. Passes on responses of the API.
    ///
    /// # Errors
    /// [`ForwardError`] if the tier does not answer, or not as a tier.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, ForwardError> {
        let answer = self.send(Method::POST, path, headers, body, self.tier.time).await?;
        match answer.status {
            200 | 400 | 500 | 502 => Ok(answer),
            status => {
                let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned();
                tracing::error!(tier = self.tier.name, status, body, "unexpected response");
                Err(ForwardError::Unexpected { tier: self.tier.name, status })
            }
        }
    }

    /// Checks the health of the next tier and of the tiers behind it.
    ///
    /// # Errors
    /// [`ForwardError`] if the tier does not answer, or is not healthy.
    pub async fn check(&self) -> Result<(), ForwardError> {
        match self.send(Method::GET, "/healthz", &[], Vec::new(), HEALTH.min(self.tier.time)).await?.status {
            200 => Ok(()),
            status => Err(ForwardError::Unexpected { tier: self.tier.name, status }),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Answer, ForwardError> {
        let away = |cause: String| {
            tracing::error!(tier = self.tier.name, cause, "no response");
            ForwardError::Away { tier: self.tier.name }
        };
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.tier.base));
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        let request = request.body(Full::from(body)).map_err(|error| away(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| causes(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE).collect().await.map_err(|error| causes(&*error))?;
            let node = head.headers.get(NODE).and_then(|node| HeaderValue::from_bytes(node.as_bytes()).ok());
            Ok::<_, String>(Answer { status: head.status.as_u16(), node, body: body.to_bytes() })
        };
        match timeout(limit, exchange).await {
            Ok(answer) => answer.map_err(away),
            Err(_) => Err(away(format!("no response within {limit:?}"))),
        }
    }
}

/// Returns an error with its causes.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writes to a String cannot fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_tiers_are_accepted() {
        for (url, expected) in [
            ("http://10.0.1.7:8080", Some("http://10.0.1.7:8080")),
            ("http://proxy.internal/", Some("http://proxy.internal")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("https://10.0.1.7", None),
            ("http://10.0.1.7/api", None),
            ("http://10.0.1.7/?a", None),
            ("http://user:s3cret@10.0.1.7", None),
            ("10.0.1.7:8080", None),
            ("", None),
        ] {
            assert_eq!(base(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn settings_are_required() {
        let error = NextTier::from("proxy", "PROXY_URL", 5, &|_| None).expect_err("not set").to_string();
        assert!(error.starts_with("PROXY_URL is not set"), "{error}");
        let error = NextTier::from("proxy", "PROXY_URL", 5, &|_| Some(String::new())).expect_err("empty").to_string();
        assert!(error.starts_with("PROXY_URL= is not the URL of a tier"), "{error}");
    }
}
