//! Sign-in with a name and a password, for tokens and for the admin site.

use std::net::IpAddr;

use chrono::Utc;
use kit::{
    limit::RetryAfter,
    password::{self, PasswordError},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseConnection, DbErr, IntoActiveModel};

use super::Authority;
use crate::{entity::user, users};

/// Error of a sign-in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no active user with this name and password. The message does not say which of them is wrong.
    #[error("No active account found with the given credentials.")]
    Wrong,
    /// There were too many attempts.
    #[error(transparent)]
    TooMany(#[from] RetryAfter),
    /// The password cannot be verified.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Returns the active user with a name and a password, and records the sign-in.
///
/// # Errors
/// [`SignInError`].
pub async fn sign_in(
    authority: &Authority,
    database: &DatabaseConnection,
    username: &str,
    password: String,
    client: Option<IpAddr>,
) -> Result<user::Model, SignInError> {
    authority.limits.check(username, client)?;
    let user = users::find(database, username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    if !password::verify(password, hash).await? {
        return Err(SignInError::Wrong);
    }
    let user = user.filter(|user| user.is_active).ok_or(SignInError::Wrong)?;
    authority.limits.forgive(username);
    let mut signed_in = user.into_active_model();
    signed_in.last_sign_in = Set(Some(Utc::now()));
    match signed_in.update(database).await {
        // The user was deleted meanwhile.
        Err(DbErr::RecordNotUpdated) => Err(SignInError::Wrong),
        other => Ok(other?),
    }
}
