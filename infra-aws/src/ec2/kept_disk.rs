//! The disk of an instance, carried over to the instance that replaces it.
//!
//! The old instance is stopped, so that nothing is written after the copy, and stays stopped; an image of it is created,
//! and the new instance is launched from that image. The image and its snapshots have the old instance's id as a tag and
//! are deleted before that instance is. When the new instance is not created, the old one is started again.

use super::{filter, imaging, instances};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
    ids::ImageId,
    wait,
};
use aws_sdk_ec2::{
    Client,
    types::{Filter, Image, InstanceStateName},
};
use infra_core::provider::{Context, ErrorKind, ProviderError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Names the instance whose disk an image holds.
const TAG: &str = "infra:disk-of";

/// The step that a replacement is about to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// Stops the old instance with this id, and creates an image of it.
    Stopping(String),
    /// Launches the new instance from this image.
    Launching(String),
}

/// An image of the disk of `old`, which is stopped for it.
pub(super) async fn image_of(cx: &Context<'_, Aws>, ec2: &Client, old: &str) -> Result<ImageId, ProviderError> {
    let lives = instances::describe(ec2, old).await?.filter(|lives| !instances::is_over(lives));
    if lives.is_none() {
        let message = format!("the instance {old}, whose disk was to be kept, is gone");
        return Err(ProviderError::refused(message)
            .hint("`up --refresh` takes note of that, and makes a new one with an empty disk"));
    }
    cx.milestone(&Step::Stopping(old.to_owned())).await?;
    ec2.stop_instances().instance_ids(old).send().await.context("StopInstances")?;
    become_state(cx, ec2, old, InstanceStateName::Stopped).await?;
    // What an earlier attempt has made may lack what was written since.
    discard(cx, ec2, old).await?;
    let name = format!("disk of {old} {}", cx.operation());
    let tags = BTreeMap::from([(TAG.to_owned(), old.to_owned())]);
    let image = imaging::create(cx, ec2, old, &name, &tags).await?;
    imaging::available(cx, ec2, &image).await?;
    cx.milestone(&Step::Launching(image.clone())).await?;
    Ok(ImageId::from(image))
}

/// Whether an interrupted replacement can launch nothing any more: it ended before `RunInstances` was sent, or the image
/// that it launches from is deleted, so that a late request fails. In the first case the image, should `CreateImage` have
/// been sent just before, is visible once this returns, so that [`discard`] finds it.
pub(super) async fn launches_nothing(cx: &Context<'_, Aws>, ec2: &Client) -> Result<bool, AwsError> {
    let old = match cx.earlier().pop() {
        Some(Step::Stopping(old)) => old,
        Some(Step::Launching(image)) => {
            let named = ec2.describe_images().filters(filter("image-id", &image)).send().await;
            return Ok(named.context("DescribeImages")?.images().is_empty());
        }
        None => return Ok(false),
    };
    let patience = wait::visibility(cx.client());
    let deadline = Instant::now() + patience;
    while images(ec2, &old).await?.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(patience / 20).await;
    }
    Ok(true)
}

/// Starts the old instance again after a failure that no new one can have survived, and deletes the image of its disk.
pub(super) async fn go_back(cx: &Context<'_, Aws>, ec2: &Client, old: &str, error: ProviderError) -> ProviderError {
    let message = match resume(cx, ec2, old).await {
        Ok(false) => error.message,
        Ok(true) => format!("{}; the old instance {old} runs again", error.message),
        Err(stuck) => format!("{}; and the old instance {old} cannot be started again: {stuck}", error.message),
    };
    ProviderError { kind: ErrorKind::Refused, message, ..error }
}

/// Starts an instance that was stopped for a copy of its disk, and deletes the copies; whether it was stopped. Of an
/// instance that is gone, the copies are kept: they may be all that is left of its data.
pub(super) async fn resume(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<bool, ProviderError> {
    let started = start(cx, ec2, id).await?;
    if instances::describe(ec2, id).await?.is_some_and(|instance| !instances::is_over(&instance)) {
        discard(cx, ec2, id).await?;
    }
    Ok(started)
}

/// Starts an instance that was stopped; whether it was.
async fn start(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<bool, ProviderError> {
    let state = instances::describe(ec2, id).await?.map(|lives| instances::state(&lives));
    if state == Some(InstanceStateName::Stopping) {
        become_state(cx, ec2, id, InstanceStateName::Stopped).await?;
    }
    let stopped = matches!(state, Some(InstanceStateName::Stopping | InstanceStateName::Stopped));
    if stopped {
        ec2.start_instances().instance_ids(id).send().await.context("StartInstances")?;
        become_state(cx, ec2, id, InstanceStateName::Running).await?;
    }
    Ok(stopped)
}

/// Deletes the images of an instance's disk that were created to carry it over, and their snapshots.
pub(super) async fn discard(cx: &Context<'_, Aws>, ec2: &Client, old: &str) -> Result<(), ProviderError> {
    let snapshots = imaging::snapshots(ec2, vec![of_disk(old)]).await?;
    imaging::delete(cx, ec2, &images(ec2, old).await?, snapshots).await
}

async fn images(ec2: &Client, old: &str) -> Result<Vec<Image>, AwsError> {
    let call = ec2.describe_images().owners("self").filters(of_disk(old));
    Ok(call.send().await.context("DescribeImages")?.images.unwrap_or_default())
}

/// The filter of the images of an instance's disk, and of their snapshots.
fn of_disk(old: &str) -> Filter {
    filter(&format!("tag:{TAG}"), old)
}

async fn become_state(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    id: &str,
    wanted: InstanceStateName,
) -> Result<(), ProviderError> {
    let status = format!("waiting until the instance {id} is {}", wanted.as_str());
    wait::until(cx, &status, wait::PATIENCE, async || {
        let lives = instances::describe(ec2, id).await?;
        match lives.map(|lives| instances::state(&lives)) {
            Some(state) if state == wanted => Ok(Some(())),
            None | Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated) => {
                Err(ProviderError::of(ErrorKind::NotFound, format!("the instance {id} is gone")))
            }
            Some(_) => Ok(None),
        }
    })
    .await
}
