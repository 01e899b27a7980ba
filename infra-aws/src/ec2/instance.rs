//! `aws:ec2:Instance`: a virtual server.

use super::{
    console, declared_profile, encode, filter,
    host::{self, Host},
    instances::{self, exists, state},
    kept_disk, operation_filter, profile_name, retag, tag_specification,
};
use crate::{
    error::AwsError,
    machine::{self, Machine, Purpose},
    prelude::*,
    region::Region,
};
use aws_sdk_ec2::{Client, operation::run_instances::builders::RunInstancesFluentBuilder, types};
use infra_core::{
    provider::{Found, Handler, Recovery},
    target::Readiness,
    value::Unresolved,
};
use std::{collections::BTreeSet, time::Duration};

/// Shortest lifetime of a client token after the termination of its instance.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// Deadline for the copy of a primary's data by a standby.
const STANDBY_TIMEOUT: Duration = Duration::from_hours(2);

/// An instance: a virtual server, configured by a [`Machine`].
///
/// Its root disk is deleted with it. Its metadata service requires session tokens (IMDSv2). A declaration through a
/// [`Region`] also declares the resources that the machine needs: the lookup of the image, a bucket with the programs,
/// a [`Parameter`](crate::Parameter) for each secret, and a role that may read exactly these. An instance with a standby
/// ([`Replication`](crate::Replication)) is created once the standby streams.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let access = virginia.add("access", SecurityGroup {
///     ingress: vec![Rule::tcp(8080).from_anywhere()],
///     ..SecurityGroup::in_vpc(network.vpc_id)
/// });
/// let web = virginia.add("web", Instance {
///     security_groups: vec![access.id],
///     machine: Machine::debian().service(Service::cargo_bin("web").listen(8080).health("/healthz")),
///     ..Instance::new("t3.micro")
/// });
/// stack.export("address", web.public_ip);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `RunInstances`; `DescribeInstances` until the instance runs; `GetConsoleOutput` until a standby of the
///   machine streams; `ModifyInstanceAttribute` if `source_dest_check` is false
/// - Create, if `keep_disk` is set and the instance replaces another one: before that `DescribeInstances`,
///   `StopInstances` and `CreateImage` for the previous instance, and `DescribeImages` until the image is available;
///   `StartInstances` if the create fails
/// - Read: `DescribeInstances`
/// - Update: `DescribeInstances`; `DescribeSecurityGroups` if `security_groups` is empty; `ModifyInstanceAttribute`,
///   `CreateTags`, `DeleteTags`; `StartInstances` if the instance is stopped; the deletion of images as below
/// - Delete: `DescribeImages`, `DescribeSnapshots`, `DeregisterImage` and `DeleteSnapshot` for the images that
///   `keep_disk` has created; `TerminateInstances`; `DescribeInstances` until the instance is terminated
///
/// # Replacement
/// A change of `instance_type`, `image`, `subnet`, `key_name`, `instance_profile` or `machine` replaces the instance.
/// AWS fixes most of them at the launch, and the machine is applied at the first boot. The new instance is created
/// before the previous one is terminated. Its disk is new, unless `keep_disk` is set.
///
/// # Import
/// The import takes the id of the instance. The machine cannot be read: a declaration with a machine replaces the
/// instance.
///
/// ```console
/// $ stack import aws:ec2:Instance web i-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:Instance")]
pub struct Instance {
    /// Instance type, such as `t3.micro`. A change replaces the instance.
    #[resource(replace)]
    pub instance_type: String,
    /// Id of the image; when omitted, the newest image of the machine's Debian release for the architecture of
    /// `instance_type`. A change replaces the instance.
    #[resource(replace)]
    pub image: Option<Input<ImageId>>,
    /// Id of the subnet; a default subnet of the region when omitted. A change replaces the instance.
    #[resource(replace)]
    pub subnet: Option<Input<SubnetId>>,
    /// Ids of the security groups; when empty, the group `default` of the VPC.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Name of the key pair for logins as the user `admin`; no logins when omitted. A change replaces the instance.
    #[resource(replace)]
    pub key_name: Option<Input<KeyName>>,
    /// Name of the instance profile; when omitted, one that may read the programs and secrets of the machine, if it has
    /// any. A change replaces the instance.
    #[resource(replace)]
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// Packages, files, services and database of the instance; none by default. A change replaces the instance.
    #[resource(replace)]
    pub machine: Machine,
    /// Indicates whether a replacement starts from the disk of this instance; false by default. The instance is
    /// stopped, an image of it is created, and the replacement is launched from that image instead of `image`. A
    /// replacement because of another `image` is refused. The disk is lost if this instance has to be deleted before
    /// its replacement is created, for example because the resources that it uses are replaced as well; the plan
    /// contains a warning then. A change takes effect at the next replacement.
    #[resource(untracked)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_disk: bool,
    /// Indicates whether EC2 drops packets that the instance neither sends in its own name nor receives for itself; true when
    /// omitted. A NAT instance and a router forward such packets, and need `false`. A change applies to the running
    /// instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_dest_check: Option<bool>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of an [`Instance`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct InstanceOutputs {
    /// Id of the instance, `i-…`.
    #[output(regional)]
    pub id: Output<InstanceId>,
    /// Private IPv4 address, in the VPC.
    pub private_ip: Output<String>,
    /// Public IPv4 address; empty without one. It changes when the instance is stopped and started.
    pub public_ip: Output<String>,
    /// Public DNS name; empty without one. It changes with `public_ip`.
    pub public_dns: Output<String>,
    /// Availability zone, such as `us-east-1a`.
    pub availability_zone: Output<String>,
}

