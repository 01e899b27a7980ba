//! `aws:iam:InstanceProfile`: how a role gets onto an instance.

use super::role::{is_name, name_problem, tag_list};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, InstanceProfileName},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_iam::{
    Client,
    types::{InstanceProfile as Described, Role},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an instance is launched with so that it can take on a role.
///
/// Made by `CreateInstanceProfile` and `AddRoleToInstanceProfile`; tags are changed by `TagInstanceProfile` and
/// `UntagInstanceProfile`. EC2 may not know a new one for some seconds; the
/// kinds that launch instances wait for that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// Its name, unique in the account; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The name of the role.
    pub role: Input<String>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What an [`InstanceProfile`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceProfileOutputs {
    /// Its name.
    pub name: Output<InstanceProfileName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<InstanceProfile>>,
}

impl InstanceProfile {
    /// The way onto instances for the role of this name.
    pub fn for_role(role: impl Into<Input<String>>) -> Self {
        Self { name: None, role: role.into(), tags: BTreeMap::new() }
    }

    fn profile_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }
}

impl Resource for InstanceProfile {
    const TYPE: &'static str = "aws:iam:InstanceProfile";
    type Outputs = InstanceProfileOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl AwsResource for InstanceProfile {}

impl Handler for InstanceProfile {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let name = self.name.as_deref().filter(|name| !is_name(name, 128));
        name.map(|name| name_problem("name", name, 128)).into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let name = inputs.profile_name(cx);
        let call =
            iam.create_instance_profile().instance_profile_name(&name).set_tags(Some(tags::iam(cx, &inputs.tags)?));
        let profile = match call.send().await.context("CreateInstanceProfile") {
            Ok(answer) => answer.instance_profile.ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => match ours(cx, &iam, &name).await? {
                Some(profile) => profile,
                None => return Err(error.hint("choose another name, or delete the profile that has it").into()),
            },
            Err(error) => return Err(error.into()),
        };
        let created = created(&profile, inputs);
        match converge(cx, &iam, &profile, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        Ok(describe(&iam, &prior.id).await?.map(|profile| created(&profile, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let profile = describe(&iam, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        converge(cx, &iam, &profile, inputs).await?;
        let (set, removed) = tags::changes(&prior.inputs.tags, &inputs.tags);
        if !set.is_empty() {
            let call = iam.tag_instance_profile().instance_profile_name(&prior.id).set_tags(Some(tag_list(set)?));
            call.send().await.context("TagInstanceProfile")?;
        }
        if !removed.is_empty() {
            let call = iam.untag_instance_profile().instance_profile_name(&prior.id).set_tag_keys(Some(removed));
            call.send().await.context("UntagInstanceProfile")?;
        }
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let name = &prior.id;
        let profile = describe(&iam, name).await?.ok_or_else(|| lost(name))?;
        for role in profile.roles() {
            remove(&iam, name, role.role_name()).await?;
        }
        iam.delete_instance_profile().instance_profile_name(name).send().await.context("DeleteInstanceProfile")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        Ok(describe(&iam, id).await?.map(|profile| {
            let tags = tags::foreign(pairs(&profile));
            created(&profile, &Self { name: Some(String::new()), tags, ..Self::for_role("") })
        }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let iam = cx.client().iam(cx.region()?).await;
                let profile = ours(cx, &iam, &inputs.profile_name(cx)).await?;
                Ok(Found::from(profile.map(|profile| created(&profile, inputs))))
            })
        })
    }
}

/// Puts the role into the profile, which holds at most one.
async fn converge(
    cx: &Context<'_, Aws>,
    iam: &Client,
    profile: &Described,
    inputs: &InstanceProfile,
) -> Result<(), ProviderError> {
    let name = profile.instance_profile_name();
    let wanted = inputs.role.known()?;
    for other in profile.roles().iter().filter(|role| role.role_name() != wanted) {
        remove(iam, name, other.role_name()).await?;
    }
    if profile.roles().iter().any(|role| role.role_name() == wanted) {
        return Ok(());
    }
    let status = "waiting until role and profile are seen everywhere";
    let added = wait::while_inconsistent(cx, status, &["NoSuchEntity"], async || {
        let call = iam.add_role_to_instance_profile().instance_profile_name(name).role_name(&wanted);
        call.send().await.context("AddRoleToInstanceProfile")
    })
    .await;
    match added {
        // "It has one already": an answer was lost, or somebody was faster.
        Err(error) if error.is(&["LimitExceeded"]) => {
            let roles = describe(iam, name).await?.map(|profile| profile.roles).unwrap_or_default();
            if roles.iter().any(|role| role.role_name() == wanted) { Ok(()) } else { Err(error.into()) }
        }
        added => Ok(added.map(drop)?),
    }
}

async fn remove(iam: &Client, profile: &str, role: &str) -> Result<(), AwsError> {
    let call = iam.remove_role_from_instance_profile().instance_profile_name(profile).role_name(role);
    found(call.send().await.context("RemoveRoleFromInstanceProfile"))?;
    Ok(())
}

async fn describe(iam: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = iam.get_instance_profile().instance_profile_name(name).send().await.context("GetInstanceProfile");
    Ok(found(answer)?.and_then(|answer| answer.instance_profile))
}

/// The profile of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, iam: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let profile = describe(iam, name).await?;
    Ok(profile
        .filter(|profile| tags::are_ours(cx, profile.tags().iter().map(|tag| (Some(tag.key()), Some(tag.value()))))))
}

fn pairs(profile: &Described) -> impl Iterator<Item = (&str, &str)> {
    profile.tags().iter().map(|tag| (tag.key(), tag.value()))
}

fn lost(profile: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the instance profile {profile} is gone"))
}

/// The profile as it lives: without a role when the second call never came.
fn created(profile: &Described, recorded: &InstanceProfile) -> Created<InstanceProfile> {
    let name = profile.instance_profile_name();
    let role = profile.roles().first().map(Role::role_name).unwrap_or_default();
    Created {
        id: name.to_owned(),
        inputs: Some(InstanceProfile {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            role: role.into(),
            tags: tags::own(pairs(profile), &recorded.tags),
        }),
        outputs: InstanceProfileOutputs {
            name: InstanceProfileName::from(name).into(),
            arn: Arn::from(profile.arn()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn a_profile_whose_role_is_missing_says_so() {
        let lives = Described::builder()
            .path("/")
            .instance_profile_name("web-abc")
            .instance_profile_id("AIPA1")
            .arn("arn:aws:iam::1:instance-profile/web-abc")
            .create_date(DateTime::from_secs(0))
            .set_roles(Some(Vec::new()))
            .build()
            .unwrap();
        let created = created(&lives, &InstanceProfile::for_role("web"));
        let inputs = created.inputs.unwrap();
        assert_eq!((inputs.name, inputs.role.known().unwrap()), (None, String::new()));
    }
}
