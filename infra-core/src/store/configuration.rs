//! The configuration of a stack as a document in its store: `config.json` contains texts by name, each secret encrypted
//! separately.

use super::{StateStore, StoreError};
use crate::{config::ConfigValue, diagnostic::did_you_mean, value::Seal};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Name of the document.
pub(super) const DOCUMENT: &str = "config.json";

/// The stored configuration of a stack. Only its secrets need a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackConfig {
    values: BTreeMap<String, StoredValue>,
}

/// A stored configuration value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a value is neither a text nor an encrypted text")]
pub enum StoredValue {
    /// A value that is not secret.
    Plain(String),
    /// An encrypted value.
    Sealed(Sealed),
}

/// A text that is encrypted with the store's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    #[serde(rename = "$secret")]
    sealed: String,
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets a value.
    Set(String, ConfigValue),
    /// Removes a value.
    Unset(String),
}

/// An invalid configuration, or an invalid change of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The document is not a configuration.
    #[error("it is not a JSON object of texts: {0}")]
    Malformed(String),
    /// The name of a value is invalid.
    #[error("`{0}` is not a valid name of a value")]
    Name(String),
    /// The change would replace a secret value with one that is not secret.
    #[error("the value of `{0}` is secret, and the new value would not be")]
    Reveal(String),
    /// The value does not exist.
    #[error("there is no configuration value `{key}`")]
    Unknown {
        /// Name of the value.
        key: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// The store's key does not decrypt the value.
    #[error("the value of `{0}` cannot be decrypted with the store's key")]
    Undecryptable(String),
}

impl ConfigProblem {
    /// Returns the hint.
    pub fn hint(&self) -> String {
        match self {
            Self::Malformed(_) => "nothing was changed; repair or remove the document".into(),
            Self::Name(_) => "a name is not empty, and contains neither spaces nor `=`".into(),
            Self::Reveal(key) => format!("set it with `config set --secret {key}`, or `config unset {key}` first"),
            Self::Unknown { known, .. } if known.is_empty() => "the configuration is empty".into(),
            Self::Unknown { key, known } => did_you_mean(key, known.iter().map(String::as_str))
                .unwrap_or_else(|| format!("the values are: {}", known.join(", "))),
            Self::Undecryptable(key) => {
                format!("restore the store's key, or set the value again with `config set --secret {key}`")
            }
        }
    }

    /// Returns `true` for a wrong request, and `false` for a failure.
    pub fn is_wrong_use(&self) -> bool {
        !matches!(self, Self::Undecryptable(_))
    }
}

impl StackConfig {
    /// Reads the configuration of a stack.
    pub async fn read(store: &dyn StateStore, program: &str, stack: &str) -> Result<Self, StoreError> {
        Self::parse(store.document(program, stack, DOCUMENT).await?.as_deref())
            .map_err(|problem| of(program, stack, problem))
    }

    /// Reads the configuration of a stack and decrypts its secrets. The store's key is needed only if there are
    /// secrets.
    pub async fn open(
        store: &dyn StateStore,
        program: &str,
        stack: &str,
    ) -> Result<BTreeMap<String, ConfigValue>, StoreError> {
        Self::open_with(store, program, stack, &[]).await
    }

    /// Returns the configuration as it would be with these changes. Writes nothing.
    pub async fn open_with(
        store: &dyn StateStore,
        program: &str,
        stack: &str,
        changes: &[ConfigChange],
    ) -> Result<BTreeMap<String, ConfigValue>, StoreError> {
        let (config, mut values) = Self::opened(store, program, stack).await?;
        config.check(changes).map_err(|problem| of(program, stack, problem))?;
        for change in changes {
            match change {
                ConfigChange::Set(key, value) => drop(values.insert(key.clone(), value.clone())),
                ConfigChange::Unset(key) => drop(values.remove(key)),
            }
        }
        Ok(values)
    }

    async fn opened(
        store: &dyn StateStore,
        program: &str,
        stack: &str,
    ) -> Result<(Self, BTreeMap<String, ConfigValue>), StoreError> {
        let mut config = Self::read(store, program, stack).await?;
        loop {
            if !config.values.values().any(StoredValue::is_secret) {
                let values = config.unsealed(None).unwrap_or_default();
                return Ok((config, values));
            }
            match config.unsealed(Some(&*store.seal().await?)) {
                Ok(values) => return Ok((config, values)),
                Err(problem) => {
                    // A rotation may have happened between reading the document and the key.
                    let now = Self::read(store, program, stack).await?;
                    if now == config {
                        return Err(of(program, stack, problem));
                    }
                    config = now;
                }
            }
        }
    }

