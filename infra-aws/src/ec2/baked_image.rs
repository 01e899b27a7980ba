//! `aws:ec2:BakedImage`: a machine image with the packages, files and programs of a machine.

use super::{
    console, filter,
    host::{self, Host},
    imaging,
    instance::{self, Instance},
    instances, operation_filter, retag,
};
use crate::{
    machine::{self, Machine, Purpose},
    prelude::*,
    region::Region,
};
use aws_sdk_ec2::{Client, types};
use infra_core::{
    provider::{Found, Handler, Recovery},
    target::Readiness,
};
use std::time::Duration;

/// Longest time until a builder has configured itself.
const BUILD_TIMEOUT: Duration = Duration::from_mins(20);

/// Tag of images and snapshots with the image's name. Together with the URN it finds the snapshots of an image that is
/// deregistered.
const IMAGE_TAG: &str = "infra:image";

/// A machine image with the packages, files and programs of a machine.
///
/// A builder instance configures itself, starts no service and powers itself off. Then the image is created from it,
/// and the builder is terminated. Instances of the image run its services and those of the machine of their own
/// instance or launch template; they start faster than instances that configure themselves. The image contains no
/// secrets: hosts read them when they start.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let machine = Machine::debian()
///     .package("imagemagick")
///     .service(Service::cargo_bin("web").listen(8080).health("/healthz"));
/// let image = virginia.add("image", BakedImage::new("t3.micro", machine));
/// let template = virginia.add("template", LaunchTemplate::of_image("t3.micro", &image));
/// virginia.add("group", AutoScalingGroup::from(template.version(), network.subnets));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `RunInstances`; `DescribeInstances` and `GetConsoleOutput` until the builder is stopped; `CreateImage`;
///   `DescribeImages` until the image is available; `TerminateInstances`. If the create fails, the operations of a
///   deletion.
/// - Read: `DescribeInstances` while a builder is recorded, `DescribeImages`; `DescribeSnapshots` if the image does not
///   exist
/// - Update: `CreateTags`, `DeleteTags`
/// - Delete: `DescribeImages`, `DescribeSnapshots`, `DeregisterImage`, `DeleteSnapshot`; `TerminateInstances` and
///   `DescribeInstances` if there is a builder
///
/// # Replacement
/// A change of any input except `tags` replaces the image, because an image cannot change. The new image is created
/// before the previous one is deleted. The previous image exists until all its dependents are updated, so that the
/// rollback of a group can use it. An image whose create was interrupted is replaced by the next run.
///
/// # Import
/// Images cannot be imported, because EC2 does not return what they contain. Instances and launch templates use an
/// existing image by its id.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:BakedImage")]
pub struct BakedImage {
    /// Name, unique in the region: 3 to 128 letters, digits, blanks and any of `()[]./-'@_`. When omitted, the
    /// declaration's name with a unique suffix. A change replaces the image.
    #[resource(replace)]
    pub name: Option<String>,
    /// Instance type of the builder, such as `t3.micro`. The image has its architecture. A change replaces the image.
    #[resource(replace)]
    pub instance_type: String,
    /// Id of the builder's image; when omitted, the newest image of the machine's Debian release. A change replaces the
    /// image.
    #[resource(replace)]
    pub image: Option<Input<ImageId>>,
    /// Id of the builder's subnet, which needs a route to the internet; a default subnet of the region when omitted. A
    /// change replaces the image.
    #[resource(replace)]
    pub subnet: Option<Input<SubnetId>>,
    /// Ids of the builder's security groups; when empty, the group `default` of the VPC. A change replaces the image.
    #[resource(replace)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Name of the builder's instance profile; when omitted, one that may read the programs and secrets of the machine,
    /// if it has any. A change replaces the image.
    #[resource(replace)]
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// Packages, files and services of the image, at least one of them. A change replaces the image.
    #[resource(replace)]
    pub machine: Machine,
    /// User-defined tags of the image: key → value. The snapshots and the builder have those of the create.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`BakedImage`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct BakedImageOutputs {
    /// Id of the image, `ami-…`; empty while only a builder exists.
    #[output(regional)]
    pub id: Output<ImageId>,
    /// Name of the image.
    pub name: Output<String>,
    /// Id of the snapshot of the root volume, `snap-…`.
    pub snapshot_id: Output<String>,
    /// Name of the instance profile with which instances of the image may read their programs and secrets; empty if
    /// they need none.
    pub instance_profile: Output<InstanceProfileName>,
    /// Id of the builder, `i-…`, while it exists; empty afterwards.
    pub builder: Output<String>,
}

