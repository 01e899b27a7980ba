//! The boundaries at which a process can be killed.

use infra_core::boundary;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Mutex, OnceLock, PoisonError},
};

/// One boundary of a command, such as the third `ProviderAnswer`. Boundaries are counted per name, so that a moment is
/// well-defined even though the order of concurrent operations differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Name of the boundary: a [`boundary::Boundary`], `CloudCommit` or `CloudCommitted`.
    pub name: String,
    /// Number of the boundary among those of its name, from 1.
    pub nth: u32,
}

/// Number of times that each boundary was reached.
pub type Counts = BTreeMap<String, u32>;

/// Boundary before a change of the simulated cloud.
pub const CLOUD_COMMIT: &str = "CloudCommit";
/// Boundary after a change of the simulated cloud, before the caller receives the response.
pub const CLOUD_COMMITTED: &str = "CloudCommitted";

type Listener = dyn Fn(&str) + Send + Sync;

static LISTENER: OnceLock<Box<Listener>> = OnceLock::new();
static COUNTS: Mutex<Counts> = Mutex::new(Counts::new());

/// Starts counting the boundaries of this process, calls `seen` at each, and kills the process by SIGKILL at `last`.
pub fn listen(last: Option<Moment>, seen: impl Fn(&str) + Send + Sync + 'static) {
    let reached = move |name: &str| {
        seen(name);
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        if last.as_ref().is_some_and(|last| last.name == name && last.nth == *count) {
            kill_self();
        }
    };
    if LISTENER.set(Box::new(reached)).is_ok() {
        boundary::listen(|boundary| self::reached(&boundary.to_string()));
    }
}

/// Records that the process has reached a boundary.
pub fn reached(name: &str) {
    if let Some(listener) = LISTENER.get() {
        listener(name);
    }
}

/// Returns how often each boundary has been reached.
pub fn counts() -> Counts {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Kills the process by SIGKILL: nothing is unwound, flushed or dropped.
fn kill_self() -> ! {
    // This cannot fail: the process exists and may signal itself.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.nth)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("`{text}` is not a moment: write BOUNDARY.NUMBER, such as ProviderAnswer.3");
        let (name, nth) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self { name: name.to_owned(), nth: nth.parse().map_err(|_| wrong())? })
    }
}
