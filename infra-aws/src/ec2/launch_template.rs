//! `aws:ec2:LaunchTemplate`: what the instances of a group are like.

use super::{baked_image::BakedImageOutputs, decode, encode, living_profile, profile_name};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{ImageId, InstanceProfileName, KeyName, LaunchTemplateId, LaunchTemplateVersion, SecurityGroupId},
    machine::{self, Host, Machine, Purpose},
    region::{AwsResource, Region},
    tags,
};
use aws_sdk_ec2::{
    Client,
    types::{
        InstanceType, LaunchTemplate as Described, LaunchTemplateHttpTokensState,
        LaunchTemplateIamInstanceProfileSpecificationRequest, LaunchTemplateInstanceMetadataOptionsRequest,
        LaunchTemplateVersion as DescribedVersion, RequestLaunchTemplateData, ResourceType, ResponseLaunchTemplateData,
    },
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    value::{Expression, Map},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// EC2's client tokens live at least that long.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// What instances are like that a group launches.
///
/// Made by `CreateLaunchTemplate`. A change is a new version (`CreateLaunchTemplateVersion`), which becomes the default
/// one (`ModifyLaunchTemplate`); a group refers to a version by its number, so the change shows in its plan too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchTemplate {
    /// Its name, unique in the region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The instances' type, such as `t3.micro`.
    pub instance_type: String,
    /// Their image; the newest of the machine's Debian when none is given.
    pub image: Option<Input<ImageId>>,
    /// Their firewalls; the VPC's default group when empty.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// The key to log in with, as user `admin`.
    pub key_name: Option<Input<KeyName>>,
    /// What they may do; when none is given, they may read the parts of their machine.
    pub instance_profile: Option<Input<InstanceProfileName>>,
    /// What they run.
    pub machine: Machine,
    /// Tags of one's own, of the template itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`LaunchTemplate`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchTemplateOutputs {
    /// Its id, `lt-…`.
    pub id: Output<LaunchTemplateId>,
    /// Its name.
    pub name: Output<String>,
    /// The number of its default version, from 1.
    pub version: Output<u64>,
}

impl LaunchTemplate {
    /// Stock Debians that run nothing yet.
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

    /// Hosts of an image, which run what it holds.
    pub fn of_image(instance_type: impl Into<String>, image: &BakedImageOutputs) -> Self {
        Self {
            image: Some(image.id.clone()),
            instance_profile: Some(image.instance_profile.clone()),
            ..Self::new(instance_type)
        }
    }

    fn template_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }

    fn data(&self, region: &str) -> Result<RequestLaunchTemplateData, ProviderError> {
        let image = self.image.as_ref().ok_or_else(|| {
            ProviderError::refused("the template has no image").hint("declare it through its region: `region.add(…)`")
        })?;
        let profile = profile_name(self.instance_profile.as_ref())?
            .map(|name| LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(name).build());
        let groups = self.security_groups.iter().map(|group| group.known().map(String::from));
        let tokens = LaunchTemplateHttpTokensState::Required;
        Ok(RequestLaunchTemplateData::builder()
            .instance_type(InstanceType::from(self.instance_type.as_str()))
            .image_id(image.known()?)
            .set_security_group_ids(Some(groups.collect::<Result<Vec<_>, _>>()?).filter(|ids| !ids.is_empty()))
            .set_key_name(self.key_name.as_ref().map(Input::known).transpose()?.map(String::from))
            .set_iam_instance_profile(profile)
            .set_user_data(self.machine.user_data(region, Purpose::Run)?.as_deref().map(encode))
            .metadata_options(LaunchTemplateInstanceMetadataOptionsRequest::builder().http_tokens(tokens).build())
            .build())
    }
}

impl LaunchTemplateOutputs {
    /// The template in its newest version, which a group takes.
    pub fn version(&self) -> Input<LaunchTemplateVersion> {
        Output::from_expression(Expression::Map(Map::from([
            ("id".to_owned(), self.id.expression().clone()),
            ("version".to_owned(), self.version.expression().clone()),
        ])))
    }
}