impl BakedImage {
    /// Returns an image of this machine, for instances with the builder's architecture.
    pub fn new(instance_type: impl Into<String>, machine: Machine) -> Self {
        Self {
            name: None,
            instance_type: instance_type.into(),
            image: None,
            subnet: None,
            security_groups: Vec::new(),
            instance_profile: None,
            machine,
            tags: BTreeMap::new(),
        }
    }

    fn image_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }

    /// Returns the filters of the image's snapshots, which are the same in all operations on this generation.
    fn snapshot_tags(&self, cx: &Context<'_>) -> Vec<types::Filter> {
        vec![filter("tag:infra:urn", cx.origin().as_str()), filter(&format!("tag:{IMAGE_TAG}"), &self.image_name(cx))]
    }

    fn builder(&self) -> Instance {
        Instance {
            image: self.image.clone(),
            subnet: self.subnet.clone(),
            security_groups: self.security_groups.clone(),
            instance_profile: self.instance_profile.clone(),
            machine: self.machine.clone(),
            tags: self.tags.clone(),
            ..Instance::new(&self.instance_type)
        }
    }

    /// Returns the recorded inputs of an image that is not finished. They contain an empty machine, so that the next run
    /// replaces the image.
    fn unfinished(&self) -> Self {
        Self { machine: Machine::debian(), ..self.clone() }
    }
}

/// The parts of an image that exist, recorded as milestones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    builder: Option<String>,
    image: Option<String>,
    /// The recorded snapshot of the image's root volume.
    #[serde(default)]
    snapshot: Option<String>,
    /// Indicates whether `CreateImage` may have been sent.
    #[serde(default)]
    imaging: bool,
}

impl AwsResource for BakedImage {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = host::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Handler for BakedImage {
    type Client = Aws;

    const IMPORTABLE: bool = false;

