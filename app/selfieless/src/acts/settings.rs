//! Settings of the service `acts`.

use hyper::{Uri, header::HeaderValue, http::uri::Scheme};
use kit::settings::{SettingError, Variables};

use super::directory;
use crate::settings::{Operation, listen};

/// Settings of the service, besides those of the kit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Routes of operation.
    pub operation: Operation,
    /// The service `users`.
    pub directory: directory::Settings,
}

/// Error for an invalid setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// `USERS_URL` is not set.
    #[error(
        "USERS_URL is not set; write the base URL of the balancer in front of the service users, such as http://127.0.0.1:8080"
    )]
    NoUsers,
    /// `USERS_URL` is not a base URL.
    #[error("USERS_URL={0} is not a base URL such as http://127.0.0.1:8080, without a path and with the scheme http")]
    UsersUrl(String),
    /// `ORIGIN` is not a header value.
    #[error(
        "ORIGIN={0:?} is not an origin such as http://acts.example.org; correct it, or remove it to get http://<LISTEN>"
    )]
    Origin(String),
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        let operation = Operation::from(variables)?;
        let url = variables("USERS_URL").ok_or(SettingsError::NoUsers)?;
        let users = users_of(&url).ok_or(SettingsError::UsersUrl(url))?;
        let origin = variables("ORIGIN").unwrap_or_else(|| format!("http://{}", listen(variables)));
        let is_origin = |origin: &&str| origin.contains("://") && !origin.contains(char::is_whitespace);
        let header = Some(origin.as_str()).filter(is_origin).and_then(|origin| HeaderValue::from_str(origin).ok());
        let origin = header.ok_or(SettingsError::Origin(origin))?;
        Ok(Self { operation, directory: directory::Settings { users, origin } })
    }
}

/// Returns the URL of the list of users at a base URL.
fn users_of(base: &str) -> Option<Uri> {
    let base: Uri = base.parse().ok()?;
    let is_base = base.scheme() == Some(&Scheme::HTTP) && base.path() == "/" && base.query().is_none();
    let authority = base.authority().filter(|_| is_base)?;
    format!("http://{authority}/api/v1/users").parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(settings: &'static [(&'static str, &'static str)]) -> Result<Settings, SettingsError> {
        Settings::from(&|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_origin_is_the_address_by_default() {
        let settings = with(&[("USERS_URL", "http://balancer:80/"), ("LISTEN", "127.0.0.1:8003")]).unwrap();
        assert_eq!(settings.directory.users, "http://balancer:80/api/v1/users");
        assert_eq!(settings.directory.origin, "http://127.0.0.1:8003");
        let settings = with(&[("USERS_URL", "http://balancer"), ("ORIGIN", "http://acts.example.org")]).unwrap();
        assert_eq!(settings.directory.origin, "http://acts.example.org");
    }

    #[test]
    fn invalid_settings_are_named() {
        assert!(with(&[]).unwrap_err().to_string().starts_with("USERS_URL is not set"));
        for wrong in ["", "balancer", "https://balancer", "http://balancer/api", "http://balancer?x", "ftp://b"] {
            let variables = move |name: &str| (name == "USERS_URL").then(|| wrong.to_owned());
            let error = Settings::from(&variables).unwrap_err().to_string();
            assert!(error.starts_with(&format!("USERS_URL={wrong} is not a base URL")), "{error}");
        }
        for wrong in [&[("USERS_URL", "http://b"), ("ORIGIN", "")], &[("USERS_URL", "http://b"), ("ORIGIN", "a b")]] {
            assert!(with(wrong).unwrap_err().to_string().starts_with("ORIGIN="));
        }
    }
}
