//! Rules: every listener has the default one.

use super::listener::render_actions;
use super::{PAGES, listener, page, required, validation};
use crate::cloud::Cloud;
use crate::model::balancing::Listener;
use crate::wire::{ApiError, Call, Node, Operation, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeRules", describe, &[&["ListenerArn", "RuleArns.N"], PAGES])];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let arns = params.texts("RuleArns");
    let rules: Vec<(String, &Listener)> = if arns.is_empty() {
        let arn = required(params, "ListenerArn")
            .map_err(|_| validation("You must specify either listener ARNs or rule ARNs"))?;
        let listener = listener(region, arn)?;
        vec![(rule_arn(listener), listener)]
    } else {
        let all = region.balancing.listeners.values();
        let all: Vec<_> = all.map(|listener| (rule_arn(listener), listener)).collect();
        if let Some(missing) = arns.iter().find(|arn| !all.iter().any(|(rule, _)| rule == *arn)) {
            return Err(ApiError::new("RuleNotFound", format!("Rule '{missing}' not found")));
        }
        all.into_iter().filter(|(rule, _)| arns.contains(rule)).collect()
    };
    let page = page(rules, params, |(arn, _)| arn)?;
    let rules = page.items.into_iter().map(|(arn, listener)| {
        Node::new()
            .with("RuleArn", arn)
            .with("Priority", "default")
            .list("Conditions", Vec::<Node>::new())
            .with("Actions", render_actions(&listener.forward))
            .with("IsDefault", true)
    });
    Ok(Node::new().list("Rules", rules).maybe("NextMarker", page.next))
}

/// The default rule's ARN follows from its listener's, whose last part it repeats.
pub(super) fn rule_arn(listener: &Listener) -> String {
    let id = listener.arn.rsplit('/').next().unwrap_or_default();
    format!("{}/{id}", listener.arn.replacen(":listener/", ":listener-rule/", 1))
}
