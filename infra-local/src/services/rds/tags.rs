//! Tags of all RDS resources, by ARN.

use super::{FILTERS, TAGS, no_cluster, no_instance, not_found, parse_tags, resource, tag_list};
use crate::model::rds::Rds;
use crate::model::{Cloud, Tags};
use crate::services::tags as common_tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads("ListTagsForResource", list, &[&["ResourceName"], FILTERS]).on(&[resource::TAGGED]),
    Operation::writes("AddTagsToResource", add, &[&["ResourceName"], TAGS]).on(&[resource::TAGGED]),
    Operation::writes("RemoveTagsFromResource", remove, &[&["ResourceName", "TagKeys.N"]]).on(&[resource::TAGGED]),
];

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let mut databases = cloud.region(call.region)?.rds.clone();
    let tags = of(&mut databases, call)?;
    Ok(Node::new().with("TagList", tag_list(tags.as_ref().map_or(&Tags::new(), |tags| tags))))
}

fn add(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = parse_tags(&call.input)?;
    let tags = tags_mut(&mut cloud.region_mut(call.region)?.rds, call)?;
    tags.extend(added);
    common_tags::check(tags).map_err(|error| ApiError::invalid(error.message))?;
    Ok(Node::new())
}

fn remove(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let keys = call.input.texts("TagKeys");
    tags_mut(&mut cloud.region_mut(call.region)?.rds, call)?.retain(|key, _| !keys.contains(key));
    Ok(Node::new())
}

fn tags_mut<'a>(databases: &'a mut Rds, call: &Call<'_, Params>) -> Outcome<&'a mut Tags> {
    of(databases, call)?.ok_or_else(|| ApiError::invalid("Resources that RDS has created itself cannot be tagged"))
}

/// Returns the tags of the resource with this ARN; `None` for the service's default groups.
fn of<'a>(databases: &'a mut Rds, call: &Call<'_, Params>) -> Outcome<Option<&'a mut Tags>> {
    let name = call.input.required("ResourceName")?;
    let parts: Vec<&str> = name.splitn(7, ':').collect();
    let ["arn", "aws", "rds", region, account, kind, id] = parts[..] else {
        return Err(ApiError::invalid(format!("Invalid resource name: {name}")));
    };
    if call.account != *account {
        return Err(ApiError::invalid(format!("Invalid resource name: {name} is of another account")));
    }
    if region != call.region {
        return Err(ApiError::invalid(format!("Invalid resource name: {name} is of another region")));
    }
    let by_default = id.starts_with("default.");
    let found =
        match kind {
            "db" => databases.instances.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| no_instance(id)),
            "cluster" => databases.clusters.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| no_cluster(id)),
            "subgrp" => databases.subnet_groups.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| {
                not_found("DBSubnetGroupNotFoundFault", format!("DB subnet group '{id}' does not exist."))
            }),
            "pg" | "cluster-pg" if by_default => return Ok(None),
            "pg" => databases
                .parameter_groups
                .get_mut(id)
                .map(|found| &mut found.tags)
                .ok_or_else(|| not_found("DBParameterGroupNotFound", format!("DBParameterGroup not found: {id}"))),
            "cluster-pg" => {
                databases.cluster_parameter_groups.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| {
                    not_found("DBParameterGroupNotFound", format!("DBClusterParameterGroup not found: {id}"))
                })
            }
            "og" if id.starts_with("default:") => return Ok(None),
            "og" => databases.option_groups.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| {
                not_found("OptionGroupNotFoundFault", format!("Specified OptionGroupName: {id} not found."))
            }),
            "es" => databases
                .subscriptions
                .get_mut(id)
                .map(|found| &mut found.tags)
                .ok_or_else(|| not_found("SubscriptionNotFound", format!("Subscription {id} not found."))),
            "snapshot" => databases
                .snapshots
                .get_mut(id)
                .map(|found| &mut found.tags)
                .ok_or_else(|| not_found("DBSnapshotNotFound", format!("DBSnapshot {id} not found."))),
            "cluster-snapshot" => {
                databases.cluster_snapshots.get_mut(id).map(|found| &mut found.tags).ok_or_else(|| {
                    not_found("DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {id} not found."))
                })
            }
            _ => Err(ApiError::invalid(format!("Invalid resource name: {name}"))),
        };
    found.map(Some)
}