    /// Applies all changes or none. Secrets are encrypted with the store's key, other values are stored as they are.
    pub async fn change(
        store: &dyn StateStore,
        program: &str,
        stack: &str,
        changes: &[ConfigChange],
    ) -> Result<Self, StoreError> {
        let refused = |problem| of(program, stack, problem);
        let seals = changes.iter().any(|change| matches!(change, ConfigChange::Set(_, ConfigValue::Secret(_))));
        let mut changed = Self::default();
        let mut update = |was: Option<&[u8]>, seal: Option<&dyn Seal>| {
            let mut config = Self::parse(was).map_err(refused)?;
            config.check(changes).map_err(refused)?;
            for change in changes {
                config.apply(change, seal).map_err(refused)?;
            }
            let mut text = serde_json::to_vec_pretty(&config.values)
                .map_err(|error| refused(ConfigProblem::Malformed(error.to_string())))?;
            text.push(b'\n');
            changed = config;
            Ok((was != Some(&text)).then_some(text))
        };
        store.update_document(program, stack, DOCUMENT, seals, &mut update).await?;
        Ok(changed)
    }

    /// Returns the stored values.
    pub fn values(&self) -> &BTreeMap<String, StoredValue> {
        &self.values
    }

    /// Returns a stored value. The error for a missing value names the existing ones.
    pub fn value(&self, key: &str) -> Result<&StoredValue, ConfigProblem> {
        self.values.get(key).ok_or_else(|| {
            let known = self.values.keys().cloned().collect();
            ConfigProblem::Unknown { key: key.to_owned(), known }
        })
    }

    fn parse(text: Option<&[u8]>) -> Result<Self, ConfigProblem> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let values = serde_json::from_slice(text).map_err(|error| ConfigProblem::Malformed(error.to_string()))?;
        Ok(Self { values })
    }

    /// Checks whether the changes can be made, without making them.
    pub fn check(&self, changes: &[ConfigChange]) -> Result<(), ConfigProblem> {
        for change in changes {
            match change {
                ConfigChange::Set(key, value) => {
                    if key.is_empty() || key.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control()) {
                        return Err(ConfigProblem::Name(key.clone()));
                    }
                    if !value.is_secret() && self.values.get(key).is_some_and(StoredValue::is_secret) {
                        return Err(ConfigProblem::Reveal(key.clone()));
                    }
                }
                ConfigChange::Unset(key) => drop(self.value(key)?),
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &ConfigChange, seal: Option<&dyn Seal>) -> Result<(), ConfigProblem> {
        match change {
            ConfigChange::Set(key, ConfigValue::Plain(text)) => {
                self.values.insert(key.clone(), StoredValue::Plain(text.clone()));
            }
            ConfigChange::Set(key, ConfigValue::Secret(text)) => {
                let sealed = seal.and_then(|seal| seal.seal(text).ok());
                let sealed = sealed.ok_or_else(|| ConfigProblem::Undecryptable(key.clone()))?;
                self.values.insert(key.clone(), StoredValue::Sealed(Sealed { sealed }));
            }
            ConfigChange::Unset(key) => drop(self.values.remove(key)),
        }
        Ok(())
    }

    fn unsealed(&self, seal: Option<&dyn Seal>) -> Result<BTreeMap<String, ConfigValue>, ConfigProblem> {
        let open = |(key, value): (&String, &StoredValue)| {
            let value = match value {
                StoredValue::Plain(text) => ConfigValue::Plain(text.clone()),
                StoredValue::Sealed(Sealed { sealed }) => {
                    let text = seal.and_then(|seal| seal.unseal(sealed).ok());
                    ConfigValue::Secret(text.ok_or_else(|| ConfigProblem::Undecryptable(key.clone()))?)
                }
            };
            Ok((key.clone(), value))
        };
        self.values.iter().map(open).collect()
    }
}

impl StoredValue {
    /// Returns `true` for a secret value.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Sealed(_) => f.write_str("[secret]"),
        }
    }
}

