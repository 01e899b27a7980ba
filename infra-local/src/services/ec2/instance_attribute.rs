//! Single attributes of instances, and their console output.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::instance::{find, find_mut};
use super::{Ec2Operation, resource};
use crate::domain::ec2::check_user_data;
use crate::domain::ec2::launch;
use crate::model::Cloud;
use crate::model::ec2::image::ROOT_DEVICE;
use crate::model::ec2::instance::InstanceState;
use crate::model::ec2::instance_type::InstanceType;
use crate::services::ec2::security_group::render_groups;
use crate::services::{Call, Operation, State};
use crate::state::console;
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeInstanceAttribute", describe, &[&["InstanceId", "Attribute"]]).on(&[resource::INSTANCE]),
    Operation::writes(
        "ModifyInstanceAttribute",
        modify,
        &[&[
            "InstanceId",
            "Attribute",
            "Value",
            "GroupId.N",
            "InstanceType.Value",
            "UserData.Value",
            "DisableApiTermination.Value",
            "InstanceInitiatedShutdownBehavior.Value",
            "EbsOptimized.Value",
        ]],
    )
    .on(&[resource::INSTANCE, resource::SECURITY_GROUPS]),
    Operation::writes(
        "ModifyInstanceMetadataOptions",
        modify_metadata_options,
        &[&["InstanceId", "HttpTokens", "HttpEndpoint", "HttpPutResponseHopLimit", "InstanceMetadataTags"]],
    )
    .on(&[resource::INSTANCE]),
    Operation::performs("GetConsoleOutput", console_output, &[&["InstanceId", "Latest"]]).on(&[resource::INSTANCE]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let instance = find(region, call.input.required("InstanceId")?)?;
    let value = |text: &str| Node::new().with("value", text);
    let flag = |flag: bool| Node::new().with("value", flag);
    let answer = Node::new().with("instanceId", &instance.id);
    Ok(match call.input.required("Attribute")? {
        "instanceType" => answer.with("instanceType", value(&instance.instance_type)),
        "userData" => answer.with("userData", instance.user_data.as_deref().map_or_else(Node::new, value)),
        "disableApiTermination" => answer.with("disableApiTermination", flag(instance.disable_api_termination)),
        "disableApiStop" => answer.with("disableApiStop", flag(false)),
        "instanceInitiatedShutdownBehavior" => {
            let behavior = if instance.shutdown_terminates { "terminate" } else { "stop" };
            answer.with("instanceInitiatedShutdownBehavior", value(behavior))
        }
        "rootDeviceName" => answer.with("rootDeviceName", value(ROOT_DEVICE)),
        "groupSet" => answer.with("groupSet", render_groups(region, &instance.security_groups)),
        "ebsOptimized" => answer.with("ebsOptimized", flag(instance.ebs_optimized)),
        "sourceDestCheck" => {
            let interface = region.ec2.network_interfaces.get(&instance.network_interface_id);
            answer.with("sourceDestCheck", flag(interface.is_none_or(|interface| interface.source_dest_check)))
        }
        "enaSupport" => answer.with("enaSupport", flag(true)),
        "kernel" => answer.with("kernel", Node::new()),
        "ramdisk" => answer.with("ramdisk", Node::new()),
        "productCodes" => answer.list("productCodes", Vec::<Node>::new()),
        other => {
            return Err(ApiError::invalid(format!(
                "Value ({other}) for parameter attribute is invalid. Unknown attribute."
            )));
        }
    })
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("InstanceId")?;
    let mut instance = find(region, id)?.clone();
    if instance.state.is_ending() {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is {}", instance.state.name()),
        ));
    }
    // The request contains either Attribute and Value, or a parameter with the attribute's name.
    let named = params.optional("Attribute");
    let value = |attribute: &str, parameter: &str| {
        params
            .optional(&format!("{parameter}.Value"))
            .or_else(|| params.optional("Value").filter(|_| named == Some(attribute)))
    };
    let stopped = |attribute: &str| match instance.state {
        InstanceState::Stopped => Ok(()),
        _ => Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is not in the 'stopped' state; only then its {attribute} can change."),
        )),
    };
    let flag = |text: &str| text.parse().map_err(|_| ApiError::invalid(format!("'{text}' is not true or false")));
    let mut changed = false;
    if let Some(name) = value("instanceType", "InstanceType") {
        stopped("instance type")?;
        InstanceType::named(name)?.name.clone_into(&mut instance.instance_type);
        changed = true;
    } else if let Some(encoded) = value("userData", "UserData") {
        stopped("user data")?;
        check_user_data(encoded)?;
        instance.user_data = Some(encoded.to_owned());
        changed = true;
    }
    if let Some(text) = value("disableApiTermination", "DisableApiTermination") {
        instance.disable_api_termination = flag(text)?;
        changed = true;
    }
    if let Some(text) = value("ebsOptimized", "EbsOptimized") {
        instance.ebs_optimized = flag(text)?;
        changed = true;
    }
    if let Some(text) = value("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior") {
        instance.shutdown_terminates = match text {
            "stop" => false,
            "terminate" => true,
            other => {
                return Err(ApiError::invalid(format!(
                    "Invalid value '{other}' for instanceInitiatedShutdownBehavior."
                )));
            }
        };
        changed = true;
    }
    let mut groups = params.texts("GroupId");
    if !groups.is_empty() {
        launch::check_security_groups(region, &mut groups, &instance.vpc_id)?;
        instance.security_groups = groups;
        changed = true;
    }
    if !changed {
        return Err(ApiError::new(
            "UnsupportedParameter",
            format!("The local cloud cannot modify the attribute {} of an instance", named.unwrap_or("(none)")),
        ));
    }
    *find_mut(region, id)? = instance;
    Ok(Node::success())
}

fn modify_metadata_options(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let instance = find_mut(region, params.required("InstanceId")?)?;
    let options = &mut instance.metadata_options;
    let mut set = |name: &str,
                   allowed: [&str; 2],
                   target: fn(&mut crate::model::ec2::instance::MetadataOptions) -> &mut String| {
        match params.optional(name) {
            Some(value) if allowed.contains(&value) => value.clone_into(target(options)),
            Some(value) => return Err(ApiError::invalid(format!("Invalid value '{value}' for {name}"))),
            None => {}
        }
        Ok(())
    };
    set("HttpTokens", ["optional", "required"], |options| &mut options.http_tokens)?;
    set("HttpEndpoint", ["enabled", "disabled"], |options| &mut options.http_endpoint)?;
    set("InstanceMetadataTags", ["enabled", "disabled"], |options| &mut options.instance_metadata_tags)?;
    if let Some(limit) = params.parsed("HttpPutResponseHopLimit")? {
        options.hop_limit = limit;
    }
    let shown = Node::new()
        .with("state", "applied")
        .with("httpTokens", &options.http_tokens)
        .with("httpPutResponseHopLimit", options.hop_limit)
        .with("httpEndpoint", &options.http_endpoint)
        .with("instanceMetadataTags", &options.instance_metadata_tags);
    Ok(Node::new().with("instanceId", &instance.id).with("instanceMetadataOptions", shown))
}

/// Returns the console output: the ends of the services' logs, and the cloud's messages about the instance.
fn console_output(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let wanted = call.input.required("InstanceId")?;
    let id = state.read(|cloud| Ok::<_, ApiError>(find(cloud.region(call.region)?, wanted)?.id.clone()))?;
    let output = console::read(call.directory, &id)?;
    Ok(Node::new().with("instanceId", &id).with("timestamp", call.now).with("output", STANDARD.encode(output)))
}
