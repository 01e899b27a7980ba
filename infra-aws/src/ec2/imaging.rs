//! Images of instances: creating, describing and deleting them together with their snapshots.

use super::once;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{Filter, Image, ImageState, ResourceType},
};
use infra_core::{
    provider::{Context, ProviderError},
    target::Readiness,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long an image may take.
const PATIENCE: Duration = Duration::from_mins(20);

/// Asks for an image of an instance (`CreateImage`); the answer is its id.
pub(super) async fn create(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    instance: &str,
    name: &str,
    own_tags: &BTreeMap<String, String>,
) -> Result<String, ProviderError> {
    let call = ec2
        .create_image()
        .instance_id(instance)
        .name(name)
        .description(format!("{} of {}", cx.urn().name(), cx.urn().program()))
        .tag_specifications(tags::ec2_with(cx, ResourceType::Image, own_tags));
    // moto takes the tags of one thing at a time.
    let call = match cx.client().readiness() {
        Readiness::Full => call.tag_specifications(tags::ec2_with(cx, ResourceType::Snapshot, own_tags)),
        Readiness::ControlPlane => call,
    };
    let answer = call.customize().config_override(once()).send().await.context("CreateImage")?;
    answer.image_id.ok_or_else(|| ProviderError::unsure("CreateImage: the answer has no image"))
}

/// The image once instances can be launched from it.
pub(super) async fn available(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<Image, ProviderError> {
    let patient = cx.client().readiness() == Readiness::Full;
    wait::until(cx, &format!("waiting until the image {id} is there"), PATIENCE, async || {
        // A new image is not seen everywhere at once.
        let Some(image) = describe(ec2, id).await? else { return Ok(None) };
        match image.state() {
            Some(ImageState::Failed | ImageState::Error | ImageState::Invalid) => {
                let why = image.state_reason().and_then(|reason| reason.message()).unwrap_or("no reason was given");
                Err(ProviderError::refused(format!("EC2 could not make the image {id}: {why}")))
            }
            Some(ImageState::Available) => Ok(Some(image)),
            _ => Ok((!patient).then_some(image)),
        }
    })
    .await
}

pub(super) async fn describe(ec2: &Client, id: &str) -> Result<Option<Image>, AwsError> {
    let answer = found(ec2.describe_images().image_ids(id).send().await.context("DescribeImages"))?;
    let images = answer.and_then(|answer| answer.images).unwrap_or_default();
    Ok(images.into_iter().find(|image| image.state() != Some(&ImageState::Deregistered)))
}

/// Deletes images, and then their snapshots and the `other` ones. A deletion that failed halfway continues: an image is
/// not described any more once it is deregistered, so the caller passes the snapshots of such an image as `other`.
pub(super) async fn delete(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    images: &[Image],
    other: impl IntoIterator<Item = String>,
) -> Result<(), ProviderError> {
    let snapshots: BTreeSet<String> = images.iter().flat_map(snapshot_ids).chain(other).collect();
    for image in images {
        let id = image.image_id().unwrap_or_default();
        found(ec2.deregister_image().image_id(id).send().await.context("DeregisterImage"))?;
    }
    for snapshot in snapshots {
        // It is in use for a moment longer.
        let status = format!("waiting until no image uses the snapshot {snapshot} any more");
        let codes = ["InvalidSnapshot.InUse"];
        found(
            wait::while_inconsistent(cx, &status, &codes, async || {
                ec2.delete_snapshot().snapshot_id(&snapshot).send().await.context("DeleteSnapshot")
            })
            .await,
        )?;
    }
    Ok(())
}

/// The ids of this account's snapshots that have these tags.
pub(super) async fn snapshots(ec2: &Client, tags: Vec<Filter>) -> Result<Vec<String>, AwsError> {
    let call = ec2.describe_snapshots().owner_ids("self").set_filters(Some(tags));
    let found = call.send().await.context("DescribeSnapshots")?.snapshots.unwrap_or_default();
    Ok(found.into_iter().filter_map(|snapshot| snapshot.snapshot_id).collect())
}

/// Whether the snapshot still exists.
pub(super) async fn snapshot_exists(ec2: &Client, id: &str) -> Result<bool, AwsError> {
    let answer = ec2.describe_snapshots().snapshot_ids(id).send().await.context("DescribeSnapshots");
    Ok(found(answer)?.is_some_and(|answer| !answer.snapshots().is_empty()))
}

/// The snapshots of an image's volumes, the root volume first.
pub(super) fn snapshot_ids(image: &Image) -> impl Iterator<Item = String> {
    image.block_device_mappings().iter().filter_map(|device| device.ebs()?.snapshot_id().map(str::to_owned))
}
