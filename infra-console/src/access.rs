//! Sign-in, checks of requests, and headers of responses.
//!
//! The console shows a system and can change it, so a web page that the user visits must not be able to use it. A
//! browser signs in with a random token in the printed URL, which is valid once, and receives a cookie. Programs send the
//! token of `console.json`, which only the user can read. Every request must name the console's
//! own host (against DNS rebinding) and, if it names an origin, its own origin. A change also needs the CSRF token of the
//! session. Scripts and styles are files of the console; the content security policy forbids all others.

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use subtle::ConstantTimeEq;

const COOKIE_NAME: &str = "infra-console";

/// Header of the CSRF token in requests of scripts; forms have a field `csrf`.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// Number of sessions of browsers, and of unused sign-in URLs. A new one replaces the oldest.
const SESSIONS: usize = 16;

/// `img-src data:` is for the icon; `'self'` excludes inline scripts and styles.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                              connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const SIGNED_IN: &str = "<!doctype html><html lang=\"en\"><title>Console</title>\
                         <meta http-equiv=\"refresh\" content=\"0;url=/\"><a href=\"/\">Continue to the console</a></html>";

/// A random text of 256 bits.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// Returns the CSRF token of the session with this token. It does not reveal the session's token.
    fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("csrf {}", self.0)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The callers that the console admits.
#[derive(Debug)]
pub(crate) struct Access {
    address: SocketAddr,
    /// Token of programs.
    token: Token,
    /// Tokens in URLs that no browser has used yet, the oldest first.
    invitations: Mutex<Vec<Token>>,
    /// Tokens of the browsers that have signed in, the oldest first.
    sessions: Mutex<Vec<Token>>,
}

/// The signed-in caller of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// CSRF token of the forms of the page.
    pub(crate) csrf: String,
    /// `true` if the caller is a program with the console's token, whose requests need no CSRF token.
    is_program: bool,
}

impl Access {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, token: Token::random()?, invitations: Mutex::default(), sessions: Mutex::default() })
    }

    /// Returns a URL with which one browser signs in.
    pub(crate) fn invite(&self) -> io::Result<String> {
        let token = Token::random()?;
        let url = format!("http://{}/?token={}", self.address, token.as_str());
        push(&self.invitations, token);
        Ok(url)
    }

    /// Returns the address of the console.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the token of programs.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    fn names_this_host(&self, headers: &HeaderMap) -> bool {
        headers.get(HOST).is_some_and(|host| host.as_bytes() == self.address.to_string().as_bytes())
    }

    /// Browsers send an origin with every request that could change something, and with requests of scripts.
    fn has_own_origin(&self, method: &Method, headers: &HeaderMap) -> bool {
        let own = format!("http://{}", self.address);
        match headers.get(ORIGIN) {
            Some(origin) => origin.as_bytes() == own.as_bytes(),
            None => method.is_safe() || headers.contains_key(AUTHORIZATION),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if let Some(bearer) = bearer {
            return self.token.matches(bearer).then(|| Caller { csrf: String::new(), is_program: true });
        }
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.iter().find(|session| session.matches(value))?;
        Some(Caller { csrf: session.csrf(), is_program: false })
    }

    /// Exchanges the token of a sign-in URL for a cookie. The answer leads the browser to the same page without the
    /// token.
    ///
    /// It is a page and not a redirect: a browser sends a strict cookie only with navigations that the console's own page
    /// starts, and the sign-in URL may have been opened from elsewhere.
    fn sign_in(&self, uri: &Uri) -> Option<Response> {
        let token = uri.query()?.strip_prefix("token=")?;
        let session = Token::random().ok()?;
        {
            let mut invitations = self.invitations.lock().unwrap_or_else(PoisonError::into_inner);
            let used = invitations.iter().position(|invitation| invitation.matches(token))?;
            invitations.remove(used);
        }
        let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", session.as_str());
        push(&self.sessions, session);
        Some(([(SET_COOKIE, cookie)], Html(SIGNED_IN)).into_response())
    }
}

/// Adds a token. The oldest ones become invalid.
fn push(tokens: &Mutex<Vec<Token>>, token: Token) {
    let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
    if tokens.len() == SESSIONS {
        tokens.remove(0);
    }
    tokens.push(token);
}

impl Caller {
    /// Returns whether the caller is a program with the console's token.
    pub(crate) fn is_program(&self) -> bool {
        self.is_program
    }

    /// Returns whether a change that sends this CSRF token is the caller's own.
    pub(crate) fn may_change(&self, csrf: &str) -> bool {
        self.is_program || bool::from(self.csrf.as_bytes().ct_eq(csrf.as_bytes()))
    }
}

/// Admits requests of signed-in callers and sets the security headers of every response.
pub(crate) async fn check(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let (method, headers) = (request.method(), request.headers());
    let response = if !access.names_this_host(headers) {
        refusal(StatusCode::MISDIRECTED_REQUEST, "the request names another host")
    } else if !access.has_own_origin(method, headers) {
        refusal(StatusCode::FORBIDDEN, "the request comes from another web page")
    } else if let Some(redirect) = access.sign_in(request.uri()) {
        redirect
    } else if let Some(caller) = access.caller(headers) {
        request.extensions_mut().insert(caller);
        next.run(request).await
    } else {
        refusal(
            StatusCode::UNAUTHORIZED,
            "sign in with the URL that `stack console` prints; each URL is valid for one browser",
        )
    };
    with_headers(response)
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    // Other sites receive no referrer. With `no-referrer`, browsers would send `Origin: null` with the console's own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
