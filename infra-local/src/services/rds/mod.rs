//! Relational Database Service (version 2014-10-31): PostgreSQL instances and clusters, one file per kind.

mod certificate;
mod cluster;
mod cluster_change;
mod cluster_snapshot;
mod engine;
mod event;
mod event_subscription;
mod features;
mod global_cluster;
mod instance;
mod instance_change;
mod log;
mod maintenance;
mod option_group;
mod parameter;
mod parameter_group;
mod quota;
mod replica;
mod request;
mod resource;
mod restore;
#[cfg(test)]
mod round_trip;
mod snapshot;
mod snapshot_change;
mod snapshot_kind;
mod subnet_group;
mod tags;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use crate::model::rds::{DbCluster, DbInstance};
use crate::model::{ArnScope, Region, Tags};
use crate::services::tags as common_tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Page, Params};

/// The operations, by kind.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] = &[
    engine::OPERATIONS,
    certificate::OPERATIONS,
    option_group::OPERATIONS,
    subnet_group::OPERATIONS,
    parameter_group::OPERATIONS,
    instance::OPERATIONS,
    instance_change::OPERATIONS,
    replica::OPERATIONS,
    cluster::OPERATIONS,
    cluster_change::OPERATIONS,
    snapshot::OPERATIONS,
    snapshot_change::OPERATIONS,
    cluster_snapshot::OPERATIONS,
    restore::OPERATIONS,
    log::OPERATIONS,
    maintenance::OPERATIONS,
    global_cluster::OPERATIONS,
    event::OPERATIONS,
    event_subscription::OPERATIONS,
    tags::OPERATIONS,
];

const PAGES: &[&str] = &["Marker", "MaxRecords"];
const FILTERS: &[&str] = &["Filters", "Filters.Filter.N.Name", "Filters.Filter.N.Values.Value.N"];
const TAGS: &[&str] = &["Tags", "Tags.Tag.N.Key", "Tags.Tag.N.Value"];

/// A filter of a kind: its name, and the values of an item for it.
type Field<T> = (&'static str, fn(&T) -> Vec<String>);

/// Checks the identifier of an instance, cluster, snapshot or group.
fn identifier(params: &Params, name: &str) -> Outcome<String> {
    check_identifier(params.required(name)?, name, 63)
}

fn check_identifier(text: &str, name: &str, longest: usize) -> Outcome<String> {
    let characters = text.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    let begins = text.starts_with(|character: char| character.is_ascii_alphabetic());
    if text.len() > longest || !characters || !begins || text.ends_with('-') || text.contains("--") {
        return Err(ApiError::invalid(format!(
            "The parameter {name} is not a valid identifier. Identifiers must begin with a letter; must contain only \
             ASCII letters, digits, and hyphens; must not end with a hyphen or contain two consecutive hyphens; and \
             must not have more than {longest} characters."
        )));
    }
    Ok(text.to_lowercase())
}

/// Returns a number within AWS's bounds.
fn number(params: &Params, name: &str, low: u32, high: u32) -> Outcome<Option<u32>> {
    match params.parsed::<u32>(name)? {
        Some(number) if !(low..=high).contains(&number) => Err(ApiError::invalid(format!(
            "Invalid value {number} for parameter {name}. It must be between {low} and {high}"
        ))),
        other => Ok(other),
    }
}

fn page<T>(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
    let limit = number(params, "MaxRecords", 20, 100)?.unwrap_or(100);
    Page::cut(items, Some(limit as usize), params.optional("Marker"), key)
        .map_err(|_| ApiError::invalid("The Marker is not valid"))
}

/// Returns the items that every filter of the request accepts.
fn filtered<'a, T>(items: impl Iterator<Item = &'a T>, params: &Params, fields: &[Field<T>]) -> Outcome<Vec<&'a T>> {
    let mut kept: Vec<&T> = items.collect();
    for filter in params.structures("Filters.Filter") {
        let name = filter.required("Name")?;
        let values = filter.texts("Values.Value");
        let Some((_, values_of)) = fields.iter().find(|(field, _)| *field == name) else {
            return Err(ApiError::invalid(format!("Unrecognized filter name: {name}")));
        };
        kept.retain(|item| values_of(item).iter().any(|value| values.contains(value)));
    }
    Ok(kept)
}

fn parse_tags(params: &Params) -> Outcome<Tags> {
    common_tags::parse(params, "Tags.Tag").map_err(|error| ApiError::invalid(error.message))
}

/// Renders a list whose entries have RDS's names instead of `member`.
fn entries<N: Into<Node>>(name: &'static str, nodes: impl IntoIterator<Item = N>) -> Node {
    Node::Fields(nodes.into_iter().map(|node| (name, node.into())).collect())
}

fn tag_list(tags: &Tags) -> Node {
    entries("Tag", tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}

fn security_groups(ids: &[String]) -> Node {
    let group = |id| Node::new().with("VpcSecurityGroupId", id).with("Status", "active");
    entries("VpcSecurityGroupMembership", ids.iter().map(group))
}

fn arn(scope: ArnScope<'_>, kind: &str, id: &str) -> String {
    scope.arn("rds", format_args!("{kind}:{id}"))
}

fn not_found(code: &'static str, message: String) -> ApiError {
    ApiError::new(code, message).with_status(404)
}

fn combination(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterCombination", message)
}

fn instance<'a>(region: &'a Region, id: &str) -> Outcome<&'a DbInstance> {
    region.rds.instances.get(&id.to_lowercase()).ok_or_else(|| no_instance(id))
}

fn instance_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut DbInstance> {
    region.rds.instances.get_mut(&id.to_lowercase()).ok_or_else(|| no_instance(id))
}

fn no_instance(id: &str) -> ApiError {
    not_found("DBInstanceNotFound", format!("DBInstance {id} not found."))
}

fn cluster<'a>(region: &'a Region, id: &str) -> Outcome<&'a DbCluster> {
    region.rds.clusters.get(&id.to_lowercase()).ok_or_else(|| no_cluster(id))
}

fn cluster_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut DbCluster> {
    region.rds.clusters.get_mut(&id.to_lowercase()).ok_or_else(|| no_cluster(id))
}

fn no_cluster(id: &str) -> ApiError {
    not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found."))
}

fn instance_state(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidDBInstanceState", message)
}

fn cluster_state(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidDBClusterStateFault", message)
}

/// Assigns an address for an endpoint, in the first of these subnets that has a free one, and returns it with the
/// subnet's zone.
fn take_address(
    region: &mut Region,
    call: &Call<'_, Params>,
    subnets: &[String],
    owner: &str,
) -> Outcome<(Ipv4Addr, String)> {
    for id in subnets {
        let Some(subnet) = region.ec2.subnets.get_mut(id) else { continue };
        if let Some(host) = subnet.take_host(owner) {
            return Ok((call.addresses.address(subnet.index, host), subnet.zone.clone()));
        }
    }
    Err(ApiError::new(
        "InsufficientAvailableIPsInSubnetFault",
        format!("There are no free addresses left in {}", subnets.join(", ")),
    ))
}
