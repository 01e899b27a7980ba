//! Copies of images, within a region and between regions.

use std::collections::BTreeSet;

use super::client_token::{earlier_result, remember};
use super::image::{check_name, check_unused, tags_of};
use super::{Ec2Operation, TAG_SPECIFICATIONS, resource};
use crate::domain::ec2::unknown_image;
use crate::domain::ec2::volume::{key_of, key_without_encryption};
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::image::{Image, ImageState};
use crate::model::ec2::snapshot::Snapshot;
use crate::model::{Cloud, new_id};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[Operation::writes(
    "CopyImage",
    copy,
    &[
        &[
            "SourceImageId",
            "SourceRegion",
            "Name",
            "Description",
            "ClientToken",
            "Encrypted",
            "KmsKeyId",
            "CopyImageTags",
        ],
        TAG_SPECIFICATIONS,
    ],
)
.on(&[resource::NEW_IMAGE])];

/// Creates the copy as `pending`; the data plane copies the content of the source.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>
fn copy(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params.required("Name")?)?;
    let (mut image_tags, snapshot_tags) = tags_of(params)?;
    let (source_id, source_region) = (params.required("SourceImageId")?, params.required("SourceRegion")?);
    if let Some(known) = earlier_result(cloud.region(call.region)?, call, "CopyImage")? {
        return Ok(Node::new().with("imageId", known));
    }
    check_unused(cloud.region(call.region)?, name)?;
    let source = cloud.region(source_region)?.image(source_id).ok_or_else(|| unknown_image(source_id))?;
    if source.state != ImageState::Available {
        let message = format!("The image id '[{source_id}]' is not available: it is {}", source.state.name());
        return Err(ApiError::new("InvalidAMIID.Unavailable", message));
    }
    let by_default = cloud.region(call.region)?.ec2.ebs_encryption_by_default;
    let encrypted = source.encrypted || by_default || params.flag("Encrypted")?;
    let key = params.optional("KmsKeyId");
    if key.is_some() && !encrypted {
        return Err(key_without_encryption());
    }
    if params.flag("CopyImageTags")? {
        // Tags of the request win over those of the source.
        image_tags = source.tags.clone().into_iter().chain(image_tags).collect();
    }
    let kms_key = encrypted.then(|| key_of(call.scope(), key)).transpose()?;
    let id = new_id("ami");
    let snapshot = |of: &str, size_gib| Snapshot {
        id: new_id("snap"),
        volume_id: "vol-ffffffff".to_owned(),
        size_gib,
        description: format!(
            "Copied for DestinationAmi {id} from SourceAmi {source_id} for SourceSnapshot {of}. Task created on {}.",
            call.now.timestamp_millis()
        ),
        encrypted,
        kms_key: kms_key.clone(),
        started: call.now,
        tags: snapshot_tags.clone(),
        ..Snapshot::default()
    };
    let mut snapshots = vec![snapshot(&source.snapshot_id, source.size_gib)];
    let mut devices = Vec::new();
    for device in &source.devices {
        let copied = device.snapshot_id.as_ref().map(|of| snapshot(of, device.size_gib.unwrap_or_default()));
        let encrypted = Some(encrypted || device.encrypted == Some(true));
        let snapshot_id = copied.as_ref().map(|copied| copied.id.clone());
        devices.push(BlockDevice { snapshot_id, encrypted, ..device.clone() });
        snapshots.extend(copied);
    }
    let image = Image {
        id: id.clone(),
        name: name.to_owned(),
        description: params.optional("Description").unwrap_or(&source.description).to_owned(),
        owner: call.account.to_string(),
        created: call.now,
        public: false,
        state: ImageState::Pending,
        snapshot_id: snapshots[0].id.clone(),
        devices,
        source_instance_id: None,
        copy_of: Some((source_id.to_owned(), source_region.to_owned())),
        encrypted,
        shared_with: BTreeSet::new(),
        tags: image_tags,
        ..source
    };
    let region = cloud.region_mut(call.region)?;
    remember(region, call, "CopyImage", &id);
    region.ec2.snapshots.extend(snapshots.into_iter().map(|snapshot| (snapshot.id.clone(), snapshot)));
    region.ec2.images.insert(id.clone(), image);
    Ok(Node::new().with("imageId", id))
}
