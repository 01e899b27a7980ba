//! Volumes of instances. They are recorded and described, and deleted with their instance; there are no other volumes.

use super::{Ec2Operation, check_id};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::image::ROOT_SIZE_GIB;
use crate::model::ec2::instance::Instance;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeVolumes", describe, &[&["VolumeId.N"], FILTERS, PAGES]).on_any()];

/// Default IOPS and throughput of a `gp3` volume.
const GP3: (u32, u32) = (3000, 125);

/// A volume with its instance.
struct Volume<'a> {
    instance: &'a Instance,
    device: &'a BlockDevice,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let ids = params.texts("VolumeId");
    for id in &ids {
        check_id(id, "vol", "InvalidVolumeID.Malformed")?;
    }
    let all = volumes(cloud.region(call.region)?);
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|volume| volume.device.volume_id == **id)) {
        let message = format!("The volume '{missing}' does not exist.");
        return Err(ApiError::new("InvalidVolume.NotFound", message));
    }
    let wanted = all.iter().filter(|volume| ids.is_empty() || ids.contains(&volume.device.volume_id));
    let fields: &[Field<Volume<'_>>] = &[
        ("volume-id", |volume| vec![volume.device.volume_id.clone()]),
        ("attachment.instance-id", |volume| vec![volume.instance.id.clone()]),
        ("attachment.device", |volume| vec![volume.device.device_name.clone()]),
        ("attachment.status", |_| vec!["attached".to_owned()]),
        ("availability-zone", |volume| vec![volume.instance.zone.clone()]),
        ("encrypted", |volume| vec![volume.device.encrypted.unwrap_or(false).to_string()]),
        ("size", |volume| vec![size(volume.device).to_string()]),
        ("status", |_| vec!["in-use".to_owned()]),
        ("volume-type", |volume| vec![kind(volume.device).to_owned()]),
    ];
    let found = Filters::parse(params)?.apply(wanted, fields, |volume| &volume.instance.volume_tags)?;
    let page = Page::of(found, params, |volume| &volume.device.volume_id)?;
    Ok(Node::new().list("volumeSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

fn volumes(region: &Region) -> Vec<Volume<'_>> {
    let alive = region.ec2.instances.values().filter(|instance| instance.terminated_at.is_none());
    alive.flat_map(|instance| instance.block_devices.iter().map(move |device| Volume { instance, device })).collect()
}

fn size(device: &BlockDevice) -> u32 {
    device.size_gib.unwrap_or(ROOT_SIZE_GIB)
}

fn kind(device: &BlockDevice) -> &str {
    device.volume_type.as_deref().unwrap_or("gp3")
}

fn render(volume: &Volume<'_>) -> Node {
    let Volume { instance, device } = volume;
    let gp3 = kind(device) == "gp3";
    let attachment = Node::new()
        .with("volumeId", &device.volume_id)
        .with("instanceId", &instance.id)
        .with("device", &device.device_name)
        .with("status", "attached")
        .with("attachTime", instance.launch_time)
        .with("deleteOnTermination", device.delete_on_termination.unwrap_or(true));
    Node::new()
        .with("volumeId", &device.volume_id)
        .with("size", size(device))
        .with("availabilityZone", &instance.zone)
        .with("status", "in-use")
        .with("createTime", instance.launch_time)
        .list("attachmentSet", [attachment])
        .with("tagSet", tags::set(&instance.volume_tags))
        .with("volumeType", kind(device))
        .maybe("iops", device.iops.or(gp3.then_some(GP3.0)))
        .maybe("throughput", device.throughput.or(gp3.then_some(GP3.1)))
        .with("encrypted", device.encrypted.unwrap_or(false))
        .with("multiAttachEnabled", false)
}
