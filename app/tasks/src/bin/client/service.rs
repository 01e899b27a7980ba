//! Client of the service: requests, responses and errors.

use std::{io, time::Duration};

use serde_json::{Value, json, ser::Formatter};
use ureq::{
    Agent, Body,
    http::{Request, Response, StatusCode, Uri},
};

use crate::tokens::{Kept, Tokens, TokensError};

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "{url} does not respond: {source}. Check that the service is running, or set --url or TASKS_URL to its URL"
    )]
    NoAnswer { url: String, source: Box<ureq::Error> },
    #[error("{url} answered {status}: {body}")]
    Refused { url: String, status: StatusCode, body: String },
    #[error("{url} answered {status}: {body}. Sign in with `client login`")]
    NotSignedIn { url: String, status: StatusCode, body: String },
    #[error("{url} responded with something that is not JSON: {source}. Check that it is the URL of the Tasks service")]
    NotJson { url: String, source: serde_json::Error },
    #[error("{0}")]
    Tokens(#[from] TokensError),
    #[error("the terminal or the input cannot be used: {0}")]
    Input(#[from] io::Error),
}

impl Failure {
    /// Returns the status and the body, if there was a response.
    pub(crate) fn answer(&self) -> Option<(StatusCode, &str)> {
        match self {
            Self::Refused { status, body, .. } | Self::NotSignedIn { status, body, .. } => Some((*status, body)),
            _ => None,
        }
    }
}

/// A service with a URL, and its stored tokens.
pub(crate) struct Service {
    /// URL without the path of the tasks.
    pub(crate) base: String,
    agent: Agent,
    tokens: Tokens,
}

/// Response to a successful request.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.body).map_err(|source| self.not_json(source))
    }

    /// Returns the body as indented JSON, with members in their order.
    pub(crate) fn indented(&self) -> Result<String, Failure> {
        self.transcode(serde_json::Serializer::pretty(Vec::new()))
    }

    /// Returns the body as JSON in one line, with members in their order.
    pub(crate) fn in_one_line(&self) -> Result<String, Failure> {
        self.transcode(serde_json::Serializer::new(Vec::new()))
    }

    fn transcode<F: Formatter>(&self, mut writer: serde_json::Serializer<Vec<u8>, F>) -> Result<String, Failure> {
        let mut reader = serde_json::Deserializer::from_str(&self.body);
        let done = serde_transcode::transcode(&mut reader, &mut writer).and_then(|()| reader.end());
        done.map_err(|source| self.not_json(source))?;
        Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
    }

    fn not_json(&self, source: serde_json::Error) -> Failure {
        Failure::NotJson { url: self.url.clone(), source }
    }
}

impl Service {
    /// Returns the service at a URL, which may include the path of the tasks, or an error for an invalid URL.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/tasks").unwrap_or(base);
        let uri: Uri = base.parse().map_err(|error| format!("{url} is not a URL ({error}); write http://HOST:PORT"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(format!("{url} is not a URL of a service; write http://HOST:PORT"));
        }
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Ok(Self { base: base.to_owned(), agent: config.build().into(), tokens: Tokens::in_files() })
    }

    /// Sends a request, with a stored token if there is one. An expired token is refreshed.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let mut kept = self.tokens.of(&self.base)?;
        if kept.as_ref().is_some_and(Kept::has_expired) {
            kept = self.renew()?;
        }
        let access = kept.map(|kept| kept.access);
        match self.send(method, path, body, access.as_deref()) {
            Err(Failure::NotSignedIn { .. }) if access.is_some() => {
                // The keys may have been rotated, or the clock of this machine may be wrong.
                let renewed = self.renew()?.map(|kept| kept.access);
                self.send(method, path, body, renewed.as_deref())
            }
            other => other,
        }
    }

    /// Creates a user.
    pub(crate) fn register(&self, username: &str, password: &str) -> Result<(), Failure> {
        let credentials = json!({ "username": username, "password": password });
        self.send("POST", "/auth/register", Some(&credentials), None).map(drop)
    }

    /// Signs in, and stores the tokens.
    pub(crate) fn sign_in(&self, username: &str, password: &str) -> Result<(), Failure> {
        let credentials = json!({ "username": username, "password": password });
        let kept = self.ask_for_tokens("/auth/token", &credentials).map_err(|failure| match failure {
            // The hint to sign in does not apply here.
            Failure::NotSignedIn { url, status, body } => Failure::Refused { url, status, body },
            other => other,
        })?;
        self.tokens.change(&self.base, |_| Ok(Some(kept))).map(drop)
    }

    /// Refreshes the stored tokens. Deletes them if the service refuses them.
    fn renew(&self) -> Result<Option<Kept>, Failure> {
        // Only one of several clients may use a refresh token, so the others wait for its new tokens.
        let before = self.tokens.of(&self.base)?;
        self.tokens.change(&self.base, |now| match now {
            Some(kept) if before.as_ref().is_some_and(|before| before.refresh != kept.refresh) => Ok(Some(kept)),
            Some(kept) => match self.ask_for_tokens("/auth/refresh", &json!({ "refresh": kept.refresh })) {
                Err(Failure::NotSignedIn { .. } | Failure::Refused { status: StatusCode::BAD_REQUEST, .. }) => Ok(None),
                other => other.map(Some),
            },
            None => Ok(None),
        })
    }

    fn ask_for_tokens(&self, path: &str, body: &Value) -> Result<Kept, Failure> {
        let answer = self.send("POST", path, Some(body), None)?;
        Kept::from(&answer.body).map_err(|source| Failure::NotJson { url: answer.url, source })
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, access: Option<&str>) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(access) = access {
            request = request.header("Authorization", format!("Bearer {access}"));
        }
        let no_answer = |source: ureq::Error| Failure::NoAnswer { url: url.clone(), source: source.into() };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|error| no_answer(error.into()))?;
        let mut response: Response<Body> = self.agent.run(request).map_err(no_answer)?;
        let status = response.status();
        let body = response.body_mut().read_to_string().map_err(no_answer)?;
        if status.is_success() {
            return Ok(Answer { url, status, body });
        }
        // Dialect B also responds with 401 to invalid fields, without a challenge.
        let challenged = response.headers().contains_key("www-authenticate");
        Err(if challenged {
            Failure::NotSignedIn { url, status, body }
        } else {
            Failure::Refused { url, status, body }
        })
    }
}
