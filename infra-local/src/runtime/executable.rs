//! This executable, started again for a task that needs a process of its own.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set in the environment of such a process. An executable whose `main` does not begin with
/// [`enable_launcher`](crate::enable_launcher) would run its own program instead of the task: where the variable is set, no
/// cloud starts.
pub(super) const MARK: &str = "INFRA_LAUNCH";

/// True when this executable can be started again.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Records that this executable runs the tasks that its first argument names.
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

/// Builds the command of a task, with no environment but the search path. `None` if this executable cannot be started
/// again.
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
