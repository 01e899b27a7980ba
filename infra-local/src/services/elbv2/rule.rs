//! Rules of listeners. The default rule is the listener's default action, and is read-only.

use std::collections::BTreeMap;

use super::action::{self, ACTIONS};
use super::condition::{self, CONDITIONS};
use super::limits::{self, RULES};
use super::{
    PAGES, TAGS, check_associations, listener, no_listener, no_rule, not_all_found, number, page, parse_tags, required,
    resource, validation,
};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::elbv2::Listener;
use crate::model::elbv2::routing::Rule;
use crate::model::ids::new_arn_suffix;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateRule", create, &[&["ListenerArn", "Priority"], CONDITIONS, ACTIONS, TAGS])
        .on(&[resource::LISTENER]),
    Operation::reads("DescribeRules", describe, &[&["ListenerArn", "RuleArns.N"], PAGES]).on_any(),
    Operation::writes("ModifyRule", modify, &[&["RuleArn"], CONDITIONS, ACTIONS]).on(&[resource::RULE]),
    Operation::writes(
        "SetRulePriorities",
        set_priorities,
        &[&["RulePriorities.N.RuleArn", "RulePriorities.N.Priority"]],
    )
    .on(&[resource::RULES]),
    Operation::writes("DeleteRule", delete, &[&["RuleArn"]]).on(&[resource::RULE]),
];

const HIGHEST: u32 = 50_000;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let listener_arn = required(params, "ListenerArn")?;
    let priority = priority(params)?;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let owner = listener(region, listener_arn)?;
    if owner.rules.contains_key(&priority) {
        return Err(in_use(priority));
    }
    let of_balancer = region.elbv2.listeners.values().filter(|other| other.balancer == owner.balancer);
    limits::check(RULES, of_balancer.map(|other| other.rules.len()).sum::<usize>() + 1, "TooManyRules")?;
    let conditions = condition::parse(params)?;
    let action = action::parse(region, params, "Actions")?.ok_or_else(|| validation("'Actions' must be specified"))?;
    check_associations(region, owner, &action)?;
    let path = listener_arn.replacen(":listener/", ":listener-rule/", 1);
    let rule = Rule { arn: format!("{path}/{}", new_arn_suffix()), conditions, action, tags };
    let node = answer([render(priority, &rule)]);
    let owner = region.elbv2.listeners.get_mut(listener_arn).ok_or_else(|| no_listener(listener_arn))?;
    owner.rules.insert(priority, rule);
    Ok(node)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let arns = params.texts("RuleArns");
    // Sorted by priority, the default rule last.
    let shown = |listener: &Listener| -> Vec<(String, String, Node)> {
        let rules = listener.rules.iter();
        let rules = rules.map(|(priority, rule)| (format!("{priority:05}"), rule.arn.clone(), render(*priority, rule)));
        rules.chain([("default".to_owned(), default_arn(listener), render_default(listener))]).collect()
    };
    let rules: Vec<(String, Node)> = if arns.is_empty() {
        let arn = required(params, "ListenerArn")
            .map_err(|_| validation("You must specify either listener ARNs or rule ARNs"))?;
        shown(listener(region, arn)?)
            .into_iter()
            .map(|(listener_and_priority, _, node)| (listener_and_priority, node))
            .collect()
    } else {
        let all: Vec<_> = region.elbv2.listeners.values().flat_map(shown).collect();
        if arns.iter().any(|arn| !all.iter().any(|(_, rule, _)| rule == arn)) {
            return Err(not_all_found("RuleNotFound", "rules"));
        }
        let wanted = all.into_iter().filter(|(_, arn, _)| arns.contains(arn));
        wanted.map(|(_, arn, node)| (arn, node)).collect()
    };
    let page = page(rules, params, |(listener_and_priority, _)| listener_and_priority)?;
    Ok(answer(page.items.into_iter().map(|(_, node)| node)).maybe("NextMarker", page.next))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let (owner, priority) = listener_and_priority(region, required(params, "RuleArn")?, "modified")?;
    let owner = listener(region, &owner)?;
    let mut rule = owner.rules.get(&priority).cloned().ok_or_else(|| no_rule(&owner.arn))?;
    if params.has_list("Conditions") {
        rule.conditions = condition::parse(params)?;
    }
    if let Some(action) = action::parse(region, params, "Actions")? {
        check_associations(region, owner, &action)?;
        rule.action = action;
    }
    let node = answer([render(priority, &rule)]);
    let arn = owner.arn.clone();
    if let Some(owner) = region.elbv2.listeners.get_mut(&arn) {
        owner.rules.insert(priority, rule);
    }
    Ok(node)
}

