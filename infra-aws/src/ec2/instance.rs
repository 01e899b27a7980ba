//! `aws:ec2:Instance`: a virtual server.

use super::{
    declared_profile, encode, filter,
    instances::{describe, is_over, state},
    kept_disk, profile_name,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{ImageId, InstanceId, InstanceProfileName, KeyName, SecurityGroupId, SubnetId},
    machine::{self, Host, Machine, Purpose},
    region::{AwsResource, Region},
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    operation::run_instances::builders::RunInstancesFluentBuilder,
    types::{
        HttpTokensState, IamInstanceProfileSpecification, Instance as Described, InstanceMetadataOptionsRequest,
        InstanceStateName, InstanceType, Reservation, ResourceType,
    },
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
    value::Unresolved,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// AWS keeps a client token for at least 24 hours after the instance has ended.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// A virtual server.
///
/// Made by `RunInstances`. Security groups are changed by `ModifyInstanceAttribute` and tags by `CreateTags` and
/// `DeleteTags`; everything else needs another instance. One that was stopped is started when it is updated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its type, such as `t3.micro`.
    pub instance_type: String,
    /// Its image; the newest of the machine's Debian when none is given.
    pub image: Option<Input<ImageId>>,
    /// Its subnet; one of the default VPC's when none is given.
    pub subnet: Option<Input<SubnetId>>,
    /// Its firewalls; the VPC's default group when empty.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// The key to log in with, as user `admin`.
    pub key_name: Option<Input<KeyName>>,
    /// What it may do; when none is given, it may read the parts of its machine.
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// What it runs.
    pub machine: Machine,
    /// Whether an instance that takes its place starts from its disk: it is stopped (`StopInstances`), an image is made of
    /// it (`CreateImage`), and the new one launched from that instead of `image`. Whatever replaces it is done so, but for
    /// another `image`, which is refused; and where the old one has to go first, as when all that it uses is replaced as
    /// well, the disk is lost, which the plan warns of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_disk: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What an [`Instance`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceOutputs {
    /// Its id, `i-…`.
    pub id: Output<InstanceId>,
    /// Its address in the VPC.
    pub private_ip: Output<String>,
    /// Its address on the internet; empty when it has none.
    pub public_ip: Output<String>,
    /// Its name on the internet; empty when it has none.
    pub public_dns: Output<String>,
    /// Its zone, such as `us-east-1a`.
    pub availability_zone: Output<String>,
}

impl Instance {
    /// A stock Debian in the default VPC that runs nothing yet.
    pub fn new(instance_type: impl Into<String>) -> Self {
        Self {
            instance_type: instance_type.into(),
            image: None,
            subnet: None,
            security_groups: Vec::new(),
            key_name: None,
            instance_profile: None,
            machine: Machine::debian(),
            keep_disk: false,
            tags: BTreeMap::new(),
        }
    }

    fn group_ids(&self) -> Result<Vec<String>, Unresolved> {
        self.security_groups.iter().map(|group| Ok(group.known()?.to_string())).collect()
    }

    /// The whole request: the same whenever it is asked for, as the client token demands.
    fn request(
        &self,
        cx: &Context<'_, Aws>,
        ec2: &Client,
        purpose: Purpose,
    ) -> Result<RunInstancesFluentBuilder, ProviderError> {
        let known = |input: &Option<Input<_>>| input.as_ref().map(Input::known).transpose();
        let image = known(&self.image)?.ok_or_else(|| {
            ProviderError::refused("the instance has no image").hint("declare it through its region: `region.add(…)`")
        })?;
        let profile = profile_name(self.instance_profile.as_ref())?;
        let profile = profile.map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        Ok(ec2
            .run_instances()
            .client_token(cx.operation().as_str())
            .min_count(1)
            .max_count(1)
            .instance_type(InstanceType::from(self.instance_type.as_str()))
            .image_id(image.as_str())
            .set_subnet_id(self.subnet.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_security_group_ids(Some(self.group_ids()?).filter(|ids| !ids.is_empty()))
            .set_key_name(self.key_name.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_iam_instance_profile(profile)
            .set_user_data(self.machine.user_data(cx.region()?, purpose)?.as_deref().map(encode))
            .metadata_options(InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build())
            .tag_specifications(tags::ec2_with(cx, ResourceType::Instance, &self.tags))
            .tag_specifications(tags::ec2(cx, ResourceType::Volume)))
    }
}

impl Resource for Instance {
    const TYPE: &'static str = "aws:ec2:Instance";
    type Outputs = InstanceOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["instance_type", "image", "subnet", "key_name", "instance_profile", "machine"])
            .untracked(["keep_disk"])
            .regional(["id"])
    }
}

