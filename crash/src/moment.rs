//! The moments at which a process can be made to die.

use infra_core::boundary;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Mutex, OnceLock, PoisonError},
};

/// One boundary of a command, such as the third `ProviderAnswer`. Counting per name keeps moments apart even when
/// operations that run at once come in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The boundary's name: one of [`boundary::Boundary`]'s, `WorldCommit` or `WorldCommitted`.
    pub name: String,
    /// Which of them, from 1.
    pub nth: u32,
}

/// How often each boundary was reached.
pub type Counts = BTreeMap<String, u32>;

/// The world is about to change.
pub const WORLD_COMMIT: &str = "WorldCommit";
/// The world has changed, and nobody has been told.
pub const WORLD_COMMITTED: &str = "WorldCommitted";

type Listener = dyn Fn(&str) + Send + Sync;

static LISTENER: OnceLock<Box<Listener>> = OnceLock::new();
static COUNTS: Mutex<Counts> = Mutex::new(Counts::new());

/// Counts this process's boundaries from now on, calls `seen` at each, and ends the process at `last` by SIGKILL.
pub fn listen(last: Option<Moment>, seen: impl Fn(&str) + Send + Sync + 'static) {
    let reached = move |name: &str| {
        seen(name);
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        if last.as_ref().is_some_and(|last| last.name == name && last.nth == *count) {
            die();
        }
    };
    if LISTENER.set(Box::new(reached)).is_ok() {
        boundary::listen(|boundary| self::reached(&boundary.to_string()));
    }
}

/// Tells that the process has come to a boundary.
pub fn reached(name: &str) {
    if let Some(listener) = LISTENER.get() {
        listener(name);
    }
}

/// How often each boundary has been reached.
pub fn counts() -> Counts {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The kernel ends the process: nothing is unwound, flushed or dropped.
fn die() -> ! {
    // It cannot fail: the process exists and may signal itself.
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
        let wrong = || format!("`{text}` is no moment: write one as ProviderAnswer.3");
        let (name, nth) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self { name: name.to_owned(), nth: nth.parse().map_err(|_| wrong())? })
    }
}
