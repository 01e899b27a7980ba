//! Stacks in files: the remains of a crash are read; a loss or a damage is refused and can be restored.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{state::Entry, value::Value};
use std::collections::BTreeMap;

fn outputs(value: &str) -> Entry {
    Entry::Outputs(BTreeMap::from([("secret".to_owned(), Value::from(value).into_secret())]))
}

#[tokio::test]
async fn names_outside_of_the_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("states"));
    let mut refusals = Vec::new();
    for (program, stack) in [("..", "dev"), ("p", ".."), ("p/q", "dev"), ("p", "")] {
        refusals.extend(store.peek(program, stack).await.err());
        refusals.extend(store.open(program, stack).await.err());
        refusals.extend(store.unlock(program, stack).await.err());
        refusals.extend(store.document(program, stack, "history.json").await.err());
        refusals.extend(store.put_document(program, stack, "history.json", b"").await.err());
        refusals.extend(store.remove_document(program, stack, "history.json").await.err());
    }
    refusals.extend(store.put_document("p", "dev", "../x", b"").await.err());
    assert_eq!(refusals.len(), 25);
    assert!(refusals.iter().all(|refusal| matches!(refusal, StoreError::Name(_))), "{refusals:?}");
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was written");
}

#[tokio::test]
async fn entries_of_a_killed_run_are_read_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    assert!(store.peek("p", "dev").await.unwrap().is_none());
    let session = store.open("p", "dev").await.unwrap();
    assert!(matches!(store.open("p", "dev").await, Err(StoreError::Locked { .. })));
    session.journal.append(outputs("one")).await.unwrap();
    drop(session);

    let journal = directory.path().join("p/dev/journal");
    let mut text = fs::read(&journal).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("one"), "a secret in the clear");
    text.extend(b"0000 half a li");
    fs::write(&journal, text).unwrap();
    let state = store.peek("p", "dev").await.unwrap().unwrap();
    assert_eq!(state.outputs["secret"].as_str(), Some("one"));

    // The next line follows the last complete one.
    let session = store.open("p", "dev").await.unwrap();
    session.journal.append(outputs("two")).await.unwrap();
    drop(session);
    let state = store.peek("p", "dev").await.unwrap().unwrap();
    assert_eq!(state.outputs["secret"].as_str(), Some("two"));
}

#[tokio::test]
async fn journal_older_than_its_snapshot_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    let mut session = store.open("p", "dev").await.unwrap();
    session.journal.append(outputs("old")).await.unwrap();
    let journal = directory.path().join("p/dev/journal");
    let old = fs::read(&journal).unwrap();
    let mut state = session.state.clone();
    state.apply(outputs("new"));
    session.fold(&mut state).await.unwrap();
    drop(session);
    fs::write(&journal, old).unwrap();
    let state = store.peek("p", "dev").await.unwrap().unwrap();
    assert_eq!((state.serial, state.outputs["secret"].as_str()), (1, Some("new")));
    assert!(directory.path().join("p/dev/state.json.previous").exists());
}

