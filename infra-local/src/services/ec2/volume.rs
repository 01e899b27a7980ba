//! Volumes: creation, description and deletion. A volume is recorded and has no blocks.

use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, client_token, not_honoured, resource, tags_for, time};
use crate::domain::ec2::volume::{check_settings, key_of, key_without_encryption, size_from, unknown_snapshot};
use crate::model::ec2::volume::{Settings, Volume, VolumeAttachment};
use crate::model::{Cloud, Region, new_id, zone_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateVolume",
        create,
        &[
            &[
                "AvailabilityZone",
                "AvailabilityZoneId",
                "ClientToken",
                "Encrypted",
                "Iops",
                "KmsKeyId",
                "MultiAttachEnabled",
                "Size",
                "SnapshotId",
                "Throughput",
                "VolumeType",
            ],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::NEW_VOLUME, resource::SNAPSHOT])
    // A volume without blocks needs no time for its initialization.
    .ignoring(&[&["VolumeInitializationRate"]]),
    Operation::reads("DescribeVolumes", describe, &[&["VolumeId.N"], FILTERS, PAGES])
        .on_any()
        // No other service manages volumes of this account.
        .ignoring(&[&["IncludeManagedResources"]]),
    Operation::writes("DeleteVolume", delete, &[&["VolumeId"]]).on(&[resource::VOLUME]),
];

/// Creates a volume. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "volume")?;
    let region = cloud.region_mut(call.region)?;
    if let Some(id) = client_token::earlier_result(region, call, "CreateVolume")? {
        return Ok(render(region, find(region, &id)?));
    }
    let zone = zone(region, params)?;
    let snapshot = match params.optional("SnapshotId") {
        Some(id) => {
            check_id(id, "snap", "InvalidSnapshotID.Malformed")?;
            Some(region.ec2.snapshots.get(id).ok_or_else(|| unknown_snapshot(id))?)
        }
        None => None,
    };
    let size = match (snapshot, params.parsed("Size")?) {
        (Some(snapshot), size) => size_from(snapshot, size)?,
        (None, Some(size)) => size,
        (None, None) => return Err(ApiError::missing("size/snapshotId")),
    };
    let settings = check_settings(Settings {
        // AWS's default, which gp3 has not replaced.
        kind: params.optional("VolumeType").unwrap_or("gp2").to_owned(),
        size_gib: size,
        iops: params.parsed("Iops")?,
        throughput: params.parsed("Throughput")?,
        multi_attach: params.flag("MultiAttachEnabled")?,
    })?;
    let encrypted = params.flag("Encrypted")?
        || region.ec2.ebs_encryption_by_default
        || snapshot.is_some_and(|snapshot| snapshot.encrypted);
    let key = params.optional("KmsKeyId");
    if key.is_some() && !encrypted {
        return Err(key_without_encryption());
    }
    let key = key.or_else(|| snapshot.and_then(|snapshot| snapshot.kms_key.as_deref()));
    let volume = Volume {
        id: new_id("vol"),
        zone,
        settings,
        encrypted,
        kms_key: encrypted.then(|| key_of(call.scope(), key)).transpose()?,
        snapshot_id: snapshot.map(|snapshot| snapshot.id.clone()),
        created: call.now,
        tags,
        ..Volume::default()
    };
    let answer = render_in_state(region, &volume, "creating");
    client_token::remember(region, call, "CreateVolume", &volume.id);
    region.ec2.volumes.insert(volume.id.clone(), volume);
    Ok(answer)
}

/// Returns the name of the requested zone.
fn zone(region: &Region, params: &Params) -> Outcome<String> {
    let (name, id) = (params.optional("AvailabilityZone"), params.optional("AvailabilityZoneId"));
    let mut all = region.zone_names();
    let found = match (name, id) {
        (Some(name), None) => all.find(|zone| zone == name),
        (None, Some(id)) => all.find(|zone| zone_id(zone) == id),
        (None, None) => return Err(ApiError::missing("availabilityZone")),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "You cannot specify both AvailabilityZone and AvailabilityZoneId.",
            ));
        }
    };
    let given = name.or(id).unwrap_or_default();
    let zone =
        found.ok_or_else(|| ApiError::new("InvalidZone.NotFound", format!("The zone '{given}' does not exist.")))?;
    if region.lost_zones.contains(&zone) {
        return Err(not_honoured(format!("The availability zone {zone} has failed: no volumes are created in it")));
    }
    Ok(zone)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let all = chosen(region, params)?.into_iter();
    let found = Filters::parse(params)?.apply(all, FIELDS, |volume| &volume.tags)?;
    let page = Page::of(found, params, |volume| &volume.id)?;
    Ok(Node::new()
        .list("volumeSet", page.items.into_iter().map(|volume| render(region, volume)))
        .maybe("nextToken", page.next))
}

