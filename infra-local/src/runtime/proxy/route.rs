//! Routes of a listener: rules and actions.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::matching::Condition;
use super::pool::TargetPool;
use super::random;
use crate::model::elbv2::routing::{FixedResponse, Redirect};

/// Rules, and how requests and answers are treated.
#[derive(Clone)]
pub(crate) struct Route {
    /// The first whose conditions are all met counts.
    pub(crate) rules: Vec<(Vec<Condition>, Action)>,
    /// For requests that no rule is for.
    pub(crate) default: Action,
    pub(crate) settings: Settings,
}

/// Action for a request.
#[derive(Clone)]
pub(crate) enum Action {
    Forward(Forward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

/// Target groups with their weights.
#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) pools: Vec<(TargetPool, u32)>,
    /// For how long a client stays with the group it came to.
    pub(crate) sticky: Option<Duration>,
}

/// Settings that apply to all actions.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Settings {
    /// Idle timeout of a request; AWS's default is 60 s.
    pub(crate) idle_timeout: Duration,
    /// Limit for the connection of a client.
    pub(crate) keep_alive: Duration,
    /// Drops request headers whose names have other characters than letters, digits and hyphens.
    pub(crate) drop_invalid_headers: bool,
    /// Leaves the Host header as the client wrote it.
    pub(crate) preserve_host: bool,
    pub(crate) forwarded_for: ForwardedFor,
    /// Writes the client's port behind its address.
    pub(crate) client_port: bool,
    /// The headers that tell targets of TLS version and cipher.
    pub(crate) tls_headers: Option<(HeaderName, HeaderName)>,
    /// Shows `awselb/2.0` in the balancer's own answers.
    pub(crate) server_header: bool,
    /// Headers of every answer.
    pub(crate) response_headers: Vec<(HeaderName, HeaderValue)>,
}

/// Treatment of `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardedFor {
    Append,
    Preserve,
    Remove,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(1),
            keep_alive: Duration::from_hours(1),
            drop_invalid_headers: false,
            preserve_host: false,
            forwarded_for: ForwardedFor::Append,
            client_port: false,
            tls_headers: None,
            server_header: true,
            response_headers: Vec::new(),
        }
    }
}

impl Route {
    pub(super) fn action(&self, parts: &Parts, client: IpAddr) -> &Action {
        let met = |conditions: &[Condition]| conditions.iter().all(|condition| condition.is_met(parts, client));
        self.rules.iter().find(|(conditions, _)| met(conditions)).map_or(&self.default, |(_, action)| action)
    }
}

impl Forward {
    /// Chooses a pool in proportion to the weights; `None` when all weights are 0.
    pub(super) fn choose(&self) -> Option<&TargetPool> {
        let total: u64 = self.pools.iter().map(|(_, weight)| u64::from(*weight)).sum();
        match self.pools.as_slice() {
            [(pool, _)] => return Some(pool),
            _ if total == 0 => return None,
            _ => {}
        }
        let mut point = random::below(total);
        self.pools.iter().find_map(|(pool, weight)| {
            let weight = u64::from(*weight);
            if point < weight {
                return Some(pool);
            }
            point -= weight;
            None
        })
    }
}
