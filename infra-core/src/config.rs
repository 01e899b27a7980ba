//! The configuration of a stack: named texts that programs read as the types they need. Some of them are secret.

use crate::value::Output;
use serde::{Serialize, de::DeserializeOwned};
use std::{any::type_name, cell::RefCell, collections::BTreeMap, fmt, fmt::Display, str::FromStr};

/// The configuration of one stack.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<String, ConfigValue>,
    read: RefCell<BTreeMap<String, ConfigKey>>,
}

/// A configuration key that a program has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigKey {
    /// The name of the key.
    pub name: String,
    /// The type that the program reads the value as, such as `u16`.
    pub expected: String,
    /// The value without configuration, if the program has a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `true` if the program fails without a value.
    pub required: bool,
    /// `true` if the program reads the value as a secret.
    pub secret: bool,
}

/// A configuration value. Its `Debug` never reveals a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum ConfigValue {
    /// A value that is not secret.
    Plain(String),
    /// Encrypted in the store, and masked everywhere.
    Secret(String),
}

/// A configuration value that is missing, has the wrong type, or was read in the wrong way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The value is missing, and there is no default.
    #[error("the configuration value `{0}` is not set")]
    Missing(String),
    /// The value cannot be parsed as the type that the program reads.
    #[error("the configuration value `{key}` is `{value}`, which cannot be parsed as {expected}: {reason}")]
    Type {
        /// Name of the value.
        key: String,
        /// The actual value.
        value: String,
        /// The expected type.
        expected: String,
        /// The cause.
        reason: String,
    },
    /// The value is secret, and the program read it as plain text.
    #[error("the configuration value `{0}` is secret, but the program reads it as plain text")]
    Secret(String),
}

impl ConfigError {
    /// Returns the key that the error is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Missing(key) | Self::Secret(key) | Self::Type { key, .. } => key,
        }
    }

    /// Returns the hint.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(key) => format!("set it with `config set {key} VALUE`, and add `--secret` if it is a secret"),
            Self::Type { key, .. } => format!("set another value with `config set {key} VALUE`"),
            Self::Secret(key) => format!(
                "read it with `config.secret(\"{key}\")` in the program, or run `config unset {key}` and set it \
                 without `--secret` if it is not confidential"
            ),
        }
    }
}

/// A default value, which also determines the type that a configuration value is parsed as.
pub trait ConfigDefault {
    /// The type of the value.
    type Value: FromStr<Err: Display>;
    /// Converts the default to that type.
    fn into_value(self) -> Self::Value;
    /// Returns the default as a user would write it, for lists of keys.
    fn text(&self) -> Option<String> {
        None
    }
}

impl ConfigDefault for &str {
    type Value = String;

    fn into_value(self) -> String {
        self.to_owned()
    }

    fn text(&self) -> Option<String> {
        Some((*self).to_owned())
    }
}

macro_rules! config_default {
    ($($kind:ty)+) => {$(
        impl ConfigDefault for $kind {
            type Value = Self;

            fn into_value(self) -> Self {
                self
            }

            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}
config_default!(String bool u8 u16 u32 u64 i32 i64 f64);

impl Config {
    /// Creates a configuration with these values.
    pub fn new(values: impl IntoIterator<Item = (impl Into<String>, impl Into<ConfigValue>)>) -> Self {
        let values = values.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self { values, read: RefCell::default() }
    }

    /// Returns the value of `key`, or the default if there is none.
    pub fn get_or<D: ConfigDefault>(&self, key: &str, default: D) -> Result<D::Value, ConfigError> {
        let text = default.text();
        let value = self.get(key).map(|value| value.unwrap_or_else(|| default.into_value()));
        self.note(key, |read| read.default = text);
        value
    }

    /// Returns the value of `key`; a missing value is an error.
    pub fn require<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, ConfigError> {
        let value = self.get(key);
        self.note(key, |read| read.required = true);
        value?.ok_or_else(|| ConfigError::Missing(key.to_owned()))
    }

    /// Returns the value of `key`, if there is one. A secret value is an error, because it could become part of a plan
    /// in plain text.
    pub fn get<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let parse = |value: &str| value.parse().map_err(|reason: T::Err| reason.to_string());
        self.plain(key, short(type_name::<T>()), parse)
    }

    /// Returns the value of `key`, parsed as JSON, if there is one. A secret value is an error.
    pub fn object<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let parse = |value: &str| serde_json::from_str(value).map_err(|reason| reason.to_string());
        self.plain(key, format!("JSON for a {}", short(type_name::<T>())), parse)
    }

    /// Returns the value of `key`, if there is one, marked as secret: encrypted in the state, masked everywhere else.
    pub fn secret(&self, key: &str) -> Result<Option<Output<String>>, ConfigError> {
        let value = self.value(key, "String");
        self.note(key, |read| read.secret = true);
        Ok(value.map(|value| Output::from(value.text().to_owned()).secret()))
    }

    /// Returns the value of `key`, marked as secret; a missing value is an error.
    pub fn require_secret(&self, key: &str) -> Result<Output<String>, ConfigError> {
        let value = self.secret(key);
        self.note(key, |read| read.required = true);
        value?.ok_or_else(|| ConfigError::Missing(key.to_owned()))
    }

    /// Returns the keys with a value that the program has not read.
    pub fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let unread = self.values.keys().filter(|key| !read.contains_key(*key));
        unread.cloned().collect()
    }

    /// Returns the keys that the program has read so far, in alphabetical order.
    pub fn keys(&self) -> Vec<ConfigKey> {
        self.read.borrow().values().cloned().collect()
    }

    fn plain<T>(
        &self,
        key: &str,
        expected: impl Into<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let expected = expected.into();
        let key = key.to_owned();
        match self.value(&key, &expected) {
            None => Ok(None),
            Some(ConfigValue::Secret(_)) => Err(ConfigError::Secret(key)),
            Some(ConfigValue::Plain(value)) => parse(value).map(Some).map_err(|reason| {
                let value = value.clone();
                ConfigError::Type { key, value, expected, reason }
            }),
        }
    }

    fn value(&self, key: &str, expected: &str) -> Option<&ConfigValue> {
        let read = || ConfigKey {
            name: key.to_owned(),
            expected: expected.to_owned(),
            default: None,
            required: false,
            secret: false,
        };
        self.read.borrow_mut().entry(key.to_owned()).or_insert_with(read);
        self.values.get(key)
    }

    fn note(&self, key: &str, change: impl FnOnce(&mut ConfigKey)) {
        if let Some(read) = self.read.borrow_mut().get_mut(key) {
            change(read);
        }
    }
}

