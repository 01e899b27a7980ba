//! Routes of a listener: rules and actions.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::access_log::{AccessLog, DeliveredLog};
use super::desync::DesyncMode;
use super::matching::Condition;
use super::pool::TargetPool;
use super::random;
use crate::model::elbv2::routing::{FixedResponse, Redirect};

/// Rules and settings of a listener.
#[derive(Clone)]
pub(crate) struct Route {
    /// Rules in the order of priority: the first one whose conditions all match applies.
    pub(crate) rules: Vec<Rule>,
    /// Action for requests that match no rule.
    pub(crate) default: Action,
    pub(crate) settings: Settings,
}

/// Action for the requests that meet all conditions.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) priority: u32,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
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
    /// Stickiness duration of a client to a target group.
    pub(crate) sticky: Option<Duration>,
}

/// Settings that apply to all actions.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Settings {
    /// Idle timeout of a request; AWS's default is 60 s.
    pub(crate) idle_timeout: Duration,
    /// Idle timeout of a client's connection.
    pub(crate) keep_alive: Duration,
    /// True when headers with names that contain other characters than letters, digits and hyphens are removed.
    pub(crate) drop_invalid_headers: bool,
    /// True when targets receive the client's Host header unchanged.
    pub(crate) preserve_host: bool,
    pub(crate) forwarded_for: ForwardedFor,
    /// True when `X-Forwarded-For` contains the client's port.
    pub(crate) client_port: bool,
    /// Names of the headers with TLS version and cipher, which targets receive.
    pub(crate) tls_headers: Option<(HeaderName, HeaderName)>,
    /// True when responses of the balancer contain `server: awselb/2.0`.
    pub(crate) server_header: bool,
    /// Headers of all responses.
    pub(crate) response_headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) desync: DesyncMode,
    /// The log of the balancer's requests.
    pub(crate) access_log: Option<AccessLog>,
    /// The log of requests in a bucket.
    pub(crate) delivered_requests: Option<DeliveredLog>,
    /// The log of connections in a bucket.
    pub(crate) delivered_connections: Option<DeliveredLog>,
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
            desync: DesyncMode::Defensive,
            access_log: None,
            delivered_requests: None,
            delivered_connections: None,
        }
    }
}

impl Route {
    /// Returns the action for a request, and the priority of its rule; 0 for the default action.
    pub(super) fn action(&self, parts: &Parts, client: IpAddr) -> (u32, &Action) {
        let met = |rule: &&Rule| rule.conditions.iter().all(|condition| condition.is_met(parts, client));
        self.rules.iter().find(met).map_or((0, &self.default), |rule| (rule.priority, &rule.action))
    }
}

impl Action {
    /// Returns the action's name in access logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Redirect(_) => "redirect",
            Self::FixedResponse(_) => "fixed-response",
        }
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
