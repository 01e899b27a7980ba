//! Tokens, and the user of a request.

use std::{pin::Pin, time::Duration};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data};
use kit::{endpoints::Scope, log, session::Sessions};

use super::error::Refusal;
use crate::{entity::user, users};

/// Lifetime of a token.
pub(super) const LIFETIME: Duration = Duration::from_hours(24);
/// Purpose of the signature.
const PURPOSE: &str = "bookstore api token";

/// Returns a token of a user.
pub(super) fn token_for(sessions: &Sessions, user: i64) -> Result<String, serde_json::Error> {
    sessions.key().sign(PURPOSE, user, LIFETIME)
}

/// A request of a signed-in user. A handler with this parameter responds with 401 without one.
pub(super) struct Caller {
    /// Reads and writes of the request.
    pub(super) scope: Scope,
    /// Signed-in user.
    pub(super) user: user::Model,
}

impl Caller {
    async fn of(scope: Scope, sessions: Data<Sessions>, request: HttpRequest) -> Result<Self, Refusal> {
        let token = bearer(&request).ok_or(Refusal::NoToken)?;
        let id: i64 = sessions.key().verify(PURPOSE, token).ok_or(Refusal::InvalidToken)?;
        let user = users::find(&scope, id).await?.ok_or(Refusal::InvalidToken)?;
        log::identify(&request, &user.email);
        Ok(Self { scope, user })
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let scope = Scope::from_request(request, payload).into_inner();
        let sessions = Data::<Sessions>::from_request(request, payload).into_inner();
        let request = request.clone();
        Box::pin(async move { Ok(Self::of(scope?, sessions?, request).await?) })
    }
}

/// Returns the token of the header `Authorization: Bearer <token>`.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
