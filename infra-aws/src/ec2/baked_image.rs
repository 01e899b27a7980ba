//! `aws:ec2:BakedImage`: a machine image that holds what a machine says.

use super::{
    filter,
    imaging::{self, describe, snapshot_ids},
    instance::{self, Instance},
    instances,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{ImageId, InstanceProfileName, SecurityGroupId, SubnetId},
    machine::{self, Host, Machine, Purpose},
    region::{AwsResource, Region},
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{Filter, Image as Described, ImageState, InstanceStateName},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How long a builder may take to configure itself.
const BUILD_PATIENCE: Duration = Duration::from_mins(20);

/// The tag of snapshots that names their image; with the URN it finds them once the image is deregistered.
const IMAGE_TAG: &str = "infra:image";

/// What the setup script says on the console when it gives up.
const SETUP_FAILED: &str = "infra-setup failed";

/// A machine image that holds what a machine says: packages, files, programs. What is launched from it runs them at
/// once, with the machine of the instance or template on top.
///
/// A builder is launched (`RunInstances`), which configures itself, starts nothing and powers itself off; then the image
/// is made (`CreateImage`) and the builder ended (`TerminateInstances`). An image cannot be changed: all but its tags
/// needs another one. It is deleted with its snapshot (`DeregisterImage`, `DeleteSnapshot`). Secrets do not get into it:
/// hosts read them when they start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BakedImage {
    /// Its name, unique in the region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The builder's type, such as `t3.micro`; the image is for its architecture.
    pub instance_type: String,
    /// What it starts from; the newest of the machine's Debian when none is given.
    pub image: Option<Input<ImageId>>,
    /// The builder's subnet, with a way to the internet; one of the default VPC's when none is given.
    pub subnet: Option<Input<SubnetId>>,
    /// The builder's firewalls; the VPC's default group when empty.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// What the builder may do; when none is given, it may read the parts of its machine.
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// What it holds.
    pub machine: Machine,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`BakedImage`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BakedImageOutputs {
    /// Its id, `ami-…`; empty as long as there is only a builder.
    pub id: Output<ImageId>,
    /// Its name.
    pub name: Output<String>,
    /// The snapshot of its root volume, `snap-…`.
    pub snapshot_id: Output<String>,
    /// What instances of it need in order to read their secrets; empty when they need nothing.
    pub instance_profile: Output<InstanceProfileName>,
    /// The builder, `i-…`, as long as it is there; empty afterwards.
    pub builder: Output<String>,
}

impl BakedImage {
    /// An image of this machine, for hosts of the builder's architecture.
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

    fn image_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }

    /// The tags that find the image's snapshots, in any operation on this generation.
    fn snapshot_tags(&self, cx: &Context<'_, Aws>) -> Vec<Filter> {
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

    /// What an image with only a builder, or with a builder left, is recorded as: it holds nothing yet, so that it is
    /// replaced.
    fn unfinished(&self) -> Self {
        Self { machine: Machine::debian(), ..self.clone() }
    }
}

/// The parts that exist so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    builder: Option<String>,
    image: Option<String>,
    /// The recorded snapshot of the image's root volume.
    #[serde(default)]
    snapshot: Option<String>,
    /// Whether `CreateImage` may have been sent.
    #[serde(default)]
    imaging: bool,
}

impl Resource for BakedImage {
    const TYPE: &'static str = "aws:ec2:BakedImage";
    type Outputs = BakedImageOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["name", "instance_type", "image", "subnet", "security_groups", "instance_profile", "machine"])
            .regional(["id"])
    }
}

