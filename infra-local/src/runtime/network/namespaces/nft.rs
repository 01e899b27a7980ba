//! The program `nft`, which configures the kernel's packet filter.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Directories of administration programs, which are not on every user's PATH.
const DIRECTORIES: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// Finds the program on the PATH or in the directories of administration programs.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(DIRECTORIES.iter().map(PathBuf::from));
    directories.map(|directory| directory.join("nft")).find(|program| program.is_file())
}

/// Applies a script, in one transaction, to the network namespace of the calling thread.
pub(super) fn apply(script: &str) -> io::Result<()> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the program `nft` was not found");
    let mut child = Command::new(find().ok_or_else(missing)?)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // The program reads the whole script before it writes anything. If it stops early, its output says why.
    let written = child.stdin.take().map(|mut input| input.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.lines().take(3).collect::<Vec<_>>().join(" ");
        return Err(io::Error::other(format!("nft failed ({}): {reason}", output.status)));
    }
    written.unwrap_or(Ok(()))
}
