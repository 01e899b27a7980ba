//! The reverse proxy of an application balancer, and the health of what it balances over.
//!
//! # Layout
//!
//! - [`pool`]: the targets of one target group, which of them take the next request, connections to them
//! - [`health`]: the checks, and the states a target goes through
//! - [`listener`]: accepts clients on one port
//! - [`forward`]: carries one request to a target and its answer back
//! - [`times`]: how long answers took
//! - [`body`]: streaming bodies that notice when nothing moves any more

mod body;
mod forward;
mod health;
mod listener;
mod pool;
#[cfg(test)]
mod tests;
mod times;

pub(crate) use health::{CheckPort, HealthCheck, HealthState, Matcher, TargetHealth};
pub(crate) use listener::{ProxyListener, Route};
pub(crate) use pool::{Algorithm, Endpoint, PoolSettings, TargetKey, TargetPool};
pub(crate) use times::Times;