    fn check(&self) -> Vec<Problem> {
        let mut problems = machine::problems(&self.machine, &self.instance_type);
        if self.machine.is_empty() {
            let message = "the image would contain nothing besides the builder's image";
            problems.push(Problem::new("machine", message).hint("add packages, files or services"));
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
        let invalid = |name: &&String| !(3..=128).contains(&name.len()) || !name.chars().all(valid);
        problems.extend(self.name.as_ref().filter(invalid).map(|name| {
            Problem::new("name", format!("`{name}` cannot name an image"))
                .hint("write 3 to 128 letters, digits, blanks and any of `()[]./-'@_`")
        }));
        problems
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let launched = instance::launch(cx, &ec2, &inputs.builder(), Purpose::Build).await?;
        let builder = launched.instance_id().unwrap_or_default();
        let mut parts = Parts { builder: Some(builder.to_owned()), ..Parts::default() };
        cx.milestone(&parts).await?;
        let image = match bake(cx, &ec2, inputs, &mut parts).await {
            Ok(image) => image,
            Err(error) => return Err(clean_up(cx, &ec2, inputs, parts, error).await?),
        };
        match instances::terminate(cx, &ec2, builder).await {
            Ok(()) => Ok(Created { inputs: None, ..finished(&image, inputs)? }),
            Err(error) => Err(unfinished(&parts, inputs)?.failed(error)),
        }
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let parts = recorded_parts(prior)?;
        if let Some(builder) = &parts.builder
            && instances::describe_existing(&ec2, builder).await?.is_some()
        {
            return Ok(Some(unfinished(&parts, &prior.inputs)?));
        }
        if let Some(image) = &parts.image
            && let Some(image) = imaging::describe(&ec2, image).await?
        {
            return Ok(Some(finished(&image, &prior.inputs)?));
        }
        // A deletion may have deregistered the image and failed to delete its snapshots, which only a record will delete.
        let recorded_exists = match &parts.snapshot {
            Some(snapshot) => imaging::snapshot_exists(&ec2, snapshot).await?,
            None => false,
        };
        let remains = recorded_exists || !imaging::snapshots(&ec2, prior.inputs.snapshot_tags(cx)).await?.is_empty();
        remains.then(|| unfinished(&parts, &prior.inputs)).transpose()
    }

    /// Changes the tags, the only input whose change replaces nothing.
    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        retag(&ec2, &prior.id, Some(&prior.inputs.tags), &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        delete_parts(cx, &ec2, &recorded_parts(prior)?, prior.inputs.snapshot_tags(cx)).await
    }

    /// An image that is not finished is recorded as such, and replaced by the next run.
    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let recorded: Parts = cx.earlier().pop().unwrap_or_default();
                let image = find_image(cx, &ec2, &recorded).await?;
                let builder = match &recorded.builder {
                    Some(id) => instances::describe_existing(&ec2, id).await?,
                    None => instance::of_operation(cx, &ec2).await?,
                };
                Ok(match (image, builder) {
                    (Some(image), None) if image.state() == Some(&types::ImageState::Available) => {
                        Found::Found(finished(&image, inputs)?)
                    }
                    (None, None) => {
                        // The cleanup after a failed create may have been interrupted after `DeregisterImage`.
                        let snapshot = imaging::snapshots(&ec2, vec![operation_filter(cx)]).await?.pop();
                        match snapshot {
                            Some(_) => {
                                Found::Found(unfinished(&Parts { builder: None, snapshot, ..recorded }, inputs)?)
                            }
                            None => Found::Absent,
                        }
                    }
                    (image, builder) => {
                        let builder = builder.and_then(|builder| builder.instance_id);
                        let parts = Parts { builder, image: image.and_then(|image| image.image_id), ..recorded };
                        Found::Found(unfinished(&parts, inputs)?)
                    }
                })
            })
        })
    }
}

/// Deletes the parts that exist after a failure. The returned error records the remaining parts, if the deletion fails.
/// An image that is not visible yet, because the response to its request was lost, is looked for by the next runs.
async fn clean_up(
    cx: &Context<'_>,
    ec2: &Client,
    inputs: &BakedImage,
    mut parts: Parts,
    error: ProviderError,
) -> Result<ProviderError> {
    let deleted = match find_image(cx, ec2, &parts).await {
        Ok(image) => {
            parts.image = image.and_then(|image| image.image_id);
            delete_parts(cx, ec2, &parts, vec![operation_filter(cx)]).await
        }
        Err(error) => Err(error),
    };
    let nothing_else_exists = !parts.imaging || parts.image.is_some();
    Ok(match deleted {
        Ok(()) if error.kind == ErrorKind::Unsure && nothing_else_exists => {
            ProviderError { kind: ErrorKind::Refused, ..error }
        }
        Ok(()) => error,
        Err(_) => unfinished(&parts, inputs)?.failed(error),
    })
}

