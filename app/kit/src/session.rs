//! Sessions of browsers in a signed cookie, without a database.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `SECRET_KEY` | required | see [`crate::signed`] |
//! | `SESSION_SECONDS` | 43200 | lifetime of a session after the sign-in |
//! | `COOKIE_SECURE` | `false` | `true` restricts the cookie to HTTPS; set it where browsers use HTTPS |
//!
//! Every instance with the same key accepts the cookie, and no request reads a session from a database. In return, a
//! sign-out deletes the cookie of one browser, and a copied cookie is valid until it expires. A service that has to end
//! sessions at once stores them in its database, as the admin site of `tasks` does.
//!
//! A browser receives a session with its first form, and a new one at the sign-in, which prevents session fixation.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue, InvalidHeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    csrf,
    settings::{self, SettingError, Variables},
    signed::{SigningKey, SigningKeyError},
};

/// Purpose of the tokens of forms.
const FORM: &str = "form";
/// Length of the random secret of a session, in bytes.
const SECRET_BYTES: usize = 24;

/// Error of the settings.
#[derive(Debug, thiserror::Error)]
pub enum SessionSettingError {
    /// `SECRET_KEY` is missing or too short.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// Another setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Error of a new session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The operating system returned no random bytes.
    #[error("no random bytes for a session: {0}")]
    Random(getrandom::Error),
    /// The session cannot be serialised.
    #[error("the session cannot be signed: {0}")]
    Sign(#[from] serde_json::Error),
    /// The cookie contains a character that a header may not contain.
    #[error("the session's cookie is not a header: {0}")]
    Header(#[from] InvalidHeaderValue),
}

/// Signer and reader of the cookie.
#[derive(Clone)]
pub struct Sessions {
    name: &'static str,
    key: SigningKey,
    lifetime: Duration,
    secure: bool,
}

impl Sessions {
    /// Reads the settings. `name` is the name of the cookie.
    ///
    /// # Errors
    /// [`SessionSettingError`] for the first invalid setting.
    pub fn from(name: &'static str, variables: Variables) -> Result<Self, SessionSettingError> {
        Ok(Self {
            name,
            key: SigningKey::from(variables)?,
            lifetime: settings::seconds(variables, "SESSION_SECONDS", 12 * 3600)?,
            secure: settings::switch(variables, "COOKIE_SECURE", false)?,
        })
    }

    /// Returns the key, which signs other texts as well.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Returns the session of a request, if its cookie is valid.
    pub fn of(&self, headers: &HeaderMap) -> Option<Session> {
        self.key.verify(self.name, cookie(headers, self.name)?)
    }

    /// Returns the value of `Set-Cookie` that stores a new session in the browser.
    ///
    /// # Errors
    /// [`SessionError::Sign`] or [`SessionError::Header`].
    pub fn set_cookie(&self, session: &Session) -> Result<HeaderValue, SessionError> {
        let value = self.key.sign(self.name, session, self.lifetime)?;
        Ok(self.header(&value, self.lifetime.as_secs())?)
    }

    /// Returns the value of `Set-Cookie` that deletes the session from the browser.
    ///
    /// # Errors
    /// [`SessionError::Header`].
    pub fn delete_cookie(&self) -> Result<HeaderValue, SessionError> {
        Ok(self.header("", 0)?)
    }

    fn header(&self, value: &str, seconds: u64) -> Result<HeaderValue, InvalidHeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.name;
        HeaderValue::try_from(format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"))
    }
}

/// Session of a browser. It has no `Debug`, since its secret protects the forms.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// Random text, from which the tokens of forms are derived.
    secret: String,
    /// ID of the signed-in user.
    user: Option<i64>,
}

impl Session {
    /// Returns a session with a new secret, of a user or of a browser without one.
    ///
    /// # Errors
    /// [`SessionError::Random`].
    pub fn new(user: Option<i64>) -> Result<Self, SessionError> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(SessionError::Random)?;
        Ok(Self { secret: URL_SAFE_NO_PAD.encode(bytes), user })
    }

    /// Returns the ID of the signed-in user.
    pub fn user(&self) -> Option<i64> {
        self.user
    }

    /// Returns the token of the browser's forms.
    pub fn form_token(&self) -> String {
        csrf::form_token(self.secret.as_bytes(), FORM)
    }

    /// Returns whether a form contains the result of [`Self::form_token`], in constant time.
    pub fn validates(&self, form_token: &str) -> bool {
        csrf::is_valid(self.secret.as_bytes(), FORM, form_token)
    }
}

/// Returns the value of a request's cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sessions(name: &'static str, secure: &'static str) -> Result<Sessions, SessionSettingError> {
        Sessions::from(name, &|variable| match variable {
            "SECRET_KEY" => Some("k".repeat(32)),
            "COOKIE_SECURE" => Some(secure.to_owned()),
            _ => None,
        })
    }

    fn headers(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_str(cookies).unwrap());
        headers
    }

    #[test]
    fn a_cookie_is_read_again() {
        let sessions = sessions("shop", "true").unwrap();
        let session = Session::new(Some(7)).unwrap();
        let cookie = sessions.set_cookie(&session).unwrap().to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let read = sessions.of(&headers(&format!("other=1; {pair}; more=2"))).unwrap();
        assert_eq!(read.user(), Some(7));
        assert!(read.validates(&session.form_token()));
    }

    #[test]
    fn an_invalid_cookie_is_no_session() {
        let sessions = sessions("shop", "false").unwrap();
        for cookies in ["", "shop", "shop=", "shop=AAAA", "shop=AAAA.AAAA", "xshop=AAAA"] {
            assert!(sessions.of(&headers(cookies)).is_none(), "{cookies}");
        }
        let other = super::tests::sessions("other", "false").unwrap();
        let cookie = other.set_cookie(&Session::new(Some(7)).unwrap()).unwrap().to_str().unwrap().to_owned();
        let renamed = cookie.split(';').next().unwrap().replacen("other", "shop", 1);
        assert!(sessions.of(&headers(&renamed)).is_none(), "the signature includes the name of the cookie");
    }

    #[test]
    fn a_session_validates_only_its_forms() {
        let (one, other) = (Session::new(None).unwrap(), Session::new(None).unwrap());
        assert!(one.validates(&one.form_token()));
        assert!(!one.validates(&other.form_token()) && !one.validates(""));
    }

    #[test]
    fn invalid_settings_are_refused() {
        let error = sessions("shop", "perhaps").err().unwrap().to_string();
        assert_eq!(error, "COOKIE_SECURE=perhaps is not true or false; correct it, or remove it to get false");
        let error = Sessions::from("shop", &|_| None).err().unwrap().to_string();
        assert!(error.starts_with("SECRET_KEY is not set; "), "{error}");
    }
}
