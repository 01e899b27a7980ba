//! Passwords: hashed with argon2id (RFC 9106) and verified, always on threads that may block.
//!
//! One hash takes 19 MiB and some tens of milliseconds of a processor, so only as many run at once as there are
//! processors; the others wait their turn without holding a thread.

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

/// Fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 8;
/// Most characters of a password: longer ones only cost time.
pub const MAX_CHARACTERS: usize = 128;

/// Why a password could be neither hashed nor verified. None of it is the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The operating system gives no random bytes.
    #[error("no randomness for a salt: {0}")]
    Randomness(getrandom::Error),
    /// The stored hash is not one.
    #[error("the stored password hash cannot be used: {0}; set a new password")]
    Hash(#[from] HashError),
    /// The service is stopping.
    #[error("the password was not looked at: the service is stopping")]
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

/// What is wrong with a new password, in words for who chose it; empty when nothing is.
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

/// Hashes a password with a new salt; gives a PHC string, `$argon2id$v=19$…`.
///
/// # Errors
/// [`PasswordError`], never for what the password is.
pub async fn hash(password: String) -> Result<String, PasswordError> {
    on_blocking_thread(move || {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let hash: PasswordHash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt)?;
        Ok(hash.to_string())
    })
    .await
}

/// Tells whether a password is the one that was hashed. Without a hash it is not, and that takes as long to find
/// out, so that an answer's time does not tell which users there are.
///
/// # Errors
/// [`PasswordError`], never for a wrong password.
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

/// The turns there are.
static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, Into::into))));

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
) -> Result<T, PasswordError> {
    // The turn goes with the work, which goes on when nobody waits for it any more.
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
    async fn only_the_same_password_is_right() {
        let hashed = hash("correct horse".into()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify("correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("Correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify(String::new(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("correct horse".into(), None).await.unwrap());
        assert_ne!(hash("correct horse".into()).await.unwrap(), hashed, "the salt is new each time");
    }

    #[tokio::test]
    async fn a_broken_hash_is_an_error_without_the_password() {
        for broken in ["", "correct horse", "$argon2id$v=19$m=1,t=0,p=0$AAAA$AAAA"] {
            let error = verify("s3cret".into(), Some(broken.into())).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_a_password_must_be() {
        assert_eq!(faults("correct horse"), Vec::<String>::new());
        assert_eq!(faults("é".repeat(128).as_str()), Vec::<String>::new());
        let short = "This password is too short. It must contain at least 8 characters.";
        assert_eq!(faults("horse"), [short]);
        assert_eq!(faults(&"x".repeat(129)), ["Ensure this field has no more than 128 characters."]);
        assert_eq!(faults("12345678"), ["This password is entirely numeric."]);
        assert_eq!(faults("1234"), [short, "This password is entirely numeric."]);
    }
}