/// Returns the image that the operation has requested. It may be visible only after a while.
async fn find_image(cx: &Context<'_>, ec2: &Client, parts: &Parts) -> Result<Option<types::Image>> {
    let visibility = if parts.imaging { wait::visibility(cx.client()) } else { Duration::ZERO };
    let deadline = tokio::time::Instant::now() + visibility;
    loop {
        let image = match &parts.image {
            Some(id) => imaging::describe(ec2, id).await?,
            None => {
                let call = ec2.describe_images().owners("self").filters(operation_filter(cx));
                call.send().await.context("DescribeImages")?.images.unwrap_or_default().pop()
            }
        };
        if image.is_some() || tokio::time::Instant::now() >= deadline {
            return Ok(image);
        }
        tokio::time::sleep(visibility / 20).await;
    }
}

/// Waits for the builder and creates the image. `parts` contains the parts that exist, in case of a failure too.
async fn bake(cx: &Context<'_>, ec2: &Client, inputs: &BakedImage, parts: &mut Parts) -> Result<types::Image> {
    let builder = parts.builder.clone().unwrap_or_default();
    let status = format!("waiting until the builder {builder} has configured itself");
    wait::until(cx, &status, BUILD_TIMEOUT, async || match cx.client().readiness() {
        Readiness::Full => has_configured_itself(ec2, &builder).await,
        // The instances of a mock server never power themselves off.
        Readiness::ControlPlane => can_be_imaged(ec2, &builder).await,
    })
    .await?;
    parts.imaging = true;
    cx.milestone(parts).await?;
    let name = inputs.image_name(cx);
    let mut tags = inputs.tags.clone();
    tags.insert(IMAGE_TAG.to_owned(), name.clone());
    let id = imaging::create(cx, ec2, &builder, &name, &tags).await?;
    parts.image = Some(id.clone());
    cx.milestone(parts).await?;
    imaging::until_available(cx, ec2, &id).await
}

/// Returns `Some` when the builder has powered itself off; fails when its setup has failed or it was terminated.
async fn has_configured_itself(ec2: &Client, builder: &str) -> Result<Option<()>> {
    let Some(instance) = instances::describe(ec2, builder).await? else { return Ok(None) };
    if instances::state(&instance) == types::InstanceStateName::Stopped {
        return Ok(Some(()));
    }
    if !instances::exists(&instance) {
        return Err(ProviderError::refused(format!("the builder {builder} was terminated before it was configured")));
    }
    let Some(last) = console::setup_failure(ec2, builder).await? else { return Ok(None) };
    Err(ProviderError::refused(format!(
        "the builder {builder} could not configure itself; its console ends with:\n{last}"
    ))
    .hint("correct the machine, and run the same command again: the builder has been terminated"))
}

/// Returns `Some` when EC2 accepts a `CreateImage` for the instance, which it refuses while the instance is pending.
async fn can_be_imaged(ec2: &Client, builder: &str) -> Result<Option<()>> {
    let state = instances::describe(ec2, builder).await?.as_ref().map(instances::state);
    Ok(matches!(state, Some(types::InstanceStateName::Running | types::InstanceStateName::Stopped)).then_some(()))
}

/// Deletes the parts of an image that exist: the image, the snapshots with these tags, and the builder.
async fn delete_parts(cx: &Context<'_>, ec2: &Client, parts: &Parts, snapshot_tags: Vec<types::Filter>) -> Result<()> {
    let image = match &parts.image {
        Some(image) => imaging::describe(ec2, image).await?,
        None => None,
    };
    let snapshots = imaging::snapshots(ec2, snapshot_tags).await?;
    imaging::delete(cx, ec2, image.as_slice(), snapshots.into_iter().chain(parts.snapshot.clone())).await?;
    match &parts.builder {
        Some(builder) => instances::terminate(cx, ec2, builder).await,
        None => Ok(()),
    }
}

/// Returns the recorded parts of an image.
fn recorded_parts(prior: &Prior<BakedImage>) -> Result<Parts> {
    let text = |output: &Output<String>| Ok::<_, ProviderError>(Some(output.known()?).filter(|text| !text.is_empty()));
    let is_image = prior.id.starts_with("ami-");
    Ok(Parts {
        builder: text(&prior.outputs.builder)?,
        image: is_image.then(|| prior.id.clone()),
        snapshot: text(&prior.outputs.snapshot_id)?,
        imaging: false,
    })
}

