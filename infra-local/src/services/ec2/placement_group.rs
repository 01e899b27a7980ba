//! Placement groups.

use super::{Ec2Operation, TAG_SPECIFICATIONS, resource, tags_for};
use crate::model::ec2::placement_group::PlacementGroup;
use crate::model::{Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreatePlacementGroup",
        create,
        &[&["GroupName", "Strategy", "PartitionCount", "SpreadLevel"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::PLACEMENT_GROUP]),
    Operation::writes("DeletePlacementGroup", delete, &[&["GroupName"]]).on(&[resource::PLACEMENT_GROUP]),
    Operation::reads("DescribePlacementGroups", describe, &[&["GroupName.N", "GroupId.N"], FILTERS]).on_any(),
];

/// Creates a group. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreatePlacementGroup.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required("GroupName")?;
    let strategy = params.optional("Strategy").unwrap_or("cluster");
    if !["cluster", "spread", "partition"].contains(&strategy) {
        return Err(ApiError::invalid(format!("Value ({strategy}) for parameter strategy is invalid.")));
    }
    let partitions: Option<u32> = params.parsed("PartitionCount")?;
    if partitions.is_some_and(|count| strategy != "partition" || !(1..=7).contains(&count)) {
        return Err(ApiError::invalid(
            "Value for parameter partitionCount is invalid. It is 1 to 7, for the strategy 'partition'.",
        ));
    }
    let level = params.optional("SpreadLevel");
    if level.is_some_and(|level| strategy != "spread" || !["host", "rack"].contains(&level)) {
        return Err(ApiError::invalid(
            "Value for parameter spreadLevel is invalid. It is host or rack, for the strategy 'spread'.",
        ));
    }
    let tags = tags_for(params, "placement-group")?;
    let region = cloud.region_mut(call.region)?;
    if region.ec2.placement_groups.contains_key(name) {
        let message = format!("The Placement Group '{name}' already exists.");
        return Err(ApiError::new("InvalidPlacementGroup.Duplicate", message));
    }
    let group = PlacementGroup {
        id: new_id("pg"),
        name: name.to_owned(),
        strategy: strategy.to_owned(),
        partitions: (strategy == "partition").then(|| partitions.unwrap_or(2)),
        spread_level: (strategy == "spread").then(|| level.unwrap_or("rack").to_owned()),
        tags,
    };
    let answer = Node::success().with("placementGroup", render(region, &group));
    region.ec2.placement_groups.insert(group.name.clone(), group);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let name = call.input.required("GroupName")?;
    find(region, name)?;
    let mut instances = region.ec2.instances.values().filter(|instance| !instance.state.is_ending());
    if instances.any(|instance| instance.placement_group.as_deref() == Some(name)) {
        let message = format!("The placement group '{name}' is in use and may not be deleted.");
        return Err(ApiError::new("InvalidPlacementGroup.InUse", message));
    }
    region.ec2.placement_groups.remove(name);
    Ok(Node::success())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (names, ids) = (params.texts("GroupName"), params.texts("GroupId"));
    for name in &names {
        find(region, name)?;
    }
    if let Some(id) = ids.iter().find(|id| !region.ec2.placement_groups.values().any(|group| group.id == **id)) {
        return Err(unknown(id));
    }
    let groups = region.ec2.placement_groups.values().filter(|group| {
        (names.is_empty() || names.contains(&group.name)) && (ids.is_empty() || ids.contains(&group.id))
    });
    let found = Filters::parse(params)?.apply(groups, FIELDS, |group| &group.tags)?;
    Ok(Node::new().list("placementGroupSet", found.into_iter().map(|group| render(region, group))))
}

const FIELDS: &[Field<PlacementGroup>] = &[
    ("group-name", |group| vec![group.name.clone()]),
    ("spread-level", |group| group.spread_level.iter().cloned().collect()),
    ("state", |_| vec!["available".to_owned()]),
    ("strategy", |group| vec![group.strategy.clone()]),
];

fn find<'a>(region: &'a Region, name: &str) -> Outcome<&'a PlacementGroup> {
    region.ec2.placement_groups.get(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("InvalidPlacementGroup.Unknown", format!("The Placement Group '{name}' is unknown."))
}

fn render(region: &Region, group: &PlacementGroup) -> Node {
    let arn = region.scope().arn("ec2", format_args!("placement-group/{}", group.name));
    Node::new()
        .with("groupName", &group.name)
        .with("groupId", &group.id)
        .with("groupArn", arn)
        .with("state", "available")
        .with("strategy", &group.strategy)
        .maybe("partitionCount", group.partitions)
        .maybe("spreadLevel", group.spread_level.as_ref())
        .with("tagSet", tags::set(&group.tags))
}