impl Instance {
    /// Returns a stock Debian instance without services in the default VPC.
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
            source_dest_check: None,
            tags: BTreeMap::new(),
        }
    }

    fn group_ids(&self) -> Result<Vec<String>, Unresolved> {
        self.security_groups.iter().map(|group| Ok(group.known()?.to_string())).collect()
    }

    /// Returns the launch request. Its parameters are the same in each attempt, which a client token requires.
    fn request(&self, cx: &Context<'_>, ec2: &Client, purpose: Purpose) -> Result<RunInstancesFluentBuilder> {
        let image = self.image.as_ref().map(Input::known).transpose()?.ok_or_else(|| {
            ProviderError::refused("the instance has no image").hint("declare it through its region: `region.add(…)`")
        })?;
        let profile = profile_name(self.instance_profile.as_ref())?;
        let profile = profile.map(|name| types::IamInstanceProfileSpecification::builder().name(name).build());
        let tokens = types::HttpTokensState::Required;
        Ok(ec2
            .run_instances()
            .client_token(cx.operation().as_str())
            .min_count(1)
            .max_count(1)
            .instance_type(types::InstanceType::from(self.instance_type.as_str()))
            .image_id(image.as_str())
            .set_subnet_id(self.subnet.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_security_group_ids(Some(self.group_ids()?).filter(|ids| !ids.is_empty()))
            .set_key_name(self.key_name.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_iam_instance_profile(profile)
            .set_user_data(self.machine.user_data(cx.region()?, purpose)?.as_deref().map(encode))
            .metadata_options(types::InstanceMetadataOptionsRequest::builder().http_tokens(tokens).build())
            .tag_specifications(tag_specification(cx, types::ResourceType::Instance, &self.tags))
            .tag_specifications(tag_specification(cx, types::ResourceType::Volume, &BTreeMap::new())))
    }
}

impl AwsResource for Instance {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = host::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Handler for Instance {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        machine::problems(&self.machine, &self.instance_type)
    }

    fn loses(&self, next: Option<&Self>) -> Option<String> {
        // The data of a standby is its primary's.
        let lost = self.machine.databases().filter(|(_, database)| !database.is_standby()).map(|(engine, database)| {
            let engine = if engine == "postgres" { "PostgreSQL" } else { "MariaDB" };
            format!("the {engine} database `{}` on its disk", database.database)
        });
        let lost: Vec<String> = lost.collect();
        let is_kept = next.is_some_and(|next| next.keep_disk);
        (!is_kept && !lost.is_empty()).then(|| lost.join(" and "))
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(previous) = cx.replaces::<Self>()?.filter(|_| inputs.keep_disk) else {
            return launch_and_wait(cx, &ec2, inputs, inputs).await;
        };
        refuse_image(&previous.inputs, inputs)?;
        let image = match kept_disk::create_image(cx, &ec2, &previous.id).await {
            Ok(image) => image,
            Err(error) => return Err(kept_disk::roll_back(cx, &ec2, &previous.id, error).await),
        };
        let from_disk = Self { image: Some(image.into()), ..inputs.clone() };
        match launch_and_wait(cx, &ec2, &from_disk, inputs).await {
            // While the new instance may exist, the previous one must not accept any more data.
            Err(error) if error.kind != ErrorKind::Unsure && error.live.is_none() => {
                Err(kept_disk::roll_back(cx, &ec2, &previous.id, error).await)
            }
            created => created,
        }
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let instance = instances::describe_existing(&ec2, &prior.id).await?;
        Ok(instance.map(|instance| normalize(&instance, Some(&prior.inputs))))
    }

    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let instance = instances::describe_existing(&ec2, &prior.id).await?.ok_or_else(|| missing(&prior.id))?;
        let mut groups = inputs.group_ids()?;
        if groups.is_empty() {
            groups = default_group(&ec2, instance.vpc_id().unwrap_or_default()).await?;
        }
        if !is_same_set(&groups_of(&instance), &groups) {
            let call = ec2.modify_instance_attribute().instance_id(&prior.id).set_groups(Some(groups));
            call.send().await.context("ModifyInstanceAttribute")?;
        }
        set_source_dest_check(&ec2, &instance, inputs).await?;
        retag(&ec2, &prior.id, Some(&prior.inputs.tags), &inputs.tags).await?;
        kept_disk::resume(cx, &ec2, &prior.id).await?;
        // An instance that was stopped has other public addresses once it runs again.
        Ok(normalize(&until_running(cx, &ec2, &prior.id).await?, Some(inputs)).outputs)
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        // The images are deleted first: a refresh that does not find the instance would forget them.
        kept_disk::delete_images(cx, &ec2, &prior.id).await?;
        instances::terminate(cx, &ec2, &prior.id).await
    }

    /// Reads all inputs except the machine, which cannot be read. A declaration with a machine is then a change.
    async fn import(cx: &Context<'_>, id: &str) -> Result<Option<Created<Self>>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(instances::describe_existing(&ec2, id).await?.map(|instance| normalize(&instance, None)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let Some(instance) = of_operation(cx, &ec2).await? else {
                    let never = kept_disk::cannot_launch(cx, &ec2).await?;
                    return Ok(if never { Found::Never } else { Found::Absent });
                };
                match until_ready(cx, &ec2, instance.instance_id().unwrap_or_default(), inputs).await {
                    Ok(instance) => Ok(Found::Found(normalize(&instance, Some(inputs)))),
                    Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::Absent),
                    Err(error) => Err(error),
                }
            })
        })
    }
}

