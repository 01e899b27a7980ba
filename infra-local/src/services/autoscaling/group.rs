//! Creation, update, deletion and description of groups.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::mixed::{self, MIXED};
use super::parse::{self, SETTINGS};
use super::{
    FILTERS, Filter, NAME, PAGES, hook, named, named_mut, page, parse_filters, render, required, resource, switch,
    tags, validation,
};
use crate::domain::autoscaling::alarms;
use crate::model::autoscaling::{DeletionProtection, Extras, Group, moment};
use crate::model::ec2::launch_template::TemplateReference;
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::filter::wildcard_match;
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateAutoScalingGroup",
        create,
        &[NAME, SETTINGS, MIXED, &["TargetGroupARNs.N"], hook::AT_CREATION, tags::TAGS],
    )
    .on(&[resource::GROUP])
    .needing(resource::LAUNCHES),
    Operation::writes("UpdateAutoScalingGroup", update, &[NAME, SETTINGS, MIXED])
        .on(&[resource::GROUP])
        .needing(resource::LAUNCHES),
    Operation::writes("DeleteAutoScalingGroup", delete, &[NAME, &["ForceDelete"]]).on(&[resource::GROUP]),
    Operation::reads(
        "DescribeAutoScalingGroups",
        describe,
        &[&["AutoScalingGroupNames.N", "IncludeInstances"], FILTERS, PAGES],
    )
    .on_any(),
];

/// AWS's default of `DefaultCooldown`.
const COOLDOWN_SECONDS: u32 = 300;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "AutoScalingGroupName")?;
    if name.chars().count() > 255 || name.contains(':') {
        return Err(validation(format!("Group name '{name}' must have at most 255 characters and no ':'")));
    }
    for parameter in ["MinSize", "MaxSize"] {
        required(params, parameter)?;
    }
    let launches = ["LaunchTemplate", "MixedInstancesPolicy"].iter().any(|name| params.structure(name).is_some());
    if !launches && params.optional("LaunchConfigurationName").is_none_or(str::is_empty) {
        return Err(validation(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ));
    }
    let region = cloud.region_mut(call.region)?;
    if region.autoscaling.groups.contains_key(name) {
        return Err(ApiError::new(
            "AlreadyExists",
            format!("AutoScalingGroup by this name already exists - A group with the name {name} already exists"),
        ));
    }
    let mut group = Group {
        name: name.to_owned(),
        arn: call
            .scope()
            .arn("autoscaling", format_args!("autoScalingGroup:{}:autoScalingGroupName/{name}", Uuid::new_v4())),
        created: call.now,
        template: TemplateReference { id: None, name: None, version: None },
        mixed: None,
        extras: Extras::default(),
        min: 0,
        max: 0,
        desired: 0,
        subnets: Vec::new(),
        zones: Vec::new(),
        target_groups: Vec::new(),
        elb_health: false,
        grace_seconds: 0,
        cooldown_seconds: COOLDOWN_SECONDS,
        warmup_seconds: None,
        tags: tags::at_creation(params, name)?,
        termination_policies: vec!["Default".to_owned()],
        protects_new: false,
        suspended: BTreeMap::new(),
        members: Vec::new(),
        policies: BTreeMap::new(),
        hooks: BTreeMap::new(),
        schedule: BTreeMap::new(),
        notifications: BTreeMap::new(),
        collected: BTreeSet::new(),
        balanced_only: false,
        rebalancing: false,
        refreshes: Vec::new(),
        activities: Vec::new(),
        deleting: false,
        cause: None,
        scaled_at: None,
        failures: 0,
        next_launch: None,
    };
    parse::settings(&mut group, region, params)?;
    mixed::apply(&mut group, region, params)?;
    if group.subnets.is_empty() {
        return Err(validation("At least one Availability Zone or VPC Subnet is required."));
    }
    for arn in params.texts("TargetGroupARNs") {
        attach(&mut group, region, &arn)?;
    }
    for specification in params.structures("LifecycleHookSpecificationList") {
        hook::add(&mut group, &specification)?;
    }
    let desired = parse::desired(&group, params)?.unwrap_or(group.min);
    group.scale_to(desired, "a user request created an AutoScalingGroup", call.now);
    group.scaled_at = None;
    region.autoscaling.groups.insert(name.to_owned(), group);
    Ok(Node::new())
}

