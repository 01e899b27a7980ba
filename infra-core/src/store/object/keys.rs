//! The key document as an object, and the re-encryption of objects with another key.

use super::{
    ObjectStateStore,
    client::{Objects, Put},
    sequence::PREVIOUS,
};
use crate::{
    store::{
        DataKey, Kdf, KeyDocument, KeyError, KeyRing, KeyedStore, Keys, StateStore, StoreError, Wrapping, envelope,
        secrets, snapshot, source::Source,
    },
    value::Seal,
};
use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::{ObjectStore, PutMode, path::Path};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

const KEY: &str = "secrets.key";

impl ObjectStateStore {
    fn root(&self) -> Objects {
        Objects { store: self.objects.clone(), directory: self.prefix.clone(), clock: self.clock.clone() }
    }
}

#[async_trait]
impl KeyedStore for ObjectStateStore {
    fn keys(&self) -> &Keys {
        &self.keys
    }

    async fn key_document(&self) -> Result<Option<KeyDocument>, StoreError> {
        let Some(found) = self.root().get(KEY).await? else {
            return Ok(None);
        };
        let place = self.key_place();
        let text = String::from_utf8(found.bytes)
            .map_err(|_| KeyError::Malformed { place: place.clone(), reason: "it is not UTF-8".into() })?;
        Ok(Some(KeyDocument::parse(text, place)?))
    }

    /// Returns the key document, or creates one that is wrapped by the passphrase.
    async fn ensure_key_document(&self) -> Result<KeyDocument, StoreError> {
        loop {
            if let Some(document) = self.key_document().await? {
                return Ok(document);
            }
            secrets::check_key_is_not_lost(self).await?;
            let place = self.key_place();
            let passphrase = self.keys.unlock().ask_passphrase(&place).map_err(|error| match error {
                KeyError::NoPassphrase { place } => KeyError::Unprotected { place },
                error => error,
            })?;
            let wrapping = Wrapping::Passphrase(passphrase, Kdf::default());
            wrapping.check_strength()?;
            let (document, _) = self.keys.close(KeyRing::of(DataKey::random()?), wrapping, &place).await?;
            match self.put_key_document(None, &document).await {
                // Another process created it first.
                Err(StoreError::Key(KeyError::Changed { .. })) => {}
                put => return put.map(|()| document),
            }
        }
    }

    async fn put_key_document(&self, was: Option<&KeyDocument>, document: &KeyDocument) -> Result<(), StoreError> {
        let root = self.root();
        let found = root.get(KEY).await?;
        let changed = || KeyError::Changed { place: self.key_place() };
        let mode = match (was, found) {
            (None, None) => PutMode::Create,
            (Some(was), Some(found)) if found.bytes == was.text().as_bytes() => PutMode::Update(found.version),
            _ => return Err(changed().into()),
        };
        let text = document.text().as_bytes();
        match root.put(KEY, text.to_vec(), mode, text).await? {
            Put::Done(_) => Ok(()),
            Put::Collided => Err(changed().into()),
        }
    }

    async fn first_secret(&self) -> Result<Option<(String, String)>, StoreError> {
        let root = Objects { store: self.objects.clone(), directory: Path::default(), clock: self.clock.clone() };
        for path in self.all().await? {
            // The key document and leases contain no secrets, and objects kept as damaged are not read.
            let is_of_a_stack = path.prefix_match(&self.prefix).is_some_and(|parts| parts.count() > 2);
            if !is_of_a_stack || path.as_ref().contains(".damaged-") {
                continue;
            }
            let Some(found) = root.get(path.as_ref()).await? else {
                continue;
            };
            if let Some(id) = secrets::key_of_first_secret(&String::from_utf8_lossy(&found.bytes)) {
                return Ok(Some((format!("{}/{path}", self.objects), id)));
            }
        }
        Ok(None)
    }

    fn key_place(&self) -> String {
        format!("{}/{}", self.objects, self.prefix.clone().join(KEY))
    }

    async fn stacks(&self) -> Result<Vec<(String, String)>, StoreError> {
        let listed = self.all().await?;
        let stacks = listed.iter().filter_map(|path| {
            let mut parts = path.prefix_match(&self.prefix)?;
            let (program, stack) = (parts.next()?, parts.next()?);
            parts.next()?;
            Some((program.as_ref().to_owned(), stack.as_ref().to_owned()))
        });
        let stacks: BTreeSet<_> = stacks.collect();
        Ok(stacks.into_iter().collect())
    }

    async fn reseal(&self, program: &str, stack: &str, ring: &KeyRing) -> Result<(), StoreError> {
        // Once folded, the snapshot is all there is, and it is encrypted with the current key.
        let session = self.open(program, stack).await?;
        let folded = session.journal.fold(session.state.clone()).await;
        let resealed = match folded {
            Ok(_) => self.reseal_others(program, stack, ring).await,
            Err(error) => Err(error),
        };
        session.close().await.and(resealed)
    }
}

impl ObjectStateStore {
    /// Returns all objects below the prefix.
    async fn all(&self) -> Result<Vec<Path>, StoreError> {
        let listed = self.objects.list(Some(&self.prefix)).map_ok(|object| object.location).try_collect();
        listed.await.map_err(|error| {
            let path = self.prefix.to_string();
            StoreError::Object { path, error }
        })
    }

