//! Documents, wrong passphrases, and rotations that are killed at every step.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    boundary,
    config::ConfigValue,
    state::Entry,
    store::{ConfigChange, FileStore, StackConfig, StateStore, StoreError},
    value::Value,
};
use async_trait::async_trait;
use proptest::prelude::*;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A low cost, for many attempts.
const CHEAP: Kdf = Kdf { memory_kib: 8, iterations: 1, lanes: 1 };

fn by_passphrase(passphrase: &str) -> Wrapping {
    Wrapping::Passphrase(passphrase.into(), CHEAP)
}

fn opened_by(passphrase: &str) -> Unlock {
    Unlock::default().passphrase(passphrase)
}

fn shown(error: &KeyError) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

#[tokio::test]
async fn document_opens_only_with_its_passphrase() {
    let ring = KeyRing { current: DataKey::random().unwrap(), retiring: Some(DataKey::random().unwrap()) };
    let document = KeyDocument::close(&ring, &by_passphrase("correct horse"), "keys").await.unwrap();
    let text = document.text().to_owned();
    assert!(!text.contains(&hex::encode(ring.current.bytes())));

    let again = KeyDocument::parse(&*text, "keys").unwrap();
    let opened = again.open(&opened_by("correct horse")).await.unwrap();
    assert_eq!(opened.ring.current.bytes(), ring.current.bytes());
    assert_eq!(opened.ring.retiring().unwrap().bytes(), ring.retiring.as_ref().unwrap().bytes());
    assert!(!format!("{opened:?} {again:?}").contains("correct horse"));

    let wrong = again.open(&opened_by("battery staple")).await.unwrap_err();
    insta::assert_snapshot!(shown(&wrong), @r"
    the passphrase does not unwrap the key in keys
    hint: nothing was changed; check INFRA_PASSPHRASE and INFRA_PASSPHRASE_FILE; if the passphrase is correct, the document was changed: restore it from a copy: without it, the secrets in the states are lost
    ");
    let none = again.open(&Unlock::default()).await.unwrap_err();
    insta::assert_snapshot!(shown(&none), @r"
    the key in keys is wrapped by a passphrase, and no passphrase is set
    hint: set INFRA_PASSPHRASE or INFRA_PASSPHRASE_FILE, or run the command at a terminal
    ");
    let empty = KeyDocument::close(&ring, &by_passphrase(""), "keys").await.unwrap_err();
    assert!(matches!(empty, KeyError::EmptyPassphrase), "{empty}");
}

#[tokio::test]
async fn weak_passphrase_is_refused_for_new_documents_and_opens_existing_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    store.seal().await.unwrap();
    let path = directory.path().join("secrets.key");
    let before = fs::read(&path).unwrap();
    for weak in ["", "elevenchars", "aaaaaaaaaaaaaaaaaaaa", "abababababab"] {
        let error = rewrap(&store, by_passphrase(weak)).await.unwrap_err();
        assert!(matches!(error, StoreError::Key(KeyError::WeakPassphrase)), "{weak}: {error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    insta::assert_snapshot!(shown(&KeyError::WeakPassphrase), @"
    the passphrase is too weak: it needs at least 12 characters, 5 of them different
    hint: nothing was changed; choose a passphrase of several words, with `secrets rewrap --passphrase`
    ");
    rewrap(&store, by_passphrase("twelve chars")).await.unwrap();

    // A document of an earlier version.
    let ring = KeyRing::of(DataKey::random().unwrap());
    let document = KeyDocument::close(&ring, &by_passphrase("weak"), "keys").await.unwrap();
    fs::write(&path, document.text()).unwrap();
    let store = FileStore::new(directory.path()).unlocked_by(opened_by("weak"));
    store.seal().await.unwrap();
    let error = rotate(&store).await.unwrap_err();
    assert!(matches!(error, RotationError::Store(StoreError::Key(KeyError::WeakPassphrase))), "{error}");
    rewrap(&store, by_passphrase("correct horse")).await.unwrap();
}

#[tokio::test]
async fn lost_key_is_reported_instead_of_the_state_that_it_encrypts() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    fill(&store).await;
    let key = directory.path().join("secrets.key");
    fs::rename(&key, directory.path().join("aside")).unwrap();
    let store = FileStore::new(directory.path());
    for error in [
        store.peek("p", "dev").await.unwrap_err(),
        store.salvage("p", "dev").await.unwrap_err(),
        store.open("p", "dev").await.map(drop).unwrap_err(),
        store.seal().await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Key(KeyError::Missing { .. })), "{error}");
        assert!(error.to_string().contains("secrets.key is missing"), "{error}");
    }
    assert!(!key.exists());
    fs::rename(directory.path().join("aside"), &key).unwrap();
    check(&store).await;
}