/// Launches an instance, and waits until it runs. Its image may differ from the one of the `declared` inputs.
async fn launch_and_wait(
    cx: &Context<'_>,
    ec2: &Client,
    inputs: &Instance,
    declared: &Instance,
) -> Result<Created<Instance>> {
    let launched = launch(cx, ec2, inputs, Purpose::Run).await?;
    match until_ready(cx, ec2, launched.instance_id().unwrap_or_default(), declared).await {
        Ok(instance) => match set_source_dest_check(ec2, &instance, declared).await {
            Ok(()) => Ok(Created { inputs: None, ..normalize(&instance, Some(declared)) }),
            Err(error) => Err(normalize(&instance, Some(declared)).failed(error)),
        },
        // An instance that was terminated is not recorded.
        Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
        Err(error) => Err(normalize(&launched, Some(declared)).failed(error)),
    }
}

/// Refuses a replacement that would start both from the previous disk and from another image.
fn refuse_image(previous: &Instance, next: &Instance) -> Result<()> {
    let image = |instance: &Instance| instance.image.as_ref().map(Input::known).transpose();
    let (Some(previous), Some(next)) = (image(previous)?, image(next)?) else { return Ok(()) };
    if previous == next {
        return Ok(());
    }
    let message = format!("its disk is kept, so it cannot start from another image ({next} instead of {previous})");
    Err(ProviderError::refused(message)
        .hint("upgrade the system in place and ignore changes of `image`, or lose the disk with `keep_disk: false`"))
}