fn set_priorities(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let entries = call.input.structures("RulePriorities");
    if entries.is_empty() {
        return Err(validation("At least one rule priority must be specified"));
    }
    let region = cloud.region_mut(call.region)?;
    // All rules are removed before they are inserted, so that two can swap priorities.
    let mut moved: Vec<(String, u32, Rule)> = Vec::new();
    for entry in &entries {
        let new = priority(entry)?;
        let (owner, old) = listener_and_priority(region, required(entry, "RuleArn")?, "moved")?;
        let listener = region.elbv2.listeners.get_mut(&owner);
        let rule = listener.and_then(|listener| listener.rules.remove(&old)).ok_or_else(|| no_rule(&owner))?;
        moved.push((owner, new, rule));
    }
    if moved.iter().any(|(owner, ..)| *owner != moved[0].0) {
        return Err(validation("All rules must belong to the same listener"));
    }
    let mut shown = BTreeMap::new();
    for (owner, priority, rule) in moved {
        let listener = region.elbv2.listeners.get_mut(&owner).ok_or_else(|| no_listener(&owner))?;
        shown.insert(priority, render(priority, &rule));
        if listener.rules.insert(priority, rule).is_some() {
            return Err(in_use(priority));
        }
    }
    Ok(answer(shown.into_values()))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let (owner, priority) = listener_and_priority(region, required(&call.input, "RuleArn")?, "deleted")?;
    if let Some(listener) = region.elbv2.listeners.get_mut(&owner) {
        listener.rules.remove(&priority);
    }
    Ok(Node::new())
}

/// Returns the listener and the priority of a rule other than a default rule.
fn listener_and_priority(region: &Region, arn: &str, change: &str) -> Outcome<(String, u32)> {
    for listener in region.elbv2.listeners.values() {
        if default_arn(listener) == arn {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("Default rule '{arn}' cannot be {change}; it is deleted with its listener"),
            ));
        }
        if let Some((priority, _)) = listener.rules.iter().find(|(_, rule)| rule.arn == arn) {
            return Ok((listener.arn.clone(), *priority));
        }
    }
    Err(no_rule(arn))
}

fn priority(params: &Params) -> Outcome<u32> {
    number(params, "Priority", 1, HIGHEST)?.ok_or_else(|| validation("'Priority' must be specified"))
}

fn in_use(priority: u32) -> ApiError {
    ApiError::new("PriorityInUse", format!("Priority '{priority}' is currently in use"))
}

fn answer(rules: impl IntoIterator<Item = Node>) -> Node {
    Node::new().list("Rules", rules)
}

fn render(priority: u32, rule: &Rule) -> Node {
    Node::new()
        .with("RuleArn", &rule.arn)
        .with("Priority", priority)
        .list("Conditions", rule.conditions.iter().map(condition::render))
        .with("Actions", action::render(&rule.action))
        .with("IsDefault", false)
}

fn render_default(listener: &Listener) -> Node {
    Node::new()
        .with("RuleArn", default_arn(listener))
        .with("Priority", "default")
        .list("Conditions", Vec::<Node>::new())
        .with("Actions", action::render(&listener.default_action))
        .with("IsDefault", true)
}

/// Returns the default rule's ARN, which is derived from its listener's and repeats its last part.
pub(super) fn default_arn(listener: &Listener) -> String {
    let id = listener.arn.rsplit('/').next().unwrap_or_default();
    format!("{}/{id}", listener.arn.replacen(":listener/", ":listener-rule/", 1))
}
