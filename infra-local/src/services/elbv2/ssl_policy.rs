//! Security policies: which versions of TLS and which ciphers an HTTPS listener takes.
//!
//! A policy here is AWS's of the same name as far as rustls goes: TLS 1.0 and 1.1 and ciphers without forward secrecy or
//! authenticated encryption are never spoken, so they are not shown either.

use super::{PAGES, page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeSSLPolicies", describe, &[&["Names.N", "LoadBalancerType"], PAGES])];

/// What an HTTPS listener has when it is not said.
pub(super) const DEFAULT: &str = "ELBSecurityPolicy-2016-08";

/// A policy: its name, and whether it takes TLS 1.2 and TLS 1.3.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    name: &'static str,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
}

const fn policy(name: &'static str, tls12: bool, tls13: bool) -> Policy {
    Policy { name, tls12, tls13 }
}

const POLICIES: &[Policy] = &[
    policy(DEFAULT, true, false),
    policy("ELBSecurityPolicy-FS-1-2-2019-08", true, false),
    policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", true, false),
    policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", true, false),
    policy("ELBSecurityPolicy-TLS-1-2-2017-01", true, false),
    policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", true, false),
    policy("ELBSecurityPolicy-TLS13-1-2-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-3-2021-06", false, true),
];

/// Ciphers as OpenSSL and AWS call them.
const TLS12_CIPHERS: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];
const TLS13_CIPHERS: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// The policy of a name.
pub(crate) fn find(name: &str) -> Option<Policy> {
    POLICIES.iter().find(|policy| policy.name == name).copied()
}

/// The same for a request.
pub(super) fn check(name: &str) -> Outcome<&str> {
    match find(name) {
        Some(_) => Ok(name),
        None => Err(ApiError::new(
            "SSLPolicyNotFound",
            format!("SSL policy '{name}' not found; DescribeSSLPolicies tells those that the local cloud has"),
        )),
    }
}

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let names = call.input.texts("Names");
    for name in &names {
        check(name)?;
    }
    let of_balancers = call.input.optional("LoadBalancerType").is_none_or(|kind| kind == "application");
    let wanted = POLICIES
        .iter()
        .filter(|policy| of_balancers && (names.is_empty() || names.iter().any(|name| name == policy.name)));
    let page = page(wanted.collect(), &call.input, |policy| policy.name)?;
    Ok(Node::new().list("SslPolicies", page.items.into_iter().map(render)).maybe("NextMarker", page.next))
}

fn render(policy: &Policy) -> Node {
    let versions = [(policy.tls12, "TLSv1.2"), (policy.tls13, "TLSv1.3")];
    let versions = versions.into_iter().filter_map(|(spoken, name)| spoken.then_some(name));
    let ciphers = [(policy.tls13, TLS13_CIPHERS), (policy.tls12, TLS12_CIPHERS)];
    let ciphers = ciphers.into_iter().filter(|(spoken, _)| *spoken).flat_map(|(_, names)| names);
    let ciphers = ciphers.zip(1..).map(|(name, priority)| Node::new().with("Name", *name).with("Priority", priority));
    Node::new()
        .with("Name", policy.name)
        .list("SslProtocols", versions)
        .list("Ciphers", ciphers)
        .list("SupportedLoadBalancerTypes", ["application"])
}
