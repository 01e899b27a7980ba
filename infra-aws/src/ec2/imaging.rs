//! Images of instances: making one, looking at it, and deleting it with its snapshot.

use super::{once, unless_throttled};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{Image, ImageState, ResourceType},
};
use infra_core::{
    provider::{Context, ProviderError},
    target::Readiness,
};
use std::{collections::BTreeMap, time::Duration};

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
    let answer = unless_throttled(cx, async || {
        call.clone().customize().config_override(once()).send().await.context("CreateImage")
    })
    .await?;
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

/// Deletes an image and its snapshot.
pub(super) async fn delete(cx: &Context<'_, Aws>, ec2: &Client, image: &Image) -> Result<(), ProviderError> {
    let id = image.image_id().unwrap_or_default();
    found(ec2.deregister_image().image_id(id).send().await.context("DeregisterImage"))?;
    if let Some(snapshot) = snapshot_id(image) {
        // It is in use for a moment longer.
        let status = "waiting until the image lets go of its snapshot";
        let codes = ["InvalidSnapshot.InUse"];
        found(
            wait::while_inconsistent(cx, status, &codes, async || {
                ec2.delete_snapshot().snapshot_id(&snapshot).send().await.context("DeleteSnapshot")
            })
            .await,
        )?;
    }
    Ok(())
}

/// The snapshot of its root volume.
pub(super) fn snapshot_id(image: &Image) -> Option<String> {
    image.block_device_mappings().iter().find_map(|device| device.ebs()?.snapshot_id().map(str::to_owned))
}