/// Returns the volumes of `VolumeId.N`; all without it.
pub(super) fn chosen<'a>(region: &'a Region, params: &Params) -> Outcome<Vec<&'a Volume>> {
    let ids = params.texts("VolumeId");
    if ids.is_empty() {
        return Ok(region.ec2.volumes.values().collect());
    }
    ids.iter().map(|id| find(region, id)).collect()
}

const FIELDS: &[Field<Volume>] = &[
    ("volume-id", |volume| vec![volume.id.clone()]),
    ("attachment.attach-time", |volume| attachments(volume, |own| time(own.attached))),
    ("attachment.delete-on-termination", |volume| attachments(volume, |own| own.delete_on_termination.to_string())),
    ("attachment.device", |volume| attachments(volume, |own| own.device.clone())),
    ("attachment.instance-id", |volume| attachments(volume, |own| own.instance_id.clone())),
    ("attachment.status", |volume| attachments(volume, |_| "attached".to_owned())),
    ("availability-zone", |volume| vec![volume.zone.clone()]),
    ("availability-zone-id", |volume| vec![zone_id(&volume.zone)]),
    ("create-time", |volume| vec![time(volume.created)]),
    ("encrypted", |volume| vec![volume.encrypted.to_string()]),
    ("fast-restored", |_| vec!["false".to_owned()]),
    ("multi-attach-enabled", |volume| vec![volume.settings.multi_attach.to_string()]),
    ("operator.managed", |_| vec!["false".to_owned()]),
    ("operator.principal", |_| Vec::new()),
    ("size", |volume| vec![volume.settings.size_gib.to_string()]),
    ("snapshot-id", |volume| volume.snapshot_id.iter().cloned().collect()),
    ("status", |volume| vec![volume.state().to_owned()]),
    ("volume-type", |volume| vec![volume.settings.kind.clone()]),
];

fn attachments(volume: &Volume, value: fn(&VolumeAttachment) -> String) -> Vec<String> {
    volume.attachments.iter().map(value).collect()
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("VolumeId")?;
    if let Some(attachment) = find(region, id)?.attachments.first() {
        let message = format!("Volume {id} is currently attached to {}", attachment.instance_id);
        return Err(ApiError::new("VolumeInUse", message));
    }
    region.ec2.remove_volume(id);
    Ok(Node::success())
}

/// Finds a volume by its id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Volume> {
    check_id(id, "vol", "InvalidVolumeID.Malformed")?;
    region.ec2.volumes.get(id).ok_or_else(|| not_found(id))
}

pub(super) fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut Volume> {
    check_id(id, "vol", "InvalidVolumeID.Malformed")?;
    region.ec2.volumes.get_mut(id).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

fn render(region: &Region, volume: &Volume) -> Node {
    render_in_state(region, volume, volume.state())
}

fn render_in_state(region: &Region, volume: &Volume, state: &str) -> Node {
    let settings = &volume.settings;
    let attachments = volume.attachments.iter().map(|attachment| render_attachment(volume, attachment, "attached"));
    Node::new()
        .with("volumeId", &volume.id)
        .with("size", settings.size_gib)
        .with("snapshotId", volume.snapshot_id.as_deref().unwrap_or_default())
        .with("availabilityZone", &volume.zone)
        .with("availabilityZoneId", zone_id(&volume.zone))
        .with("status", state)
        .with("createTime", volume.created)
        .list("attachmentSet", attachments)
        .with("tagSet", tags::set(&volume.tags))
        .with("volumeType", &settings.kind)
        .maybe("iops", settings.iops)
        .maybe("throughput", settings.throughput)
        .with("encrypted", volume.encrypted)
        .maybe("kmsKeyId", volume.kms_key.as_ref())
        .with("multiAttachEnabled", settings.multi_attach)
        .with("volumeArn", region.scope().arn("ec2", format_args!("volume/{}", volume.id)))
        .with("operator", Node::new().with("managed", false))
}

/// Renders an attachment; attachments are parts of descriptions, and responses of AttachVolume and DetachVolume.
pub(super) fn render_attachment(volume: &Volume, attachment: &VolumeAttachment, status: &str) -> Node {
    Node::new()
        .with("volumeId", &volume.id)
        .with("instanceId", &attachment.instance_id)
        .with("device", &attachment.device)
        .with("status", status)
        .with("attachTime", attachment.attached)
        .with("deleteOnTermination", attachment.delete_on_termination)
}
