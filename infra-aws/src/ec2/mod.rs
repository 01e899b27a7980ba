//! Elastic Compute Cloud.

pub mod baked_image;
mod blockers;
mod console;
pub mod default_vpc;
pub mod elastic_ip;
pub mod existing_vpc;
mod host;
pub mod image;
mod imaging;
pub mod instance;
mod instances;
pub mod internet_gateway;
mod kept_disk;
pub mod key_pair;
pub mod launch_template;
pub mod nat_gateway;
pub mod route_table;
pub mod rule;
pub mod security_group;
pub mod security_group_rule;
pub mod subnet;
pub mod subnets;
pub mod vpc;
pub mod vpc_peering;
pub mod zones;

use crate::prelude::*;
use aws_sdk_ec2::{
    Client,
    config::{Builder, Config, retry::RetryConfig},
    types,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use blockers::Deletion;
use infra_core::value::Unresolved;

/// Returns the tags of a new resource for its Create call.
fn tag_specification(
    cx: &Context<'_>,
    kind: types::ResourceType,
    user_defined: &BTreeMap<String, String>,
) -> types::TagSpecification {
    let tags = tags::for_create(cx, user_defined);
    types::TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build()
}

/// Changes the user-defined tags of a resource, by `CreateTags` and `DeleteTags`.
async fn retag(
    ec2: &Client,
    id: &str,
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> Result<()> {
    let (set, removed) = tags::retag(old, new);
    if set.is_some() {
        ec2.create_tags().resources(id).set_tags(set).send().await.context("CreateTags")?;
    }
    if let Some(removed) = removed {
        let keys = removed.into_iter().map(|key| types::Tag::builder().key(key).build());
        ec2.delete_tags().resources(id).set_tags(Some(keys.collect())).send().await.context("DeleteTags")?;
    }
    Ok(())
}

/// Returns the filter of the resources that this operation has created.
fn operation_filter(cx: &Context<'_>) -> types::Filter {
    filter(&format!("tag:{}", Context::OPERATION_TAG), cx.operation().as_str())
}

/// Returns a filter of a Describe call.
fn filter(name: &str, value: &str) -> types::Filter {
    types::Filter::builder().name(name).values(value).build()
}

/// Disables retries, for Create calls without a client token: a request whose response was lost may have been carried
/// out, and the next run finds its resource by the tags. A throttled request is repeated nevertheless.
fn once() -> Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

/// Checks the range of a VPC or a subnet.
fn range_problem(property: &str, range: &str) -> Option<Problem> {
    let bits = range.split_once('/').and_then(|(_, bits)| bits.parse::<u32>().ok());
    let problem = |message: String| Some(Problem::new(property, message));
    match rule::canonical_cidr(range) {
        None => problem(format!("`{range}` is not an address range"))
            .map(|problem| problem.hint("write an address and a prefix length: `10.0.0.0/16`")),
        Some(canonical) if canonical != range => {
            problem(format!("`{range}` does not begin at the first address of its range"))
                .map(|problem| problem.hint(format!("write `{canonical}`")))
        }
        Some(_) if !bits.is_some_and(|bits| (16..=28).contains(&bits)) || range.contains(':') => {
            problem(format!("`{range}` is too large or too small"))
                .map(|problem| problem.hint("AWS accepts IPv4 ranges from /16 to /28"))
        }
        Some(_) => None,
    }
}

/// Returns the name of a declared instance profile; an empty name declares none.
fn profile_name(declared: Option<&Input<InstanceProfileName>>) -> Result<Option<String>, Unresolved> {
    let name = declared.map(Input::known).transpose()?;
    Ok(name.filter(|name| !name.as_str().is_empty()).map(String::from))
}

/// Returns the profile that a declaration contains. It keeps the recorded empty name of an instance without a profile.
fn declared_profile(
    existing: Option<&str>,
    recorded: Option<&Input<InstanceProfileName>>,
) -> Option<Input<InstanceProfileName>> {
    match existing {
        Some(name) => Some(InstanceProfileName::from(name).into()),
        None => recorded.filter(|name| name.known().is_ok_and(|name| name.as_str().is_empty())).cloned(),
    }
}

/// Encodes user data for EC2.
fn encode(user_data: &str) -> String {
    STANDARD.encode(user_data)
}

/// Decodes EC2's user data.
fn decode(user_data: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(user_data).ok()?).ok()
}
