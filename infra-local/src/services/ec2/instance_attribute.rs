//! Single attributes of instances.

use super::instance::{find, find_mut};
use super::instance_description::render_device;
use super::{Ec2Operation, not_honoured, resource};
use crate::domain::ec2::check_user_data;
use crate::domain::ec2::security_group::check_security_groups;
use crate::model::ec2::image::ROOT_DEVICE;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::ec2::instance_type::InstanceType;
use crate::model::{Cloud, Region};
use crate::services::ec2::security_group::render_groups;
use crate::services::{Call, Operation};
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
            "BlockDeviceMapping.N.DeviceName",
            "BlockDeviceMapping.N.Ebs.VolumeId",
            "BlockDeviceMapping.N.Ebs.DeleteOnTermination",
            "DisableApiStop.Value",
            "DisableApiTermination.Value",
            "EbsOptimized.Value",
            "EnaSupport.Value",
            "GroupId.N",
            "InstanceInitiatedShutdownBehavior.Value",
            "InstanceType.Value",
            "SourceDestCheck.Value",
            "UserData.Value",
        ]],
    )
    .on(&[resource::INSTANCE, resource::SECURITY_GROUPS]),
    Operation::writes("ResetInstanceAttribute", reset, &[&["InstanceId", "Attribute"]]).on(&[resource::INSTANCE]),
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
        "disableApiStop" => answer.with("disableApiStop", flag(instance.disable_api_stop)),
        "instanceInitiatedShutdownBehavior" => {
            let behavior = if instance.shutdown_terminates { "terminate" } else { "stop" };
            answer.with("instanceInitiatedShutdownBehavior", value(behavior))
        }
        "rootDeviceName" => answer.with("rootDeviceName", value(ROOT_DEVICE)),
        "blockDeviceMapping" => {
            answer.list("blockDeviceMapping", region.volumes_of(&instance.id).into_iter().map(render_device))
        }
        "groupSet" => answer.with("groupSet", render_groups(region, &instance.security_groups)),
        "ebsOptimized" => answer.with("ebsOptimized", flag(instance.ebs_optimized)),
        "sourceDestCheck" => {
            let interface = region.ec2.network_interfaces.get(&instance.network_interface_id);
            answer.with("sourceDestCheck", flag(interface.is_none_or(|interface| interface.source_dest_check)))
        }
        "enaSupport" => answer.with("enaSupport", flag(true)),
        "enclaveOptions" => answer.with("enclaveOptions", Node::new().with("enabled", false)),
        "sriovNetSupport" => answer.with("sriovNetSupport", Node::new()),
        "kernel" => answer.with("kernel", Node::new()),
        "ramdisk" => answer.with("ramdisk", Node::new()),
        "productCodes" => answer.list("productCodes", Vec::<Node>::new()),
        other => return Err(unknown(other)),
    })
}

