//! Limit of the open files and sockets of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that are reserved for other purposes than clients of balancers: connections to targets, the
/// endpoint, files.
const RESERVED: u64 = 2048;

/// Raises the limit as far as possible without additional privileges, because balancers have many clients.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Returns the maximum number of concurrent clients of a listener; others wait to be accepted.
pub(crate) fn for_clients() -> usize {
    const MOST: u64 = 100_000;
    let open = getrlimit(Resource::Nofile).current.unwrap_or(MOST);
    let clients = open.saturating_sub(RESERVED).clamp(256, MOST);
    usize::try_from(clients).unwrap_or(usize::MAX)
}
