//! How often somebody may try to sign in: per name, so that passwords cannot be guessed, and per client's address, so
//! that neither can names, and nobody can keep the processors busy with hashing.
//!
//! Somebody can so keep another from signing in, but not from going on with a refresh token.
//!
//! The count is each instance's own. A minute's attempts may come at once; then one is granted whenever its share of a
//! minute has passed. A sign-in that succeeds clears the name's count.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The time in which that many attempts may be made.
const WINDOW: Duration = Duration::from_mins(1);
/// Most names or addresses that are remembered at once.
const CAPACITY: usize = 100_000;

/// Somebody tried too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Too many attempts. Try again in {} s.", self.seconds())]
pub struct RetryAfter(Duration);

impl RetryAfter {
    /// How long to wait, in whole seconds, at least one: the value of the header `Retry-After`.
    pub fn seconds(&self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0).max(u64::from(self.0.is_zero()))
    }
}

/// The attempts of the last minute.
pub struct SignInLimits {
    names: Limit<String>,
    clients: Limit<Option<IpAddr>>,
}

impl SignInLimits {
    /// Grants so many attempts per minute with one name, and from one address.
    pub fn per_minute(per_name: u32, per_client: u32) -> Self {
        Self { names: Limit::new(per_name), clients: Limit::new(per_client) }
    }

    /// Counts an attempt to sign in.
    ///
    /// # Errors
    /// [`RetryAfter`] when it is one too many. It does not count then.
    pub fn check(&self, username: &str, client: Option<IpAddr>) -> Result<(), RetryAfter> {
        let now = Instant::now();
        self.clients.take(client, now)?;
        // A name too long to be one is as good as any other such.
        self.names.take(username.chars().take(200).collect(), now)
    }

    /// Counts an attempt to register, for which there is no name yet.
    ///
    /// # Errors
    /// As [`SignInLimits::check`].
    pub fn check_client(&self, client: Option<IpAddr>) -> Result<(), RetryAfter> {
        self.clients.take(client, Instant::now())
    }

    /// Forgets a name's attempts, for it has signed in.
    pub fn forgive(&self, username: &str) {
        self.names.full_at.lock().unwrap_or_else(PoisonError::into_inner).remove(username);
    }
}

/// The generic cell rate algorithm: for each key only the time is kept at which all is granted again.
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
    fn a_minutes_attempts_at_once_and_then_one_by_one() {
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
    fn what_is_remembered_is_bounded() {
        let (limit, now) = (Limit::new(1), Instant::now());
        for key in 0..CAPACITY + 10 {
            assert_eq!(limit.take(key, now), Ok(()));
        }
        assert_eq!(limit.full_at.lock().map(|map| map.len()).ok(), Some(CAPACITY));
    }

    #[test]
    fn names_and_addresses_count_apart() {
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
