//! Reports tests that cannot run on this machine. Crates include this file by `#[path]`.

use std::{
    env,
    fs::OpenOptions,
    io::{Write, stderr},
    thread,
};

/// Reports that the calling test is skipped: on standard error, and in the file that `INFRA_SKIPS` names, with which
/// `.ci/run` fails for a test that `.ci/skips` does not list.
///
/// # Panics
/// If the file cannot be written.
pub(crate) fn skip(reason: &str) {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    // The test harness names the thread of a test after it.
    let line = format!("SKIPPED {package}::{}: {reason}\n", thread::current().name().unwrap_or("main"));
    // `eprintln!` would show the line for a failed test alone.
    let _ = stderr().write_all(line.as_bytes());
    if let Some(path) = env::var_os("INFRA_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "INFRA_SKIPS cannot be written: {written:?}");
    }
}
