//! Machine images: stock Debian images, and images of instances.

use std::collections::BTreeSet;

use super::{Ec2Operation, TAG_SPECIFICATIONS, instance, never, resource};
use crate::domain::ec2::unknown_image;
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::image::{EVERYONE, Image, ImageState, ROOT_DEVICE};
use crate::model::ec2::instance::InstanceState;
use crate::model::ec2::snapshot::Snapshot;
use crate::model::ec2::volume::Volume;
use crate::model::machine::MachineDocument;
use crate::model::{Account, Cloud, Region, Tags, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::{Field, wildcard_match};
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateImage", create, &[&["InstanceId", "Name", "Description", "NoReboot"], TAG_SPECIFICATIONS])
        .on(&[resource::INSTANCE, resource::NEW_IMAGE]),
    Operation::reads(
        "DescribeImages",
        describe,
        &[&["ImageId.N", "Owner.N", "ExecutableBy.N", "IncludeDeprecated", "IncludeDisabled"], FILTERS, PAGES],
    )
    .on_any(),
    Operation::writes("DeregisterImage", deregister, &[&["ImageId", "DeleteAssociatedSnapshots"]])
        .on(&[resource::IMAGE]),
];

/// Creates the image as `pending`; the data plane copies the instance's disk.
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params.required("Name")?)?;
    let (image_tags, snapshot_tags) = tags_of(params)?;
    let no_reboot = params.flag("NoReboot")?;
    let region = cloud.region_mut(call.region)?;
    check_unused(region, name)?;
    let source = instance::find(region, params.required("InstanceId")?)?;
    if !matches!(source.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
        let message = format!(
            "The instance '{}' is not in a state from which it can be imaged: it is {}.",
            source.id,
            source.state.name()
        );
        return Err(ApiError::new("IncorrectState", message));
    }
    // User data without a Machine document results in an image without one.
    let machine = MachineDocument::of(source).ok().flatten();
    if no_reboot && source.state == InstanceState::Running && machine.as_ref().is_some_and(MachineDocument::keeps_data)
    {
        return Err(super::not_honoured(
            "NoReboot: the data of a running database cannot be copied while it is written; leave it out, or stop the instance",
        ));
    }
    let volumes = region.volumes_of(&source.id);
    let snapshot_of = |volume: &Volume| Snapshot {
        id: new_id("snap"),
        volume_id: volume.id.clone(),
        size_gib: volume.settings.size_gib,
        description: String::new(),
        encrypted: volume.encrypted,
        kms_key: volume.kms_key.clone(),
        started: call.now,
        tags: snapshot_tags.clone(),
        ..Snapshot::default()
    };
    let (roots, others): (Vec<_>, Vec<_>) =
        volumes.into_iter().partition(|(_, attachment)| attachment.device == ROOT_DEVICE);
    let Some((root, _)) = roots.first() else {
        let message = format!("The instance '{}' does not have a volume attached at root ({ROOT_DEVICE})", source.id);
        return Err(ApiError::new("IncorrectState", message));
    };
    let mut snapshots = vec![snapshot_of(root)];
    let mut devices = Vec::new();
    for (volume, attachment) in others {
        let snapshot = snapshot_of(volume);
        devices.push(BlockDevice {
            device_name: attachment.device.clone(),
            snapshot_id: Some(snapshot.id.clone()),
            size_gib: Some(snapshot.size_gib),
            volume_type: Some(volume.settings.kind.clone()),
            encrypted: Some(volume.encrypted),
            delete_on_termination: Some(attachment.delete_on_termination),
            ..BlockDevice::default()
        });
        snapshots.push(snapshot);
    }
    let image = Image {
        id: new_id("ami"),
        name: name.to_owned(),
        description: params.optional("Description").unwrap_or_default().to_owned(),
        owner: call.account.to_string(),
        architecture: "x86_64".to_owned(),
        created: call.now,
        public: false,
        state: ImageState::Pending,
        snapshot_id: snapshots[0].id.clone(),
        size_gib: snapshots[0].size_gib,
        devices,
        source_instance_id: Some(source.id.clone()),
        no_reboot,
        machine,
        copy_of: None,
        encrypted: false,
        shared_with: BTreeSet::new(),
        tags: image_tags,
    };
    let answer = Node::new().with("imageId", &image.id);
    let description = format!("Created by CreateImage({}) for {}", source.id, image.id);
    for snapshot in snapshots {
        let snapshot = Snapshot { description: description.clone(), ..snapshot };
        region.ec2.snapshots.insert(snapshot.id.clone(), snapshot);
    }
    region.ec2.images.insert(image.id.clone(), image);
    Ok(answer)
}

