//! `aws:ec2:LaunchTemplate`: the parameters of the instances that a group launches.

use super::{
    baked_image::BakedImageOutputs,
    declared_profile, decode, encode,
    host::{self, Host},
    operation_filter, profile_name, retag, tag_specification,
};
use crate::{
    machine::{self, Machine, Purpose},
    prelude::*,
    region::Region,
};
use aws_sdk_ec2::{Client, types};
use infra_core::value::{Expression, Map};
use std::time::Duration;

/// Shortest lifetime of EC2's client tokens.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// A launch template: the parameters of the instances that an Auto Scaling group launches.
///
/// A change of anything except the tags creates a version and makes it the default. An
/// [`AutoScalingGroup`](crate::AutoScalingGroup) refers to a version by its number, so that its plan contains the
/// change too. A declaration through a [`Region`] also declares the resources that the machine needs, as for an
/// [`Instance`](crate::Instance). The metadata service of the instances requires session tokens (IMDSv2).
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let access = virginia.add("access", SecurityGroup::in_vpc(&network.vpc_id));
/// let template = virginia.add("template", LaunchTemplate {
///     security_groups: vec![access.id],
///     machine: Machine::debian().service(Service::cargo_bin("web").listen(8080).health("/healthz")),
///     ..LaunchTemplate::new("t3.micro")
/// });
/// virginia.add("group", AutoScalingGroup::from(template.version(), network.subnets));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateLaunchTemplate`
/// - Read: `DescribeLaunchTemplates`, `DescribeLaunchTemplateVersions`
/// - Update: `CreateTags`, `DeleteTags`; `CreateLaunchTemplateVersion`, `ModifyLaunchTemplate`
/// - Delete: `DeleteLaunchTemplate`
///
/// # Replacement
/// A change of `name` replaces the template. The new template is created before the previous one is deleted. With the
/// same declared `name`, which `up --replace` requests, the previous template is deleted first. All other changes create a
/// version.
///
/// # Import
/// The import takes the id of the template. The inputs are those of the default version; its machine is read if this
/// library has written the user data.
///
/// ```console
/// $ stack import aws:ec2:LaunchTemplate template lt-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:LaunchTemplate")]
pub struct LaunchTemplate {
    /// Name, unique in the region: 3 to 128 letters, digits and any of `().-/_`. When omitted, the declaration's name
    /// with a unique suffix. A change replaces the template.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Instance type, such as `t3.micro`.
    pub instance_type: String,
    /// Id of the image; when omitted, the newest image of the machine's Debian release for the architecture of
    /// `instance_type`.
    pub image: Option<Input<ImageId>>,
    /// Ids of the security groups; when empty, the group `default` of the VPC.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Name of the key pair for logins as the user `admin`; no logins when omitted.
    pub key_name: Option<Input<KeyName>>,
    /// Name of the instance profile; when omitted, one that may read the programs and secrets of the machine, if it has
    /// any.
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// Packages, files, services and database of the instances; none by default.
    pub machine: Machine,
    /// User-defined tags of the template itself: key → value. The instances have the tags of their group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`LaunchTemplate`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct LaunchTemplateOutputs {
    /// Id of the template, `lt-…`.
    #[output(regional)]
    pub id: Output<LaunchTemplateId>,
    /// Name of the template.
    #[output(regional)]
    pub name: Output<String>,
    /// Number of the default version, from 1. Every change of the instances' parameters increases it.
    #[output(changes_on_update)]
    pub version: Output<u64>,
}

impl LaunchTemplate {
    /// Returns a template of stock Debian instances without services.
    pub fn new(instance_type: impl Into<String>) -> Self {
        Self {
            name: None,
            instance_type: instance_type.into(),
            image: None,
            security_groups: Vec::new(),
            key_name: None,
            instance_profile: None,
            machine: Machine::debian(),
            tags: BTreeMap::new(),
        }
    }

    /// Returns a template of instances of a baked image, which run the image's services.
    pub fn of_image(instance_type: impl Into<String>, image: &BakedImageOutputs) -> Self {
        Self {
            image: Some(image.id.clone()),
            instance_profile: Some(image.instance_profile.clone()),
            ..Self::new(instance_type)
        }
    }

