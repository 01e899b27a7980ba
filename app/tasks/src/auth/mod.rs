//! Authentication. There are no sessions: a signed access token identifies the user of a request.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `AUTH` | `writes` | requests to tasks that need a signed-in user: `off` (none), `writes` (all but GET and HEAD) or `all` |
//! | `AUTH_KEYS` | in the database | `<key id>:<base64 of at least 32 bytes>`, separated by commas: the first signs, all verify |
//! | `AUTH_ACCESS_SECONDS` | 300 | lifetime of an access token, for which a deactivated user can still use it |
//! | `AUTH_REFRESH_SECONDS` | 1209600 | lifetime of a refresh token, which is valid for one use |
//! | `AUTH_ATTEMPTS_PER_USER` | 10 | sign-ins per minute with one name |
//! | `AUTH_ATTEMPTS_PER_CLIENT` | 30 | sign-ins and registrations per minute from one address |
//!
//! # Layout
//!
//! | module | content |
//! |---|---|
//! | [`mod@routes`] | requests under `/auth/` |
//! | [`guard`] | admits requests, or responds with 401 |
//! | [`sign_in`] | sign-in with a name and a password |
//! | [`keys`] | keys that sign access tokens |
//! | [`refresh`] | refresh tokens |

pub mod guard;
pub mod keys;
pub mod refresh;
pub mod routes;
pub mod sign_in;
mod signature;

use std::time::Duration;

use kit::{
    limit::SignInLimits,
    settings::{self, SettingError, Variables},
};
use sea_orm::DatabaseConnection;

use keys::{FixedKeys, Keys, KeysError};

/// Requests to tasks that need a signed-in user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// None: reads and writes are public.
    Off,
    /// All but GET and HEAD.
    Writes,
    /// All.
    All,
}

impl Mode {
    /// Parses `AUTH`.
    ///
    /// # Errors
    /// [`SettingError`] for another value, so that a typo does not disable the protection.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        match variables("AUTH").as_deref() {
            Some("off") => Ok(Self::Off),
            Some("writes") | None => Ok(Self::Writes),
            Some("all") => Ok(Self::All),
            Some(other) => {
                let (value, default) = (other.to_owned(), "writes".to_owned());
                Err(SettingError { name: "AUTH", value, expected: "off, writes or all", default })
            }
        }
    }
}

/// Settings of this module.
#[derive(Clone)]
pub struct Settings {
    /// `AUTH`.
    pub mode: Mode,
    /// `AUTH_KEYS`.
    pub keys: Option<FixedKeys>,
    /// `AUTH_ACCESS_SECONDS`.
    pub access: Duration,
    /// `AUTH_REFRESH_SECONDS`.
    pub refresh: Duration,
    /// `AUTH_ATTEMPTS_PER_USER`.
    pub attempts_per_user: u32,
    /// `AUTH_ATTEMPTS_PER_CLIENT`.
    pub attempts_per_client: u32,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`KeysError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, KeysError> {
        Ok(Self {
            mode: Mode::from(variables)?,
            keys: FixedKeys::from(variables)?,
            access: settings::seconds(variables, "AUTH_ACCESS_SECONDS", 300)?,
            refresh: settings::seconds(variables, "AUTH_REFRESH_SECONDS", 14 * 24 * 3600)?,
            attempts_per_user: settings::positive(variables, "AUTH_ATTEMPTS_PER_USER", 10)?,
            attempts_per_client: settings::positive(variables, "AUTH_ATTEMPTS_PER_CLIENT", 30)?,
        })
    }
}

/// State of the authentication, which handlers extract as `Data<Authority>`.
pub struct Authority {
    /// Requests that need a user.
    pub mode: Mode,
    /// Keys that sign access tokens.
    pub keys: Keys,
    /// Lifetime of access tokens.
    pub access: Duration,
    /// Lifetime of refresh tokens.
    pub refresh: Duration,
    /// Rate limits of sign-ins.
    pub limits: SignInLimits,
}

impl Authority {
    /// Loads the keys.
    ///
    /// # Errors
    /// [`KeysError`] if the database does not return or store them.
    pub async fn start(settings: Settings, database: &DatabaseConnection) -> Result<Self, KeysError> {
        let Settings { mode, keys, access, refresh, attempts_per_user, attempts_per_client } = settings;
        let keys = Keys::start(keys, database).await?;
        let limits = SignInLimits::per_minute(attempts_per_user, attempts_per_client);
        Ok(Self { mode, keys, access, refresh, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(value: Option<&str>) -> Result<Mode, String> {
        Mode::from(&|_| value.map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn writes_need_a_user_by_default() {
        assert_eq!(mode(None), Ok(Mode::Writes));
        assert_eq!(mode(Some("writes")), Ok(Mode::Writes));
        assert_eq!(mode(Some("off")), Ok(Mode::Off));
        assert_eq!(mode(Some("all")), Ok(Mode::All));
        for other in ["OFF", "no", "write"] {
            let error = format!("AUTH={other} is not off, writes or all; correct it, or remove it to get writes");
            assert_eq!(mode(Some(other)), Err(error));
        }
    }
}