/// Attaches an existing target group.
pub(super) fn attach(group: &mut Group, region: &Region, arn: &str) -> Outcome<()> {
    if !region.elbv2.target_groups.contains_key(arn) {
        return Err(validation(format!(
            "Provided Target Groups may not be valid. Please ensure they exist and try again. ({arn})"
        )));
    }
    if !group.target_groups.iter().any(|other| other == arn) {
        group.target_groups.push(arn.to_owned());
    }
    Ok(())
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, params)?.clone();
    let before = group.clone();
    parse::settings(&mut group, region, params)?;
    mixed::apply(&mut group, region, params)?;
    let refreshing = group.active_refresh().is_some_and(|refresh| refresh.desired.is_some());
    if refreshing && group.template != before.template {
        return Err(ApiError::new(
            "InstanceRefreshInProgress",
            "The launch template cannot be changed while an instance refresh with a desired configuration is in progress",
        ));
    }
    let desired = parse::desired(&group, params)?;
    let desired = desired.unwrap_or_else(|| group.desired.clamp(group.min, group.max));
    let who = format!(
        "a user request update of AutoScalingGroup constraints to min: {}, max: {}, desired: {desired}",
        group.min, group.max
    );
    group.scale_to(desired, &who, call.now);
    // The failed launches may have been caused by a setting that has changed.
    group.failures = 0;
    group.next_launch = None;
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let force = switch(params, "ForceDelete")?.unwrap_or(false);
    let region = cloud.region_mut(call.region)?;
    let group = named(region, params)?;
    if group.deleting {
        return Ok(Node::new());
    }
    let protection = group.extras.deletion_protection;
    let is_protected = match protection {
        DeletionProtection::None => false,
        DeletionProtection::PreventForceDeletion => force,
        DeletionProtection::PreventAllDeletion => true,
    };
    if is_protected {
        return Err(validation(format!(
            "The AutoScalingGroup '{}' cannot be deleted because its deletion protection is {}.",
            group.name,
            protection.name()
        )));
    }
    if !force {
        if group.members.iter().any(|member| !member.lifecycle.is_leaving()) || group.desired > 0 {
            return Err(ApiError::new(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
            ));
        }
        if !group.members.is_empty() {
            return Err(ApiError::new(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            ));
        }
    }
    let group = named_mut(region, params)?;
    if group.members.is_empty() {
        let name = group.name.clone();
        if let Some(group) = region.autoscaling.groups.remove(&name) {
            alarms::remove_all(region, &group);
        }
    } else {
        group.deleting = true;
        group.cause = Some(format!("At {} a user request force deleted the AutoScalingGroup.", moment(call.now)));
        group.desired = 0;
        group.min = 0;
    }
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let names = params.texts("AutoScalingGroupNames");
    let filters = parse_filters(params)?;
    let mut groups = Vec::new();
    for group in region.autoscaling.groups.values() {
        if (names.is_empty() || names.contains(&group.name)) && accepted(group, &filters)? {
            groups.push(group);
        }
    }
    if let Some(unknown) = filters.iter().find(|filter| !is_known(filter)) {
        return Err(validation(format!(
            "Filter type {} is not correct. Allowed Filter types are: [tag-value, tag-key, tag:<key>]",
            unknown.name
        )));
    }
    let instances = switch(params, "IncludeInstances")?.unwrap_or(true);
    let page = page(groups, params, |group| &group.name)?;
    let groups = page.items.into_iter().map(|group| render::group(group, region, instances));
    Ok(Node::new().list("AutoScalingGroups", groups).maybe("NextToken", page.next))
}

fn is_known(filter: &Filter) -> bool {
    filter.name.starts_with("tag:") || ["tag-key", "tag-value"].contains(&filter.name.as_str())
}

fn accepted(group: &Group, filters: &[Filter]) -> Outcome<bool> {
    let accepts = |filter: &Filter| {
        let matches = |text: &str| filter.values.iter().any(|value| wildcard_match(value, text));
        match filter.name.as_str() {
            "tag-key" => group.tags.keys().any(|key| matches(key)),
            "tag-value" => group.tags.values().any(|tag| matches(&tag.value)),
            name => {
                let key = name.strip_prefix("tag:").unwrap_or_default();
                group.tags.get(key).is_some_and(|tag| matches(&tag.value))
            }
        }
    };
    Ok(filters.iter().all(accepts))
}
