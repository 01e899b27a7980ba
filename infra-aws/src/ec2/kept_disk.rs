//! The disk of an instance, as the disk of the instance that replaces it.
//!
//! The previous instance is stopped, so that nothing is written after the copy, and stays stopped. An image of it is
//! created, and the new instance is launched from that image. The image and its snapshots have the previous instance's id
//! as a tag and are deleted before that instance is. When the new instance is not created, the previous one is started
//! again.

use super::{filter, imaging, instances};
use crate::prelude::*;
use aws_sdk_ec2::{
    Client,
    types::{Filter, Image, InstanceStateName},
};
use tokio::time::Instant;

/// Tag of images with the id of the instance whose disk they contain.
const TAG: &str = "infra:disk-of";

/// The next step of a replacement, recorded before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// Stops the previous instance with this id, and creates an image of it.
    Stopping(String),
    /// Launches the new instance from this image.
    Launching(String),
}

/// Stops the previous instance and creates an image of it.
pub(super) async fn create_image(cx: &Context<'_>, ec2: &Client, previous: &str) -> Result<ImageId> {
    if instances::describe_existing(ec2, previous).await?.is_none() {
        let message = format!("the instance {previous}, whose disk is to be kept, does not exist any more");
        return Err(ProviderError::refused(message)
            .hint("run `up --refresh` to record that, and to create an instance with an empty disk"));
    }
    cx.milestone(&Step::Stopping(previous.to_owned())).await?;
    ec2.stop_instances().instance_ids(previous).send().await.context("StopInstances")?;
    until_state(cx, ec2, previous, InstanceStateName::Stopped).await?;
    // An image of an earlier attempt may lack data that was written after it.
    delete_images(cx, ec2, previous).await?;
    let name = format!("disk of {previous} {}", cx.operation());
    let tags = BTreeMap::from([(TAG.to_owned(), previous.to_owned())]);
    let image = imaging::create(cx, ec2, previous, &name, &tags).await?;
    imaging::until_available(cx, ec2, &image).await?;
    cx.milestone(&Step::Launching(image.clone())).await?;
    Ok(ImageId::from(image))
}

/// Returns whether an interrupted replacement cannot launch an instance any more: it stopped before `RunInstances` was
/// sent, or its image is deleted, so that a delayed request fails. In the first case an image whose `CreateImage` was
/// just sent is visible when this function returns, so that [`delete_images`] finds it.
pub(super) async fn cannot_launch(cx: &Context<'_>, ec2: &Client) -> Result<bool> {
    let previous = match cx.earlier().pop() {
        Some(Step::Stopping(previous)) => previous,
        Some(Step::Launching(image)) => {
            let response = ec2.describe_images().filters(filter("image-id", &image)).send().await;
            return Ok(response.context("DescribeImages")?.images().is_empty());
        }
        None => return Ok(false),
    };
    let visibility = wait::visibility(cx.client());
    let deadline = Instant::now() + visibility;
    while images(ec2, &previous).await?.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(visibility / 20).await;
    }
    Ok(true)
}

/// Starts the previous instance again after a failure that left no new one, and deletes the image of its disk.
pub(super) async fn roll_back(cx: &Context<'_>, ec2: &Client, previous: &str, error: ProviderError) -> ProviderError {
    let message = match resume(cx, ec2, previous).await {
        Ok(false) => error.message,
        Ok(true) => format!("{}; the previous instance {previous} runs again", error.message),
        Err(start) => format!("{}; the previous instance {previous} cannot be started again: {start}", error.message),
    };
    ProviderError { kind: ErrorKind::Refused, message, ..error }
}

/// Starts an instance that is stopped for a copy of its disk, and deletes the copies; returns whether it was stopped.
/// The copies of an instance that does not exist any more are kept, because they may be the only copies of its data.
pub(super) async fn resume(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<bool> {
    let was_stopped = start(cx, ec2, id).await?;
    if instances::describe_existing(ec2, id).await?.is_some() {
        delete_images(cx, ec2, id).await?;
    }
    Ok(was_stopped)
}

/// Starts an instance that is stopped; returns whether it was.
async fn start(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<bool> {
    let state = instances::describe(ec2, id).await?.map(|instance| instances::state(&instance));
    if state == Some(InstanceStateName::Stopping) {
        until_state(cx, ec2, id, InstanceStateName::Stopped).await?;
    }
    let was_stopped = matches!(state, Some(InstanceStateName::Stopping | InstanceStateName::Stopped));
    if was_stopped {
        ec2.start_instances().instance_ids(id).send().await.context("StartInstances")?;
        until_state(cx, ec2, id, InstanceStateName::Running).await?;
    }
    Ok(was_stopped)
}

/// Deletes the images of an instance's disk and their snapshots.
pub(super) async fn delete_images(cx: &Context<'_>, ec2: &Client, instance: &str) -> Result<()> {
    let snapshots = imaging::snapshots(ec2, vec![of_disk(instance)]).await?;
    imaging::delete(cx, ec2, &images(ec2, instance).await?, snapshots).await
}

async fn images(ec2: &Client, instance: &str) -> Result<Vec<Image>> {
    let call = ec2.describe_images().owners("self").filters(of_disk(instance));
    Ok(call.send().await.context("DescribeImages")?.images.unwrap_or_default())
}

/// Returns the filter of the images of an instance's disk, and of their snapshots.
fn of_disk(instance: &str) -> Filter {
    filter(&format!("tag:{TAG}"), instance)
}

async fn until_state(cx: &Context<'_>, ec2: &Client, id: &str, wanted: InstanceStateName) -> Result<()> {
    let status = format!("waiting until the instance {id} is {}", wanted.as_str());
    wait::until(cx, &status, wait::TIMEOUT, async || {
        let instance = instances::describe_existing(ec2, id).await?;
        let instance = instance.ok_or_else(|| {
            ProviderError::of(ErrorKind::NotFound, format!("the instance {id} does not exist any more"))
        })?;
        Ok((instances::state(&instance) == wanted).then_some(()))
    })
    .await
}
