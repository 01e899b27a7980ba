//! Memory of the console, which runs for days and reads the whole state for a page.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// Milliseconds after which mimalloc, the allocator of the `stack` command, returns freed memory to the operating system.
/// Its threads otherwise keep what they have used once: 59 MB instead of 15 MB with 10,000 resources.
/// <https://microsoft.github.io/mimalloc/environment.html>
pub(crate) const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Starts this executable again, in the same process, with an allocator that returns freed memory at once. mimalloc reads
/// its options before `main`. Other allocators ignore the variable.
pub(crate) fn return_freed_memory() {
    if env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let Ok(executable) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(executable);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // If it returns, the console continues with more memory.
    let _ = command.args(arguments).env(PURGE_DELAY, "0").exec();
}