impl Resource for LaunchTemplate {
    const TYPE: &'static str = "aws:ec2:LaunchTemplate";
    type Outputs = LaunchTemplateOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"]).changes_on_update(["version"]).regional(["id", "name"])
    }
}

impl AwsResource for LaunchTemplate {
    fn prepare(self, region: &Region, name: &str) -> Self {
        let host = Host { image: self.image, instance_profile: self.instance_profile, machine: self.machine };
        let Host { image, instance_profile, machine } = machine::prepare(region, name, &self.instance_type, host);
        Self { image, instance_profile, machine, ..self }
    }
}

impl Handler for LaunchTemplate {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = machine::problems(&self.machine, &self.instance_type);
        let valid = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
        let bad = |name: &&String| !(3..=128).contains(&name.len()) || !name.chars().all(valid);
        problems.extend(self.name.as_ref().filter(bad).map(|name| {
            Problem::new("name", format!("`{name}` cannot name a launch template"))
                .hint("write 3 to 128 letters, digits and any of `().-/_`")
        }));
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let answer = ec2
            .create_launch_template()
            .client_token(cx.operation().as_str())
            .launch_template_name(inputs.template_name(cx))
            .launch_template_data(inputs.data(region)?)
            .tag_specifications(tags::ec2_with(cx, ResourceType::LaunchTemplate, &inputs.tags))
            .send()
            .await
            .context("CreateLaunchTemplate")?;
        let template = answer
            .launch_template
            .ok_or_else(|| ProviderError::unsure("CreateLaunchTemplate: the answer has no template"))?;
        Ok(Created::new(template.launch_template_id().unwrap_or_default(), outputs(&template)))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let call = ec2.describe_launch_templates().launch_template_ids(&prior.id);
        let answer = found(call.send().await.context("DescribeLaunchTemplates"))?;
        match answer.and_then(|answer| answer.launch_templates.unwrap_or_default().pop()) {
            Some(template) => Ok(living(&ec2, &template, &prior.inputs, region).await?),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        if same_but_tags(&prior.inputs, inputs)? {
            return Ok(prior.outputs.clone());
        }
        let answer = ec2
            .create_launch_template_version()
            .client_token(cx.operation().as_str())
            .launch_template_id(&prior.id)
            .launch_template_data(inputs.data(region)?)
            .send()
            .await
            .context("CreateLaunchTemplateVersion")?;
        let version = answer.launch_template_version().and_then(DescribedVersion::version_number);
        let version =
            version.ok_or_else(|| ProviderError::unsure("CreateLaunchTemplateVersion: no version in the answer"))?;
        ec2.modify_launch_template()
            .launch_template_id(&prior.id)
            .default_version(version.to_string())
            .send()
            .await
            .context("ModifyLaunchTemplate")?;
        Ok(LaunchTemplateOutputs { version: version.unsigned_abs().into(), ..prior.outputs.clone() })
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2.delete_launch_template().launch_template_id(&prior.id);
        call.send().await.context("DeleteLaunchTemplate")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let answer = found(
            ec2.describe_launch_templates().launch_template_ids(id).send().await.context("DescribeLaunchTemplates"),
        )?;
        let recorded = Self { name: Some(String::new()), ..Self::new("") };
        match answer.and_then(|answer| answer.launch_templates.unwrap_or_default().pop()) {
            Some(template) => Ok(living(&ec2, &template, &recorded, region).await?),
            None => Ok(None),
        }
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let region = cx.region()?;
                let ec2 = cx.client().ec2(region).await;
                let call = ec2.describe_launch_templates().filters(tags::ec2_filter(cx));
                let answer = call.send().await.context("DescribeLaunchTemplates")?;
                match answer.launch_templates.unwrap_or_default().pop() {
                    Some(template) => Ok(Found::from(living(&ec2, &template, inputs, region).await?)),
                    None => Ok(Found::Absent),
                }
            })
        })
    }
}

/// Whether what is launched stays the same, so that no new version is needed.
fn same_but_tags(prior: &LaunchTemplate, inputs: &LaunchTemplate) -> Result<bool, ProviderError> {
    let plain = |inputs: &LaunchTemplate| {
        let untagged = LaunchTemplate { tags: BTreeMap::new(), ..inputs.clone() };
        serde_json::to_value(untagged).map_err(|error| ProviderError::refused(error.to_string()))
    };
    Ok(plain(prior)? == plain(inputs)?)
}

