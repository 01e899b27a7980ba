//! Amazon EC2, one file per resource kind.

mod address;
mod client_token;
mod console_output;
mod credit_specification;
mod default_network;
mod dhcp_options;
mod ebs_encryption;
mod egress_only_gateway;
mod flow_log;
mod image;
mod image_attribute;
mod image_copy;
mod instance;
mod instance_attribute;
mod instance_description;
mod instance_filter;
mod instance_metadata_options;
mod instance_profile_association;
pub(crate) mod instance_type;
mod instance_type_offering;
mod internet_gateway;
mod key_material;
mod key_pair;
mod launch_data;
pub(crate) mod launch_template;
mod launch_template_data;
mod monitoring;
mod nat_gateway;
mod network_acl;
mod network_acl_entry;
mod network_interface;
mod network_interface_address;
mod network_interface_attachment;
mod network_interface_lifecycle;
mod peering;
mod permission;
mod placement_group;
mod prefix_list;
mod range_association;
mod ranges;
mod requested_addresses;
mod resource;
mod route;
mod route_table;
mod rsa_key;
mod run_instances;
mod security_group;
mod security_group_reference;
mod security_group_rule;
mod snapshot;
mod snapshot_attribute;
mod subnet;
mod tag;
#[cfg(test)]
mod tests;
mod volume;
mod volume_attachment;
mod volume_modification;
mod volume_status;
mod vpc;
mod vpc_endpoint;
mod zone;

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};

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
    console_output::OPERATIONS,
    credit_specification::OPERATIONS,
    dhcp_options::OPERATIONS,
    default_network::OPERATIONS,
    ebs_encryption::OPERATIONS,
    egress_only_gateway::OPERATIONS,
    flow_log::OPERATIONS,
    image::OPERATIONS,
    image_attribute::OPERATIONS,
    image_copy::OPERATIONS,
    instance::OPERATIONS,
    instance_attribute::OPERATIONS,
    instance_metadata_options::OPERATIONS,
    instance_profile_association::OPERATIONS,
    instance_type::OPERATIONS,
    instance_type_offering::OPERATIONS,
    internet_gateway::OPERATIONS,
    key_pair::OPERATIONS,
    run_instances::OPERATIONS,
    launch_template::OPERATIONS,
    launch_template_data::OPERATIONS,
    monitoring::OPERATIONS,
    nat_gateway::OPERATIONS,
    network_acl::OPERATIONS,
    network_acl_entry::OPERATIONS,
    network_interface::OPERATIONS,
    network_interface_address::OPERATIONS,
    network_interface_attachment::OPERATIONS,
    network_interface_lifecycle::OPERATIONS,
    peering::OPERATIONS,
    placement_group::OPERATIONS,
    prefix_list::OPERATIONS,
    route::OPERATIONS,
    route_table::OPERATIONS,
    security_group::OPERATIONS,
    security_group_reference::OPERATIONS,
    security_group_rule::OPERATIONS,
    snapshot::OPERATIONS,
    snapshot_attribute::OPERATIONS,
    subnet::OPERATIONS,
    tag::OPERATIONS,
    range_association::OPERATIONS,
    volume::OPERATIONS,
    volume_attachment::OPERATIONS,
    volume_modification::OPERATIONS,
    volume_status::OPERATIONS,
    vpc::OPERATIONS,
    vpc_endpoint::OPERATIONS,
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
                "'{given}' is not a valid taggable resource type for this operation."
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

/// Returns a time as filters compare it.
fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The values of a filter about a property that no resource of the local cloud has: it accepts none.
fn never<T>(_: &T) -> Vec<String> {
    Vec::new()
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