    fn template_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }

    fn data(&self, region: &str) -> Result<types::RequestLaunchTemplateData> {
        let image = self.image.as_ref().ok_or_else(|| {
            ProviderError::refused("the template has no image").hint("declare it through its region: `region.add(…)`")
        })?;
        let profile = profile_name(self.instance_profile.as_ref())?
            .map(|name| types::LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(name).build());
        let groups = self.security_groups.iter().map(|group| Ok(group.known()?.into()));
        let groups = groups.collect::<Result<Vec<String>>>()?;
        let metadata = types::LaunchTemplateInstanceMetadataOptionsRequest::builder()
            .http_tokens(types::LaunchTemplateHttpTokensState::Required);
        Ok(types::RequestLaunchTemplateData::builder()
            .instance_type(types::InstanceType::from(self.instance_type.as_str()))
            .image_id(image.known()?)
            .set_security_group_ids(Some(groups).filter(|groups| !groups.is_empty()))
            .set_key_name(self.key_name.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_iam_instance_profile(profile)
            .set_user_data(self.machine.user_data(region, Purpose::Run)?.as_deref().map(encode))
            .metadata_options(metadata.build())
            .build())
    }

    /// Returns whether both templates launch the same instances, so that no new version is needed.
    fn differs_in_tags_only(&self, other: &Self) -> Result<bool> {
        let untagged = |template: &Self| {
            let untagged = Self { tags: BTreeMap::new(), ..template.clone() };
            serde_json::to_value(untagged).map_err(|error| ProviderError::refused(error.to_string()))
        };
        Ok(untagged(self)? == untagged(other)?)
    }
}

impl LaunchTemplateOutputs {
    /// Returns the template with its default version, for a group.
    pub fn version(&self) -> Input<LaunchTemplateVersion> {
        Output::from_expression(Expression::Map(Map::from([
            ("id".to_owned(), self.id.expression().clone()),
            ("version".to_owned(), self.version.expression().clone()),
        ])))
    }
}

/// A template with its default version.
pub struct Description {
    template: types::LaunchTemplate,
    /// Absent in the response to `CreateLaunchTemplate`.
    data: Option<types::ResponseLaunchTemplateData>,
    region: String,
}

impl AwsResource for LaunchTemplate {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = host::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Described for LaunchTemplate {
    type Client = Aws;
    type Api = Client;
    type Description = Description;

    const FOUND_BY: FoundBy = FoundBy::Token(TOKEN_LIFETIME);

