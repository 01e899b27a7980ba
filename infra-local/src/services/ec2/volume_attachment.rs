//! Attachments of volumes to instances.

use super::volume::{find, find_mut, render_attachment};
use super::{Ec2Operation, check_id, instance, resource};
use crate::model::ec2::image::ROOT_DEVICE;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::ec2::volume::VolumeAttachment;
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("AttachVolume", attach, &[&["Device", "InstanceId", "VolumeId"]])
        .on(&[resource::INSTANCE, resource::VOLUME]),
    Operation::writes("DetachVolume", detach, &[&["Device", "InstanceId", "VolumeId"]])
        .on(&[resource::INSTANCE, resource::VOLUME])
        // No process uses the volume, so that each detachment succeeds at once.
        .ignoring(&[&["Force"]]),
];

/// Maximum number of instances to which a Multi-Attach volume is attached.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volumes-multi.html>
const MULTI_ATTACH_LIMIT: usize = 16;

/// Attaches a volume. The API reports `attaching`, and the attachment exists at once.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html>
fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let (id, device) = (params.required("VolumeId")?, params.required("Device")?);
    let volume = find(region, id)?;
    let instance = instance::find(region, params.required("InstanceId")?)?;
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
        let message = format!("Instance '{}' is not 'running'.", instance.id);
        return Err(ApiError::new("IncorrectState", message));
    }
    if volume.zone != instance.zone {
        let message = format!("The volume '{id}' is not in the same availability zone as instance '{}'", instance.id);
        return Err(ApiError::new("InvalidVolume.ZoneMismatch", message));
    }
    let limit = if volume.settings.multi_attach { MULTI_ATTACH_LIMIT } else { 1 };
    if volume.attachments.len() >= limit || volume.attachment_to(&instance.id).is_some() {
        return Err(ApiError::new("VolumeInUse", format!("{id} is already attached to an instance")));
    }
    check_device(region, instance, device)?;
    let attachment = VolumeAttachment {
        instance_id: instance.id.clone(),
        device: device.to_owned(),
        attached: call.now,
        // A volume that is attached to an existing instance remains after its termination.
        delete_on_termination: false,
    };
    let answer = render_attachment(volume, &attachment, "attaching");
    if let Some(instance) = region.ec2.instances.get_mut(&attachment.instance_id) {
        instance.volumes.push(id.to_owned());
    }
    find_mut(region, id)?.attachments.push(attachment);
    Ok(answer)
}

/// Checks that an instance has no volume at a device.
/// Names: <https://docs.aws.amazon.com/ebs/latest/userguide/device_naming.html>.
fn check_device(region: &Region, instance: &Instance, device: &str) -> Outcome<()> {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    let letters = name.strip_prefix("sd").or_else(|| name.strip_prefix("xvd"));
    let is_valid = letters.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.chars().all(|c| c.is_ascii_alphanumeric())
    });
    let refuse = |reason: &str| Err(ApiError::invalid(format!("Invalid value '{device}' for unixDevice. {reason}")));
    if !is_valid {
        return refuse(&format!("{device} is not a valid EBS device name."));
    }
    if region.volumes_of(&instance.id).iter().any(|(_, own)| own.device == device) {
        return refuse(&format!("Attachment point {device} is already in use"));
    }
    Ok(())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("VolumeId")?;
    let volume = find(region, id)?;
    let wanted = params.optional("InstanceId");
    if let Some(wanted) = wanted {
        check_id(wanted, "i", "InvalidInstanceID.Malformed")?;
    }
    if volume.attachments.is_empty() {
        let message = format!("Volume '{id}' is in the 'available' state.");
        return Err(ApiError::new("IncorrectState", message));
    }
    if wanted.is_none() && volume.attachments.len() > 1 {
        let message = "The volume is attached to several instances: the request must contain the parameter InstanceId";
        return Err(ApiError::new("MissingParameter", message));
    }
    let device = params.optional("Device");
    let found = volume
        .attachments
        .iter()
        .find(|own| wanted.is_none_or(|id| own.instance_id == id) && device.is_none_or(|device| own.device == device));
    let Some(attachment) = found.cloned() else {
        let instance = wanted.map(|id| format!(" to instance '{id}'")).unwrap_or_default();
        let device = device.map(|device| format!(" as device '{device}'")).unwrap_or_default();
        let message = format!("The volume '{id}' is not attached{instance}{device}.");
        return Err(ApiError::new("InvalidAttachment.NotFound", message));
    };
    let owner = &attachment.instance_id;
    let state = region.ec2.instances.get(owner).map(|instance| instance.state);
    if attachment.device == ROOT_DEVICE && state != Some(InstanceState::Stopped) {
        let message = format!("Unable to detach root volume '{id}' from instance '{owner}'");
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    let answer = render_attachment(volume, &attachment, "detaching");
    find_mut(region, id)?.attachments.retain(|own| *own != attachment);
    if let Some(instance) = region.ec2.instances.get_mut(owner) {
        instance.volumes.retain(|own| own != id);
    }
    Ok(answer)
}
