//! The user that runs a database server, if the test runs as root, which database servers refuse.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use tempfile::TempDir;

/// Returns a directory for a server. With root, also the user and the group to which it belongs.
pub(super) fn directory(prefix: &str) -> (TempDir, Option<(u32, u32)>) {
    let directory = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    let is_root = fs::metadata(directory.path()).unwrap().uid() == 0;
    let user = is_root.then(unprivileged_user);
    if let Some((uid, gid)) = user {
        chown(directory.path(), Some(uid), Some(gid)).unwrap();
    }
    (directory, user)
}

/// Returns the user `postgres`, or else `nobody`.
fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string(Path::new("/etc/passwd")).unwrap();
    let ids = |name: &str| {
        let mut fields =
            users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .expect("a user named `postgres` or `nobody`, since database servers refuse root")
}
