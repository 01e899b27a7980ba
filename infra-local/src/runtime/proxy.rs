//! The reverse proxy of an application balancer, and the health of what it balances over.
//!
//! # Layout
//!
//! - [`listener`]: accepts clients on one port, by HTTP/1.1, or by TLS ([`tls`]) and HTTP/2 as well
//! - [`route`]: rules, whose conditions are [`matching`], and actions
//! - [`forward`]: carries one request to a target and its answer back; [`headers`], [`upload`], [`body`]: the parts of both;
//!   [`answer`]: the balancer's own answers; [`tunnel`]: what has become a WebSocket
//! - [`pool`]: the targets of one target group, and which of them take the next request; [`sticky`]: who stays with whom
//! - [`target`], [`connection`]: one target, and one connection to it, over a [`stream`]; [`workers`]: the threads that all this runs on
//! - [`access_log`]: the logs of requests and connections, in files and in buckets
//! - [`desync`]: requests that servers may delimit differently
//! - [`health`]: the checks, and the states a target goes through

mod access_log;
mod alarm;
mod answer;
mod body;
mod client;
mod connection;
mod desync;
mod forward;
mod headers;
mod health;
mod listener;
mod matching;
mod multiplexed;
mod pool;
mod random;
mod route;
mod sticky;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;
mod upload;
mod workers;

pub(crate) use access_log::{AccessLogs, Deliveries, LogKind, LogPlace};
pub(crate) use desync::DesyncMode;
pub(crate) use health::{CheckPort, HealthCheck, HealthState, TargetHealth};
pub(crate) use listener::{ListenError, ProxyListener};
pub(crate) use pool::{Algorithm, MinimumHealthy, PoolSettings, TargetKey, TargetPool};
pub(crate) use route::{Action, Forward, ForwardedFor, Route, Rule, Settings};
pub(crate) use sticky::Stickiness;
pub(crate) use stream::Transport;
pub(crate) use target::Endpoint;
pub(crate) use tls::{Identity, Tls};
pub(crate) use workers::Workers;
