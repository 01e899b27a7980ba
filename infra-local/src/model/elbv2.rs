//! Balancers, their listeners, and target groups.

pub(crate) mod attributes;
pub(crate) mod routing;
pub(crate) mod ssl_policy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Region, Tags};
use crate::model::elbv2::routing::{Action, Rule};

/// Elastic Load Balancing's part of a region, each kind by ARN.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Elbv2 {
    pub(crate) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
}

super::changes::record_by_field!(Elbv2 {
    whole: [],
    maps: [load_balancers, listeners, target_groups],
    parts: [],
    children: [],
    apart: [],
});

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
    /// Address of its listeners. An internet-facing balancer has it as its DNS name.
    pub(crate) address: Ipv4Addr,
    /// Attributes that differ from their defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

/// The states of a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BalancerState {
    /// The data plane has not started it yet.
    Provisioning,
    /// It serves.
    Active,
    /// The balancer cannot serve, with the reason.
    Failed(String),
}

/// A port of a balancer, with its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) balancer: String,
    pub(crate) port: u16,
    /// TLS settings of an HTTPS listener; `None` for HTTP.
    pub(crate) tls: Option<Tls>,
    /// Action for requests that match no rule.
    pub(crate) default_action: Action,
    /// Rules by priority.
    pub(crate) rules: BTreeMap<u32, Rule>,
    /// Attributes that differ from their defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

/// TLS settings of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tls {
    /// Name of the security policy.
    pub(crate) policy: String,
    /// ARN of the default certificate, for clients whose server name matches no other certificate.
    pub(crate) certificate: String,
    /// ARNs of the additional certificates.
    pub(crate) others: BTreeSet<String>,
}

/// A group of interchangeable targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) target_type: TargetType,
    /// Protocol and port of the targets; a group of functions has neither, nor a VPC.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) vpc_id: String,
    /// Version of HTTP that the targets receive.
    #[serde(default)]
    pub(crate) version: ProtocolVersion,
    pub(crate) check: Check,
    /// Attributes that differ from their defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) tags: Tags,
}

/// Protocol of targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Protocol {
    #[default]
    Http,
    /// HTTPS, with any certificate of the target.
    Https,
    Tcp,
    Tls,
    Udp,
    TcpUdp,
    Geneve,
    Quic,
    TcpQuic,
}

/// Version of HTTP between a balancer and its targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ProtocolVersion {
    #[default]
    Http1,
    Http2,
    Grpc,
}

/// Kind of the targets of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetType {
    /// By their ids.
    #[default]
    Instance,
    /// By addresses.
    Ip,
    /// A Lambda function.
    Lambda,
    /// An application load balancer behind a network load balancer.
    Alb,
}

/// The declared health check of a target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// False only for functions, which are checked on request.
    #[serde(default = "enabled")]
    pub(crate) enabled: bool,
    /// Path of a check by HTTP or HTTPS; empty otherwise.
    pub(crate) path: String,
    /// `traffic-port` or a number.
    pub(crate) port: String,
    pub(crate) interval_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
    /// Status codes that count as success: `200-399`; codes of gRPC for targets of that version.
    pub(crate) matcher: String,
}

fn enabled() -> bool {
    true
}

/// A registered or draining target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Instance, or address.
    pub(crate) id: String,
    pub(crate) port: u16,
    /// Zone given at the registration of an address outside of the VPC.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// The target receives no new requests, and is forgotten after the deregistration delay.
    pub(crate) draining: bool,
    /// True when a draining target has finished all requests.
    pub(crate) drained: bool,
    pub(crate) health: Health,
}

/// Health of a target, as the runtime has observed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    /// State in AWS's API: `initial`, `healthy`, `unhealthy`, `draining`, `unused`.
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) description: Option<String>,
}

impl Listener {
    /// Returns the protocol's name in AWS's API.
    pub(crate) fn protocol(&self) -> &'static str {
        if self.tls.is_some() { "HTTPS" } else { "HTTP" }
    }

    /// Returns the actions of all rules, the default action last.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rules.values().map(|rule| &rule.action).chain([&self.default_action])
    }

    /// Returns the ARNs of the listener's certificates, the default one first.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &String> {
        self.tls.iter().flat_map(|tls| [&tls.certificate].into_iter().chain(&tls.others))
    }
}

impl Protocol {
    /// Returns the name in AWS's API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Http => "HTTP",
            Protocol::Https => "HTTPS",
            Protocol::Tcp => "TCP",
            Protocol::Tls => "TLS",
            Protocol::Udp => "UDP",
            Protocol::TcpUdp => "TCP_UDP",
            Protocol::Geneve => "GENEVE",
            Protocol::Quic => "QUIC",
            Protocol::TcpQuic => "TCP_QUIC",
        }
    }

    /// Returns the protocol with this name in AWS's API.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Http,
            Self::Https,
            Self::Tcp,
            Self::Tls,
            Self::Udp,
            Self::TcpUdp,
            Self::Geneve,
            Self::Quic,
            Self::TcpQuic,
        ];
        all.into_iter().find(|protocol| protocol.as_str() == name)
    }

    /// Returns whether application load balancers forward to targets of this protocol.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https)
    }
}

impl ProtocolVersion {
    /// Returns the name in AWS's API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP1",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
        }
    }
}

impl TargetType {
    /// Returns the name in AWS's API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
            Self::Lambda => "lambda",
            Self::Alb => "alb",
        }
    }
}

impl TargetGroup {
    /// Registers a target. A draining target becomes a new one; a registered target does not change.
    pub(crate) fn register(&mut self, id: &str, port: u16) {
        let registered = |target: &Target| target.id == id && target.port == port && !target.draining;
        if self.targets.iter().any(registered) {
            return;
        }
        self.targets.retain(|target| target.id != id || target.port != port);
        self.targets.push(Target {
            id: id.to_owned(),
            port,
            zone: None,
            draining: false,
            drained: false,
            health: Health::initial(),
        });
        self.targets.sort_by(|one, other| (&one.id, one.port).cmp(&(&other.id, other.port)));
    }

    /// Starts the draining of a target, on one port or on all of them.
    pub(crate) fn deregister(&mut self, id: &str, port: Option<u16>) {
        for target in &mut self.targets {
            let meant = target.id == id && port.is_none_or(|port| port == target.port);
            if meant && !target.draining {
                target.draining = true;
                target.health = Health::draining();
            }
        }
    }

    /// Returns the target of an instance.
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
    /// Returns the balancers that forward to a target group.
    pub(crate) fn balancers_of(&self, target_group: &str) -> Vec<&LoadBalancer> {
        let listeners = self.elbv2.listeners.values();
        let mut arns: Vec<&String> = listeners
            .filter(|listener| listener.actions().flat_map(Action::target_groups).any(|arn| arn == target_group))
            .map(|listener| &listener.balancer)
            .collect();
        arns.sort();
        arns.dedup();
        arns.into_iter().filter_map(|arn| self.elbv2.load_balancers.get(arn)).collect()
    }
}