/// Shortens `core::primitive::u16` to `u16`; text in angle brackets stays as it is.
fn short(name: &str) -> &str {
    let outer = name.split('<').next().unwrap_or(name);
    &name[outer.rfind("::").map_or(0, |at| at + 2)..]
}

impl ConfigValue {
    /// Creates a secret value.
    pub fn secret(text: impl Into<String>) -> Self {
        Self::Secret(text.into())
    }

    /// Returns the text, secret or not.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Secret(text) => text,
        }
    }

    /// Returns `true` for a secret value.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl From<String> for ConfigValue {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for ConfigValue {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl fmt::Debug for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Secret(_) => f.write_str("[secret]"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_parsed_with_defaults_and_unread_keys_are_reported() {
        let config = Config::new([("port", "80"), ("many", "no"), ("typo", "x")]);
        assert_eq!(config.get_or("port", 1_u16), Ok(80));
        assert_eq!(config.get_or("name", "web").unwrap(), "web");
        insta::assert_snapshot!(config.get_or("many", 1_u32).unwrap_err(), @"the configuration value `many` is `no`, which cannot be parsed as u32: invalid digit found in string");
        assert_eq!(config.unread(), ["typo"]);
        assert_eq!(config.require::<u16>("absent"), Err(ConfigError::Missing("absent".into())));
    }

    #[test]
    fn read_keys_are_recorded_with_their_type_and_default() {
        let config = Config::new([("port", "80")]);
        config.get_or("port", 1_u16).unwrap();
        config.get::<f64>("share").unwrap();
        config.require::<bool>("strict").unwrap_err();
        config.require_secret("token").unwrap_err();
        let described = |key: ConfigKey| {
            let default = key.default.unwrap_or_else(|| "-".into());
            format!("{} {} {default} {} {}", key.name, key.expected, key.required, key.secret)
        };
        let keys: Vec<String> = config.keys().into_iter().map(described).collect();
        assert_eq!(
            keys,
            [
                "port u16 1 false false",
                "share f64 - false false",
                "strict bool - true false",
                "token String - true true"
            ]
        );
    }

    #[test]
    fn objects_are_parsed_as_json() {
        let config = Config::new([("zones", r#"["a", "b"]"#), ("ports", r#"{"http": "x"}"#)]);
        assert_eq!(config.object::<Vec<String>>("zones").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(config.object::<Vec<String>>("absent"), Ok(None));
        let error = config.object::<BTreeMap<String, u16>>("ports").unwrap_err();
        insta::assert_snapshot!(error, @r#"the configuration value `ports` is `{"http": "x"}`, which cannot be parsed as JSON for a BTreeMap<alloc::string::String, u16>: invalid type: string "x", expected u16 at line 1 column 12"#);
    }

    #[test]
    fn secrets_cannot_be_read_as_plain_values() {
        let config = Config::new([("token", ConfigValue::secret("hunter2")), ("plain", "seen".into())]);
        let token = config.require_secret("token").unwrap();
        assert!(token.expression().is_secret());
        assert_eq!(config.get::<String>("token"), Err(ConfigError::Secret("token".into())));
        assert_eq!(config.object::<String>("token"), Err(ConfigError::Secret("token".into())));
        assert_eq!(config.get_or("token", "x"), Err(ConfigError::Secret("token".into())));
        assert!(config.require_secret("plain").unwrap().expression().is_secret());
        assert!(config.secret("absent").unwrap().is_none());
        assert!(!format!("{config:?} {token:?}").contains("hunter2"));
    }
}
