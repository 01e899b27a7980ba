//! Who may do what. Nothing is remembered between requests: a signed access token says who asks.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `AUTH` | `writes` | which requests to tasks need a signed-in user: `off` none, `writes` all but GET and HEAD, `all` |
//! | `AUTH_KEYS` | kept in the database | `<key id>:<base64 of at least 32 bytes>`, several with commas between: the first signs, all verify |
//! | `AUTH_ACCESS_SECONDS` | 300 | how long an access token is good, and so a user who was deactivated |
//! | `AUTH_REFRESH_SECONDS` | 1209600 | how long a refresh token is good, each for the next one |
//! | `AUTH_ATTEMPTS_PER_USER` | 10 | sign-ins per minute with one name |
//! | `AUTH_ATTEMPTS_PER_CLIENT` | 30 | sign-ins and registrations per minute from one address |
//!
//! # Layout
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@routes`] | the requests under `/auth/` |
//! | [`guard`] | lets requests in, or answers 401 |
//! | [`sign_in`] | from a name and a password to a user, not too often |
//! | [`limit`] | how often that may be tried |
//! | [`keys`] | what access tokens are signed with |
//! | [`refresh`] | refresh tokens, each good for one use |

pub mod guard;
pub mod keys;
pub mod limit;
pub mod refresh;
pub mod routes;
pub mod sign_in;
mod signature;

use std::time::Duration;

use kit::settings::{self, SettingError, Variables};
use sea_orm::DatabaseConnection;

use keys::{FixedKeys, Keys, KeysError};
use limit::SignInLimits;

/// Which requests to tasks need a signed-in user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// None: everybody may read and write.
    Off,
    /// All but GET and HEAD.
    Writes,
    /// All.
    All,
}

impl Mode {
    /// Reads `AUTH`.
    ///
    /// # Errors
    /// [`SettingError`] when it is something else, so that nobody believes to be protected who is not.
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

/// The settings of this module.
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
    /// What is wrong with the first that cannot be understood.
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

/// All that is needed to let somebody in. The handlers find it as `Data<Authority>`.
pub struct Authority {
    /// Which requests need a user.
    pub mode: Mode,
    /// What access tokens are signed with.
    pub keys: Keys,
    /// How long an access token is good.
    pub access: Duration,
    /// How long a refresh token is good.
    pub refresh: Duration,
    /// How often somebody may try to sign in.
    pub limits: SignInLimits,
}

impl Authority {
    /// Gets the keys ready.
    ///
    /// # Errors
    /// [`KeysError`] when the database does not keep them.
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
    fn writes_need_a_user_unless_told_otherwise() {
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
