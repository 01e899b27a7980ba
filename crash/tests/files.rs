//! The files provider of the examples leaves alone what it has not made, and repairs what it has.
#![allow(clippy::unwrap_used)]

use crash::files::{Directory, File, provider};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn program(root: &Path, mode: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        stack.provide("files", || provider(root));
        let directory = stack.add("notes", Directory::at("notes"));
        stack.add("today", File { mode, ..File::new(&directory.path, "today", "water the plants") });
        Ok(())
    }
}

fn engine() -> Engine {
    Engine::new("notes", "dev", MemoryStore::new())
}

#[tokio::test]
async fn what_was_edited_by_hand_is_repaired() {
    let root = tempfile::tempdir().unwrap();
    let (engine, file) = (engine().refresh_first(true), root.path().join("notes/today"));
    assert!(engine.up(&program(root.path(), 0o600)).await.unwrap().is_success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(&file, "do nothing").unwrap();
    assert!(engine.up(&program(root.path(), 0o640)).await.unwrap().is_success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "water the plants");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);

    fs::remove_file(&file).unwrap();
    assert!(engine.up(&program(root.path(), 0o640)).await.unwrap().is_success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "water the plants");

    assert!(engine.destroy(&program(root.path(), 0o640)).await.unwrap().is_success());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_others_have_made_is_neither_taken_over_nor_deleted() {
    let root = tempfile::tempdir().unwrap();
    let (engine, theirs) = (engine(), root.path().join("notes"));
    fs::create_dir(&theirs).unwrap();
    let report = engine.up(&program(root.path(), 0o644)).await.unwrap();
    assert!(report.failures[0].summary.contains("exists already"), "{}", report.failures[0]);
    assert!(theirs.is_dir());

    fs::remove_dir(&theirs).unwrap();
    assert!(engine.up(&program(root.path(), 0o644)).await.unwrap().is_success());
    fs::write(theirs.join("letter"), "from someone else").unwrap();
    let report = engine.destroy(&program(root.path(), 0o644)).await.unwrap();
    assert!(report.failures[0].summary.contains("still holds `letter`"), "{}", report.failures[0]);
    assert!(theirs.join("letter").is_file() && !theirs.join("today").exists());

    fs::remove_file(theirs.join("letter")).unwrap();
    assert!(engine.destroy(&program(root.path(), 0o644)).await.unwrap().is_success());
    assert!(!theirs.exists());
}

#[tokio::test]
async fn a_path_that_leads_out_of_the_root_is_refused_in_the_preview() {
    let root = tempfile::tempdir().unwrap();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.provide("files", || provider(root.path()));
        stack.add("out", Directory::at("../out"));
        stack.add("name", File::new("notes", "a/b", ""));
        Ok(())
    };
    let error = engine().preview(&program).await.unwrap_err().to_string();
    assert!(error.contains("`path`: `../out` leads out of the provider's root"), "{error}");
    assert!(error.contains("`name`: `a/b` is no name for a file"), "{error}");
}
