//! `aws:iam:InstanceProfile`: the role of an instance.

use super::name_problem;
use crate::prelude::*;
use aws_sdk_iam::{
    Client,
    types::{self, Role},
};

/// An instance profile: the role that an instance assumes.
///
/// A new profile is not visible to EC2 for some seconds; the kinds that launch instances wait for that.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let role = Role::for_service("ec2.amazonaws.com").managed("arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy");
/// let role = virginia.add("role", role);
/// let profile = virginia.add("profile", InstanceProfile::for_role(role.name));
/// virginia.add("host", Instance { instance_profile: Some(profile.name), ..Instance::new("t3.micro") });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateInstanceProfile`, `AddRoleToInstanceProfile`; `GetInstanceProfile` if the profile has a role
///   already
/// - Read: `GetInstanceProfile`
/// - Update: `GetInstanceProfile`, `RemoveRoleFromInstanceProfile`, `AddRoleToInstanceProfile`, `TagInstanceProfile`,
///   `UntagInstanceProfile`
/// - Delete: `GetInstanceProfile`, `RemoveRoleFromInstanceProfile`, `DeleteInstanceProfile`
///
/// # Replacement
/// A change of `name` replaces the profile. The new profile is created before the previous one is deleted. A change of
/// `role` is made in place; the profile has no role for a moment.
///
/// # Import
/// The import takes the name of the profile:
///
/// ```console
/// $ stack import aws:iam:InstanceProfile profile web --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:iam:InstanceProfile")]
pub struct InstanceProfile {
    /// Name, unique in the account: 1 to 128 letters, digits and any of `_+=,.@-`. When omitted, the declaration's name
    /// with a unique suffix. A change replaces the profile.
    #[resource(replace)]
    pub name: Option<String>,
    /// Name of the role, of which a profile has one.
    pub role: Input<String>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of an [`InstanceProfile`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct InstanceProfileOutputs {
    /// Name of the profile.
    pub name: Output<InstanceProfileName>,
    /// Amazon Resource Name of the profile.
    pub arn: Output<Arn<InstanceProfile>>,
}

impl InstanceProfile {
    /// Returns the profile of the role with this name.
    pub fn for_role(role: impl Into<Input<String>>) -> Self {
        Self { name: None, role: role.into(), tags: BTreeMap::new() }
    }

    fn profile_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }
}

impl AwsResource for InstanceProfile {}

impl Described for InstanceProfile {
    type Client = Aws;
    type Api = Client;
    type Description = types::InstanceProfile;

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        self.name.iter().filter_map(|name| name_problem("name", name, 128)).collect()
    }

    async fn create(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Self::Description> {
        let call = iam.create_instance_profile().instance_profile_name(inputs.profile_name(cx));
        let response = call.set_tags(Some(tags::for_create(cx, &inputs.tags))).send().await;
        let created = response.context("CreateInstanceProfile")?.instance_profile;
        created.ok_or_else(|| ProviderError::unsure("CreateInstanceProfile returned no profile"))
    }

    /// Replaces the role of the profile, which contains at most one.
    async fn apply(cx: &Context<'_>, iam: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let name = update.id;
        let role = update.new.role.known()?;
        let existing = match update.old {
            Some(_) => Self::require(cx, iam, name).await?.roles,
            None => Vec::new(),
        };
        for other in existing.iter().filter(|existing| existing.role_name() != role) {
            remove(iam, name, other.role_name()).await?;
        }
        if !has_role(&existing, &role) {
            add(cx, iam, name, &role).await?;
        }
        let (set, removed) = tags::retag(update.old.map(|old| &old.tags), &update.new.tags);
        if set.is_some() {
            let call = iam.tag_instance_profile().instance_profile_name(name).set_tags(set);
            call.send().await.context("TagInstanceProfile")?;
        }
        if removed.is_some() {
            let call = iam.untag_instance_profile().instance_profile_name(name).set_tag_keys(removed);
            call.send().await.context("UntagInstanceProfile")?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, iam: &Client, prior: &Prior<Self>) -> Result<()> {
        let name = &prior.id;
        for role in Self::require(cx, iam, name).await?.roles() {
            remove(iam, name, role.role_name()).await?;
        }
        iam.delete_instance_profile().instance_profile_name(name).send().await.context("DeleteInstanceProfile")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, iam: &Client, name: &str) -> Result<Option<Self::Description>> {
        let response = iam.get_instance_profile().instance_profile_name(name).send().await;
        Ok(found(response.context("GetInstanceProfile"))?.and_then(|response| response.instance_profile))
    }

    async fn find_created(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, iam, &inputs.profile_name(cx)).await?;
        Ok(existing.filter(|profile| tags::are_of_operation(cx, profile.tags())))
    }

    fn normalize(profile: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = profile.instance_profile_name();
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                // Empty when a create failed before it added the role.
                role: profile.roles().first().map(Role::role_name).unwrap_or_default().into(),
                tags: tags::declared(profile.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: InstanceProfileOutputs {
                name: InstanceProfileName::from(name).into(),
                arn: Arn::from(profile.arn()).into(),
            },
        }
    }
}

async fn add(cx: &Context<'_>, iam: &Client, profile: &str, role: &str) -> Result<()> {
    let status = "waiting until the role and the profile are visible everywhere";
    let added = wait::retry_while_inconsistent(cx, status, &["NoSuchEntity"], async || {
        let call = iam.add_role_to_instance_profile().instance_profile_name(profile).role_name(role);
        call.send().await.context("AddRoleToInstanceProfile").map(drop)
    });
    match added.await {
        // The profile has a role: this one, when the response to an earlier request was lost.
        Err(error) if error.has_code(&["LimitExceeded"]) => {
            let existing = InstanceProfile::describe(cx, iam, profile).await?;
            if existing.is_some_and(|profile| has_role(profile.roles(), role)) { Ok(()) } else { Err(error.into()) }
        }
        added => Ok(added?),
    }
}

async fn remove(iam: &Client, profile: &str, role: &str) -> Result<()> {
    let call = iam.remove_role_from_instance_profile().instance_profile_name(profile).role_name(role);
    found(call.send().await.context("RemoveRoleFromInstanceProfile"))?;
    Ok(())
}

fn has_role(roles: &[Role], name: &str) -> bool {
    roles.iter().any(|role| role.role_name() == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn missing_role_is_drift() {
        let profile = types::InstanceProfile::builder().path("/").instance_profile_name("web-abc");
        let profile = profile.instance_profile_id("AIPA1").arn("arn:aws:iam::1:instance-profile/web-abc");
        let profile = profile.create_date(DateTime::from_secs(0)).set_roles(Some(Vec::new())).build().unwrap();
        let normalized = InstanceProfile::normalize(&profile, Some(&InstanceProfile::for_role("web")));
        let inputs = normalized.inputs.unwrap();
        assert_eq!((inputs.name, inputs.role.known().unwrap()), (None, String::new()));
    }
}
