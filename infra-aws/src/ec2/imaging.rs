//! Images of instances: creating, describing and deleting them together with their snapshots.

use super::{once, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{
    Client,
    types::{Filter, Image, ImageState, ResourceType},
};
use infra_core::target::Readiness;
use std::{collections::BTreeSet, time::Duration};

/// Longest time until an image is available.
const TIMEOUT: Duration = Duration::from_mins(20);

/// Requests an image of an instance (`CreateImage`), and returns its id.
pub(super) async fn create(
    cx: &Context<'_>,
    ec2: &Client,
    instance: &str,
    name: &str,
    tags: &BTreeMap<String, String>,
) -> Result<String> {
    let call = ec2
        .create_image()
        .instance_id(instance)
        .name(name)
        .description(format!("{} of {}", cx.urn().name(), cx.urn().program()))
        .tag_specifications(tag_specification(cx, ResourceType::Image, tags));
    // moto accepts the tags of one resource type only.
    let call = match cx.client().readiness() {
        Readiness::Full => call.tag_specifications(tag_specification(cx, ResourceType::Snapshot, tags)),
        Readiness::ControlPlane => call,
    };
    let response = call.customize().config_override(once()).send().await.context("CreateImage")?;
    response.image_id.ok_or_else(|| ProviderError::unsure("CreateImage returned no image"))
}

/// Waits until instances can be launched from the image.
pub(super) async fn until_available(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<Image> {
    let until_usable = cx.client().readiness() == Readiness::Full;
    wait::until(cx, &format!("waiting until the image {id} is available"), TIMEOUT, async || {
        // A new image may be visible only after a while.
        let Some(image) = describe(ec2, id).await? else { return Ok(None) };
        match image.state() {
            Some(ImageState::Failed | ImageState::Error | ImageState::Invalid) => {
                let reason = image.state_reason().and_then(|reason| reason.message()).unwrap_or("EC2 gives no reason");
                Err(ProviderError::refused(format!("EC2 could not create the image {id}: {reason}")))
            }
            Some(ImageState::Available) => Ok(Some(image)),
            _ => Ok((!until_usable).then_some(image)),
        }
    })
    .await
}

pub(super) async fn describe(ec2: &Client, id: &str) -> Result<Option<Image>> {
    let response = found(ec2.describe_images().image_ids(id).send().await.context("DescribeImages"))?;
    let images = response.and_then(|response| response.images).unwrap_or_default();
    Ok(images.into_iter().find(|image| image.state() != Some(&ImageState::Deregistered)))
}

/// Deletes images, and then their snapshots and the `other` ones. A deletion that failed halfway continues: an image is
/// not described any more once it is deregistered, so the caller passes the snapshots of such an image as `other`.
pub(super) async fn delete(
    cx: &Context<'_>,
    ec2: &Client,
    images: &[Image],
    other: impl IntoIterator<Item = String>,
) -> Result<()> {
    let snapshots: BTreeSet<String> = images.iter().flat_map(snapshot_ids).chain(other).collect();
    for image in images {
        let id = image.image_id().unwrap_or_default();
        found(ec2.deregister_image().image_id(id).send().await.context("DeregisterImage"))?;
    }
    for snapshot in snapshots {
        // The snapshot of a deregistered image is in use for a moment longer.
        let status = format!("waiting until no image uses the snapshot {snapshot}");
        let deleted = wait::retry_while_inconsistent(cx, &status, &["InvalidSnapshot.InUse"], async || {
            ec2.delete_snapshot().snapshot_id(&snapshot).send().await.context("DeleteSnapshot")
        });
        found(deleted.await)?;
    }
    Ok(())
}

/// Returns the ids of this account's snapshots that have these tags.
pub(super) async fn snapshots(ec2: &Client, tags: Vec<Filter>) -> Result<Vec<String>> {
    let call = ec2.describe_snapshots().owner_ids("self").set_filters(Some(tags));
    let snapshots = call.send().await.context("DescribeSnapshots")?.snapshots.unwrap_or_default();
    Ok(snapshots.into_iter().filter_map(|snapshot| snapshot.snapshot_id).collect())
}

/// Returns whether the snapshot exists.
pub(super) async fn snapshot_exists(ec2: &Client, id: &str) -> Result<bool> {
    let response = ec2.describe_snapshots().snapshot_ids(id).send().await.context("DescribeSnapshots");
    Ok(found(response)?.is_some_and(|response| !response.snapshots().is_empty()))
}

/// Returns the ids of the snapshots of an image's volumes, the root volume first.
pub(super) fn snapshot_ids(image: &Image) -> impl Iterator<Item = String> {
    image.block_device_mappings().iter().filter_map(|device| device.ebs()?.snapshot_id().map(str::to_owned))
}