#[tokio::test]
async fn damaged_key_document_is_refused_without_a_panic() {
    let ring = KeyRing::of(DataKey::random().unwrap());
    let document = KeyDocument::close(&ring, &by_passphrase("correct horse"), "keys").await.unwrap();
    let text = document.text();
    for end in 0..text.trim_end().len() {
        let opened = match KeyDocument::parse(&text[..end], "keys") {
            Ok(document) => document.open(&opened_by("correct horse")).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(opened.is_err(), "the first {end} bytes open");
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let changes: [(&str, serde_json::Value); 9] = [
        ("/key", 2.into()),
        ("/wrapped_by", "magic".into()),
        ("/wrapped_by", "nothing".into()),
        ("/kdf/algorithm", "md5".into()),
        ("/kdf/memory_kib", u32::MAX.into()),
        ("/kdf/iterations", 0.into()),
        ("/kdf/salt", "".into()),
        ("/current/sealed", "AAAA".into()),
        ("/current/id", "00000000".into()),
    ];
    let mut errors = Vec::new();
    for (pointer, value) in changes {
        let mut changed = json.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let opened = match KeyDocument::parse(changed.to_string(), "keys") {
            Ok(document) => document.open(&opened_by("correct horse")).await.map(drop),
            Err(error) => Err(error),
        };
        errors.push(format!("{pointer}: {}", opened.unwrap_err()));
    }
    insta::assert_snapshot!(errors.join("\n"), @r"
    /key: keys has format 2, and this version reads up to 1
    /wrapped_by: keys is not a valid key document: it is wrapped by `magic`, which is unknown
    /wrapped_by: keys is not a valid key document: a key has no `plain`
    /kdf/algorithm: keys is not a valid key document: its `kdf` is `md5`, and this version supports only `argon2id`
    /kdf/memory_kib: keys is not a valid key document: the parameters of its `kdf` are invalid
    /kdf/iterations: keys is not a valid key document: the parameters of its `kdf` are invalid
    /kdf/salt: keys is not a valid key document: the salt of its `kdf` is invalid
    /current/sealed: the passphrase does not unwrap the key in keys
    /current/id: the passphrase does not unwrap the key in keys
    ");

    let plain = KeyDocument::close(&ring, &Wrapping::Plain, "keys").await.unwrap();
    let other = plain.text().replace(ring.current.id(), "00000000");
    let error = KeyDocument::parse(other, "keys").unwrap().open(&Unlock::default()).await.unwrap_err();
    assert!(matches!(error, KeyError::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn key_of_the_first_versions_can_be_rotated_and_wrapped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secrets.key");
    let legacy = DataKey::random().unwrap();
    fs::write(&path, hex::encode(legacy.bytes())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = FileStore::new(directory.path());
    let error = store.seal().await.err().unwrap();
    insta::assert_snapshot!(error.diagnostic().to_string().replace(&*path.to_string_lossy(), "FILE"), @r"
    error: FILE can be read by other users (mode 644)
      hint: run `chmod 600 FILE`
    ");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    // Its secrets do not name the key.
    let sealed = legacy.seal("hunter2").unwrap();
    let (_, sealed) = sealed.split_once(':').unwrap();
    store
        .put_document("p", "dev", "config.json", format!(r#"{{"a": {{"$secret": "{sealed}"}}}}"#).as_bytes())
        .await
        .unwrap();
    let config = StackConfig::open(&store, "p", "dev").await.unwrap();
    assert_eq!(config["a"].text(), "hunter2");

    let rotation = rotate(&store).await.unwrap();
    assert_eq!((rotation.from.as_str(), rotation.stacks, rotation.finished), (legacy.id(), 1, false));
    let store = FileStore::new(directory.path());
    assert_eq!(StackConfig::open(&store, "p", "dev").await.unwrap()["a"].text(), "hunter2");
    rewrap(&store, by_passphrase("correct horse")).await.unwrap();

    let store = FileStore::new(directory.path()).unlocked_by(opened_by("correct horse"));
    assert_eq!(StackConfig::open(&store, "p", "dev").await.unwrap()["a"].text(), "hunter2");
    let before = fs::read(&path).unwrap();
    let locked = FileStore::new(directory.path()).unlocked_by(opened_by("battery staple"));
    assert!(matches!(
        rotate(&locked).await,
        Err(RotationError::Store(StoreError::Key(KeyError::WrongPassphrase { .. })))
    ));
    assert!(matches!(rewrap(&locked, Wrapping::Plain).await, Err(StoreError::Key(KeyError::WrongPassphrase { .. }))));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn key_decrypts_only_its_own_ciphertexts() {
    let key = DataKey::random().unwrap();
    let sealed = key.seal("hunter2").unwrap();
    assert!(sealed.starts_with(key.id()) && !sealed.contains("hunter2"));
    assert_eq!(key.unseal(&sealed).unwrap(), "hunter2");
    assert!(DataKey::random().unwrap().unseal(&sealed).is_err());
    let (_, unnamed) = sealed.split_once(':').unwrap();
    assert_eq!(key.unseal(unnamed).unwrap(), "hunter2", "the first versions did not name the key");
    assert_eq!(DataKey::from_bytes(key.bytes()).unwrap().id(), key.id());
    assert!(DataKey::from_bytes(&[0; 31]).is_none());
    assert_eq!(format!("{key:?}"), format!("DataKey({})", key.id()));
}

proptest! {
    #[test]
    fn rotation_preserves_any_text(plain in any::<String>()) {
        let old = KeyRing::of(DataKey::random().unwrap());
        let sealed = old.seal(&plain).unwrap();
        let both = KeyRing { current: DataKey::random().unwrap(), retiring: Some(old.current) };
        prop_assert_eq!(both.unseal(&sealed).unwrap(), plain.clone());
        let document = serde_json::json!({"a": {"$secret": sealed}, "b": plain}).to_string();
        let rewritten = rotation::reseal(&document, &both).unwrap().unwrap();
        let new = KeyRing::of(both.current);
        let json: serde_json::Value = serde_json::from_str(&rewritten).unwrap();
        let again = json["a"]["$secret"].as_str().unwrap();
        prop_assert_eq!(new.unseal(again).unwrap(), plain.clone());
        prop_assert_eq!(json["b"].as_str().unwrap(), plain);
        prop_assert!(new.unseal(&sealed).is_err());
        prop_assert_eq!(rotation::reseal(&rewritten, &new).unwrap(), None);
    }
}

/// A key service that counts how often it unwraps.
struct Service {
    key: DataKey,
    unwrapped: AtomicUsize,
    refuses: bool,
}

#[async_trait]
impl KeyWrapper for Service {
    fn url(&self) -> String {
        "test://key".into()
    }

    fn describe(&self) -> String {
        "the test's key".into()
    }

    async fn wrap(&self, key: &[u8]) -> Result<String, KeyError> {
        self.key.seal(&hex::encode(key)).map_err(|_| KeyError::Seal)
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.unwrapped.fetch_add(1, Ordering::Relaxed);
        if self.refuses {
            return Err(KeyError::Wrapper { wrapper: self.describe(), reason: "AccessDenied".into() });
        }
        let plain = self.key.unseal(wrapped).map_err(|_| KeyError::Seal)?;
        Ok(Zeroizing::new(hex::decode(plain).unwrap()))
    }
}

#[tokio::test]
async fn key_service_is_called_once_and_must_unwrap_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let service =
        |refuses| Arc::new(Service { key: DataKey::random().unwrap(), unwrapped: AtomicUsize::new(0), refuses });
    let refusing = service(true);
    let store = FileStore::new(directory.path());
    StackConfig::change(&store, "p", "dev", &[ConfigChange::Set("a".into(), ConfigValue::secret("x"))]).await.unwrap();
    let path = directory.path().join("secrets.key");
    let before = fs::read(&path).unwrap();
    let error = rewrap(&store, Wrapping::Key(refusing)).await.unwrap_err();
    assert_eq!(error.to_string(), "the test's key refused: AccessDenied");
    assert_eq!(fs::read(&path).unwrap(), before);

    let good = service(false);
    rewrap(&store, Wrapping::Key(good.clone())).await.unwrap();
    let factory: WrapperFactory = {
        let good = good.clone();
        Arc::new(move |_| Ok(good.clone()))
    };
    let store = FileStore::new(directory.path()).unlocked_by(Unlock::default().wrapper("test", factory));
    let before = good.unwrapped.load(Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(StackConfig::open(&store, "p", "dev").await.unwrap()["a"].text(), "x");
    }
    assert_eq!(good.unwrapped.load(Ordering::Relaxed), before + 1);

    let without = FileStore::new(directory.path());
    let error = StackConfig::open(&without, "p", "dev").await.unwrap_err();
    insta::assert_snapshot!(error.diagnostic(), @r"
    error: the key is wrapped by `test://key`, and this binary does not support `test://`
      hint: use a binary that adds this key service with `Cli::wrapper`
    ");
}

thread_local! {
    static STEPS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The panic payload of a killed step.
struct Killed;

/// Runs the work on this thread and kills it at the boundary with this number; `None` if it was killed.
fn killed_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        boundary::listen(|_| {
            STEPS.with(|left| match left.get() {
                Some(0) => {
                    left.set(None);
                    panic::resume_unwind(Box::new(Killed));
                }
                Some(steps) => left.set(Some(steps - 1)),
                None => {}
            });
        });
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    STEPS.set(Some(steps));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
    STEPS.set(None);
    match outcome {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Killed>() => None,
        Err(other) => panic::resume_unwind(other),
    }
}

fn secret(text: &str) -> Value {
    Value::from(text).into_secret()
}

/// Creates two stacks: one with two snapshots, a journal and a configuration, and one with only a configuration.
async fn fill(store: &FileStore) {
    let outputs = |text: &str| Entry::Outputs(BTreeMap::from([("a".to_owned(), secret(text))]));
    for text in ["first", "second"] {
        let mut session = store.open("p", "dev").await.unwrap();
        let mut state = session.state.clone();
        session.journal.append(outputs(text)).await.unwrap();
        state.apply(outputs(text));
        session.fold(&mut state).await.unwrap();
    }
    let session = store.open("p", "dev").await.unwrap();
    session.journal.append(outputs("third")).await.unwrap();
    drop(session);
    for stack in ["dev", "new"] {
        let change = ConfigChange::Set("password".into(), ConfigValue::secret("hunter2"));
        StackConfig::change(store, "p", stack, &[change]).await.unwrap();
    }
}

async fn check(store: &FileStore) {
    let state = store.peek("p", "dev").await.unwrap().unwrap();
    assert_eq!(state.outputs["a"], secret("third"));
    for stack in ["dev", "new"] {
        assert_eq!(StackConfig::open(store, "p", stack).await.unwrap()["password"].text(), "hunter2");
    }
    // The previous snapshot is only for manual recovery, but it must be readable.
    let previous = fs::read(store.directory_of("p", "dev").join("state.json.previous")).unwrap();
    let seal = store.seal().await.unwrap();
    let previous: crate::state::State = crate::value::sealing(&seal, || serde_json::from_slice(&previous)).unwrap();
    assert_eq!(previous.outputs["a"], secret("first"));
}

fn copy(directory: &Path) -> tempfile::TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() {
                into(&path, &to);
            } else {
                fs::copy(&path, to).unwrap();
            }
        }
    }
    let copy = tempfile::tempdir().unwrap();
    into(directory, copy.path());
    copy
}

fn mentions(directory: &Path, needle: &str) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return mentions(&path, needle);
        }
        let left_over = path.extension().is_some_and(|extension| extension == "next");
        !left_over && String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(needle)
    })
}

#[test]
fn rotation_killed_at_any_step_keeps_secrets_readable_and_is_resumed() {
    for wrapped in [false, true] {
        let store_in = |directory: &Path| FileStore::new(directory).unlocked_by(opened_by("correct horse"));
        let filled = tempfile::tempdir().unwrap();
        let old = killed_after(usize::MAX, async {
            let store = store_in(filled.path());
            fill(&store).await;
            if wrapped {
                rewrap(&store, by_passphrase("correct horse")).await.unwrap();
            }
            key_status(&store).await.unwrap().unwrap().current
        })
        .unwrap();
        let mut steps = 0;
        loop {
            let directory = copy(filled.path());
            let rotated = killed_after(steps, async { rotate(&store_in(directory.path())).await.unwrap() });
            killed_after(usize::MAX, async {
                let store = store_in(directory.path());
                check(&store).await;
                let began = key_status(&store).await.unwrap().unwrap().retiring.is_some();
                if rotated.is_none() {
                    let again = rotate(&store).await.unwrap();
                    assert_eq!(again.finished, began);
                }
                check(&store).await;
                let status = key_status(&store).await.unwrap().unwrap();
                assert_eq!((status.current == old, status.retiring), (false, None));
                assert!(
                    !mentions(directory.path(), &old),
                    "killed after {steps} steps: something is under the old key"
                );
            });
            if rotated.is_some() {
                break;
            }
            steps += 1;
        }
        assert!(steps > 15, "only {steps} steps were seen");
    }
}

#[test]
fn rewrap_killed_at_any_step_leaves_the_previous_or_the_new_wrapping() {
    let filled = tempfile::tempdir().unwrap();
    killed_after(usize::MAX, fill(&FileStore::new(filled.path())));
    let mut steps = 0;
    loop {
        let directory = copy(filled.path());
        let store = FileStore::new(directory.path());
        let done = killed_after(steps, async { rewrap(&store, by_passphrase("correct horse")).await.unwrap() });
        let store = FileStore::new(directory.path()).unlocked_by(opened_by("correct horse"));
        killed_after(usize::MAX, check(&store));
        if done.is_some() {
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 3);
}

#[tokio::test]
async fn locked_stack_keeps_the_previous_key_until_it_is_released() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    fill(&store).await;
    let session = store.open("p", "dev").await.unwrap();
    let error = rotate(&store).await.unwrap_err();
    assert!(matches!(&error, RotationError::Stack { stack, error: StoreError::Locked { .. }, .. } if stack == "dev"));
    assert!(error.diagnostic().hint.unwrap().contains("run `secrets rotate` again"));
    // The holder continues with its key.
    let entry = Entry::Outputs(BTreeMap::from([("a".to_owned(), secret("third"))]));
    session.journal.append(entry).await.unwrap();
    drop(session);
    check(&store).await;
    // A rewrapping in between keeps both keys.
    assert!(rewrap(&store, by_passphrase("correct horse")).await.unwrap().retiring.is_some());
    let store = FileStore::new(directory.path()).unlocked_by(opened_by("correct horse"));
    check(&store).await;
    assert!(rotate(&store).await.unwrap().finished);
    check(&store).await;
}

/// Every step runs as a separate process: opened keys are not shared.
#[test]
fn concurrent_writers_and_rotations_lose_no_secret() {
    fn alone<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }
    let directory = tempfile::tempdir().unwrap();
    let store = || FileStore::new(directory.path());
    alone(fill(&store()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut done = 0;
            while done < 5 {
                match alone(rotate(&store())) {
                    Ok(_) => done += 1,
                    Err(RotationError::Stack { error: StoreError::Locked { .. }, .. }) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        scope.spawn(|| {
            for round in 0..10 {
                let change = ConfigChange::Set(format!("key{round}"), ConfigValue::secret("x"));
                alone(StackConfig::change(&store(), "p", "dev", &[change])).unwrap();
                assert_eq!(alone(StackConfig::open(&store(), "p", "dev")).unwrap().len(), round + 2);
            }
        });
        scope.spawn(|| {
            let mut done = 0;
            while done < 10 {
                alone(async {
                    match store().open("p", "dev").await {
                        Ok(session) => {
                            let outputs = BTreeMap::from([("a".to_owned(), secret(&format!("round {done}")))]);
                            session.journal.append(Entry::Outputs(outputs.clone())).await.unwrap();
                            drop(session);
                            assert_eq!(store().peek("p", "dev").await.unwrap().unwrap().outputs, outputs);
                            done += 1;
                        }
                        Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                });
            }
        });
    });
    let config = alone(StackConfig::open(&store(), "p", "dev")).unwrap();
    assert!(config.values().filter(|value| value.text() == "x").count() == 10, "{config:?}");
    assert_eq!(alone(store().peek("p", "dev")).unwrap().unwrap().outputs["a"], secret("round 9"));
}

#[tokio::test]
async fn concurrent_replacements_of_the_key_document_do_not_both_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    let was = store.ensure_key_document().await.unwrap();
    rewrap(&store, by_passphrase("correct horse")).await.unwrap();
    let error = store.put_key_document(Some(&was), &was).await.unwrap_err();
    assert!(matches!(error, StoreError::Key(KeyError::Changed { .. })), "{error}");
    let error = store.put_key_document(None, &was).await.unwrap_err();
    assert!(matches!(error, StoreError::Key(KeyError::Changed { .. })), "{error}");
}

#[test]
fn rotation_rewrites_only_secrets() {
    let old = KeyRing::of(DataKey::random().unwrap());
    let sealed = old.seal("x").unwrap();
    let ring = KeyRing { current: DataKey::random().unwrap(), retiring: Some(old.current.clone()) };
    let trap =
        serde_json::json!({"abc\"$secret": "x", "$$secret": "y", "text": "{\"$secret\": \"z\"}", "n": 1.0}).to_string();
    assert_eq!(reseal(&trap, &ring), Ok(None));
    let text = format!("{{\"a\":\n {{\"$secret\" : \"{sealed}\"}},\n \"b\": {trap}}}");
    let again = reseal(&text, &ring).unwrap().unwrap();
    assert!(again.ends_with(&format!("\"}},\n \"b\": {trap}}}")) && !again.contains(&sealed));
    let stranger = KeyRing::of(DataKey::random().unwrap());
    assert_eq!(reseal(&text, &stranger), Err(2));
}
