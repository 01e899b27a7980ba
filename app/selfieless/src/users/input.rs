//! Parses names and passwords.

use crate::{body::Object, refusal::Refusal};

/// Length of a SHA-1 in hexadecimal digits.
const DIGITS: usize = 40;

/// A name, and the SHA-1 of a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: String,
    /// 40 hexadecimal digits in lower case.
    pub(super) password: String,
}

impl Credentials {
    /// Parses `{"username": …, "password": …}`.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if a field is missing or invalid. The message does not contain the password.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut object = Object::parse(body)?;
        let username = object.name("username")?;
        let mut password = object.text("password", usize::MAX)?;
        if password.len() != DIGITS || !password.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::invalid("password is not a SHA-1 of 40 hexadecimal digits."));
        }
        password.make_ascii_lowercase();
        Ok(Self { username, password })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_password_is_40_hexadecimal_digits_in_any_case() {
        let body = |password: &str| format!(r#"{{"username":"ana","password":"{password}"}}"#);
        let mixed = "3D725109C7e7c0bfb9d709836735b56d943d263f";
        let credentials = Credentials::parse(body(mixed).as_bytes()).ok().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password), ("ana", mixed.to_lowercase()));
        for wrong in ["", &"a".repeat(39), &"a".repeat(41), &"g".repeat(40), &"é".repeat(20)] {
            let refusal = Credentials::parse(body(wrong).as_bytes()).err().unwrap().to_string();
            assert_eq!(refusal, "password is not a SHA-1 of 40 hexadecimal digits.", "{wrong}");
        }
    }
}
