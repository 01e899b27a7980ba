//! Identifiers and secrets in AWS's form.

use std::cell::RefCell;

use uuid::Uuid;

thread_local! {
    /// Identifiers for the next resources that this thread creates.
    static CHOSEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Executes an operation whose new resources receive these identifiers, such as `vpc-0123456789abcdef0`, and for ARNs
/// 16 hexadecimal digits, in this order per form. Resources beyond them receive random identifiers.
pub(crate) fn choosing<T>(chosen: Vec<String>, operation: impl FnOnce() -> T) -> T {
    let before = CHOSEN.replace(chosen);
    let result = operation();
    CHOSEN.set(before);
    result
}

/// Removes and returns the first chosen identifier that `is_wanted` accepts.
fn chosen(is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    CHOSEN.with_borrow_mut(|chosen| {
        let position = chosen.iter().position(|id| is_wanted(id))?;
        Some(chosen.remove(position))
    })
}

/// Returns a new identifier, such as `sg-0d5a1c0e9b7f3a2c4`.
pub(crate) fn new_id(prefix: &str) -> String {
    let has_prefix = |id: &str| id.rsplit_once('-').is_some_and(|(form, _)| form == prefix);
    chosen(has_prefix).unwrap_or_else(|| format!("{prefix}-0{}", random_hex(16)))
}

/// Returns whether a text has the form of an identifier, such as `sg-0d5a1c0e9b7f3a2c4`.
pub(crate) fn is_id(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(prefix, digits)| {
        let is_hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_prefix = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        digits.len() == 17 && is_hexadecimal && is_prefix
    })
}

/// Returns the digits at the end of a new ARN, such as `50dc6c495c0c9188`.
pub(crate) fn new_arn_suffix() -> String {
    chosen(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).unwrap_or_else(|| random_hex(16))
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
    fn chosen_ids_are_used_once_and_by_their_form() {
        let chosen = ["vpc-1", "50dc6c495c0c9188", "sg-2", "vpc-3"].map(str::to_owned).to_vec();
        let ids = choosing(chosen, || [new_id("sg"), new_id("vpc"), new_arn_suffix(), new_id("vpc")]);
        assert_eq!(ids, ["sg-2", "vpc-1", "50dc6c495c0c9188", "vpc-3"]);
        assert_eq!(choosing(vec!["sg-2".to_owned()], || new_id("vpc")).len(), "vpc-".len() + 17);
        assert_ne!(new_id("sg"), "sg-2", "unused ids do not reach later operations");
    }

    #[test]
    fn secrets_have_forty_characters() {
        assert_eq!(secret_key().len(), 40);
    }
}
