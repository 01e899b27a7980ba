//! Balancers, their listeners, and target groups.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Region, Tags};

/// Elastic Load Balancing's part of a region, each kind by ARN.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Balancing {
    pub(crate) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
}

/// An application balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `internet-facing` or `internal`.
    pub(crate) scheme: String,
    pub(crate) vpc_id: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) state: BalancerState,
    /// Where it listens; also its DNS name.
    pub(crate) address: Ipv4Addr,
    /// Those that were changed from their defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

/// The states of a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BalancerState {
    /// The data plane has not looked at it yet.
    Provisioning,
    /// It serves.
    Active,
    /// It cannot serve, for this reason.
    Failed(String),
}

/// A port of a balancer and where it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) balancer: String,
    pub(crate) port: u16,
    /// Target groups and their weights.
    pub(crate) forward: Vec<WeightedGroup>,
    pub(crate) tags: Tags,
}

/// A share of a listener's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WeightedGroup {
    /// ARN of the target group.
    pub(crate) target_group: String,
    pub(crate) weight: u32,
}

/// A group of targets that are equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) vpc_id: String,
    pub(crate) check: Check,
    /// Those that were changed from their defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) tags: Tags,
}

/// The health check of a target group, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) path: String,
    /// `traffic-port` or a number.
    pub(crate) port: String,
    pub(crate) interval_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
    /// Status codes that count as success: `200-399`.
    pub(crate) matcher: String,
}

/// A registered or draining target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Instance.
    pub(crate) id: String,
    pub(crate) port: u16,
    /// No new requests; forgotten after the deregistration delay.
    pub(crate) draining: bool,
    /// Whether a draining target has finished everything.
    pub(crate) drained: bool,
    pub(crate) health: Health,
}

/// What the data plane found out about a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    /// AWS's word: `initial`, `healthy`, `unhealthy`, `draining`, `unused`.
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) description: Option<String>,
}

/// AWS's default of `idle_timeout.timeout_seconds`.
const IDLE_TIMEOUT_SECONDS: u64 = 60;

/// AWS's default of `deregistration_delay.timeout_seconds`.
const DEREGISTRATION_DELAY_SECONDS: u64 = 300;

impl LoadBalancer {
    pub(crate) fn idle_timeout_seconds(&self) -> u64 {
        number(&self.attributes, "idle_timeout.timeout_seconds").unwrap_or(IDLE_TIMEOUT_SECONDS)
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true")
    }
}

impl TargetGroup {
    pub(crate) fn deregistration_delay_seconds(&self) -> u64 {
        number(&self.attributes, "deregistration_delay.timeout_seconds").unwrap_or(DEREGISTRATION_DELAY_SECONDS)
    }

    pub(crate) fn least_outstanding(&self) -> bool {
        let algorithm = self.attributes.get("load_balancing.algorithm.type");
        algorithm.is_some_and(|value| value == "least_outstanding_requests")
    }

    /// Registers a target; one that drains begins anew, one that is registered stays as it is.
    pub(crate) fn register(&mut self, id: &str, port: u16) {
        let registered = |target: &Target| target.id == id && target.port == port && !target.draining;
        if self.targets.iter().any(registered) {
            return;
        }
        self.targets.retain(|target| target.id != id || target.port != port);
        self.targets.push(Target {
            id: id.to_owned(),
            port,
            draining: false,
            drained: false,
            health: Health::initial(),
        });
        self.targets.sort_by(|one, other| (&one.id, one.port).cmp(&(&other.id, other.port)));
    }

    /// Lets a target drain, on one port or on all of them.
    pub(crate) fn deregister(&mut self, id: &str, port: Option<u16>) {
        for target in &mut self.targets {
            let meant = target.id == id && port.is_none_or(|port| port == target.port);
            if meant && !target.draining {
                target.draining = true;
                target.health = Health::draining();
            }
        }
    }

    /// What is known of an instance here, on its registered port.
    pub(crate) fn target(&self, id: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.id == id)
    }
}

impl Health {
    fn initial() -> Self {
        Self {
            state: "initial".to_owned(),
            reason: Some("Elb.RegistrationInProgress".to_owned()),
            description: Some("Target registration is in progress".to_owned()),
        }
    }

    fn draining() -> Self {
        Self {
            state: "draining".to_owned(),
            reason: Some("Target.DeregistrationInProgress".to_owned()),
            description: Some("Target deregistration is in progress".to_owned()),
        }
    }
}

impl Region {
    /// The balancers that lead to a target group.
    pub(crate) fn balancers_of(&self, target_group: &str) -> Vec<&LoadBalancer> {
        let listeners = self.balancing.listeners.values();
        let mut arns: Vec<&String> = listeners
            .filter(|listener| listener.forward.iter().any(|share| share.target_group == target_group))
            .map(|listener| &listener.balancer)
            .collect();
        arns.sort();
        arns.dedup();
        arns.into_iter().filter_map(|arn| self.balancing.load_balancers.get(arn)).collect()
    }
}

fn number(attributes: &BTreeMap<String, String>, key: &str) -> Option<u64> {
    attributes.get(key)?.parse().ok()
}