impl AwsResource for BakedImage {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = machine::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Handler for BakedImage {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = machine::problems(&self.machine, &self.instance_type);
        if self.machine.is_empty() {
            let message = "it would hold no more than the image it starts from";
            problems.push(Problem::new("machine", message).hint("give it packages, files or services"));
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
        let bad = |name: &&String| !(3..=128).contains(&name.len()) || !name.chars().all(valid);
        problems.extend(self.name.as_ref().filter(bad).map(|name| {
            Problem::new("name", format!("`{name}` cannot name an image"))
                .hint("write 3 to 128 letters, digits, blanks and any of `()[]./-'@_`")
        }));
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let launched = instance::launch(cx, &ec2, &inputs.builder(), Purpose::Build).await?;
        let builder = launched.instance_id().unwrap_or_default();
        let mut made = Made { builder: Some(builder.to_owned()), ..Made::default() };
        cx.milestone(&made).await?;
        let image = match bake(cx, &ec2, inputs, &mut made).await {
            Ok(image) => image,
            Err(error) => return Err(give_up(cx, &ec2, inputs, made, error).await?),
        };
        match end(cx, &ec2, builder).await {
            Ok(()) => Ok(Created { inputs: None, ..created(&image, inputs)? }),
            Err(error) => Err(unfinished(&made, inputs)?.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let made = recorded(prior)?;
        if let Some(builder) = &made.builder {
            let lives = instances::describe(&ec2, builder).await?.is_some_and(|builder| !instances::is_over(&builder));
            if lives {
                return Ok(Some(unfinished(&made, &prior.inputs)?));
            }
        }
        if let Some(image) = &made.image
            && let Some(image) = describe(&ec2, image).await?
        {
            return Ok(Some(created(&image, &prior.inputs)?));
        }
        // A deletion that deregistered the image and failed at its snapshot: without a record nothing would delete that.
        let recorded = match &made.snapshot {
            Some(snapshot) => imaging::snapshot_exists(&ec2, snapshot).await?,
            None => false,
        };
        let left = recorded || !imaging::snapshots(&ec2, prior.inputs.snapshot_tags(cx)).await?.is_empty();
        left.then(|| unfinished(&made, &prior.inputs)).transpose()
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        // Whatever else changes forces a replacement.
        let ec2 = cx.client().ec2(cx.region()?).await;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        remove(cx, &ec2, &recorded(prior)?, prior.inputs.snapshot_tags(cx)).await
    }

    /// What it holds cannot be read back: it is declared without a machine.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(image) = describe(&ec2, id).await? else { return Ok(None) };
        let living = image.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let named = Self {
            name: image.name().map(str::to_owned),
            tags: tags::foreign(living),
            ..Self::new("", Machine::debian())
        };
        Ok(Some(created(&image, &named)?))
    }

    /// What was begun is recorded as unfinished, and so replaced by the next run.
    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let noted: Made = cx.earlier().pop().unwrap_or_default();
                let image = begun(cx, &ec2, &noted).await?;
                let builder = match &noted.builder {
                    Some(id) => instances::describe(&ec2, id).await?,
                    None => instance::of_operation(cx, &ec2).await?,
                };
                let builder = builder.filter(|builder| !instances::is_over(builder));
                let id = |image: &Described| image.image_id().map(str::to_owned);
                Ok(match (image, builder) {
                    (Some(image), None) if image.state() == Some(&ImageState::Available) => {
                        Found::Found(created(&image, inputs)?)
                    }
                    (None, None) => {
                        // The cleanup of a failed create may have been interrupted behind `DeregisterImage`.
                        let snapshot = imaging::snapshots(&ec2, vec![tags::ec2_filter(cx)]).await?.pop();
                        match snapshot {
                            Some(_) => Found::Found(unfinished(&Made { builder: None, snapshot, ..noted }, inputs)?),
                            None => Found::Absent,
                        }
                    }
                    (image, builder) => {
                        let builder = builder.and_then(|builder| builder.instance_id().map(str::to_owned));
                        let made = Made { builder, image: image.as_ref().and_then(id), ..noted };
                        Found::Found(unfinished(&made, inputs)?)
                    }
                })
            })
        })
    }
}

/// Removes what there is after a failure, so that nothing is left; what is left nevertheless is recorded. Where an image
/// may have been made whose answer was lost, and cannot be seen, the next runs look for it.
async fn give_up(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    inputs: &BakedImage,
    mut made: Made,
    error: ProviderError,
) -> Result<ProviderError, ProviderError> {
    let removed = match begun(cx, ec2, &made).await {
        Ok(image) => {
            made.image = image.and_then(|image| image.image_id);
            remove(cx, ec2, &made, vec![tags::ec2_filter(cx)]).await
        }
        Err(unseen) => Err(unseen),
    };
    let nothing_else = !made.imaging || made.image.is_some();
    Ok(match removed {
        Ok(()) if error.kind == ErrorKind::Unsure && nothing_else => {
            ProviderError { kind: ErrorKind::Refused, ..error }
        }
        Ok(()) => error,
        Err(_) => unfinished(&made, inputs)?.failed(error),
    })
}