/// Refuses the name of another image of the account.
pub(super) fn check_unused(region: &Region, name: &str) -> Outcome<()> {
    match region.ec2.images.values().find(|image| image.name == name) {
        Some(other) => Err(ApiError::new(
            "InvalidAMIName.Duplicate",
            format!("AMI name {name} is already in use by AMI {}", other.id),
        )),
        None => Ok(()),
    }
}

/// Checks AWS's rule for names of images.
pub(super) fn check_name(name: &str) -> Outcome<&str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(valid) {
        return Ok(name);
    }
    Err(ApiError::new(
        "InvalidAMIName.Malformed",
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', \
         '.', '/', '-', ''', '@', and '_'",
    ))
}

/// Returns the tags of the image, and those of its snapshot.
pub(super) fn tags_of(params: &Params) -> Outcome<(Tags, Tags)> {
    let (mut image, mut snapshot) = (Tags::new(), Tags::new());
    for specification in params.structures("TagSpecification") {
        let given = tags::parse(&specification, "Tag")?;
        match specification.required("ResourceType")? {
            "image" => image.extend(given),
            "snapshot" => snapshot.extend(given),
            other => {
                return Err(ApiError::invalid(format!(
                    "'{other}' is not a valid taggable resource type for this operation."
                )));
            }
        }
    }
    Ok((image, snapshot))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let all = cloud.region(call.region)?.all_images();
    let (ids, owners, users) = (params.texts("ImageId"), params.texts("Owner"), params.texts("ExecutableBy"));
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|image| image.id == **id)) {
        return Err(unknown_image(missing));
    }
    let is_owned = |image: &Image| {
        owners
            .iter()
            .any(|owner| wildcard_match(owner, &image.owner) || (owner == "self" && call.account == *image.owner))
    };
    let wanted: Vec<Image> = all
        .into_iter()
        .filter(|image| {
            (ids.is_empty() || ids.contains(&image.id))
                && (owners.is_empty() || is_owned(image))
                && (users.is_empty() || users.iter().any(|user| is_executable_by(image, call.account, user)))
        })
        .collect();
    let found = Filters::parse(params)?.apply(wanted.iter(), FIELDS, |image| &image.tags)?;
    let page = Page::of(found, params, |image| &image.id)?;
    Ok(Node::new().list("imagesSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

/// Returns whether an account, the caller's (`self`) or all have an explicit permission to launch the image.
fn is_executable_by(image: &Image, own: Account, user: &str) -> bool {
    match user {
        EVERYONE => image.is_public(),
        "self" => image.shared_with.contains(own.as_str()),
        account => image.shared_with.contains(account),
    }
}

/// Deregisters an image. Its snapshot is kept, unless the request deletes it too. Instances of the image continue to
/// run.
fn deregister(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = params.required("ImageId")?;
    let with_snapshots = params.flag("DeleteAssociatedSnapshots")?;
    let region = cloud.region_mut(call.region)?;
    let Some(image) = region.ec2.images.remove(id) else {
        let code = if region.image(id).is_some() { "AuthFailure" } else { "InvalidAMIID.NotFound" };
        return Err(ApiError::new(code, format!("The image id '[{id}]' does not exist or is not yours")));
    };
    let mut answer = Node::success();
    if with_snapshots {
        for id in image.snapshots() {
            region.ec2.snapshots.remove(id);
        }
        let deleted = image.snapshots().map(|id| Node::new().with("snapshotId", id).with("returnCode", "success"));
        answer = answer.list("deleteSnapshotResultSet", deleted);
    }
    Ok(answer)
}

const FIELDS: &[Field<Image>] = &[
    ("image-id", |image| vec![image.id.clone()]),
    ("name", |image| vec![image.name.clone()]),
    ("description", |image| vec![image.description.clone()]),
    ("architecture", |image| vec![image.architecture.clone()]),
    ("owner-id", |image| vec![image.owner.clone()]),
    ("state", |image| vec![image.state.name().to_owned()]),
    ("image-type", |_| vec!["machine".to_owned()]),
    ("is-public", |image| vec![image.is_public().to_string()]),
    ("block-device-mapping.snapshot-id", |image| image.snapshots().cloned().collect()),
    ("block-device-mapping.device-name", |image| render(image).texts("blockDeviceMapping.deviceName")),
    ("block-device-mapping.volume-size", |image| render(image).texts("blockDeviceMapping.ebs.volumeSize")),
    ("block-device-mapping.volume-type", |image| render(image).texts("blockDeviceMapping.ebs.volumeType")),
    ("block-device-mapping.delete-on-termination", |_| vec!["true".to_owned()]),
    ("block-device-mapping.encrypted", |image| render(image).texts("blockDeviceMapping.ebs.encrypted")),
    ("creation-date", |image| vec![image.created.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)]),
    ("ena-support", |_| vec!["true".to_owned()]),
    ("platform-details", |_| vec!["Linux/UNIX".to_owned()]),
    ("root-device-type", |_| vec!["ebs".to_owned()]),
    ("root-device-name", |_| vec![ROOT_DEVICE.to_owned()]),
    ("source-instance-id", |image| image.source_instance_id.iter().cloned().collect()),
    ("virtualization-type", |_| vec!["hvm".to_owned()]),
    ("hypervisor", |_| vec!["xen".to_owned()]),
    ("boot-mode", |image| render(image).texts("bootMode")),
    ("manifest-location", |image| render(image).texts("imageLocation")),
    ("sriov-net-support", |image| render(image).texts("sriovNetSupport")),
    ("free-tier-eligible", |image| vec![image.public.to_string()]),
    ("image-allowed", |_| vec!["true".to_owned()]),
    ("kernel-id", never),
    ("owner-alias", never),
    ("platform", never),
    ("product-code", never),
    ("product-code.type", never),
    ("public-ssm-parameter-name", never),
    ("ramdisk-id", never),
    ("source-image-id", |image| render(image).texts("sourceImageId")),
    ("source-image-region", |image| render(image).texts("sourceImageRegion")),
    ("state-reason-code", never),
    ("state-reason-message", never),
];

fn render(image: &Image) -> Node {
    let root = Node::new().with("deviceName", ROOT_DEVICE).with(
        "ebs",
        Node::new()
            .with("deleteOnTermination", true)
            .with("snapshotId", &image.snapshot_id)
            .with("volumeSize", image.size_gib)
            .with("volumeType", "gp3")
            .with("encrypted", image.encrypted),
    );
    let others = image.devices.iter().map(super::launch_data::render_device);
    let account = if image.public { "amazon" } else { &image.owner };
    Node::new()
        .with("imageId", &image.id)
        .with("imageLocation", format!("{account}/{}", image.name))
        .with("imageState", image.state.name())
        .with("imageOwnerId", &image.owner)
        .with("creationDate", image.created)
        .with("isPublic", image.is_public())
        .with("architecture", &image.architecture)
        .with("imageType", "machine")
        .with("platformDetails", "Linux/UNIX")
        .with("usageOperation", "RunInstances")
        .list("blockDeviceMapping", std::iter::once(root).chain(others))
        .with("description", &image.description)
        .with("enaSupport", true)
        .with("hypervisor", "xen")
        .with("name", &image.name)
        .with("rootDeviceName", ROOT_DEVICE)
        .with("rootDeviceType", "ebs")
        .maybe("sourceInstanceId", image.source_instance_id.as_ref())
        .maybe("sourceImageId", image.copy_of.as_ref().map(|(id, _)| id))
        .maybe("sourceImageRegion", image.copy_of.as_ref().map(|(_, region)| region))
        .with("sriovNetSupport", "simple")
        .with("virtualizationType", "hvm")
        .with("bootMode", "uefi-preferred")
        .with("tagSet", tags::set(&image.tags))
}
