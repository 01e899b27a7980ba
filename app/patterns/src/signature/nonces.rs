//! Nonces that the proxy has seen.

use std::{collections::HashSet, mem};

use super::Nonce;

/// Maximum number of nonces that are remembered in one period. More requests than that are refused.
pub const MAX_NONCES: usize = 500_000;

/// Nonces of the current and of the previous period. A nonce is remembered for at least one period.
#[derive(Debug)]
pub struct Nonces {
    /// Length of a period, in milliseconds.
    period: u64,
    capacity: usize,
    /// Start of the current period.
    since: u64,
    current: HashSet<Nonce>,
    previous: HashSet<Nonce>,
}

/// Result of [`Nonces::insert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// The nonce is new.
    New,
    /// The nonce is known.
    Repeated,
    /// The current period has too many nonces.
    Full,
}

impl Nonces {
    /// Returns an empty memory.
    pub fn new(period: u64, capacity: usize, now: u64) -> Self {
        Self { period, capacity, since: now, current: HashSet::new(), previous: HashSet::new() }
    }

    /// Remembers a nonce. A clock that is set back extends the current period.
    pub fn insert(&mut self, nonce: Nonce, now: u64) -> Insertion {
        let periods = now.saturating_sub(self.since) / self.period.max(1);
        if periods > 0 {
            self.previous = if periods == 1 { mem::take(&mut self.current) } else { HashSet::new() };
            self.current = HashSet::new();
            self.since = now;
        }
        if self.current.contains(&nonce) || self.previous.contains(&nonce) {
            return Insertion::Repeated;
        }
        if self.current.len() >= self.capacity {
            return Insertion::Full;
        }
        self.current.insert(nonce);
        Insertion::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_for_a_period() {
        let mut nonces = Nonces::new(100, 10, 0);
        assert_eq!(nonces.insert([1; 16], 99), Insertion::New);
        for now in [99, 100, 199, 150] {
            assert_eq!(nonces.insert([1; 16], now), Insertion::Repeated, "{now}");
        }
        assert_eq!(nonces.insert([1; 16], 300), Insertion::New);
    }

    #[test]
    fn a_nonce_of_the_end_of_a_period_outlasts_a_late_rotation() {
        let mut nonces = Nonces::new(100, 10, 0);
        assert_eq!(nonces.insert([1; 16], 99), Insertion::New);
        // The rotation happens at 198, so that the next one is at 298 at the earliest.
        assert_eq!(nonces.insert([2; 16], 198), Insertion::New);
        assert_eq!(nonces.insert([1; 16], 198), Insertion::Repeated);
    }

    #[test]
    fn the_number_of_nonces_is_limited() {
        let mut nonces = Nonces::new(100, 2, 0);
        assert_eq!(
            [1, 2, 3].map(|byte| nonces.insert([byte; 16], 0)),
            [Insertion::New, Insertion::New, Insertion::Full]
        );
        assert_eq!(nonces.insert([1; 16], 0), Insertion::Repeated);
        assert_eq!(nonces.insert([3; 16], 100), Insertion::New, "the next period has space");
    }
}
