//! Options of the instance metadata service.

use super::instance::find_mut;
use super::instance_description::render_options;
use super::{Ec2Operation, resource};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[Operation::writes(
    "ModifyInstanceMetadataOptions",
    modify,
    &[&[
        "InstanceId",
        "HttpTokens",
        "HttpEndpoint",
        "HttpPutResponseHopLimit",
        "HttpProtocolIpv6",
        "InstanceMetadataTags",
    ]],
)
.on(&[resource::INSTANCE])];

/// Modifies the options. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html>
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let instance = find_mut(region, params.required("InstanceId")?)?;
    let options = &mut instance.metadata_options;
    let endpoint = params.optional("HttpEndpoint").unwrap_or(&options.http_endpoint);
    if endpoint == "disabled" && ["HttpTokens", "HttpPutResponseHopLimit"].iter().any(|it| params.has_list(it)) {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "HttpTokens and HttpPutResponseHopLimit cannot be specified when HttpEndpoint is disabled",
        ));
    }
    set(params, "HttpTokens", ["optional", "required"], &mut options.http_tokens)?;
    set(params, "HttpEndpoint", ["enabled", "disabled"], &mut options.http_endpoint)?;
    set(params, "InstanceMetadataTags", ["enabled", "disabled"], &mut options.instance_metadata_tags)?;
    match params.optional("HttpProtocolIpv6") {
        None | Some("disabled") => {}
        Some(_) => return Err(super::not_honoured("The metadata service of the local cloud has no IPv6 address")),
    }
    if let Some(limit) = params.parsed("HttpPutResponseHopLimit")? {
        if !(1..=64).contains(&limit) {
            return Err(ApiError::invalid(format!(
                "Value ({limit}) for parameter HttpPutResponseHopLimit is invalid. The valid range is from 1 to 64."
            )));
        }
        options.hop_limit = limit;
    }
    let options = render_options(options);
    Ok(Node::new().with("instanceId", &instance.id).with("instanceMetadataOptions", options))
}

fn set(params: &Params, name: &str, allowed: [&str; 2], target: &mut String) -> Outcome<()> {
    match params.optional(name) {
        Some(value) if allowed.contains(&value) => value.clone_into(target),
        Some(value) => return Err(ApiError::invalid(format!("Invalid value '{value}' for {name}"))),
        None => {}
    }
    Ok(())
}
