//! Settings of commands. They are stored with the configuration values of a stack, and programs do not receive them.

use crate::failure::Failure;
use infra_core::diagnostic::Diagnostic;

/// A setting of a stack.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name in `config set`.
    pub(crate) name: &'static str,
    /// The possible values; the first one is the default.
    pub(crate) values: &'static [&'static str],
}

/// Value of a setting that applies to every run.
pub(crate) const ALWAYS: &str = "always";

/// The setting that lets every `up` rehearse its plan first.
pub(crate) const REHEARSE: Setting = Setting { name: "rehearse", values: &["never", ALWAYS] };

/// All settings.
pub(crate) const SETTINGS: &[Setting] = &[REHEARSE];

/// Returns the setting with this name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// Refuses a value that the setting does not have.
    pub(crate) fn check(&self, value: Option<&str>) -> Result<(), Failure> {
        match value {
            Some(value) if self.values.contains(&value) => Ok(()),
            Some(value) => {
                let wrong = Diagnostic::error(format!("the setting `{}` cannot be `{value}`", self.name));
                Err(Failure::wrong_use(wrong.hint(format!("its values are: {}", self.values.join(", ")))))
            }
            None => {
                let secret = Diagnostic::error(format!("the setting `{}` cannot be secret", self.name));
                Err(Failure::wrong_use(secret.hint("leave `--secret` out")))
            }
        }
    }
}