impl AwsResource for Instance {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = machine::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Handler for Instance {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        machine::problems(&self.machine, &self.instance_type)
    }

    fn loses(&self, next: Option<&Self>) -> Option<String> {
        let database = &self.machine.postgres.as_ref()?.database;
        let kept = next.is_some_and(|next| next.keep_disk);
        (!kept).then(|| format!("the PostgreSQL database `{database}` on its disk"))
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(old) = cx.replaces::<Self>()?.filter(|_| inputs.keep_disk) else {
            return start_new(cx, &ec2, inputs, inputs).await;
        };
        refuse_image(&old.inputs, inputs)?;
        let image = match kept_disk::image_of(cx, &ec2, &old.id).await {
            Ok(image) => image,
            Err(error) => return Err(kept_disk::go_back(cx, &ec2, &old.id, error).await),
        };
        let on_disk = Self { image: Some(image.into()), ..inputs.clone() };
        match start_new(cx, &ec2, &on_disk, inputs).await {
            // Beside one that may have come about, the old one must not take any more data.
            Err(error) if error.kind != ErrorKind::Unsure && error.live.is_none() => {
                Err(kept_disk::go_back(cx, &ec2, &old.id, error).await)
            }
            answer => answer,
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let instance = describe(&ec2, &prior.id).await?.filter(|instance| !is_over(instance));
        Ok(instance.map(|instance| created(&instance, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let instance = describe(&ec2, &prior.id).await?.filter(|instance| !is_over(instance));
        let instance = instance.ok_or_else(|| gone(&prior.id))?;
        let mut groups = inputs.group_ids()?;
        if groups.is_empty() {
            groups = default_group(&ec2, instance.vpc_id().unwrap_or_default()).await?;
        }
        if !is_same_set(&living_groups(&instance), &groups) {
            let call = ec2.modify_instance_attribute().instance_id(&prior.id).set_groups(Some(groups));
            call.send().await.context("ModifyInstanceAttribute")?;
        }
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        kept_disk::resume(cx, &ec2, &prior.id).await?;
        // An instance that has been stopped has other public addresses once it runs again.
        Ok(created(&settled(cx, &ec2, &prior.id).await?, inputs).outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        // First, so that a refresh cannot find the instance gone while images of its disk still exist.
        kept_disk::discard(cx, &ec2, &prior.id).await?;
        found(ec2.terminate_instances().instance_ids(&prior.id).send().await.context("TerminateInstances"))?;
        ended(cx, &ec2, &prior.id).await
    }

    /// What it runs cannot be read back: it is declared without a machine, which counts as a change once there is one.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(instance) = describe(&ec2, id).await?.filter(|instance| !is_over(instance)) else {
            return Ok(None);
        };
        let living = instance.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let named = Self {
            image: Some(ImageId::from("").into()),
            subnet: Some(SubnetId::from("").into()),
            security_groups: vec![SecurityGroupId::from("").into()],
            tags: tags::foreign(living),
            ..Self::new("")
        };
        Ok(Some(created(&instance, &named)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let Some(instance) = of_operation(cx, &ec2).await? else {
                    let never = kept_disk::launches_nothing(cx, &ec2).await?;
                    return Ok(if never { Found::Never } else { Found::Absent });
                };
                match settled(cx, &ec2, instance.instance_id().unwrap_or_default()).await {
                    Ok(instance) => Ok(Found::Found(created(&instance, inputs))),
                    Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::Absent),
                    Err(error) => Err(error),
                }
            })
        })
    }
}

