//! Who may do what: `AUTH`.

use kit::settings::Variables;

/// Which requests need a signed-in user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// None: everybody may read and write.
    Off,
}

/// `AUTH` asks for something that this version does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "AUTH={0} is not available yet: this version cannot sign users in; set AUTH=off, and let only trusted networks reach the service"
)]
pub struct AuthError(String);

impl Auth {
    /// Reads `AUTH`; not set means [`Auth::Off`].
    ///
    /// # Errors
    /// [`AuthError`] for anything else, so that nobody believes to be protected who is not.
    pub fn from(variables: Variables) -> Result<Self, AuthError> {
        match variables("AUTH") {
            Some(other) if other != "off" => Err(AuthError(other)),
            _ => Ok(Self::Off),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_all_there_is() {
        assert_eq!(Auth::from(&|_| None), Ok(Auth::Off));
        assert_eq!(Auth::from(&|_| Some("off".to_owned())), Ok(Auth::Off));
        for other in ["writes", "all", "OFF", "no"] {
            let error = Auth::from(&|_| Some(other.to_owned())).expect_err(other).to_string();
            assert!(error.starts_with(&format!("AUTH={other} is not available yet")), "{error}");
        }
    }
}
