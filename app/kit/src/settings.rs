//! Settings: environment variables, which are read and checked at the start.

use std::{str::FromStr, time::Duration};

/// Source of settings: returns the value of a variable, if it is set.
///
/// A process uses [`environment`], a test a closure.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Error for an invalid setting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}={value} is not {expected}; correct it, or remove it to get {default}")]
pub struct SettingError {
    /// Name of the variable.
    pub name: &'static str,
    /// Value of the variable.
    pub value: String,
    /// Valid values, as a noun phrase.
    pub expected: &'static str,
    /// Default value.
    pub default: String,
}

/// Returns a variable of this process.
///
/// An empty variable counts as set: its value was lost, so it is refused instead of replaced by the default.
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Reads an integer of at least 1, or returns the default.
///
/// # Errors
/// [`SettingError`] if the value is zero, negative, too large or not a number.
pub fn positive<N>(variables: Variables, name: &'static str, default: N) -> Result<N, SettingError>
where
    N: FromStr + Default + PartialOrd + ToString,
{
    let Some(value) = variables(name) else {
        return Ok(default);
    };
    match value.trim().parse::<N>() {
        Ok(number) if number > N::default() => Ok(number),
        _ => Err(SettingError { name, value, expected: "a whole number above zero", default: default.to_string() }),
    }
}

/// Reads a duration in whole seconds, or returns the default.
///
/// # Errors
/// As [`positive`].
pub fn seconds(variables: Variables, name: &'static str, default: u32) -> Result<Duration, SettingError> {
    positive(variables, name, default).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Reads `true` or `false`, or returns the default.
///
/// # Errors
/// [`SettingError`] for another value.
pub fn switch(variables: Variables, name: &'static str, default: bool) -> Result<bool, SettingError> {
    match variables(name) {
        None => Ok(default),
        Some(value) => value.trim().parse().map_err(|_| {
            let default = default.to_string();
            SettingError { name, value, expected: "true or false", default }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_to(value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |_| Some(value.to_owned())
    }

    #[test]
    fn a_missing_setting_has_its_default() {
        assert_eq!(positive(&|_| None, "SIZE", 7_u32), Ok(7));
    }

    #[test]
    fn a_number_is_read() {
        assert_eq!(positive(&set_to(" 12 "), "SIZE", 7_u32), Ok(12));
        assert_eq!(seconds(&set_to("3"), "TIME", 7), Ok(Duration::from_secs(3)));
    }

    #[test]
    fn an_invalid_value_is_refused_with_a_hint() {
        for wrong in ["0", "-1", "many", "4294967296"] {
            let error = positive(&set_to(wrong), "SIZE", 7_u32).expect_err(wrong).to_string();
            assert_eq!(
                error,
                format!("SIZE={wrong} is not a whole number above zero; correct it, or remove it to get 7")
            );
        }
    }
}
