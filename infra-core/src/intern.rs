//! Interned texts: URNs, property names and short values repeat in every resource of a large stack, so copies of them are
//! shared.

use std::{cell::RefCell, sync::Arc};

/// Longer texts are not shared, because they rarely repeat.
const LONGEST: usize = 32;

/// Number of texts that a thread remembers.
const SLOTS: usize = 1024;

thread_local! {
    static TEXTS: RefCell<Slots<Arc<str>>> = RefCell::new(Slots::new());
}

/// Values that a thread remembers. A value is in the slot of its hash and replaces the value that was there before, so
/// that values which are in use stay and the number of values is limited.
pub(crate) struct Slots<T>(Vec<Option<T>>);

impl<T: Clone> Slots<T> {
    pub(crate) fn new() -> Self {
        Self(vec![None; SLOTS])
    }

    /// Returns the value with this hash if it is the wanted one, and otherwise remembers a new one.
    pub(crate) fn get_or_insert(
        &mut self,
        hash: u64,
        is_wanted: impl FnOnce(&T) -> bool,
        new: impl FnOnce() -> T,
    ) -> T {
        // The upper bits depend on every byte.
        let slot = &mut self.0[(hash >> 40) as usize % SLOTS];
        match slot {
            Some(known) if is_wanted(known) => known.clone(),
            _ => slot.insert(new()).clone(),
        }
    }
}

/// Returns a copy of a text, which is shared with other copies if the text is short.
pub(crate) fn intern(text: &str) -> Arc<str> {
    if text.len() > LONGEST { text.into() } else { intern_long(text) }
}

/// Returns a shared copy of a text of any length.
pub(crate) fn intern_long(text: &str) -> Arc<str> {
    TEXTS.with_borrow_mut(|texts| texts.get_or_insert(hash(text), |known| **known == *text, || text.into()))
}

/// Hashes a text, eight bytes at a time.
fn hash(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let sum = words.iter().fold(text.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(sum, u64::from_le_bytes(last))
}

/// Adds a word to a hash. The texts are not chosen by an attacker, so speed counts more than resistance to collisions.
pub(crate) fn mix(sum: u64, word: u64) -> u64 {
    (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_shared_and_copies_equal_their_originals() {
        for at in 0..10_000 {
            let text = format!("text-{at}");
            assert_eq!(&*intern(&text), text);
            assert!(Arc::ptr_eq(&intern(&text), &intern(&text)));
        }
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(&*intern(&long), long);
        assert!(Arc::ptr_eq(&intern_long(&long), &intern_long(&long)));
    }
}
