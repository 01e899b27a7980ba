//! The files provider of the examples.
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
async fn manual_changes_are_reverted() {
    let root = tempfile::tempdir().unwrap();
    let (engine, file) = (engine(), root.path().join("notes/today"));
    assert!(engine.up(&program(root.path(), 0o600)).refresh_first(true).await.unwrap().is_success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(&file, "do nothing").unwrap();
    assert!(engine.up(&program(root.path(), 0o640)).refresh_first(true).await.unwrap().is_success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "water the plants");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);

    fs::remove_file(&file).unwrap();
    assert!(engine.up(&program(root.path(), 0o640)).refresh_first(true).await.unwrap().is_success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "water the plants");

    assert!(engine.destroy(&program(root.path(), 0o640)).refresh_first(true).await.unwrap().is_success());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn foreign_files_are_neither_adopted_nor_deleted() {
    let root = tempfile::tempdir().unwrap();
    let (engine, foreign) = (engine(), root.path().join("notes"));
    fs::create_dir(&foreign).unwrap();
    let report = engine.up(&program(root.path(), 0o644)).await.unwrap();
    assert!(report.failures[0].summary.contains("already exists"), "{}", report.failures[0]);
    assert!(foreign.is_dir());

    fs::remove_dir(&foreign).unwrap();
    assert!(engine.up(&program(root.path(), 0o644)).await.unwrap().is_success());
    fs::write(foreign.join("letter"), "from someone else").unwrap();
    let report = engine.destroy(&program(root.path(), 0o644)).await.unwrap();
    assert!(report.failures[0].summary.contains("still contains `letter`"), "{}", report.failures[0]);
    assert!(foreign.join("letter").is_file() && !foreign.join("today").exists());

    fs::remove_file(foreign.join("letter")).unwrap();
    assert!(engine.destroy(&program(root.path(), 0o644)).await.unwrap().is_success());
    assert!(!foreign.exists());
}

#[tokio::test]
async fn path_outside_of_the_root_is_refused_in_the_preview() {
    let root = tempfile::tempdir().unwrap();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.provide("files", || provider(root.path()));
        stack.add("out", Directory::at("../out"));
        stack.add("name", File::new("notes", "a/b", ""));
        Ok(())
    };
    let error = engine().preview(&program).await.unwrap_err().to_string();
    assert!(error.contains("`path`: `../out` is outside of the provider's root"), "{error}");
    assert!(error.contains("`name`: `a/b` is not a valid file name"), "{error}");
}
