//! Requests under `/auth/`.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER},
    },
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::{
    client,
    limit::RetryAfter,
    log,
    reply::{self, only},
};
use sea_orm::{DatabaseConnection, DbErr, SqlErr};
use serde::Serialize;
use serde_json::json;

use super::{
    Authority, guard,
    keys::KeysError,
    refresh,
    sign_in::{SignInError, sign_in},
};
use crate::{
    entity::user,
    input::{Credentials, FieldErrors, RefreshToken},
    users::{NewUser, Role, UserError},
};

/// Adds the routes.
pub fn routes(app: &mut ServiceConfig) {
    for (path, route) in [
        ("/auth/register", web::post().to(register)),
        ("/auth/token", web::post().to(token)),
        ("/auth/refresh", web::post().to(renew)),
    ] {
        app.service(web::resource(path).route(route).default_service(only("POST")));
    }
}

/// Response with tokens.
#[derive(Serialize)]
struct Tokens {
    access: String,
    refresh: String,
    expires_in: u64,
}

async fn register(
    request: HttpRequest,
    authority: Data<Authority>,
    database: Data<DatabaseConnection>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Credentials { username, password } = Credentials::parse(&serde_json::from_slice(&body)?)?;
    let user = NewUser::new(&username, &password, Role::User)?;
    authority.limits.check_client(client::address(&request))?;
    let user::Model { id, username, .. } = user.create(database.as_ref()).await?;
    log::identify(&request, &username);
    Ok(HttpResponse::Created().json(json!({ "id": id, "username": username })))
}

async fn token(
    request: HttpRequest,
    authority: Data<Authority>,
    database: Data<DatabaseConnection>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Credentials { username, password } = Credentials::parse(&serde_json::from_slice(&body)?)?;
    let user = sign_in(&authority, &database, &username, password, client::address(&request)).await?;
    let refresh = refresh::first(&database, user.id, authority.refresh).await?;
    respond_with_tokens(&request, &authority, &user, refresh).await
}

async fn renew(
    request: HttpRequest,
    authority: Data<Authority>,
    database: Data<DatabaseConnection>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let RefreshToken(given) = RefreshToken::parse(&serde_json::from_slice(&body)?)?;
    let renewed = refresh::next(&database, &given, authority.refresh).await?;
    let (user, refresh) = renewed.ok_or(Refusal::Refresh)?;
    respond_with_tokens(&request, &authority, &user, refresh).await
}

async fn respond_with_tokens(
    request: &HttpRequest,
    authority: &Authority,
    user: &user::Model,
    refresh: String,
) -> Result<HttpResponse, Refusal> {
    log::identify(request, &user.username);
    let access = authority.keys.sign(user.id, &user.username, authority.access).await?;
    let tokens = Tokens { access, refresh, expires_in: authority.access.as_secs() };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(tokens))
}

/// Returns whether a token was not stored because its user was deleted meanwhile.
fn is_without_user(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

/// Error of a request.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("JSON parse error - {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("{0}")]
    Invalid(FieldErrors),
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error("The refresh token is not valid. Sign in again.")]
    Refresh,
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<RetryAfter> for Refusal {
    fn from(after: RetryAfter) -> Self {
        Self::SignIn(after.into())
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Malformed(_) => reply::detail(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Invalid(errors) => HttpResponse::BadRequest().json(errors),
            // The fields are valid, as checked before, so the name is used.
            Self::User(UserError::Invalid(errors)) => HttpResponse::Conflict().json(errors),
            Self::SignIn(SignInError::Wrong) | Self::Refresh => {
                guard::unauthorized(&self.to_string(), r#"Bearer realm="tasks""#)
            }
            Self::SignIn(SignInError::TooMany(after)) => {
                let mut response = reply::detail(StatusCode::TOO_MANY_REQUESTS, &self.to_string());
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.seconds()));
                response
            }
            Self::Keys(KeysError::Database(error)) if is_without_user(error) => {
                guard::unauthorized(&SignInError::Wrong.to_string(), r#"Bearer realm="tasks""#)
            }
            Self::SignIn(SignInError::Database(error))
            | Self::User(UserError::Database(error))
            | Self::Keys(KeysError::Database(error))
            | Self::Database(error) => reply::database_failure(error),
            Self::SignIn(SignInError::Password(_)) | Self::User(UserError::Password(_)) | Self::Keys(_) => {
                reply::internal_failure(self)
            }
        }
    }
}