/// Launches it, and waits until it runs. What is launched may start from another image than is `declared`.
async fn start_new(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    inputs: &Instance,
    declared: &Instance,
) -> Result<Created<Instance>, ProviderError> {
    let launched = launch(cx, ec2, inputs, Purpose::Run).await?;
    match settled(cx, ec2, launched.instance_id().unwrap_or_default()).await {
        Ok(instance) => Ok(Created { inputs: None, ..created(&instance, declared) }),
        Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
        Err(error) => Err(created(&launched, declared).failed(error)),
    }
}

/// What starts from the old one's disk cannot start from another image as well.
fn refuse_image(old: &Instance, new: &Instance) -> Result<(), ProviderError> {
    let image = |instance: &Instance| instance.image.as_ref().map(Input::known).transpose();
    let (Some(old), Some(new)) = (image(old)?, image(new)?) else { return Ok(()) };
    if old == new {
        return Ok(());
    }
    let message = format!("its disk is to be kept, so it cannot start from another image ({new} instead of {old})");
    Err(ProviderError::refused(message).hint(
        "upgrade the system in place and let the declaration ignore changes of `image`, or give the disk up with \
         `keep_disk: false`",
    ))
}

/// Sends the request, patiently while EC2 does not know yet what it refers to.
pub(super) async fn launch(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    inputs: &Instance,
    purpose: Purpose,
) -> Result<Described, ProviderError> {
    let request = inputs.request(cx, ec2, purpose)?;
    let status = "waiting until EC2 knows what the instance refers to";
    let answer = wait::retry(cx, status, wait::CONSISTENCY, too_new, async || {
        request.clone().send().await.context("RunInstances")
    })
    .await?;
    let launched = answer.instances.unwrap_or_default().pop();
    launched.ok_or_else(|| ProviderError::unsure("RunInstances: the answer has no instance"))
}

/// The living instance that this operation has launched.
pub(super) async fn of_operation(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let call = ec2.describe_instances().filters(tags::ec2_filter(cx));
    let answer = call.send().await.context("DescribeInstances")?;
    let mut instances = answer.reservations().iter().flat_map(Reservation::instances);
    Ok(instances.find(|instance| !is_over(instance)).cloned())
}

