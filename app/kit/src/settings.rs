//! Settings: environment variables, read once and checked at the start.

use std::{str::FromStr, time::Duration};

/// Where settings come from: gives the value of a name, if it is set.
///
/// The process reads its environment through [`environment`]; tests pass a closure.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A setting that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}={value} is not {expected}; correct it, or remove it to get {default}")]
pub struct SettingError {
    /// The variable's name.
    pub name: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it should have been, as a noun phrase.
    pub expected: &'static str,
    /// What applies when it is not set.
    pub default: String,
}

/// Reads a variable of this process.
///
/// An empty variable is set: its value got lost, and readers refuse it instead of using a default.
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Reads a whole number of at least 1, or the default when it is not set.
///
/// # Errors
/// [`SettingError`] when the value is zero, negative, too large or not a number.
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

/// Reads a length of time in whole seconds, or the default when it is not set.
///
/// # Errors
/// As [`positive`].
pub fn seconds(variables: Variables, name: &'static str, default: u32) -> Result<Duration, SettingError> {
    positive(variables, name, default).map(|seconds| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_to(value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |_| Some(value.to_owned())
    }

    #[test]
    fn a_missing_setting_is_its_default() {
        assert_eq!(positive(&|_| None, "SIZE", 7_u32), Ok(7));
    }

    #[test]
    fn a_number_is_read() {
        assert_eq!(positive(&set_to(" 12 "), "SIZE", 7_u32), Ok(12));
        assert_eq!(seconds(&set_to("3"), "TIME", 7), Ok(Duration::from_secs(3)));
    }

    #[test]
    fn anything_else_is_refused_with_a_way_out() {
        for wrong in ["0", "-1", "many", "4294967296"] {
            let error = positive(&set_to(wrong), "SIZE", 7_u32).expect_err(wrong).to_string();
            assert_eq!(
                error,
                format!("SIZE={wrong} is not a whole number above zero; correct it, or remove it to get 7")
            );
        }
    }
}
