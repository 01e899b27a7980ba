//! Tags of balancers, listeners, rules and target groups.

use super::{
    TAGS, no_listener, no_load_balancer, no_rule, no_target_group, parse_tags, resource, tag_error, validation,
};
use crate::model::Cloud;
use crate::model::{Region, Tags};
use crate::services::tags as common_tags;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("AddTags", add, &[ARNS, TAGS]).on(&[resource::TAGGED]),
    Operation::writes("RemoveTags", remove, &[ARNS, &["TagKeys.N"]]).on(&[resource::TAGGED]),
    Operation::reads("DescribeTags", describe, &[ARNS]).on_any(),
];

const ARNS: &[&str] = &["ResourceArns.N"];

fn add(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let new = parse_tags(&call.input)?;
    if new.is_empty() {
        return Err(validation("At least one tag must be specified"));
    }
    let region = cloud.region_mut(call.region)?;
    for arn in arns(&call.input)? {
        let tags = tags_mut(region, &arn)?;
        tags.extend(new.clone());
        common_tags::check(tags).map_err(tag_error)?;
    }
    Ok(Node::new())
}

fn remove(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let keys = call.input.texts("TagKeys");
    let region = cloud.region_mut(call.region)?;
    for arn in arns(&call.input)? {
        tags_mut(region, &arn)?.retain(|key, _| !keys.contains(key));
    }
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let mut shown = Vec::new();
    for arn in arns(&call.input)? {
        let tags = common_tags::members(tags(region, &arn)?);
        shown.push(Node::new().with("ResourceArn", arn).with("Tags", tags));
    }
    Ok(Node::new().list("TagDescriptions", shown))
}

fn arns(params: &Params) -> Outcome<Vec<String>> {
    let arns = params.texts("ResourceArns");
    if (1..=20).contains(&arns.len()) {
        return Ok(arns);
    }
    Err(validation("One to twenty resource ARNs must be specified"))
}

fn tags<'a>(region: &'a Region, arn: &str) -> Outcome<&'a Tags> {
    let balancing = &region.elbv2;
    match kind(arn) {
        "loadbalancer" => super::load_balancer(region, arn).map(|balancer| &balancer.tags),
        "targetgroup" => super::target_group(region, arn).map(|group| &group.tags),
        "listener" => balancing.listeners.get(arn).map(|listener| &listener.tags).ok_or_else(|| no_listener(arn)),
        "listener-rule" => {
            let mut rules = balancing.listeners.values().flat_map(|listener| listener.rules.values());
            rules.find(|rule| rule.arn == arn).map(|rule| &rule.tags).ok_or_else(|| no_rule(arn))
        }
        _ => Err(not_taggable(arn)),
    }
}

fn tags_mut<'a>(region: &'a mut Region, arn: &str) -> Outcome<&'a mut Tags> {
    let balancing = &mut region.elbv2;
    match kind(arn) {
        "loadbalancer" => {
            let found = balancing.load_balancers.get_mut(arn);
            found.map(|balancer| &mut balancer.tags).ok_or_else(|| no_load_balancer(arn))
        }
        "targetgroup" => {
            let found = balancing.target_groups.get_mut(arn);
            found.map(|group| &mut group.tags).ok_or_else(|| no_target_group(arn))
        }
        "listener" => {
            let found = balancing.listeners.get_mut(arn);
            found.map(|listener| &mut listener.tags).ok_or_else(|| no_listener(arn))
        }
        "listener-rule" => {
            let mut rules = balancing.listeners.values_mut().flat_map(|listener| listener.rules.values_mut());
            rules.find(|rule| rule.arn == arn).map(|rule| &mut rule.tags).ok_or_else(|| no_rule(arn))
        }
        _ => Err(not_taggable(arn)),
    }
}

/// Returns the type of resource in an ARN: `loadbalancer`, `targetgroup`, `listener` or `listener-rule`.
fn kind(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    resource.split('/').next().unwrap_or_default()
}

fn not_taggable(arn: &str) -> crate::wire::ApiError {
    validation(format!("'{arn}' is not the ARN of a load balancer, a listener, a rule or a target group"))
}
