//! Fast random numbers for load balancing and identifiers. They are not cryptographically secure.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(()));
}

/// Returns the next number of this thread's generator (SplitMix64).
pub(super) fn number() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Returns a number below `end`, which is not 0.
pub(super) fn below(end: u64) -> u64 {
    number() % end.max(1)
}

/// Returns a number from 0 to 1.
pub(super) fn fraction() -> f64 {
    below(1 << 32) as f64 / (1_u64 << 32) as f64
}
