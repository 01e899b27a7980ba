//! Hashes passwords with argon2id and verifies them, on threads for blocking work.
//!
//! The parameters are the smallest of OWASP's recommendation: 7 MiB and five passes. At most one hash per processor runs;
//! the others wait without a thread.

use std::{
    sync::{Arc, LazyLock},
    thread::available_parallelism,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{
    sync::{AcquireError, Semaphore},
    task::{JoinError, spawn_blocking},
};

use crate::refusal::Refusal;

/// Memory of a hash, in KiB.
const MEMORY_KIB: u32 = 7168;
/// Passes over the memory.
const PASSES: u32 = 5;

/// Internal error of hashing or verification.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The operating system returned no random bytes.
    #[error("no random bytes for a salt: {0}")]
    Randomness(getrandom::Error),
    /// The parameters are invalid.
    #[error("the parameters of the password hash cannot be used: {0}")]
    Parameters(argon2::Error),
    /// The stored hash is invalid.
    #[error("the stored password hash cannot be used: {0}")]
    Hash(#[from] HashError),
    /// The service is stopping.
    #[error("the password was not verified: the service is stopping")]
    Stopping,
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

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        Self::Internal(error.into())
    }
}

/// Hashes a password with a new salt, and returns a PHC string, `$argon2id$v=19$…`.
///
/// # Errors
/// [`PasswordError`], for reasons that do not depend on the password.
pub async fn hash(password: String) -> Result<String, PasswordError> {
    on_blocking_thread(move || {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(PasswordError::Randomness)?;
        let parameters = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(PasswordError::Parameters)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let hash: PasswordHash = argon2.hash_password_with_salt(password.as_bytes(), &salt)?;
        Ok(hash.to_string())
    })
    .await
}

/// Returns whether a password matches a hash.
///
/// # Errors
/// [`PasswordError`], not for a wrong password.
pub async fn verify(password: String, hash: String) -> Result<bool, PasswordError> {
    on_blocking_thread(move || match Argon2::default().verify_password(password.as_bytes(), hash.as_str()) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
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
        let hashed = hash("a".repeat(40)).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{hashed}");
        assert!(verify("a".repeat(40), hashed.clone()).await.unwrap());
        assert!(!verify("b".repeat(40), hashed.clone()).await.unwrap());
        assert_ne!(hash("a".repeat(40)).await.unwrap(), hashed, "the salt is new each time");
    }
}