/// The template as it lives, in the words of the recorded inputs where they say the same.
async fn living(
    ec2: &Client,
    template: &Described,
    recorded: &LaunchTemplate,
    region: &str,
) -> Result<Option<Created<LaunchTemplate>>, AwsError> {
    let id = template.launch_template_id().unwrap_or_default();
    let call = ec2.describe_launch_template_versions().launch_template_id(id).versions("$Default");
    let answer = match call.send().await.context("DescribeLaunchTemplateVersions") {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        answer => answer?,
    };
    let version = answer.launch_template_versions.unwrap_or_default().pop();
    Ok(version.map(|version| Created {
        id: id.to_owned(),
        inputs: Some(inputs(template, &version, recorded, region)),
        outputs: outputs(template),
    }))
}

fn outputs(template: &Described) -> LaunchTemplateOutputs {
    LaunchTemplateOutputs {
        id: LaunchTemplateId::from(template.launch_template_id().unwrap_or_default()).into(),
        name: template.launch_template_name().unwrap_or_default().into(),
        version: template.default_version_number().unwrap_or(1).unsigned_abs().into(),
    }
}

fn inputs(template: &Described, version: &DescribedVersion, recorded: &LaunchTemplate, region: &str) -> LaunchTemplate {
    let data = version.launch_template_data();
    let user_data = data.and_then(|data| data.user_data()).and_then(decode);
    let machine = if recorded.machine.user_data(region, Purpose::Run).is_ok_and(|own| own == user_data) {
        recorded.machine.clone()
    } else {
        user_data.as_deref().and_then(Machine::from_user_data).unwrap_or_else(Machine::debian)
    };
    let groups = data.map(ResponseLaunchTemplateData::security_group_ids).unwrap_or_default();
    LaunchTemplate {
        name: recorded.name.as_ref().map(|_| template.launch_template_name().unwrap_or_default().to_owned()),
        instance_type: data.and_then(|data| data.instance_type()).map_or_else(String::new, ToString::to_string),
        image: data.and_then(|data| data.image_id()).map(|id| ImageId::from(id).into()),
        security_groups: groups.iter().map(|id| SecurityGroupId::from(id.as_str()).into()).collect(),
        key_name: data.and_then(|data| data.key_name()).map(|name| KeyName::from(name).into()),
        instance_profile: living_profile(
            data.and_then(|data| data.iam_instance_profile()?.name()),
            recorded.instance_profile.as_ref(),
        ),
        machine,
        tags: tags::ec2_own(template.tags(), &recorded.tags),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn recorded() -> LaunchTemplate {
        LaunchTemplate {
            image: Some(ImageId::from("ami-1").into()),
            security_groups: vec![SecurityGroupId::from("sg-1").into()],
            machine: Machine::debian().package("vim"),
            ..LaunchTemplate::new("t3.micro")
        }
    }

    /// The version that AWS keeps of these inputs.
    fn version(of: &LaunchTemplate) -> DescribedVersion {
        let data = of.data("us-east-1").unwrap();
        let kept = ResponseLaunchTemplateData::builder()
            .set_instance_type(data.instance_type().cloned())
            .set_image_id(data.image_id().map(str::to_owned))
            .set_security_group_ids(Some(data.security_group_ids().to_vec()))
            .set_user_data(data.user_data().map(str::to_owned));
        DescribedVersion::builder().launch_template_data(kept.build()).build()
    }

    fn read(version: &DescribedVersion) -> serde_json::Value {
        let template = Described::builder().launch_template_name("x").build();
        serde_json::to_value(inputs(&template, version, &recorded(), "us-east-1")).unwrap()
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        assert_eq!(read(&version(&recorded())), serde_json::to_value(recorded()).unwrap());
    }

    #[test]
    fn another_machine_is_drift() {
        let other = LaunchTemplate { machine: Machine::debian().package("emacs"), ..recorded() };
        assert_eq!(read(&version(&other))["machine"]["packages"][0], "emacs");
    }
}
