//! The random token in the cookie of a browser, from which the tokens of forms are derived.
//!
//! A browser receives a token with its first page, and a new one at the sign-in. Each form contains an HMAC of the token,
//! which another site cannot compute: it can neither read the cookie (`HttpOnly`) nor cause browsers to send it
//! (`SameSite=Strict`).

use actix_web::http::header::HeaderMap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kit::{csrf, session};
use sha2::{Digest, Sha256};

use super::error::Failure;

const COOKIE: &str = "tasks_admin";
const BYTES: usize = 32;
/// Purpose of the tokens of forms.
const PURPOSE: &str = "tasks admin form";

/// Token of a browser. It has no `Debug`, since it is the credential of the session.
#[derive(Clone)]
pub(super) struct Token([u8; BYTES]);

impl Token {
    /// Creates a token.
    pub(super) fn random() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(Failure::Random)?;
        Ok(Self(bytes))
    }

    /// Returns the token of a request.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = session::cookie(headers, COOKIE)?;
        Some(Self(URL_SAFE_NO_PAD.decode(value).ok()?.try_into().ok()?))
    }

    /// Returns the value of `Set-Cookie`, for a session cookie. The server limits its lifetime.
    pub(super) fn set_cookie(&self, over_https: bool) -> String {
        let secure = if over_https { "; Secure" } else { "" };
        format!("{COOKIE}={}; Path=/admin; HttpOnly; SameSite=Strict{secure}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Returns the token of forms.
    pub(super) fn form_token(&self) -> String {
        csrf::form_token(&self.0, PURPOSE)
    }

    /// Returns whether a form contains the result of [`Self::form_token`], in constant time.
    pub(super) fn validates(&self, form_token: &str) -> bool {
        csrf::is_valid(&self.0, PURPOSE, form_token)
    }

    /// Returns the hash that the database stores.
    pub(super) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::header::{COOKIE as COOKIES, HeaderValue};

    use super::*;

    fn headers(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(COOKIES, HeaderValue::from_str(cookies).unwrap());
        headers
    }

    #[test]
    fn a_cookie_is_parsed_again() {
        let token = Token::random().unwrap();
        let set = token.set_cookie(false);
        let pair = set.split(';').next().unwrap();
        let read = Token::of(&headers(&format!("other=1; {pair}; more=2"))).unwrap();
        assert_eq!(read.digest(), token.digest());
        assert!(!set.contains("Secure") && token.set_cookie(true).ends_with("; Secure"), "{set}");
    }

    #[test]
    fn an_invalid_cookie_is_ignored() {
        for cookies in ["", "tasks_admin=", "tasks_admin=x", "tasks_admin=AAAA", "xtasks_admin=AAAA", "tasks_admin"] {
            assert!(Token::of(&headers(cookies)).is_none(), "{cookies}");
        }
    }

    #[test]
    fn a_token_validates_only_its_forms() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert!(one.validates(&one.form_token()));
        for wrong in [other.form_token(), one.digest(), one.form_token()[1..].to_owned(), String::new(), "é".into()] {
            assert!(!one.validates(&wrong), "{wrong}");
        }
    }
}