/// Sends the launch request, and repeats it while EC2 does not know the resources that it refers to.
pub(super) async fn launch(
    cx: &Context<'_>,
    ec2: &Client,
    inputs: &Instance,
    purpose: Purpose,
) -> Result<types::Instance> {
    let request = inputs.request(cx, ec2, purpose)?;
    let status = "waiting until the resources that the instance refers to are visible";
    let response = wait::retry(cx, status, wait::CONSISTENCY, refers_to_new_resource, async || {
        request.clone().send().await.context("RunInstances")
    });
    let launched = response.await?.instances.unwrap_or_default().pop();
    launched.ok_or_else(|| ProviderError::unsure("RunInstances returned no instance"))
}

/// Returns the instance that this operation has launched, unless it is terminated.
pub(super) async fn of_operation(cx: &Context<'_>, ec2: &Client) -> Result<Option<types::Instance>> {
    let call = ec2.describe_instances().filters(operation_filter(cx));
    let response = call.send().await.context("DescribeInstances")?;
    let mut instances = response.reservations().iter().flat_map(types::Reservation::instances);
    Ok(instances.find(|instance| exists(instance)).cloned())
}

/// Returns whether the error may be due to a resource that was created so recently that EC2 does not know it.
fn refers_to_new_resource(error: &AwsError) -> bool {
    error.has_code(&["InvalidGroup.NotFound", "InvalidKeyPair.NotFound"])
        || (error.has_code(&["InvalidParameterValue"]) && error.message.contains("nstance Profile"))
}

/// Waits until the instance runs, and its standby streams if it has one; fails with [`ErrorKind::NotFound`] when it is
/// terminated.
async fn until_ready(cx: &Context<'_>, ec2: &Client, id: &str, inputs: &Instance) -> Result<types::Instance> {
    let instance = until_running(cx, ec2, id).await?;
    // A mock server runs no hosts.
    if !inputs.machine.has_standby() || cx.client().readiness() == Readiness::ControlPlane {
        return Ok(instance);
    }
    wait::until(cx, "waiting until the standby streams from its primary", STANDBY_TIMEOUT, async || {
        if !instances::describe(ec2, id).await?.is_some_and(|instance| exists(&instance)) {
            let message = format!("the instance {id} was terminated before its standby streamed");
            return Err(ProviderError::of(ErrorKind::NotFound, message));
        }
        Ok(console::has_streaming_standby(ec2, id).await?.then_some(()))
    })
    .await?;
    Ok(instance)
}

