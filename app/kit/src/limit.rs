//! Limits the rate of sign-ins: per name, against guessed passwords, and per address of the client, against guessed names
//! and against load by hashing.
//!
//! A third party can so prevent a user from signing in, but not from using a refresh token.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `AUTH_ATTEMPTS_PER_USER` | 10 | sign-ins per minute with one name |
//! | `AUTH_ATTEMPTS_PER_CLIENT` | 30 | sign-ins and registrations per minute from one address |
//!
//! Each instance counts separately. The attempts of a minute may arrive at once, after which they are granted at the
//! average rate. A successful sign-in resets the count of the name.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::settings::{self, SettingError, Variables};

/// Period of the limits.
const WINDOW: Duration = Duration::from_mins(1);
/// Maximum number of names or addresses in memory.
const CAPACITY: usize = 100_000;

/// Error for too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Too many attempts. Try again in {} s.", self.seconds())]
pub struct RetryAfter(Duration);

impl RetryAfter {
    /// Returns the time to wait, in whole seconds and at least one: the value of the header `Retry-After`.
    pub fn seconds(&self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0).max(u64::from(self.0.is_zero()))
    }
}

/// Attempts of the last minute.
pub struct SignInLimits {
    names: Limit<String>,
    clients: Limit<Option<IpAddr>>,
}

impl SignInLimits {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] if a value is not a positive number.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        let per_name = settings::positive(variables, "AUTH_ATTEMPTS_PER_USER", 10)?;
        let per_client = settings::positive(variables, "AUTH_ATTEMPTS_PER_CLIENT", 30)?;
        Ok(Self::per_minute(per_name, per_client))
    }

    /// Returns limits per minute for a name and for an address.
    pub fn per_minute(per_name: u32, per_client: u32) -> Self {
        Self { names: Limit::new(per_name), clients: Limit::new(per_client) }
    }

    /// Counts an attempt to sign in.
    ///
    /// # Errors
    /// [`RetryAfter`] if the limit is exceeded. The attempt is not counted.
    pub fn check(&self, username: &str, client: Option<IpAddr>) -> Result<(), RetryAfter> {
        let now = Instant::now();
        self.clients.take(client, now)?;
        // All names that are too long share one count.
        self.names.take(username.chars().take(200).collect(), now)
    }

    /// Counts a registration, which has no name yet.
    ///
    /// # Errors
    /// [`RetryAfter`] if the limit is exceeded.
    pub fn check_client(&self, client: Option<IpAddr>) -> Result<(), RetryAfter> {
        self.clients.take(client, Instant::now())
    }

    /// Resets the count of a name after a sign-in.
    pub fn forgive(&self, username: &str) {
        self.names.full_at.lock().unwrap_or_else(PoisonError::into_inner).remove(username);
    }
}

/// Generic cell rate algorithm: stores for each key the time at which all attempts are available again.
struct Limit<K> {
    share: Duration,
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(per_window: u32) -> Self {
        Self { share: WINDOW / per_window.max(1), full_at: Mutex::default() }
    }

    fn take(&self, key: K, now: Instant) -> Result<(), RetryAfter> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.get(&key).map_or(now, |full| *full.max(&now)) + self.share;
        let over = next.duration_since(now).saturating_sub(WINDOW);
        if !over.is_zero() {
            return Err(RetryAfter(over));
        }
        if full_at.len() >= CAPACITY {
            full_at.retain(|_, full| *full > now);
        }
        if full_at.len() >= CAPACITY
            && let Some(some) = full_at.keys().next().cloned()
        {
            full_at.remove(&some);
        }
        full_at.insert(key, next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_and_then_the_average_rate() {
        let (limit, start) = (Limit::new(3), Instant::now());
        let at = |seconds| limit.take("ana", start + Duration::from_secs(seconds)).map_err(|after| after.seconds());
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(20));
        assert_eq!(at(19), Err(1));
        assert_eq!(at(20), Ok(()));
        assert_eq!(at(20), Err(20));
        assert_eq!([at(200), at(200), at(200)], [Ok(()); 3]);
        assert_eq!(at(200), Err(20));
        assert_eq!(limit.take("eva", start), Ok(()), "others are not concerned");
    }

    #[test]
    fn memory_of_the_limits_is_bounded() {
        let (limit, now) = (Limit::new(1), Instant::now());
        for key in 0..CAPACITY + 10 {
            assert_eq!(limit.take(key, now), Ok(()));
        }
        assert_eq!(limit.full_at.lock().map(|map| map.len()).ok(), Some(CAPACITY));
    }

    #[test]
    fn names_and_addresses_are_counted_separately() {
        let limits = SignInLimits::per_minute(2, 3);
        let (here, there) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        assert_eq!(limits.check("ana", here), Ok(()));
        assert_eq!(limits.check("ana", there), Ok(()));
        assert_eq!(limits.check("ana", there).map_err(|after| after.seconds()), Err(30));
        limits.forgive("ana");
        assert_eq!(limits.check("ana", here), Ok(()));
        assert_eq!(limits.check("eva", here), Ok(()));
        assert_eq!(limits.check("ida", here).map_err(|after| after.seconds()), Err(20));
    }
}
