//! Descriptions of security policies.

use super::{PAGES, page};
use crate::model::Cloud;
pub(super) use crate::model::elbv2::ssl_policy::DEFAULT;
use crate::model::elbv2::ssl_policy::{POLICIES, Policy, find};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeSSLPolicies", describe, &[&["Names.N", "LoadBalancerType"], PAGES]).on_any()];

/// Names of cipher suites in OpenSSL and AWS.
const TLS12_CIPHERS: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const TLS13_CIPHERS: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Checks that the policy of a request exists.
pub(super) fn check(name: &str) -> Outcome<&str> {
    match find(name) {
        Some(_) => Ok(name),
        None => Err(ApiError::new(
            "SSLPolicyNotFound",
            format!("SSL policy '{name}' not found; DescribeSSLPolicies lists the policies of the local cloud"),
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