/// Waits until the instance runs and has its addresses; fails with [`ErrorKind::NotFound`] when it is terminated.
async fn until_running(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<types::Instance> {
    let until_usable = cx.client().readiness() == Readiness::Full;
    wait::until(cx, "waiting until the instance runs", wait::TIMEOUT, async || {
        // A new instance may be visible only after a while.
        let Some(instance) = instances::describe(ec2, id).await? else { return Ok(None) };
        if !exists(&instance) {
            let reason = instance.state_reason().and_then(|reason| reason.message()).unwrap_or("EC2 gives no reason");
            let message = format!("the instance {id} was terminated before it ran: {reason}");
            return Err(ProviderError::of(ErrorKind::NotFound, message));
        }
        Ok((!until_usable || state(&instance) == types::InstanceStateName::Running).then_some(instance))
    })
    .await
}

/// Sets the source/destination check unless it is as declared. A launch request cannot contain it.
async fn set_source_dest_check(ec2: &Client, instance: &types::Instance, inputs: &Instance) -> Result<()> {
    let wanted = inputs.source_dest_check.unwrap_or(true);
    if instance.source_dest_check().unwrap_or(true) == wanted {
        return Ok(());
    }
    let value = types::AttributeBooleanValue::builder().value(wanted).build();
    let id = instance.instance_id().unwrap_or_default();
    let call = ec2.modify_instance_attribute().instance_id(id).source_dest_check(value);
    call.send().await.context("ModifyInstanceAttribute")?;
    Ok(())
}

async fn default_group(ec2: &Client, vpc_id: &str) -> Result<Vec<String>> {
    let call = ec2.describe_security_groups().filters(filter("group-name", "default"));
    let groups = call.filters(filter("vpc-id", vpc_id)).send().await.context("DescribeSecurityGroups")?;
    Ok(groups.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect())
}

fn missing(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the instance {id} does not exist any more"))
        .hint("run `refresh`, or `up --refresh`, to record that it was deleted")
}

fn groups_of(instance: &types::Instance) -> Vec<String> {
    instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect()
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}

/// Converts a description into inputs and outputs. Keeps the recorded spelling of equal values; an import has none.
fn normalize(instance: &types::Instance, recorded: Option<&Instance>) -> Created<Instance> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let declares = |is_declared: fn(&Instance) -> bool| recorded.is_none_or(is_declared);
    let id = text(instance.instance_id());
    let keeps_disk = recorded.is_some_and(|recorded| recorded.keep_disk);
    let image = declares(|recorded| recorded.image.is_some()).then(|| ImageId::from(text(instance.image_id())).into());
    let groups = groups_of(instance);
    let has_recorded_groups = |recorded: &&Instance| {
        let recorded_groups = recorded.group_ids();
        recorded_groups.is_ok_and(|recorded| recorded.is_empty() || is_same_set(&recorded, &groups))
    };
    let recorded_check = recorded.and_then(|recorded| recorded.source_dest_check);
    let profile = instance.iam_instance_profile().and_then(|profile| profile.arn()?.rsplit('/').next());
    let inputs = Instance {
        instance_type: instance.instance_type().map_or_else(String::new, |kind| kind.as_str().to_owned()),
        // An instance with a kept disk was launched from an image of that disk.
        image: if keeps_disk { recorded.and_then(|recorded| recorded.image.clone()) } else { image },
        subnet: declares(|recorded| recorded.subnet.is_some())
            .then(|| SubnetId::from(text(instance.subnet_id())).into()),
        security_groups: match recorded.filter(has_recorded_groups) {
            Some(recorded) => recorded.security_groups.clone(),
            None => groups.iter().map(|id| SecurityGroupId::from(id.as_str()).into()).collect(),
        },
        key_name: instance.key_name().map(|name| KeyName::from(name).into()),
        instance_profile: declared_profile(profile, recorded.and_then(|recorded| recorded.instance_profile.as_ref())),
        machine: recorded.map_or_else(Machine::debian, |recorded| recorded.machine.clone()),
        keep_disk: keeps_disk,
        source_dest_check: instance.source_dest_check().filter(|check| !check || recorded_check.is_some()),
        tags: tags::declared(instance.tags(), recorded.map(|recorded| &recorded.tags)),
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

    #[test]
    fn description_of_a_declared_instance_equals_the_declaration() {
        let declared = Instance {
            image: Some(ImageId::from("ami-1").into()),
            security_groups: vec![SecurityGroupId::from("sg-2").into(), SecurityGroupId::from("sg-1").into()],
            instance_profile: Some(InstanceProfileName::from("web").into()),
            tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
            ..Instance::new("t3.micro")
        };
        let group = |id: &str| types::GroupIdentifier::builder().group_id(id).build();
        let tag = |key: &str, value: &str| types::Tag::builder().key(key).value(value).build();
        let profile = types::IamInstanceProfile::builder().arn("arn:aws:iam::1:instance-profile/web").build();
        let instance = types::Instance::builder()
            .instance_id("i-1")
            .instance_type(types::InstanceType::T3Micro)
            .image_id("ami-1")
            .subnet_id("subnet-1")
            .security_groups(group("sg-1"))
            .security_groups(group("sg-2"))
            .iam_instance_profile(profile)
            .tags(tag("infra:operation", "x"))
            .tags(tag("team", "a"));
        let json = |instance: &Instance| serde_json::to_value(instance).unwrap();
        let read = normalize(&instance.clone().build(), Some(&declared));
        assert_eq!(json(&read.inputs.unwrap()), json(&declared));
        assert_eq!(read.outputs.public_ip.known().unwrap(), "");
        let drifted = normalize(&instance.security_groups(group("sg-3")).build(), Some(&declared));
        assert_eq!(drifted.inputs.unwrap().security_groups.len(), 3);
    }
}