fn of(program: &str, stack: &str, problem: ConfigProblem) -> StoreError {
    StoreError::Config { document: format!("{DOCUMENT} of {program}/{stack}"), problem }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::{FileStore, MemoryStore, Wrapping, key_status, rewrap};
    use std::sync::Arc;

    fn set(key: &str, value: impl Into<ConfigValue>) -> ConfigChange {
        ConfigChange::Set(key.into(), value.into())
    }

    async fn change(store: &dyn StateStore, changes: &[ConfigChange]) -> Result<StackConfig, StoreError> {
        StackConfig::change(store, "p", "dev", changes).await
    }

    #[tokio::test]
    async fn values_are_stored_and_secrets_are_encrypted() {
        let store = MemoryStore::new();
        change(&store, &[set("port", "80"), set("token", ConfigValue::secret("hunter2"))]).await.unwrap();
        let config = change(&store, &[set("port", "81"), set("more", "x")]).await.unwrap();
        assert_eq!(format!("{config:?}"), r#"StackConfig { values: {"more": "x", "port": "81", "token": [secret]} }"#);
        let text = store.document("p", "dev", DOCUMENT).await.unwrap().unwrap();
        assert!(!String::from_utf8(text).unwrap().contains("hunter2"));
        let opened = StackConfig::open(&store, "p", "dev").await.unwrap();
        assert_eq!(opened["token"], ConfigValue::secret("hunter2"));
        assert_eq!(opened["port"], "81".into());
        change(&store, &[ConfigChange::Unset("token".into()), set("token", ConfigValue::secret("x"))]).await.unwrap();
        change(&store, &[ConfigChange::Unset("token".into())]).await.unwrap();
        assert_eq!(StackConfig::open(&store, "p", "dev").await.unwrap().len(), 2);
        assert_eq!(StackConfig::open(&store, "p", "other").await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn invalid_change_is_refused_with_its_reason() {
        let store = MemoryStore::new();
        change(&store, &[set("token", ConfigValue::secret("hunter2")), set("port", "80")]).await.unwrap();
        let before = store.document("p", "dev", DOCUMENT).await.unwrap();
        let mut errors = Vec::new();
        for wrong in [set("token", "seen"), set("a=b", "x"), set("", "x"), ConfigChange::Unset("prot".into())] {
            let error = change(&store, &[set("port", "1"), wrong]).await.unwrap_err();
            errors.push(error.diagnostic().to_string());
        }
        assert_eq!(store.document("p", "dev", DOCUMENT).await.unwrap(), before);
        store.put_document("p", "dev", DOCUMENT, br#"{"port": 80}"#).await.unwrap();
        errors.push(change(&store, &[set("port", "1")]).await.unwrap_err().diagnostic().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        error: config.json of p/dev: the value of `token` is secret, and the new value would not be
          hint: set it with `config set --secret token`, or `config unset token` first
        error: config.json of p/dev: `a=b` is not a valid name of a value
          hint: a name is not empty, and contains neither spaces nor `=`
        error: config.json of p/dev: `` is not a valid name of a value
          hint: a name is not empty, and contains neither spaces nor `=`
        error: config.json of p/dev: there is no configuration value `prot`
          hint: did you mean `port`?
        error: config.json of p/dev: it is not a JSON object of texts: a value is neither a text nor an encrypted text at line 1 column 12
          hint: nothing was changed; repair or remove the document
        ");
        assert_eq!(store.document("p", "dev", DOCUMENT).await.unwrap().unwrap(), br#"{"port": 80}"#);
    }

    #[tokio::test]
    async fn plain_values_need_no_key_and_a_lost_key_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path());
        change(&store, &[set("port", "80")]).await.unwrap();
        assert_eq!(StackConfig::open(&store, "p", "dev").await.unwrap()["port"], "80".into());
        let key = directory.path().join("secrets.key");
        assert!(!key.exists(), "nothing was secret");
        change(&store, &[set("token", ConfigValue::secret("x"))]).await.unwrap();
        let id = key_status(&store).await.unwrap().unwrap().current;
        std::fs::remove_file(&key).unwrap();
        let open = StackConfig::open(&store, "p", "dev").await.unwrap_err().diagnostic().to_string();
        // A second secret, another stack or another wrapping creates no additional key.
        let other = StackConfig::change(&store, "p", "other", &[set("token", ConfigValue::secret("y"))]).await;
        assert_eq!(other.unwrap_err().diagnostic().to_string(), open);
        assert_eq!(store.open("p", "other").await.map(drop).unwrap_err().diagnostic().to_string(), open);
        assert_eq!(rewrap(&store, Wrapping::Plain).await.unwrap_err().diagnostic().to_string(), open);
        assert!(!key.exists());
        insta::assert_snapshot!(open.replace(directory.path().to_str().unwrap(), "…").replace(&id, "KEY"), @"
        error: …/secrets.key is missing, and …/p/dev/config.json contains secrets that are encrypted with its key KEY
          hint: nothing was changed, and no new key was created; restore it from a copy: without it, the secrets in the states are lost. Copies of states and configurations do not contain the key
        ");
        assert_eq!(StackConfig::read(&store, "p", "dev").await.unwrap().values().len(), 2);
    }

    #[tokio::test]
    async fn concurrent_writers_lose_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FileStore::new(directory.path()));
        let writers = (0..8).map(|number| {
            let store = store.clone();
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async { change(&*store, &[set(&format!("key{number}"), "x")]).await.unwrap() })
            })
        });
        futures::future::try_join_all(writers).await.unwrap();
        assert_eq!(StackConfig::read(&*store, "p", "dev").await.unwrap().values().len(), 8);
    }
}
