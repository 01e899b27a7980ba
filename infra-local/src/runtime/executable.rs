//! Starts this executable again for a task that needs a separate process.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Environment variable of such a process. An executable whose `main` does not begin with
/// [`enable_launcher`](crate::enable_launcher) would run its own program instead of the task, so no cloud starts while
/// the variable is set.
pub(super) const MARK: &str = "INFRA_LAUNCH";

/// True when this executable can be started again.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Records that this executable's `main` runs the task that its first argument names.
pub(super) fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// Returns whether this executable can be started again.
pub(super) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Returns whether this process was started for a task.
pub(crate) fn is_task() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Returns the command of a task, with no environment variable but the search path. `None` if this executable cannot be
/// started again.
pub(super) fn command(task: &str) -> Option<Command> {
    if !is_enabled() {
        return None;
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(task).env_clear().env(MARK, "1");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    Some(command)
}