    fn check(&self) -> Vec<Problem> {
        let mut problems = machine::problems(&self.machine, &self.instance_type);
        let valid = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
        let invalid = |name: &&String| !(3..=128).contains(&name.len()) || !name.chars().all(valid);
        problems.extend(self.name.as_ref().filter(invalid).map(|name| {
            Problem::new("name", format!("`{name}` cannot name a launch template"))
                .hint("write 3 to 128 letters, digits and any of `().-/_`")
        }));
        problems
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Description> {
        let region = cx.region()?.to_owned();
        let call = ec2
            .create_launch_template()
            .client_token(cx.operation().as_str())
            .launch_template_name(inputs.template_name(cx))
            .launch_template_data(inputs.data(&region)?)
            .tag_specifications(tag_specification(cx, types::ResourceType::LaunchTemplate, &inputs.tags));
        let template = call.send().await.context("CreateLaunchTemplate")?.launch_template;
        let template = template.ok_or_else(|| ProviderError::unsure("CreateLaunchTemplate returned no template"))?;
        Ok(Description { template, data: None, region })
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        retag(ec2, update.id, Some(&old.tags), &update.new.tags).await?;
        if old.differs_in_tags_only(update.new)? {
            return Ok(update.outputs.clone());
        }
        let call = ec2
            .create_launch_template_version()
            .client_token(cx.operation().as_str())
            .launch_template_id(update.id)
            .launch_template_data(update.new.data(cx.region()?)?);
        let response = call.send().await.context("CreateLaunchTemplateVersion")?;
        let version = response.launch_template_version.and_then(|version| version.version_number);
        let version =
            version.ok_or_else(|| ProviderError::unsure("CreateLaunchTemplateVersion returned no version"))?;
        let call = ec2.modify_launch_template().launch_template_id(update.id).default_version(version.to_string());
        call.send().await.context("ModifyLaunchTemplate")?;
        Ok(LaunchTemplateOutputs { version: version.unsigned_abs().into(), ..update.outputs.clone() })
    }

    async fn delete(_: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let call = ec2.delete_launch_template().launch_template_id(&prior.id);
        Ok(call.send().await.context("DeleteLaunchTemplate").map(drop)?)
    }

    async fn describe(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Description>> {
        let response = ec2.describe_launch_templates().launch_template_ids(id).send().await;
        let response = found(response.context("DescribeLaunchTemplates"))?;
        match response.and_then(|response| response.launch_templates?.pop()) {
            Some(template) => with_default_version(cx, ec2, template).await,
            None => Ok(None),
        }
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Description>> {
        let call = ec2.describe_launch_templates().filters(operation_filter(cx));
        match call.send().await.context("DescribeLaunchTemplates")?.launch_templates.unwrap_or_default().pop() {
            Some(template) => with_default_version(cx, ec2, template).await,
            None => Ok(None),
        }
    }

    fn normalize(description: &Description, recorded: Option<&Self>) -> Created<Self> {
        let Description { template, data, region } = description;
        let id = template.launch_template_id().unwrap_or_default();
        let name = template.launch_template_name().unwrap_or_default();
        let named_by_program = recorded.is_none_or(|recorded| recorded.name.is_some());
        let inputs = data.as_ref().map(|data| Self {
            name: named_by_program.then(|| name.to_owned()),
            instance_type: data.instance_type().map_or_else(String::new, ToString::to_string),
            image: data.image_id().map(|id| ImageId::from(id).into()),
            security_groups: data.security_group_ids().iter().map(|id| SecurityGroupId::from(&**id).into()).collect(),
            key_name: data.key_name().map(|name| KeyName::from(name).into()),
            instance_profile: declared_profile(
                data.iam_instance_profile().and_then(|profile| profile.name()),
                recorded.and_then(|recorded| recorded.instance_profile.as_ref()),
            ),
            machine: machine_of(data, region, recorded.map(|recorded| &recorded.machine)),
            tags: tags::declared(template.tags(), recorded.map(|recorded| &recorded.tags)),
        });
        let outputs = LaunchTemplateOutputs {
            id: LaunchTemplateId::from(id).into(),
            name: name.into(),
            version: template.default_version_number().unwrap_or(1).unsigned_abs().into(),
        };
        Created { id: id.to_owned(), inputs, outputs }
    }
}

/// Adds the default version of a template; `None` when the template is deleted meanwhile.
async fn with_default_version(
    cx: &Context<'_>,
    ec2: &Client,
    template: types::LaunchTemplate,
) -> Result<Option<Description>> {
    let id = template.launch_template_id().unwrap_or_default();
    let call = ec2.describe_launch_template_versions().launch_template_id(id).versions("$Default");
    let response = found(call.send().await.context("DescribeLaunchTemplateVersions"))?;
    let region = cx.region()?.to_owned();
    let version = response.and_then(|response| response.launch_template_versions?.pop());
    Ok(version.map(|version| Description {
        template,
        data: Some(
            version.launch_template_data.unwrap_or_else(|| types::ResponseLaunchTemplateData::builder().build()),
        ),
        region,
    }))
}

/// Returns the machine of the user data: the recorded one if its user data is the same.
fn machine_of(data: &types::ResponseLaunchTemplateData, region: &str, recorded: Option<&Machine>) -> Machine {
    let user_data = data.user_data().and_then(decode);
    let is_same =
        |machine: &&Machine| machine.user_data(region, Purpose::Run).is_ok_and(|recorded| recorded == user_data);
    let recorded = recorded.filter(is_same).cloned();
    recorded.unwrap_or_else(|| user_data.as_deref().and_then(Machine::from_user_data).unwrap_or_else(Machine::debian))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn declared() -> LaunchTemplate {
        LaunchTemplate {
            image: Some(ImageId::from("ami-1").into()),
            security_groups: vec![SecurityGroupId::from("sg-1").into()],
            machine: Machine::debian().package("vim"),
            ..LaunchTemplate::new("t3.micro")
        }
    }

    /// Returns the description of a template with these inputs.
    fn description(of: &LaunchTemplate) -> Description {
        let data = of.data("us-east-1").unwrap();
        let data = types::ResponseLaunchTemplateData::builder()
            .set_instance_type(data.instance_type().cloned())
            .set_image_id(data.image_id().map(str::to_owned))
            .set_security_group_ids(Some(data.security_group_ids().to_vec()))
            .set_user_data(data.user_data().map(str::to_owned));
        Description {
            template: types::LaunchTemplate::builder().launch_template_name("x").build(),
            data: Some(data.build()),
            region: "us-east-1".to_owned(),
        }
    }

    fn read(description: &Description) -> serde_json::Value {
        serde_json::to_value(LaunchTemplate::normalize(description, Some(&declared())).inputs).unwrap()
    }

    #[test]
    fn description_of_a_declared_template_equals_the_declaration() {
        assert_eq!(read(&description(&declared())), serde_json::to_value(declared()).unwrap());
    }

    #[test]
    fn another_machine_is_drift() {
        let other = LaunchTemplate { machine: Machine::debian().package("emacs"), ..declared() };
        assert_eq!(read(&description(&other))["machine"]["packages"][0], "emacs");
    }
}
