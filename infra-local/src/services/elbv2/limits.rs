//! Quotas of application load balancers: AWS's defaults, which are described and enforced.

use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

use super::{PAGES, page};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeAccountLimits", describe, &[PAGES]).on_any()];

pub(super) const LOAD_BALANCERS: &str = "application-load-balancers";
pub(super) const TARGET_GROUPS: &str = "target-groups";
pub(super) const TARGETS_PER_GROUP: &str = "targets-per-target-group";
pub(super) const LISTENERS: &str = "listeners-per-application-load-balancer";
pub(super) const RULES: &str = "rules-per-application-load-balancer";
pub(super) const CERTIFICATES: &str = "certificates-per-application-load-balancer";
pub(super) const TARGET_GROUPS_PER_ACTION: &str = "target-groups-per-action-on-application-load-balancer";
pub(super) const VALUES_PER_RULE: &str = "condition-values-per-alb-rule";
pub(super) const WILDCARDS_PER_RULE: &str = "condition-wildcards-per-alb-rule";

const LIMITS: &[(&str, usize)] = &[
    (LOAD_BALANCERS, 50),
    (CERTIFICATES, 25),
    (VALUES_PER_RULE, 5),
    (WILDCARDS_PER_RULE, 6),
    (LISTENERS, 50),
    (RULES, 100),
    (TARGET_GROUPS, 3000),
    (TARGET_GROUPS_PER_ACTION, 5),
    (TARGETS_PER_GROUP, 1000),
    // Quotas of balancers that the local cloud does not create.
    ("certificates-per-network-load-balancer", 25),
    ("gateway-load-balancers", 100),
    ("gateway-load-balancers-per-vpc", 100),
    ("geneve-target-groups", 100),
    ("listeners-per-network-load-balancer", 50),
    ("network-load-balancer-enis-per-vpc", 1200),
    ("network-load-balancers", 50),
    ("target-groups-per-action-on-network-load-balancer", 1),
    ("targets-per-availability-zone-per-gateway-load-balancer", 300),
    ("targets-per-availability-zone-per-network-load-balancer", 500),
    ("targets-per-network-load-balancer", 3000),
];

/// Returns the quota with this name, which must exist.
pub(super) fn of(name: &str) -> usize {
    LIMITS.iter().find(|(other, _)| *other == name).map_or(usize::MAX, |(_, most)| *most)
}

/// Refuses another resource when the quota is reached, with AWS's code for it.
pub(super) fn check(name: &str, count: usize, code: &'static str) -> Outcome<()> {
    let most = of(name);
    if count <= most {
        return Ok(());
    }
    Err(ApiError::new(code, format!("The maximum number of {} is {most}", name.replace('-', " "))))
}

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let page = page(LIMITS.to_vec(), &call.input, |(name, _)| *name)?;
    let shown = page.items.into_iter().map(|(name, most)| Node::new().with("Name", name).with("Max", most.to_string()));
    Ok(Node::new().list("Limits", shown).maybe("NextMarker", page.next))
}