fn unknown(attribute: &str) -> ApiError {
    ApiError::invalid(format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute."))
}

/// Attributes with a value in `Value` of a parameter with their name. The request contains this parameter, or the
/// attribute's name in `Attribute` and its value in `Value`.
const VALUES: &[(&str, &str)] = &[
    ("disableApiStop", "DisableApiStop"),
    ("disableApiTermination", "DisableApiTermination"),
    ("ebsOptimized", "EbsOptimized"),
    ("enaSupport", "EnaSupport"),
    ("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior"),
    ("instanceType", "InstanceType"),
    ("sourceDestCheck", "SourceDestCheck"),
    ("userData", "UserData"),
];

/// Modifies one attribute, as AWS does.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html>
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("InstanceId")?;
    let state = find(region, id)?.state;
    if state.is_ending() {
        return Err(ApiError::new("IncorrectInstanceState", format!("The instance '{id}' is {}", state.name())));
    }
    let mut given: Vec<(&str, &str)> = Vec::new();
    for (attribute, parameter) in VALUES {
        let own = params.optional(&format!("{parameter}.Value"));
        let value =
            own.or_else(|| params.optional("Value").filter(|_| params.optional("Attribute") == Some(*attribute)));
        given.extend(value.map(|value| (*attribute, value)));
    }
    let groups = params.texts("GroupId");
    let devices = params.structures("BlockDeviceMapping");
    let mut names: Vec<&str> = given.iter().map(|(attribute, _)| *attribute).collect();
    names.extend((!groups.is_empty()).then_some("groupSet"));
    names.extend((!devices.is_empty()).then_some("blockDeviceMapping"));
    match names.as_slice() {
        [] => {
            return Err(match params.optional("Attribute") {
                Some(other) => {
                    not_honoured(format!("The local cloud cannot modify the attribute {other} of an instance"))
                }
                None => ApiError::new("InvalidParameterCombination", "No attributes specified."),
            });
        }
        [_] => {}
        several => {
            let message = format!("Fields for multiple attribute types specified: {}", several.join(", "));
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
    }
    if let Some((attribute, value)) = given.first() {
        set_value(region, id, attribute, value)?;
    } else if devices.is_empty() {
        set_groups(region, id, groups)?;
    } else {
        for device in &devices {
            set_device(region, id, device)?;
        }
    }
    Ok(Node::success())
}

fn set_value(region: &mut Region, id: &str, attribute: &str, value: &str) -> Outcome<()> {
    let flag = || value.parse::<bool>().map_err(|_| ApiError::invalid(format!("'{value}' is not true or false")));
    if attribute == "sourceDestCheck" {
        let interface = find(region, id)?.network_interface_id.clone();
        if let Some(interface) = region.ec2.network_interfaces.get_mut(&interface) {
            interface.source_dest_check = flag()?;
        }
        return Ok(());
    }
    let instance = find_mut(region, id)?;
    if ["ebsOptimized", "enaSupport", "instanceType", "userData"].contains(&attribute) {
        check_stopped(instance)?;
    }
    match attribute {
        "disableApiStop" => instance.disable_api_stop = flag()?,
        "disableApiTermination" => instance.disable_api_termination = flag()?,
        "ebsOptimized" => instance.ebs_optimized = flag()?,
        "enaSupport" if flag()? => {}
        "enaSupport" => return Err(not_honoured("Instances of the local cloud have ENA support")),
        "instanceInitiatedShutdownBehavior" => instance.shutdown_terminates = terminates(value)?,
        "instanceType" => InstanceType::named(value)?.name.clone_into(&mut instance.instance_type),
        "userData" => {
            check_user_data(value)?;
            instance.user_data = Some(value.to_owned()).filter(|data| !data.is_empty());
        }
        other => return Err(unknown(other)),
    }
    Ok(())
}

fn terminates(behavior: &str) -> Outcome<bool> {
    match behavior {
        "stop" => Ok(false),
        "terminate" => Ok(true),
        other => Err(ApiError::invalid(format!("Invalid value '{other}' for instanceInitiatedShutdownBehavior."))),
    }
}

/// Refuses the attributes of a running instance that only a stopped one can change.
fn check_stopped(instance: &Instance) -> Outcome<()> {
    if instance.state == InstanceState::Stopped {
        return Ok(());
    }
    let message = format!("The instance '{}' is not in the 'stopped' state.", instance.id);
    Err(ApiError::new("IncorrectInstanceState", message))
}

fn set_groups(region: &mut Region, id: &str, mut groups: Vec<String>) -> Outcome<()> {
    let vpc = find(region, id)?.vpc_id.clone();
    check_security_groups(region, &mut groups, &vpc)?;
    find_mut(region, id)?.security_groups = groups;
    Ok(())
}

/// Changes whether a volume is deleted when its instance terminates.
fn set_device(region: &mut Region, id: &str, device: &Params) -> Outcome<()> {
    let name = device.required("DeviceName")?;
    let wanted = device.optional("Ebs.VolumeId");
    let found = region
        .volumes_of(id)
        .into_iter()
        .find(|(volume, attachment)| attachment.device == name && wanted.is_none_or(|wanted| volume.id == wanted));
    let Some(volume) = found.map(|(volume, _)| volume.id.clone()) else {
        let message = format!("No device is currently mapped at {name}");
        return Err(ApiError::new("InvalidInstanceAttributeValue", message));
    };
    let delete = device.parsed("Ebs.DeleteOnTermination")?;
    let attachments = region.ec2.volumes.get_mut(&volume).map(|volume| &mut volume.attachments).into_iter().flatten();
    for attachment in attachments.filter(|attachment| attachment.instance_id == id) {
        attachment.delete_on_termination = delete.unwrap_or(attachment.delete_on_termination);
    }
    Ok(())
}

/// Resets the source/destination check. The kernel and the RAM disk belong to paravirtual instances.
fn reset(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("InstanceId")?;
    find(region, id)?;
    match call.input.required("Attribute")? {
        "sourceDestCheck" => set_value(region, id, "sourceDestCheck", "true")?,
        other => return Err(ApiError::invalid(format!("The attribute '{other}' cannot be reset."))),
    }
    Ok(Node::success())
}
