//! A stack's configuration: named texts that programs read as the types they need.

use std::{any::type_name, cell::RefCell, collections::BTreeMap, collections::BTreeSet, fmt::Display, str::FromStr};

/// The configuration of one stack.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<String, String>,
    read: RefCell<BTreeSet<String>>,
}

/// A configuration value that is missing or of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It has no value and no default.
    #[error("the configuration has no `{0}`: pass `--config {0}=VALUE`")]
    Missing(String),
    /// It cannot be read as the type the program wants.
    #[error(
        "the configuration value `{key}` is `{value}`, which is no {expected}: {reason}; pass `--config {key}=VALUE`"
    )]
    Type {
        /// Its name.
        key: String,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
        /// Why it is not.
        reason: String,
    },
}

/// A default that tells the type a configuration value is read as.
pub trait ConfigDefault {
    /// The type.
    type Value: FromStr<Err: Display>;
    /// The default as that type.
    fn into_value(self) -> Self::Value;
}

impl ConfigDefault for &str {
    type Value = String;

    fn into_value(self) -> String {
        self.to_owned()
    }
}

macro_rules! config_default {
    ($($kind:ty)+) => {$(
        impl ConfigDefault for $kind {
            type Value = Self;

            fn into_value(self) -> Self {
                self
            }
        }
    )+};
}
config_default!(String bool u8 u16 u32 u64 i32 i64 f64);

impl Config {
    /// A configuration of these values.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, read: RefCell::default() }
    }

    /// The value of `key`, or the default when there is none.
    pub fn get_or<D: ConfigDefault>(&self, key: &str, default: D) -> Result<D::Value, ConfigError> {
        self.get(key).map(|value| value.unwrap_or_else(|| default.into_value()))
    }

    /// The value of `key`, which must be there.
    pub fn require<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, ConfigError> {
        self.get(key)?.ok_or_else(|| ConfigError::Missing(key.to_owned()))
    }

    /// The value of `key`, if there is one.
    pub fn get<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        self.read.borrow_mut().insert(key.to_owned());
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|reason: T::Err| ConfigError::Type {
            key: key.to_owned(),
            value: value.clone(),
            expected: type_name::<T>().rsplit(':').next().unwrap_or_default(),
            reason: reason.to_string(),
        })
    }

    /// The keys that have a value which nothing has asked for.
    pub fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let unread = self.values.keys().filter(|key| !read.contains(*key));
        unread.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_defaults_and_unread_keys() {
        let values = [("port", "80"), ("many", "no"), ("typo", "x")];
        let config = Config::new(values.map(|(k, v)| (k.into(), v.into())).into());
        assert_eq!(config.get_or("port", 1_u16), Ok(80));
        assert_eq!(config.get_or("name", "web").unwrap(), "web");
        insta::assert_snapshot!(config.get_or("many", 1_u32).unwrap_err(), @"the configuration value `many` is `no`, which is no u32: invalid digit found in string; pass `--config many=VALUE`");
        assert_eq!(config.unread(), ["typo"]);
        assert!(config.require::<u16>("absent").is_err());
    }
}
