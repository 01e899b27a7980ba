//! Observations on the database servers of RDS: open connections, and the lag of replicas; the source of their metrics.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Activity of all database servers. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Databases(Arc<Mutex<Observed>>);

#[derive(Debug, Default)]
struct Observed {
    /// Number of open connections by address of the server.
    connections: BTreeMap<SocketAddr, u64>,
    /// Lag of replicas that replicate, by resource id.
    lags: BTreeMap<String, Duration>,
}

/// An open connection of a client to a server, which is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    server: SocketAddr,
    databases: Databases,
}

impl Databases {
    /// Counts a connection to a server.
    pub(crate) fn connect(&self, server: SocketAddr) -> OpenConnection {
        *self.lock().connections.entry(server).or_default() += 1;
        OpenConnection { server, databases: self.clone() }
    }

    /// Returns the number of open connections to a server.
    pub(crate) fn connections(&self, (address, port): (Ipv4Addr, u16)) -> u64 {
        self.lock().connections.get(&SocketAddr::from((address, port))).copied().unwrap_or_default()
    }

    /// Sets the lag of a replica; `None` when it does not replicate.
    pub(crate) fn set_lag(&self, resource_id: &str, lag: Option<Duration>) {
        let mut observed = self.lock();
        match lag {
            Some(lag) => observed.lags.insert(resource_id.to_owned(), lag),
            None => observed.lags.remove(resource_id),
        };
    }

    /// Returns the lag of a replica that replicates.
    pub(crate) fn lag(&self, resource_id: &str) -> Option<Duration> {
        self.lock().lags.get(resource_id).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut observed = self.databases.lock();
        if let Some(count) = observed.connections.get_mut(&self.server) {
            *count -= 1;
            if *count == 0 {
                observed.connections.remove(&self.server);
            }
        }
    }
}
