//! Unique names for resources whose provider requires them.

use crate::urn::Urn;
use sha2::{Digest, Sha256};

/// Returns a name that consists of the declaration's name and a suffix of seven characters derived from the stack's
/// seed, the URN and the generation. It is the same in every run and differs between stacks and generations.
///
/// Characters other than ASCII letters, digits and `-` become `-`. The result has at most `longest` characters (at
/// least 10) and begins with a letter.
pub fn unique(seed: &str, urn: &Urn, generation: u32, longest: usize) -> String {
    let suffix = suffix(&format!("{seed}\n{urn}\n{generation}"));
    let mut base: String = urn.name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if !base.starts_with(|c: char| c.is_ascii_alphabetic()) {
        base.insert(0, 'r');
    }
    base.truncate(longest.max(10) - suffix.len() - 1);
    format!("{}-{suffix}", base.trim_end_matches('-'))
}

/// Returns seven letters and digits, 35 bits of a hash.
fn suffix(text: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    Sha256::digest(text).iter().take(7).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_deterministic_distinct_and_short() {
        let urn = Urn::new("dev", "p", "aws:s3:Bucket", "data/my.files").unwrap();
        let name = unique("seed", &urn, 0, 32);
        assert_eq!(name, unique("seed", &urn, 0, 32));
        assert!(name.starts_with("data-my-files-"), "{name}");
        assert_ne!(name, unique("seed", &urn, 1, 32));
        assert_ne!(name, unique("other", &urn, 0, 32));
        assert_eq!(unique("seed", &urn, 0, 12).len(), 12);
    }
}
