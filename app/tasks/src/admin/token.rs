//! The random token in the browser's cookie, from which the forms' tokens are derived.
//!
//! A browser gets a token with its first page, signed in or not, and a new one when it signs in. Each form carries
//! an HMAC of it, which another site cannot know: it can neither read the cookie (`HttpOnly`) nor have it sent
//! (`SameSite=Strict`).

use actix_web::http::header::{self, HeaderMap};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::error::Failure;

const COOKIE: &str = "tasks_admin";
const BYTES: usize = 32;

/// A browser's token. It has no `Debug`: whoever knows it is signed in.
#[derive(Clone)]
pub(super) struct Token([u8; BYTES]);

impl Token {
    /// A new one.
    pub(super) fn random() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(Failure::Random)?;
        Ok(Self(bytes))
    }

    /// The one that a request brings.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = cookies.find(|(name, _)| *name == COOKIE)?;
        Some(Self(URL_SAFE_NO_PAD.decode(value).ok()?.try_into().ok()?))
    }

    /// The value of `Set-Cookie`. It ends with the browser; the server ends it earlier.
    pub(super) fn set_cookie(&self, over_https: bool) -> String {
        let secure = if over_https { "; Secure" } else { "" };
        format!("{COOKIE}={}; Path=/admin; HttpOnly; SameSite=Strict{secure}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What forms carry.
    pub(super) fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.mac().finalize().into_bytes())
    }

    /// Tells, in constant time, whether a form carries what [`Self::form_token`] gave it.
    pub(super) fn vouches_for(&self, form_token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(form_token).is_ok_and(|given| self.mac().verify_slice(&given).is_ok())
    }

    /// What the database knows it by.
    pub(super) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }

    fn mac(&self) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("an HMAC's key may have any length");
        mac.chain_update(b"tasks admin form")
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
    fn what_is_set_comes_back() {
        let token = Token::random().unwrap();
        let set = token.set_cookie(false);
        let pair = set.split(';').next().unwrap();
        let read = Token::of(&headers(&format!("other=1; {pair}; more=2"))).unwrap();
        assert_eq!(read.digest(), token.digest());
        assert!(!set.contains("Secure") && token.set_cookie(true).ends_with("; Secure"), "{set}");
    }

    #[test]
    fn what_is_no_token_is_none() {
        for cookies in ["", "tasks_admin=", "tasks_admin=x", "tasks_admin=AAAA", "xtasks_admin=AAAA", "tasks_admin"] {
            assert!(Token::of(&headers(cookies)).is_none(), "{cookies}");
        }
    }

    #[test]
    fn a_token_vouches_for_its_own_forms_only() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert!(one.vouches_for(&one.form_token()));
        for wrong in [other.form_token(), one.digest(), one.form_token()[1..].to_owned(), String::new(), "é".into()] {
            assert!(!one.vouches_for(&wrong), "{wrong}");
        }
    }
}
