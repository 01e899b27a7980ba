//! Lets requests in, or answers 401.

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
    },
    middleware::Next,
    web::Data,
};
use kit::{log, reply};

use super::{Authority, Mode, keys::TokenError};

/// Who asks, as the access token says. A handler that takes one answers 401 when nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The user's id.
    pub id: i64,
    /// The user's name.
    pub username: String,
}

/// Middleware for requests to tasks: `AUTH` decides which need a user.
pub async fn by_mode(
    authority: Data<Authority>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let needed = match authority.mode {
        Mode::Off => false,
        Mode::Writes => !reads,
        Mode::All => true,
    };
    admit(&authority, needed, request, next).await
}

/// Middleware for requests that need a user whatever `AUTH` says.
pub async fn always(
    authority: Data<Authority>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    admit(&authority, true, request, next).await
}

/// Where nobody needs to be signed in, a token that is no good is as good as none.
async fn admit(
    authority: &Authority,
    needed: bool,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let token = bearer(request.request()).map(str::to_owned);
    let refusal = match token {
        None => Some(missing()),
        Some(token) => match authority.keys.verify(&token).await {
            Ok(claims) => match claims.sub.parse() {
                Ok(id) => {
                    log::identify(request.request(), &claims.name);
                    request.extensions_mut().insert(SignedIn { id, username: claims.name });
                    None
                }
                Err(_) => Some(invalid(TokenError::Invalid)),
            },
            Err(error) => Some(invalid(error)),
        },
    };
    match refusal {
        Some(refusal) if needed => Ok(request.into_response(refusal)),
        _ => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
    }
}

/// The token of the header `Authorization: Bearer <token>`.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn missing() -> HttpResponse {
    unauthorized("Authentication credentials were not provided.", r#"Bearer realm="tasks""#)
}

fn invalid(error: TokenError) -> HttpResponse {
    let detail = error.to_string();
    let challenge = format!(r#"Bearer realm="tasks", error="invalid_token", error_description="{detail}""#);
    unauthorized(&detail, &challenge)
}

/// Answers 401 with the challenge that belongs to it (RFC 6750).
pub(super) fn unauthorized(detail: &str, challenge: &str) -> HttpResponse {
    let mut response = reply::detail(StatusCode::UNAUTHORIZED, detail);
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

impl FromRequest for SignedIn {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Self>().cloned();
        std::future::ready(found.ok_or_else(|| InternalError::from_response("not signed in", missing()).into()))
    }
}