/// Creates a stack with two snapshots, both journals, a history, a configuration and a target.
async fn used_stack(directory: &Path) -> (FileStore, State) {
    let store = FileStore::new(directory);
    store.put_document("p", "dev", "config.json", b"{}").await.unwrap();
    store.put_document("p", "dev", "target", b"local").await.unwrap();
    for text in ["first", "second"] {
        let mut session = store.open("p", "dev").await.unwrap();
        let mut state = session.state.clone();
        session.journal.append(outputs(text)).await.unwrap();
        state.apply(outputs(text));
        session.fold(&mut state).await.unwrap();
        session.close().await.unwrap();
        store.put_document("p", "dev", "history.json", b"[]").await.unwrap();
    }
    let state = store.peek("p", "dev").await.unwrap().unwrap();
    (store, state)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn append(store: &FileStore, text: &str) {
    let session = store.open("p", "dev").await.unwrap();
    session.journal.append(outputs(text)).await.unwrap();
    session.close().await.unwrap();
}

/// Returns the error of reading and opening the stack. Neither changes anything.
async fn refused(store: &FileStore, directory: &Path) -> String {
    let before = names(&store.directory_of("p", "dev"));
    let error = store.peek("p", "dev").await.unwrap_err().diagnostic().to_string();
    assert_eq!(store.open("p", "dev").await.map(drop).unwrap_err().diagnostic().to_string(), error);
    assert_eq!(names(&store.directory_of("p", "dev")), before);
    error.replace(directory.to_str().unwrap(), "…")
}

#[tokio::test]
async fn missing_file_is_a_loss_if_an_earlier_run_left_others() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = used_stack(directory.path()).await;
    let files = store.directory_of("p", "dev");
    fs::rename(files.join(JOURNAL), files.join("aside")).unwrap();
    insta::assert_snapshot!(refused(&store, directory.path()).await, @"
    error: …/p/dev/journal is missing, but an earlier run has left state.json
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup; to start over with an empty stack, move these files away
    ");
    fs::rename(files.join("aside"), files.join(JOURNAL)).unwrap();
    fs::remove_file(files.join(SNAPSHOT)).unwrap();
    insta::assert_snapshot!(refused(&store, directory.path()).await, @"
    error: …/p/dev/state.json is missing, but an earlier run has left history.json, journal, journal.previous, state.json.previous
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup; to start over with an empty stack, move these files away
    ");
    // Each of them proves that there was a run.
    let proofs = [PREVIOUS, PREVIOUS_JOURNAL, JOURNAL, "history.json"];
    for proof in proofs {
        for other in proofs.iter().filter(|other| **other != proof) {
            fs::rename(files.join(other), files.join(format!("{other}.aside"))).unwrap();
        }
        assert!(refused(&store, directory.path()).await.contains(&format!("an earlier run has left {proof}\n")));
        for other in proofs.iter().filter(|other| **other != proof) {
            fs::rename(files.join(format!("{other}.aside")), files.join(other)).unwrap();
        }
    }
    // Without them, a configuration and a target belong to a stack without a first run.
    for proof in proofs {
        fs::remove_file(files.join(proof)).unwrap();
    }
    assert_eq!(store.peek("p", "dev").await.unwrap(), None);
    store.open("p", "dev").await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn stack_whose_first_run_was_killed_before_its_snapshot_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    store.open("p", "dev").await.unwrap().close().await.unwrap();
    let files = store.directory_of("p", "dev");
    // A crash between the journal and the first snapshot leaves these files.
    fs::remove_file(files.join(SNAPSHOT)).unwrap();
    fs::write(files.join("state.json.next"), "{").unwrap();
    assert_eq!(store.peek("p", "dev").await.unwrap(), None);
    append(&store, "first").await;
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap().outputs.len(), 1);
}

#[tokio::test]
async fn lost_or_damaged_snapshot_is_restored_without_loss() {
    for (damage, continues) in [(false, false), (true, false), (false, true), (true, true)] {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut state) = used_stack(directory.path()).await;
        if continues {
            append(&store, "third").await;
            state = store.peek("p", "dev").await.unwrap().unwrap();
        }
        let files = store.directory_of("p", "dev");
        let path = files.join(SNAPSHOT);
        let damaged = fs::read_to_string(&path).unwrap().replace("\"serial\": 2", "\"serial\": 3");
        if damage {
            fs::write(&path, &damaged).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let salvage = store.salvage("p", "dev").await.unwrap().unwrap();
        let mut sources = vec![PREVIOUS, PREVIOUS_JOURNAL, JOURNAL];
        if !continues {
            sources.remove(1);
        }
        assert_eq!(
            (&salvage.sources, salvage.unused_lines),
            (&sources.iter().map(|&name| name.to_owned()).collect(), 0)
        );
        assert_eq!(State { serial: state.serial, ..salvage.state.clone() }, state);
        assert!(salvage.state.serial > state.serial);

        let restored = store.restore("p", "dev", &salvage).await.unwrap();
        assert_eq!(store.peek("p", "dev").await.unwrap().unwrap(), salvage.state);
        assert_eq!(restored.kept.contains(&"state.json.damaged-1".to_owned()), damage);
        if damage {
            assert_eq!(fs::read_to_string(files.join("state.json.damaged-1")).unwrap(), damaged);
        }
        append(&store, "after").await;
        assert_eq!(store.peek("p", "dev").await.unwrap().unwrap().outputs["secret"].as_str(), Some("after"));
        let again = store.restore("p", "dev", &salvage).await.unwrap_err();
        assert!(matches!(again, StoreError::NothingToRestore { .. }), "{again}");
    }
}

#[tokio::test]
async fn damaged_journal_is_restored_up_to_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = used_stack(directory.path()).await;
    for text in ["third", "fourth", "fifth", "sixth"] {
        append(&store, text).await;
    }
    let files = store.directory_of("p", "dev");
    let journal = fs::read_to_string(files.join(JOURNAL)).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    fs::write(files.join(JOURNAL), [&lines[..3], &lines[4..]].concat().concat()).unwrap();
    insta::assert_snapshot!(refused(&store, directory.path()).await, @"
    error: …/p/dev/journal: line 4: its number is 4 instead of 3: a line was lost, duplicated, moved or changed
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    let salvage = store.salvage("p", "dev").await.unwrap().unwrap();
    assert_eq!(salvage.state.outputs["secret"].as_str(), Some("fourth"));
    assert_eq!((salvage.sources.join(" "), salvage.unused_lines), ("state.json journal".to_owned(), 1));
    let restored = store.restore("p", "dev", &salvage).await.unwrap();
    assert_eq!(restored.kept, ["journal.damaged-1"]);
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap(), salvage.state);

    fs::remove_file(files.join(JOURNAL)).unwrap();
    let salvage = store.salvage("p", "dev").await.unwrap().unwrap();
    store.restore("p", "dev", &salvage).await.unwrap();
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap().outputs["secret"].as_str(), Some("fourth"));
}

