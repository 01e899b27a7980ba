//! Identifiers and secrets in AWS's form.

use uuid::Uuid;

/// Returns a new identifier, such as `sg-0d5a1c0e9b7f3a2c4`.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}-0{}", random_hex(16))
}

/// Returns an identifier in the form of [`new_id`] that is derived from a name, so that it is stable.
pub(crate) fn derived_id(prefix: &str, name: &str) -> String {
    use sha2::Digest as _;
    let digest = hex::encode(sha2::Sha256::digest(name));
    format!("{prefix}-0{}", &digest[..16])
}

/// Returns the first `digits` (at most 32) hexadecimal digits of a random number.
pub(crate) fn random_hex(digits: usize) -> String {
    let mut text = Uuid::new_v4().simple().to_string();
    // The version and variant of a UUID are fixed bits. The end of the UUID contains none of them for up to 15 digits;
    // at 16 digits, one fixed bit of 64 keeps the identifier unique enough.
    text.split_off(32 - digits.min(32))
}

/// Returns a new secret access key of 40 characters.
pub(crate) fn secret_key() -> String {
    use base64::Engine as _;
    let bytes = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
    let mut text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    // 32 bytes are 43 characters.
    text.truncate(40);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_seventeen_digits() {
        let id = new_id("sg");
        assert_eq!(id.len(), "sg-".len() + 17);
        assert_ne!(id, new_id("sg"));
    }

    #[test]
    fn secrets_have_forty_characters() {
        assert_eq!(secret_key().len(), 40);
    }
}
