//! Hashes passwords with argon2id (RFC 9106) and verifies them, on threads for blocking work.
//!
//! A hash takes 19 MiB and some tens of milliseconds of a processor, so at most one runs per processor. The others wait
//! without a thread.

use std::{
    sync::{Arc, LazyLock},
    thread::available_parallelism,
};

use argon2::{
    Argon2,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{
    sync::{AcquireError, Semaphore},
    task::{JoinError, spawn_blocking},
};

/// Minimum length of a new password, in characters.
pub const MIN_CHARACTERS: usize = 8;
/// Maximum length of a password, in characters: longer ones only cost time.
pub const MAX_CHARACTERS: usize = 128;

/// Internal error of hashing or verification.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The operating system returned no random bytes.
    #[error("no random bytes for a salt: {0}")]
    Randomness(getrandom::Error),
    /// The stored hash is invalid.
    #[error("the stored password hash cannot be used: {0}; set a new password")]
    Hash(#[from] HashError),
    /// The service is stopping.
    #[error("the password was not verified: the service is stopping")]
    Stopping,
}

impl From<getrandom::Error> for PasswordError {
    fn from(error: getrandom::Error) -> Self {
        Self::Randomness(error)
    }
}

impl From<JoinError> for PasswordError {
    fn from(_: JoinError) -> Self {
        Self::Stopping
    }
}

impl From<AcquireError> for PasswordError {
    fn from(_: AcquireError) -> Self {
        Self::Stopping
    }
}

/// Returns the faults of a new password, as messages for the user.
pub fn faults(password: &str) -> Vec<String> {
    let characters = password.chars().count();
    let mut faults = Vec::new();
    if characters < MIN_CHARACTERS {
        faults.push(format!("This password is too short. It must contain at least {MIN_CHARACTERS} characters."));
    }
    if characters > MAX_CHARACTERS {
        faults.push(format!("Ensure this field has no more than {MAX_CHARACTERS} characters."));
    }
    if !password.is_empty() && password.chars().all(char::is_numeric) {
        faults.push("This password is entirely numeric.".into());
    }
    faults
}

/// Hashes a password with a new salt, and returns a PHC string, `$argon2id$v=19$…`.
///
/// # Errors
/// [`PasswordError`], for reasons that do not depend on the password.
pub async fn hash(password: String) -> Result<String, PasswordError> {
    on_blocking_thread(move || {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let hash: PasswordHash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt)?;
        Ok(hash.to_string())
    })
    .await
}

/// Returns whether a password matches a hash. Without a hash, the result is `false` after the same time, so that response
/// times do not reveal which users exist.
///
/// # Errors
/// [`PasswordError`], not for a wrong password.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool, PasswordError> {
    on_blocking_thread(move || {
        let Some(hash) = hash else {
            let _: PasswordHash = Argon2::default().hash_password_with_salt(password.as_bytes(), &[0; 16])?;
            return Ok(false);
        };
        match Argon2::default().verify_password(password.as_bytes(), hash.as_str()) {
            Ok(()) => Ok(true),
            Err(HashError::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Permits for concurrent hashes.
static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, Into::into))));

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
) -> Result<T, PasswordError> {
    // The permit moves into the work, which continues after a cancelled request.
    let turn = Arc::clone(&TURNS).acquire_owned().await?;
    let work = move || {
        let _turn = turn;
        work()
    };
    spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_matches() {
        let hashed = hash("correct horse".into()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify("correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("Correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify(String::new(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("correct horse".into(), None).await.unwrap());
        assert_ne!(hash("correct horse".into()).await.unwrap(), hashed, "the salt is new each time");
    }

    #[tokio::test]
    async fn the_error_for_an_invalid_hash_contains_no_password() {
        for broken in ["", "correct horse", "$argon2id$v=19$m=1,t=0,p=0$AAAA$AAAA"] {
            let error = verify("s3cret".into(), Some(broken.into())).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn passwords_are_checked_for_length_and_digits() {
        assert_eq!(faults("correct horse"), Vec::<String>::new());
        assert_eq!(faults("é".repeat(128).as_str()), Vec::<String>::new());
        let short = "This password is too short. It must contain at least 8 characters.";
        assert_eq!(faults("horse"), [short]);
        assert_eq!(faults(&"x".repeat(129)), ["Ensure this field has no more than 128 characters."]);
        assert_eq!(faults("12345678"), ["This password is entirely numeric."]);
        assert_eq!(faults("1234"), [short, "This password is entirely numeric."]);
    }
}