    /// Encrypts the previous snapshot and the documents with the current key.
    async fn reseal_others(&self, program: &str, stack: &str, ring: &KeyRing) -> Result<(), StoreError> {
        let objects = self.objects(program, stack)?;
        let documents = objects.list(super::DOCUMENTS).await?;
        let document = |name: String| (super::document(&name), Some(name));
        for (path, name) in documents.into_iter().map(document).chain([(PREVIOUS.to_owned(), None)]) {
            let place = PathBuf::from(objects.path(&path).to_string());
            let make = |was: Option<&[u8]>| match (was, &name) {
                (None, _) => Ok(None),
                (Some(was), Some(name)) => envelope::reseal(name, &place, was, ring),
                (Some(was), None) => {
                    let seal: Arc<dyn Seal> = Arc::new(ring.clone());
                    let source = Source { program, stack, path: place.clone(), seal: &seal };
                    let text = std::str::from_utf8(was).map_err(|error| source.broken(1, error.to_string()))?;
                    Ok(snapshot::reseal(text, ring, &source)?.map(String::into_bytes))
                }
            };
            while !objects.update(&path, make).await? {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        config::ConfigValue,
        state::Entry,
        store::{ConfigChange, StackConfig, Unlock, rewrap, rotate},
        value::Value,
    };
    use futures::{StreamExt, future, stream};
    use object_store::{ObjectStoreExt, memory::InMemory};
    use std::collections::BTreeMap;

    fn store(objects: &Arc<InMemory>, unlock: Unlock) -> ObjectStateStore {
        ObjectStateStore::new(objects.clone(), "team/infra").unlocked_by(unlock)
    }

    fn opened() -> Unlock {
        Unlock::default().passphrase("correct horse")
    }

    /// Returns the keys that the encrypted texts name.
    async fn keys_in(objects: &InMemory) -> BTreeMap<String, String> {
        let paths: Vec<Path> = objects.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
        let texts = stream::iter(paths).then(async |path| {
            let text = objects.get(&path).await.unwrap().bytes().await.unwrap();
            (path, String::from_utf8(text.to_vec()).unwrap())
        });
        let texts: Vec<(Path, String)> = texts.collect().await;
        let sealed = texts.iter().flat_map(|(path, text)| {
            let sealed = text.match_indices("\"$secret\"").map(|(at, _)| &text[at..]);
            sealed
                .map(move |text| (path.filename().unwrap().to_owned(), text.split('"').nth(3).unwrap()[..8].to_owned()))
        });
        sealed.collect()
    }

    #[tokio::test]
    async fn new_key_document_requires_a_passphrase() {
        let objects = Arc::new(InMemory::new());
        let error = store(&objects, Unlock::default()).open("p", "dev").await.map(drop).unwrap_err();
        insta::assert_snapshot!(error.diagnostic(), @"
        error: there is no key in InMemory/team/infra/secrets.key yet, and no passphrase is set to wrap a new one
          hint: set INFRA_PASSPHRASE or INFRA_PASSPHRASE_FILE, or run `secrets rewrap --kms ARN` first
        ");
        assert!(objects.list(None).next().await.is_none(), "nothing was written");
    }

    #[tokio::test]
    async fn rotation_leaves_no_secret_under_the_previous_key() {
        let objects = Arc::new(InMemory::new());
        let cheap = Kdf { memory_kib: 8, iterations: 1, lanes: 1 };
        let store = store(&objects, opened());
        rewrap(&store, Wrapping::Passphrase("correct horse".into(), cheap)).await.unwrap();
        let outputs = BTreeMap::from([("a".to_owned(), Value::from("first").into_secret())]);
        let change = |key: &str| [ConfigChange::Set(key.into(), ConfigValue::secret("second"))];
        for _ in 0..2 {
            let mut session = store.open("p", "dev").await.unwrap();
            session.journal.append(Entry::Outputs(outputs.clone())).await.unwrap();
            let mut state = session.state.clone();
            state.apply(Entry::Outputs(outputs.clone()));
            session.fold(&mut state).await.unwrap();
            session.journal.append(Entry::Outputs(outputs.clone())).await.unwrap();
            session.close().await.unwrap();
        }
        StackConfig::change(&store, "p", "dev", &change("zero")).await.unwrap();
        let places = |keys: &BTreeMap<String, String>| keys.keys().cloned().collect::<Vec<_>>();
        let before = keys_in(&objects).await;
        assert_eq!(places(&before), ["00000000000000000006", "config.json", "state.json", "state.json.previous"]);

        // Other writers set values meanwhile.
        let others = future::join_all(["one", "two", "three"].map(|key| {
            let (store, change) = (store.clone(), change(key));
            async move { StackConfig::change(&store, "p", "dev", &change).await }
        }));
        let (rotation, others) = tokio::join!(rotate(&store), others);
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        let rotation = rotation.unwrap();
        let after = keys_in(&objects).await;
        assert_eq!(places(&after), ["config.json", "state.json", "state.json.previous"]);
        assert!(after.values().all(|key| *key == rotation.to), "{after:?}");

        let again = super::tests::store(&objects, opened());
        assert_eq!(again.peek("p", "dev").await.unwrap().unwrap().outputs, outputs);
        let config = StackConfig::open(&again, "p", "dev").await.unwrap();
        assert_eq!(config.values().map(ConfigValue::text).collect::<Vec<_>>(), ["second"; 4]);
    }
}