#[tokio::test]
async fn damaged_previous_snapshot_is_not_restored() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = used_stack(directory.path()).await;
    assert_eq!(store.salvage("p", "dev").await.unwrap(), None, "it is sound");
    assert_eq!(store.salvage("p", "other").await.unwrap(), None, "there is no such stack");
    let files = store.directory_of("p", "dev");
    fs::remove_file(files.join(SNAPSHOT)).unwrap();
    fs::write(files.join(PREVIOUS), "{}").unwrap();
    let error = store.salvage("p", "dev").await.unwrap_err().diagnostic().to_string();
    insta::assert_snapshot!(error.replace(directory.path().to_str().unwrap(), "…"), @"
    error: no state can be restored: …/p/dev/state.json is missing, but an earlier run has left history.json, journal, journal.previous, state.json.previous; …/p/dev/state.json.previous: line 1: it has no `version`, so it is not a state
      hint: nothing was changed; restore the files of the stack from a backup, or move them away and `import` the existing resources
    ");
}

#[tokio::test]
async fn files_of_version_1_are_converted_and_must_not_contain_checksums() {
    let directory = tempfile::tempdir().unwrap();
    let (store, state) = used_stack(directory.path()).await;
    let files = store.directory_of("p", "dev");
    let seal = store.seal().await.unwrap();
    let legacy = State { version: 1, ..state.clone() };
    let text = crate::value::sealing(&seal, || serde_json::to_string_pretty(&legacy)).unwrap();
    let json = lines::json(&outputs("third"), &seal).unwrap();
    let sum = crc32fast::hash(json.as_bytes());
    let journal = format!("infra journal on snapshot {}\n{sum:08x} {json}\n", state.serial);
    let write = |text: &str| {
        fs::write(files.join(SNAPSHOT), text).unwrap();
        fs::write(files.join(JOURNAL), &journal).unwrap();
        fs::write(files.join("history.json"), "[]").unwrap();
    };
    // The journal exists only after an entry.
    write(&text);
    fs::remove_file(files.join(JOURNAL)).unwrap();
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap(), state);
    write(&text);
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap().outputs["secret"].as_str(), Some("third"));
    assert_eq!(store.document("p", "dev", "history.json").await.unwrap().unwrap(), b"[]");
    store.open("p", "dev").await.unwrap().close().await.unwrap();
    let read = store.peek("p", "dev").await.unwrap().unwrap();
    assert_eq!((read.version, read.outputs["secret"].as_str()), (crate::state::VERSION, Some("third")));
    let written = fs::read_to_string(files.join(SNAPSHOT)).unwrap();
    assert!(crate::store::source::is_sound(written.as_bytes()));
    append(&store, "fourth").await;
    assert_eq!(store.peek("p", "dev").await.unwrap().unwrap().outputs["secret"].as_str(), Some("fourth"));

    // A file in the new format that claims the old version.
    fs::write(files.join(SNAPSHOT), written.replace("\"version\": 2", "\"version\": 1")).unwrap();
    insta::assert_snapshot!(refused(&store, directory.path()).await, @"
    error: …/p/dev/state.json: line 2: it has checksums, which format 1 does not have: it was changed
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    fs::write(files.join(SNAPSHOT), &written).unwrap();
    fs::write(
        files.join(JOURNAL),
        journal.replace(&format!("snapshot {}", state.serial), &format!("snapshot {}", read.serial)),
    )
    .unwrap();
    insta::assert_snapshot!(refused(&store, directory.path()).await, @"
    error: …/p/dev/journal: line 1: its header has no checksum, although its snapshot has one
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
}

#[tokio::test]
async fn damaged_document_is_refused_with_its_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = used_stack(directory.path()).await;
    let files = store.directory_of("p", "dev");
    let mut errors = Vec::new();
    for name in ["config.json", "history.json", "target"] {
        let text = fs::read_to_string(files.join(name)).unwrap();
        let (first, content) = text.split_once('\n').unwrap();
        fs::write(files.join(name), format!("{first}\n{content} ")).unwrap();
        let error = store.document("p", "dev", name).await.unwrap_err();
        errors.push(error.diagnostic().to_string().replace(directory.path().to_str().unwrap(), "…"));
    }
    insta::assert_snapshot!(errors.join("\n"), @"
    error: …/p/dev/config.json: line 1: it does not match its checksum: it was changed, or another document was put in its place
      hint: nothing was changed; restore the file from a backup, or remove it and set its values again with `config set`
    error: …/p/dev/history.json: line 1: it does not match its checksum: it was changed, or another document was put in its place
      hint: nothing was changed; restore the file from a backup, or remove it: only `history` and `rollback` need it
    error: …/p/dev/target: line 1: it does not match its checksum: it was changed, or another document was put in its place
      hint: nothing was changed; restore the file from a backup
    ");
}
