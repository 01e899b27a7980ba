//! Registration and sign-in.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Bytes, Data},
};
use kit::{client, endpoints::Scope, limit::SignInLimits, session::Sessions};
use serde_json::{Value, json};

use super::{
    caller::{Caller, LIFETIME, token_for},
    error::Answer,
};
use crate::{entity::user, input::Given, users};

/// Registers a user.
pub(super) async fn register(scope: Scope, limits: Data<SignInLimits>, request: HttpRequest, body: Bytes) -> Answer {
    let given = Given::json(&body, &["name", "email", "password"])?;
    let user = users::register(&scope, &limits, &given, client::address(&request)).await?;
    Ok(HttpResponse::Created().json(view(&user)))
}

/// Responds with a token.
pub(super) async fn sign_in(
    scope: Scope,
    sessions: Data<Sessions>,
    limits: Data<SignInLimits>,
    request: HttpRequest,
    body: Bytes,
) -> Answer {
    let given = Given::json(&body, &["email", "password"])?;
    let user = users::sign_in(&scope, &limits, &given, client::address(&request)).await?;
    let token = token_for(&sessions, user.id)?;
    let answer = json!({ "token": token, "expires_in": LIFETIME.as_secs(), "user": view(&user) });
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer))
}

/// Responds with the user of the token.
pub(super) async fn check(caller: Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "logged_in": true, "user": view(&caller.user) })))
}

fn view(user: &user::Model) -> Value {
    json!({ "id": user.id, "name": user.name, "email": user.email, "is_admin": user.is_admin })
}