/// The image that an interrupted operation has asked for. It may be seen only after a while.
async fn begun(cx: &Context<'_, Aws>, ec2: &Client, noted: &Made) -> Result<Option<Described>, ProviderError> {
    let patience = if noted.imaging { wait::visibility(cx.client()) } else { Duration::ZERO };
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let image = match &noted.image {
            Some(id) => describe(ec2, id).await?,
            None => image_of_operation(cx, ec2).await?,
        };
        if image.is_some() || tokio::time::Instant::now() >= deadline {
            return Ok(image);
        }
        tokio::time::sleep(patience / 20).await;
    }
}

/// Waits for the builder, and makes the image; `made` is what there is at each moment.
async fn bake(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    inputs: &BakedImage,
    made: &mut Made,
) -> Result<Described, ProviderError> {
    let builder = made.builder.clone().unwrap_or_default();
    // A plain mock server's instances never power themselves off.
    let patient = cx.client().readiness() == Readiness::Full;
    if patient {
        let status = format!("waiting until the builder {builder} has configured itself");
        wait::until(cx, &status, BUILD_PATIENCE, async || has_built(ec2, &builder).await).await?;
    }
    made.imaging = true;
    cx.milestone(made).await?;
    let name = inputs.image_name(cx);
    let mut own_tags = inputs.tags.clone();
    own_tags.insert(IMAGE_TAG.to_owned(), name.clone());
    let id = imaging::create(cx, ec2, &builder, &name, &own_tags).await?;
    made.image = Some(id.clone());
    cx.milestone(made).await?;
    imaging::available(cx, ec2, &id).await
}

/// Whether the builder has powered itself off; an error once it has said that it cannot be configured, or has ended.
async fn has_built(ec2: &Client, builder: &str) -> Result<Option<()>, ProviderError> {
    let Some(lives) = instances::describe(ec2, builder).await? else { return Ok(None) };
    if instances::state(&lives) == InstanceStateName::Stopped {
        return Ok(Some(()));
    }
    if instances::is_over(&lives) {
        return Err(ProviderError::refused(format!("the builder {builder} was ended before it was configured")));
    }
    let console = console(ec2, builder).await?;
    if !console.contains(SETUP_FAILED) {
        return Ok(None);
    }
    let lines: Vec<&str> = console.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(ProviderError::refused(format!(
        "the builder {builder} could not configure itself; its console ends with:\n{last}"
    ))
    .hint("correct the machine, and run the same command again: the builder has been ended"))
}

