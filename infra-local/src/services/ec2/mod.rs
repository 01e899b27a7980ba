//! Amazon EC2, one file per resource kind.

mod address;
mod client_token;
mod credit_specification;
mod dhcp_options;
mod image;
mod instance;
mod instance_attribute;
pub(crate) mod instance_type;
mod internet_gateway;
mod key_pair;
mod launch_data;
pub(crate) mod launch_template;
mod nat_gateway;
mod network_acl;
mod network_acl_entry;
mod network_interface;
mod network_interface_lifecycle;
mod peering;
mod permission;
mod resource;
mod route;
mod route_table;
mod run_instances;
mod security_group;
mod security_group_rule;
mod snapshot;
mod subnet;
mod tag;
mod volume;
mod vpc;
mod zone;

use std::collections::BTreeSet;

use crate::model::ec2::vpc::Vpc;
use crate::model::{Region, Tags};
use crate::services::Operation;
use crate::services::tags;
use crate::wire::{ApiError, Node, Outcome, Params};

/// An entry of EC2's tables.
pub(crate) type Ec2Operation = Operation<Params, Node>;

/// EC2's operations, by kind.
pub(crate) const OPERATIONS: &[&[Ec2Operation]] = &[
    address::OPERATIONS,
    credit_specification::OPERATIONS,
    dhcp_options::OPERATIONS,
    image::OPERATIONS,
    instance::OPERATIONS,
    instance_attribute::OPERATIONS,
    instance_type::OPERATIONS,
    internet_gateway::OPERATIONS,
    key_pair::OPERATIONS,
    run_instances::OPERATIONS,
    launch_template::OPERATIONS,
    nat_gateway::OPERATIONS,
    network_acl::OPERATIONS,
    network_acl_entry::OPERATIONS,
    network_interface::OPERATIONS,
    network_interface_lifecycle::OPERATIONS,
    peering::OPERATIONS,
    route::OPERATIONS,
    route_table::OPERATIONS,
    security_group::OPERATIONS,
    security_group_rule::OPERATIONS,
    snapshot::OPERATIONS,
    subnet::OPERATIONS,
    tag::OPERATIONS,
    volume::OPERATIONS,
    vpc::OPERATIONS,
    zone::OPERATIONS,
];

/// Parameters that all EC2 requests may contain.
pub(crate) const ALWAYS: &[&str] = &["Action", "Version", "DryRun"];

/// Parameters of tags at creation, for operation tables.
const TAG_SPECIFICATIONS: &[&str] =
    &["TagSpecification.N.ResourceType", "TagSpecification.N.Tag.N.Key", "TagSpecification.N.Tag.N.Value"];

/// Returns the tags that `TagSpecification.N` gives to resources of this type; other types are refused.
fn tags_for(params: &Params, resource_type: &str) -> Outcome<Tags> {
    let mut all = Tags::new();
    for specification in params.structures("TagSpecification") {
        let given = specification.required("ResourceType")?;
        if given != resource_type {
            return Err(ApiError::invalid(format!(
                "'{given}' is not a valid taggable resource type for this operation; it creates a {resource_type}"
            )));
        }
        all.extend(tags::parse(&specification, "Tag")?);
    }
    Ok(all)
}

/// Returns the VPC of a request that names none.
fn default_vpc(region: &Region) -> Outcome<&Vpc> {
    let vpc = region.ec2.vpcs.values().find(|vpc| vpc.default);
    vpc.ok_or_else(|| ApiError::new("VPCIdNotSpecified", "No default VPC for this user"))
}

/// Refuses an identifier without the prefix of its kind.
fn check_id<'a>(id: &'a str, prefix: &str, code: &'static str) -> Outcome<&'a str> {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    match digits {
        Some(digits) if matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(id),
        _ => Err(ApiError::new(code, format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")"))),
    }
}

/// A resource with its region, for filters that need the region.
struct Located<'a, T> {
    region: &'a Region,
    item: &'a T,
}

/// Returns AWS's error for the deletion of a resource on which others depend.
fn needed(kind: &str, id: &str) -> ApiError {
    ApiError::new("DependencyViolation", format!("The {kind} '{id}' has dependencies and cannot be deleted."))
}

/// Returns the error for a feature that the local cloud does not support.
fn not_honoured(message: impl Into<String>) -> ApiError {
    ApiError::new("UnsupportedOperation", message)
}

/// Returns the items of a request's id list, in the state's order; an unknown id is an error with this code.
fn select<'a, T>(
    all: impl IntoIterator<Item = (&'a String, &'a T)>,
    ids: &[String],
    code: &'static str,
    what: &str,
) -> Outcome<Vec<&'a T>> {
    let mut missing: BTreeSet<&String> = ids.iter().collect();
    let chosen = all.into_iter().filter(|(id, _)| ids.is_empty() || missing.remove(id));
    let items = chosen.map(|(_, item)| item).collect();
    if !missing.is_empty() {
        let missing: Vec<&str> = ids.iter().filter(|id| missing.contains(id)).map(String::as_str).collect();
        return Err(ApiError::new(code, format!("The {what} '{}' does not exist", missing.join(", "))));
    }
    Ok(items)
}
