//! Admits requests, or responds with 401.

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

/// Signed-in user of a request, from its access token. A handler with this parameter responds with 401 without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// ID of the user.
    pub id: i64,
    /// Name of the user.
    pub username: String,
}

/// Middleware for requests to tasks, which need a user according to `AUTH`.
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

/// Middleware for requests that always need a user.
pub async fn always(
    authority: Data<Authority>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    admit(&authority, true, request, next).await
}

/// Identifies the user of a request that does not need one. An invalid token is ignored.
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

/// Returns the token of the header `Authorization: Bearer <token>`.
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

/// Returns 401 with the challenge of RFC 6750.
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