/// Converts the description of an image whose builder is terminated.
fn finished(image: &types::Image, recorded: &BakedImage) -> Result<Created<BakedImage>> {
    let id = image.image_id().unwrap_or_default();
    let name = image.name().unwrap_or_default();
    let inputs = BakedImage {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        tags: tags::declared(image.tags(), Some(&recorded.tags)),
        ..recorded.clone()
    };
    let outputs = BakedImageOutputs {
        id: ImageId::from(id).into(),
        name: name.into(),
        snapshot_id: imaging::snapshot_ids(image).next().unwrap_or_default().into(),
        instance_profile: instance_profile(recorded)?.into(),
        builder: "".into(),
    };
    Ok(Created { id: id.to_owned(), inputs: Some(inputs), outputs })
}

/// Converts the parts of an image that is not finished.
fn unfinished(parts: &Parts, recorded: &BakedImage) -> Result<Created<BakedImage>> {
    let Parts { builder, image, snapshot, imaging: _ } = parts;
    let id = image.as_ref().or(builder.as_ref()).or(snapshot.as_ref()).cloned().unwrap_or_default();
    let outputs = BakedImageOutputs {
        id: ImageId::from(image.clone().unwrap_or_default()).into(),
        name: "".into(),
        snapshot_id: snapshot.clone().unwrap_or_default().into(),
        instance_profile: instance_profile(recorded)?.into(),
        builder: builder.clone().unwrap_or_default().into(),
    };
    Ok(Created { id, inputs: Some(recorded.unfinished()), outputs })
}

fn instance_profile(recorded: &BakedImage) -> Result<InstanceProfileName> {
    let profile = recorded.instance_profile.as_ref().map(Input::known).transpose()?;
    Ok(profile.unwrap_or_else(|| InstanceProfileName::from("")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn declared() -> BakedImage {
        BakedImage {
            image: Some(ImageId::from("ami-1").into()),
            ..BakedImage::new("t3.micro", Machine::debian().package("vim"))
        }
    }

    #[test]
    fn description_of_a_declared_image_equals_the_declaration() {
        let disk = types::EbsBlockDevice::builder().snapshot_id("snap-1").build();
        let image = types::Image::builder()
            .image_id("ami-2")
            .name("web-abc")
            .block_device_mappings(types::BlockDeviceMapping::builder().ebs(disk).build())
            .build();
        let read = finished(&image, &declared()).unwrap();
        let json = |image: &BakedImage| serde_json::to_value(image).unwrap();
        assert_eq!(json(&read.inputs.unwrap()), json(&declared()));
        assert_eq!(read.outputs.snapshot_id.known().unwrap(), "snap-1");
    }

    #[test]
    fn unfinished_image_is_recorded_with_its_parts_and_without_a_machine() {
        let parts = Parts { builder: Some("i-1".to_owned()), ..Parts::default() };
        let Created { id, inputs, outputs } = unfinished(&parts, &declared()).unwrap();
        assert_eq!(id, "i-1");
        assert!(inputs.as_ref().unwrap().machine.is_empty());
        let prior = Prior { id, inputs: inputs.unwrap(), outputs };
        assert_eq!(recorded_parts(&prior).unwrap(), parts);
        let both = Parts { image: Some("ami-1".to_owned()), ..parts };
        let Created { id, inputs, outputs } = unfinished(&both, &declared()).unwrap();
        assert_eq!(recorded_parts(&Prior { id, inputs: inputs.unwrap(), outputs }).unwrap(), both);
    }

    #[test]
    fn image_of_an_empty_machine_is_refused() {
        let problems = Handler::check(&BakedImage::new("t3.micro", Machine::debian()));
        assert_eq!(problems[0].message, "the image would contain nothing besides the builder's image");
    }
}
