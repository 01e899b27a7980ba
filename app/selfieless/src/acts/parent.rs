//! Terminates this process with its parent: an instance must not outlive an orchestrator that was killed.

use kit::settings::{SettingError, Variables};
use rustix::{
    io::Errno,
    process::{Pid, Signal, getppid, set_parent_process_death_signal},
};

/// Error of the link to the parent.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// `EXIT_WITH_PARENT` is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The kernel refused the signal.
    #[error("this process cannot be terminated with its parent: {0}")]
    Refused(#[from] Errno),
    /// The parent has terminated already.
    #[error("the parent process {0} has terminated")]
    Gone(i32),
}

/// Asks the kernel to kill this process when its parent terminates, if `EXIT_WITH_PARENT` is set to the parent's ID.
///
/// # Errors
/// [`ParentError`] if the ID is invalid or not that of the parent.
pub fn exit_with(variables: Variables) -> Result<(), ParentError> {
    let Some(value) = variables("EXIT_WITH_PARENT") else {
        return Ok(());
    };
    let parent = value.parse().ok().filter(|parent| *parent > 0);
    let Some((parent, pid)) = parent.and_then(|parent| Some((parent, Pid::from_raw(parent)?))) else {
        let (name, expected) = ("EXIT_WITH_PARENT", "the ID of a process");
        return Err(SettingError { name, value, expected, default: "no link to the parent".to_owned() }.into());
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have terminated before the kernel was asked.
    if getppid() == Some(pid) { Ok(()) } else { Err(ParentError::Gone(parent)) }
}
