//! The disk of an instance, carried over to the instance that takes its place.
//!
//! The old instance is stopped, so that nothing is written behind the copy, and stays so; an image is made of it, and the
//! new one launched from that. The image bears the old instance's id, and is deleted with it. When no new instance comes
//! about, the old one is started again.

use super::{filter, imaging, instance};
use crate::{client::Aws, error::SdkContext, ids::ImageId, wait};
use aws_sdk_ec2::{Client, types::InstanceStateName};
use infra_core::provider::{Context, ErrorKind, ProviderError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names the instance whose disk an image holds.
const TAG: &str = "infra:disk-of";

/// What is about to be done with the instance that is replaced.
#[derive(Serialize, Deserialize)]
struct Stopping<'a> {
    stopping: &'a str,
}

/// An image of the disk of `old`, which is stopped for it.
pub(super) async fn image_of(cx: &Context<'_, Aws>, ec2: &Client, old: &str) -> Result<ImageId, ProviderError> {
    let lives = instance::describe(ec2, old).await?.filter(|lives| !instance::is_over(lives));
    if lives.is_none() {
        let message = format!("the instance {old}, whose disk was to be kept, is gone");
        return Err(ProviderError::refused(message)
            .hint("`up --refresh` takes note of that, and makes a new one with an empty disk"));
    }
    cx.milestone(&Stopping { stopping: old }).await?;
    ec2.stop_instances().instance_ids(old).send().await.context("StopInstances")?;
    become_state(cx, ec2, old, InstanceStateName::Stopped).await?;
    // What an earlier attempt has made may lack what was written since.
    discard(cx, ec2, old).await?;
    let name = format!("disk of {old} {}", cx.operation());
    let tags = BTreeMap::from([(TAG.to_owned(), old.to_owned())]);
    let image = imaging::create(cx, ec2, old, &name, &tags).await?;
    imaging::available(cx, ec2, &image).await?;
    Ok(ImageId::from(image))
}

/// Starts the old instance again after a failure that no new one can have survived.
pub(super) async fn go_back(cx: &Context<'_, Aws>, ec2: &Client, old: &str, error: ProviderError) -> ProviderError {
    let message = match start(cx, ec2, old).await {
        Ok(false) => error.message,
        Ok(true) => format!("{}; the old instance {old} runs again", error.message),
        Err(stuck) => format!("{}; and the old instance {old} cannot be started again: {stuck}", error.message),
    };
    ProviderError { kind: ErrorKind::Refused, message, ..error }
}

/// Starts an instance that was stopped; whether it was.
pub(super) async fn start(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<bool, ProviderError> {
    let state = instance::describe(ec2, id).await?.map(|lives| instance::state(&lives));
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

/// Deletes the images of an instance's disk that were made to carry it over.
pub(super) async fn discard(cx: &Context<'_, Aws>, ec2: &Client, old: &str) -> Result<(), ProviderError> {
    let call = ec2.describe_images().owners("self").filters(filter(&format!("tag:{TAG}"), old));
    let images = call.send().await.context("DescribeImages")?.images.unwrap_or_default();
    for image in &images {
        imaging::delete(cx, ec2, image).await?;
    }
    Ok(())
}

async fn become_state(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    id: &str,
    wanted: InstanceStateName,
) -> Result<(), ProviderError> {
    let status = format!("waiting until the instance {id} is {}", wanted.as_str());
    wait::until(cx, &status, wait::PATIENCE, async || {
        let lives = instance::describe(ec2, id).await?;
        match lives.map(|lives| instance::state(&lives)) {
            Some(state) if state == wanted => Ok(Some(())),
            None | Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated) => {
                Err(ProviderError::of(ErrorKind::NotFound, format!("the instance {id} is gone")))
            }
            Some(_) => Ok(None),
        }
    })
    .await
}