/// What the builder's console shows; nothing as long as there is none, or where it cannot be read at any time.
async fn console(ec2: &Client, builder: &str) -> Result<String, AwsError> {
    let latest = ec2.get_console_output().instance_id(builder).latest(true).send().await.context("GetConsoleOutput");
    let answer = match latest {
        Err(error) if error.is(&["UnsupportedOperation", "InvalidParameterCombination"]) => {
            ec2.get_console_output().instance_id(builder).send().await.context("GetConsoleOutput")?
        }
        answer => answer?,
    };
    let output = answer.output().and_then(|output| STANDARD.decode(output).ok()).unwrap_or_default();
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Ends a builder, and waits until it has.
async fn end(cx: &Context<'_, Aws>, ec2: &Client, builder: &str) -> Result<(), ProviderError> {
    found(ec2.terminate_instances().instance_ids(builder).send().await.context("TerminateInstances"))?;
    instance::ended(cx, ec2, builder).await
}

/// Deletes the parts of an image that exist: the image, the snapshots with these tags, and the builder.
async fn remove(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    made: &Made,
    snapshot_tags: Vec<Filter>,
) -> Result<(), ProviderError> {
    let image = match &made.image {
        Some(image) => describe(ec2, image).await?,
        None => None,
    };
    let snapshots = imaging::snapshots(ec2, snapshot_tags).await?;
    imaging::delete(cx, ec2, image.as_slice(), snapshots.into_iter().chain(made.snapshot.clone())).await?;
    match &made.builder {
        Some(builder) => end(cx, ec2, builder).await,
        None => Ok(()),
    }
}

async fn image_of_operation(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let call = ec2.describe_images().owners("self").filters(tags::ec2_filter(cx));
    Ok(call.send().await.context("DescribeImages")?.images.unwrap_or_default().pop())
}

/// What is recorded of an image.
fn recorded(prior: &Prior<BakedImage>) -> Result<Made, ProviderError> {
    let text = |output: &Output<String>| Ok::<_, ProviderError>(Some(output.known()?).filter(|text| !text.is_empty()));
    let is_image = prior.id.starts_with("ami-");
    Ok(Made {
        builder: text(&prior.outputs.builder)?,
        image: is_image.then(|| prior.id.clone()),
        snapshot: text(&prior.outputs.snapshot_id)?,
        imaging: false,
    })
}

/// An image that is there, with nothing left of its builder.
fn created(image: &Described, recorded: &BakedImage) -> Result<Created<BakedImage>, ProviderError> {
    let id = image.image_id().unwrap_or_default();
    let inputs = BakedImage {
        name: recorded.name.as_ref().map(|_| image.name().unwrap_or_default().to_owned()),
        tags: tags::ec2_own(image.tags(), &recorded.tags),
        ..recorded.clone()
    };
    let outputs = BakedImageOutputs {
        id: ImageId::from(id).into(),
        name: image.name().unwrap_or_default().into(),
        snapshot_id: snapshot_ids(image).next().unwrap_or_default().into(),
        instance_profile: profile(recorded)?.into(),
        builder: "".into(),
    };
    Ok(Created { id: id.to_owned(), inputs: Some(inputs), outputs })
}

/// Something that is begun and not done.
fn unfinished(made: &Made, recorded: &BakedImage) -> Result<Created<BakedImage>, ProviderError> {
    let image = made.image.clone().unwrap_or_default();
    let builder = made.builder.clone().unwrap_or_default();
    let outputs = BakedImageOutputs {
        id: ImageId::from(image.as_str()).into(),
        name: "".into(),
        snapshot_id: made.snapshot.clone().unwrap_or_default().into(),
        instance_profile: profile(recorded)?.into(),
        builder: builder.as_str().into(),
    };
    let snapshot = made.snapshot.clone().unwrap_or_default();
    let id = [image, builder, snapshot].into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    Ok(Created { id, inputs: Some(recorded.unfinished()), outputs })
}

fn profile(recorded: &BakedImage) -> Result<InstanceProfileName, ProviderError> {
    let profile = recorded.instance_profile.as_ref().map(Input::known).transpose()?;
    Ok(profile.unwrap_or_else(|| InstanceProfileName::from("")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice};

    fn declared() -> BakedImage {
        BakedImage {
            image: Some(ImageId::from("ami-1").into()),
            ..BakedImage::new("t3.micro", Machine::debian().package("vim"))
        }
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let disk = EbsBlockDevice::builder().snapshot_id("snap-1").build();
        let lives = Described::builder()
            .image_id("ami-2")
            .name("web-abc")
            .block_device_mappings(BlockDeviceMapping::builder().ebs(disk).build())
            .build();
        let read = created(&lives, &declared()).unwrap();
        let json = |image: &BakedImage| serde_json::to_value(image).unwrap();
        assert_eq!(json(&read.inputs.unwrap()), json(&declared()));
        assert_eq!(read.outputs.snapshot_id.known().unwrap(), "snap-1");
    }

    #[test]
    fn what_is_unfinished_is_replaced() {
        let made = Made { builder: Some("i-1".to_owned()), ..Made::default() };
        let Created { id, inputs, outputs } = unfinished(&made, &declared()).unwrap();
        assert_eq!(id, "i-1");
        assert!(inputs.as_ref().unwrap().machine.is_empty());
        let prior = Prior { id, inputs: inputs.unwrap(), outputs };
        assert_eq!(recorded(&prior).unwrap(), made);
        let both = Made { image: Some("ami-1".to_owned()), ..made };
        let Created { id, inputs, outputs } = unfinished(&both, &declared()).unwrap();
        assert_eq!(recorded(&Prior { id, inputs: inputs.unwrap(), outputs }).unwrap(), both);
    }

    #[test]
    fn an_image_of_nothing_is_refused() {
        let problems = BakedImage::new("t3.micro", Machine::debian()).check();
        assert_eq!(problems[0].message, "it would hold no more than the image it starts from");
    }
}