/// Waits until an instance that was told to end has done so.
pub(super) async fn ended(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<(), ProviderError> {
    if cx.client().readiness() == Readiness::ControlPlane {
        return Ok(());
    }
    wait::until(cx, "waiting until the instance has ended", wait::PATIENCE, async || {
        let instance = describe(ec2, id).await?;
        Ok(instance.is_none_or(|instance| state(&instance) == InstanceStateName::Terminated).then_some(()))
    })
    .await
}

/// Whether EC2 may not have heard yet of something that was made just before.
fn too_new(error: &AwsError) -> bool {
    error.is(&["InvalidGroup.NotFound", "InvalidKeyPair.NotFound"])
        || (error.is(&["InvalidParameterValue"]) && error.message.contains("nstance Profile"))
}

/// The instance once it runs, with the addresses it then has; [`ErrorKind::NotFound`] when it ended before that.
async fn settled(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<Described, ProviderError> {
    let patient = cx.client().readiness() == Readiness::Full;
    wait::until(cx, "waiting until the instance runs", wait::PATIENCE, async || {
        // A new instance is not seen everywhere at once.
        let Some(instance) = describe(ec2, id).await? else { return Ok(None) };
        if is_over(&instance) {
            let why = instance.state_reason().and_then(|reason| reason.message()).unwrap_or("no reason was given");
            let message = format!("the instance {id} ended before it ran: {why}");
            return Err(ProviderError::of(ErrorKind::NotFound, message));
        }
        Ok((!patient || state(&instance) == InstanceStateName::Running).then_some(instance))
    })
    .await
}

async fn default_group(ec2: &Client, vpc: &str) -> Result<Vec<String>, AwsError> {
    let call = ec2.describe_security_groups().filters(filter("group-name", "default")).filters(filter("vpc-id", vpc));
    let answer = call.send().await.context("DescribeSecurityGroups")?;
    Ok(answer.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect())
}

fn gone(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the instance {id} is gone"))
}

fn living_groups(instance: &Described) -> Vec<String> {
    instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect()
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}

/// The instance as it lives, in the words of the recorded inputs where they say the same.
fn created(instance: &Described, recorded: &Instance) -> Created<Instance> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let id = text(instance.instance_id());
    let groups = living_groups(instance);
    let as_recorded = recorded.security_groups.is_empty()
        || recorded.group_ids().is_ok_and(|recorded| is_same_set(&recorded, &groups));
    let profile = instance.iam_instance_profile().and_then(|profile| profile.arn()?.rsplit('/').next());
    let inputs = Instance {
        instance_type: instance.instance_type().map_or_else(String::new, |kind| kind.as_str().to_owned()),
        // One that has kept a disk was launched from an image of that.
        image: match &recorded.image {
            Some(image) if recorded.keep_disk => Some(image.clone()),
            image => image.as_ref().map(|_| ImageId::from(text(instance.image_id())).into()),
        },
        subnet: recorded.subnet.as_ref().map(|_| SubnetId::from(text(instance.subnet_id())).into()),
        security_groups: if as_recorded {
            recorded.security_groups.clone()
        } else {
            groups.into_iter().map(|id| SecurityGroupId::from(id).into()).collect()
        },
        key_name: instance.key_name().map(|name| KeyName::from(name).into()),
        instance_profile: declared_profile(profile, recorded.instance_profile.as_ref()),
        machine: recorded.machine.clone(),
        keep_disk: recorded.keep_disk,
        tags: tags::ec2_own(instance.tags(), &recorded.tags),
    };
    let zone = instance.placement().and_then(|placement| placement.availability_zone());
    let outputs = InstanceOutputs {
        id: InstanceId::from(id.as_str()).into(),
        private_ip: text(instance.private_ip_address()).into(),
        public_ip: text(instance.public_ip_address()).into(),
        public_dns: text(instance.public_dns_name()).into(),
        availability_zone: text(zone).into(),
    };
    Created { id, inputs: Some(inputs), outputs }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_sdk_ec2::types::{GroupIdentifier, IamInstanceProfile, Tag};

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = Instance {
            image: Some(ImageId::from("ami-1").into()),
            security_groups: vec![SecurityGroupId::from("sg-2").into(), SecurityGroupId::from("sg-1").into()],
            instance_profile: Some(InstanceProfileName::from("web").into()),
            tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
            ..Instance::new("t3.micro")
        };
        let group = |id: &str| GroupIdentifier::builder().group_id(id).build();
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let lives = Described::builder()
            .instance_id("i-1")
            .instance_type(InstanceType::T3Micro)
            .image_id("ami-1")
            .subnet_id("subnet-1")
            .security_groups(group("sg-1"))
            .security_groups(group("sg-2"))
            .iam_instance_profile(IamInstanceProfile::builder().arn("arn:aws:iam::1:instance-profile/web").build())
            .tags(tag("infra:operation", "x"))
            .tags(tag("team", "a"));
        let json = |instance: &Instance| serde_json::to_value(instance).unwrap();
        let read = created(&lives.clone().build(), &recorded);
        assert_eq!(json(&read.inputs.unwrap()), json(&recorded));
        assert_eq!(read.outputs.public_ip.known().unwrap(), "");
        let drifted = created(&lives.security_groups(group("sg-3")).build(), &recorded);
        assert_eq!(drifted.inputs.unwrap().security_groups.len(), 3);
    }
}
