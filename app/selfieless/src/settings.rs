//! Settings that both services share, and their defaults of the kit's settings.

use kit::settings::{self, SettingError, Variables, environment};

/// Default of `LIMIT_BODY_BYTES`: an act contains a picture.
pub const BODY_BYTES: &str = "1048576";
/// Default of `DATABASE_MAX_CONNECTIONS`: ten instances of `acts` use one database.
const CONNECTIONS: &str = "4";

/// Returns a variable of this process, or the default of these services.
pub fn with_defaults(name: &str) -> Option<String> {
    environment(name).or_else(|| match name {
        "LIMIT_BODY_BYTES" => Some(BODY_BYTES.to_owned()),
        "DATABASE_MAX_CONNECTIONS" => Some(CONNECTIONS.to_owned()),
        _ => None,
    })
}

/// Settings of the routes of [`crate::operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// `ALLOW_CRASH`: `true` adds the route `POST /api/v1/_crash`.
    pub allow_crash: bool,
    /// Name of the instance in the table of counts: `LISTEN`.
    pub instance: String,
}

impl Operation {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] if `ALLOW_CRASH` is neither `true` nor `false`.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        let allow_crash = settings::switch(variables, "ALLOW_CRASH", false)?;
        Ok(Self { allow_crash, instance: listen(variables) })
    }
}

/// Returns the value of `LISTEN`.
pub fn listen(variables: Variables) -> String {
    variables("LISTEN").unwrap_or_else(|| kit::listen::DEFAULT.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn crashes_are_allowed_explicitly() {
        let with = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            Operation::from(&move |name| if name == "ALLOW_CRASH" { value.clone() } else { None })
        };
        assert!(!with(None).unwrap().allow_crash);
        assert!(!with(Some("false")).unwrap().allow_crash);
        assert!(with(Some("true")).unwrap().allow_crash);
        assert_eq!(
            with(Some("")).unwrap_err().to_string(),
            "ALLOW_CRASH= is not true or false; correct it, or remove it to get false"
        );
    }
}
