//! Target groups of a group: attached, detached, and as traffic sources.

use super::group::attach;
use super::{NAME, PAGES, named, named_mut, page, required, resource, validation};
use crate::domain::autoscaling::membership::{deregister_member, register_members};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::{Group, Lifecycle};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("AttachLoadBalancerTargetGroups", attach_groups, &[NAME, TARGET_GROUPS]).on(&[resource::GROUP]),
    Operation::writes("DetachLoadBalancerTargetGroups", detach_groups, &[NAME, TARGET_GROUPS]).on(&[resource::GROUP]),
    Operation::reads("DescribeLoadBalancerTargetGroups", describe_groups, &[NAME, PAGES]).on_any(),
    Operation::writes("AttachTrafficSources", attach_sources, &[NAME, SOURCES]).on(&[resource::GROUP]),
    Operation::writes("DetachTrafficSources", detach_sources, &[NAME, SOURCES]).on(&[resource::GROUP]),
    Operation::reads("DescribeTrafficSources", describe_sources, &[NAME, &["TrafficSourceType"], PAGES]).on_any(),
];

const TARGET_GROUPS: &[&str] = &["TargetGroupARNs.N"];
const SOURCES: &[&str] = &["TrafficSources.N.Identifier", "TrafficSources.N.Type"];

fn attach_groups(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    add(cloud, call, &call.input.texts("TargetGroupARNs"))
}

fn detach_groups(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    take(cloud, call, &call.input.texts("TargetGroupARNs"))
}

fn describe_groups(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let group = named(region, &call.input)?;
    let page = page(group.target_groups.iter().collect(), &call.input, |arn| arn)?;
    let shown = page
        .items
        .into_iter()
        .map(|arn| Node::new().with("LoadBalancerTargetGroupARN", arn).with("State", state(region, group, arn)));
    Ok(Node::new().list("LoadBalancerTargetGroups", shown).maybe("NextToken", page.next))
}

fn attach_sources(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    add(cloud, call, &sources(&call.input)?)
}

fn detach_sources(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    take(cloud, call, &sources(&call.input)?)
}

fn describe_sources(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let kind = call.input.optional("TrafficSourceType");
    if let Some(kind) = kind.filter(|kind| !["elb", "elbv2", "vpc-lattice"].contains(kind)) {
        return Err(validation(format!("TrafficSourceType is elb, elbv2 or vpc-lattice, not '{kind}'")));
    }
    let region = cloud.region(call.region)?;
    let group = named(region, &call.input)?;
    let all = group.target_groups.iter().filter(|_| kind.is_none_or(|kind| kind == "elbv2"));
    let page = page(all.collect(), &call.input, |arn| arn)?;
    let shown = page.items.into_iter().map(|arn| {
        Node::new()
            .with("TrafficSource", arn)
            .with("Identifier", arn)
            .with("Type", "elbv2")
            .with("State", state(region, group, arn))
    });
    Ok(Node::new().list("TrafficSources", shown).maybe("NextToken", page.next))
}

/// Returns the ARNs of target groups, the only traffic sources of the local cloud.
fn sources(params: &Params) -> Outcome<Vec<String>> {
    let sources = params.structures("TrafficSources").into_iter().map(|source| match source.optional("Type") {
        None | Some("elbv2") => Ok(required(&source, "Identifier")?.to_owned()),
        Some(other) => Err(validation(format!("The local cloud has traffic sources of type elbv2, not '{other}'"))),
    });
    let sources: Vec<String> = sources.collect::<Outcome<_>>()?;
    if sources.is_empty() || sources.len() > 10 {
        return Err(validation("TrafficSources has 1 to 10 members"));
    }
    Ok(sources)
}

fn add(cloud: &mut Cloud, call: &Call<'_, Params>, arns: &[String]) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, &call.input)?.clone();
    for arn in arns {
        attach(&mut group, region, arn)?;
    }
    register_members(&group, region);
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new())
}

fn take(cloud: &mut Cloud, call: &Call<'_, Params>, arns: &[String]) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let group = named_mut(region, &call.input)?;
    if let Some(other) = arns.iter().find(|arn| !group.target_groups.contains(arn)) {
        return Err(validation(format!("Target group '{other}' is not attached to the group")));
    }
    group.target_groups.retain(|arn| !arns.contains(arn));
    let members: Vec<String> = group.members.iter().map(|member| member.instance.clone()).collect();
    for (arn, member) in arns.iter().flat_map(|arn| members.iter().map(move |member| (arn, member))) {
        deregister_member(region, arn, member);
    }
    Ok(Node::new())
}

fn state(region: &Region, group: &Group, arn: &str) -> &'static str {
    let target_group = region.elbv2.target_groups.get(arn);
    let in_service = group.staying().any(|member| {
        member.lifecycle == Lifecycle::InService
            && target_group
                .and_then(|target_group| target_group.target(&member.instance))
                .is_some_and(|target| target.health.state == "healthy")
    });
    if in_service { "InService" } else { "Added" }
}
