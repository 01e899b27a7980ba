//! Parts of URLs.

use std::fmt::Write;

/// Percent-encodes a text as a component of a URL.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_percent_encoded_in_the_url() {
        assert_eq!(percent_encoded("aZ9-._~ p@ss/ü"), "aZ9-._~%20p%40ss%2F%C3%BC");
    }
}
