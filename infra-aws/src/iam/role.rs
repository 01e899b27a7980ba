//! `aws:iam:Role`: permissions that an AWS service assumes.

use super::{
    document::{decoded, document_problem, same_document},
    name_problem,
};
use crate::{error::AwsError, prelude::*};
use aws_sdk_iam::{Client, types};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// An IAM role that an AWS service can assume, with the policies that grant its permissions.
///
/// Roles are the same in all regions of an account.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::output_format;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let bucket = virginia.add("files", Bucket::default());
/// let document = output_format!(
///     r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{}/*"}}]}}"#,
///     bucket.arn
/// );
/// let role = virginia.add("role", Role::for_service("ec2.amazonaws.com").policy("read-files", document));
/// let profile = virginia.add("profile", InstanceProfile::for_role(role.name));
/// virginia.add("host", Instance { instance_profile: Some(profile.name), ..Instance::new("t3.micro") });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateRole`, `PutRolePolicy`, `AttachRolePolicy`
/// - Read: `GetRole`, `ListRolePolicies`, `GetRolePolicy`, `ListAttachedRolePolicies`
/// - Update: those of a read, `UpdateAssumeRolePolicy`, `PutRolePolicy`, `DeleteRolePolicy`, `AttachRolePolicy`,
///   `DetachRolePolicy`, `TagRole`, `UntagRole`
/// - Delete: those of a read, `DeleteRolePolicy`, `DetachRolePolicy`, `DeleteRole`
///
/// # Replacement
/// A change of `name` replaces the role. The new role is created before the previous one is deleted.
///
/// # Import
/// The import takes the name of the role. A role whose trust policy does not consist of one service is printed with the
/// text of that policy as its `trusted_service`, which has to be corrected.
///
/// ```console
/// $ stack import aws:iam:Role role web --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:iam:Role")]
pub struct Role {
    /// Name, unique in the account: 1 to 64 letters, digits and any of `_+=,.@-`. When omitted, the declaration's name
    /// with a unique suffix. A change replaces the role.
    #[resource(replace)]
    pub name: Option<String>,
    /// Service that can assume the role, such as `ec2.amazonaws.com`.
    pub trusted_service: String,
    /// Inline policies: name → JSON text of the document. If there are any, other inline policies are deleted; if it is
    /// empty, other inline policies are kept, such as those of a [`RolePolicy`](super::role_policy::RolePolicy).
    #[serde(default)]
    pub policies: BTreeMap<String, Input<String>>,
    /// ARNs of managed policies that are attached to the role, such as `arn:aws:iam::aws:policy/ReadOnlyAccess`; none
    /// by default. Other attached policies are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_policies: Vec<Input<String>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Role`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct RoleOutputs {
    /// Name of the role.
    pub name: Output<String>,
    /// Amazon Resource Name of the role.
    pub arn: Output<Arn<Role>>,
}

impl Role {
    /// Returns a role without permissions that `service` can assume: `Role::for_service("ec2.amazonaws.com")`.
    pub fn for_service(service: impl Into<String>) -> Self {
        Self {
            name: None,
            trusted_service: service.into(),
            policies: BTreeMap::new(),
            managed_policies: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Adds an inline policy: its name, and the JSON text of its document.
    pub fn policy(mut self, name: impl Into<String>, document: impl Into<Input<String>>) -> Self {
        self.policies.insert(name.into(), document.into());
        self
    }

    /// Attaches a managed policy: `.managed("arn:aws:iam::aws:policy/ReadOnlyAccess")`.
    pub fn managed(mut self, arn: impl Into<Input<String>>) -> Self {
        self.managed_policies.push(arn.into());
        self
    }

    fn role_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(64))
    }

    fn trust_policy(&self) -> String {
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": self.trusted_service },
                "Action": "sts:AssumeRole",
            }],
        })
        .to_string()
    }
}

impl AwsResource for Role {}

impl Described for Role {
    type Client = Aws;
    type Api = Client;
    /// The role, its inline policies and the ARNs of its managed ones.
    type Description = (types::Role, BTreeMap<String, String>, Vec<String>);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<_> = self.name.iter().filter_map(|name| name_problem("name", name, 64)).collect();
        if !self.trusted_service.contains('.') {
            let message = format!("`{}` is no service", self.trusted_service);
            problems.push(Problem::new("trusted_service", message).hint("write it like `ec2.amazonaws.com`"));
        }
        for (name, document) in &self.policies {
            let property = format!("policies.{name}");
            problems.extend(name_problem(&property, name, 128));
            problems.extend(document_problem(&property, document));
        }
        problems
    }

    async fn create(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Self::Description> {
        // All policies are recorded even if adding them fails: the next run removes those that it does not declare.
        let policies = inputs.policies.iter().map(|(name, document)| Ok((name.clone(), document.known()?)));
        let policies = policies.collect::<Result<_>>()?;
        let attached = inputs.managed_policies.iter().map(|arn| Ok(arn.known()?)).collect::<Result<_>>()?;
        let response = iam
            .create_role()
            .role_name(inputs.role_name(cx))
            .assume_role_policy_document(inputs.trust_policy())
            .description(cx.urn().to_string())
            .set_tags(Some(tags::for_create(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateRole")?;
        let role = response.role.ok_or_else(|| ProviderError::unsure("CreateRole returned no role"))?;
        Ok((role, policies, attached))
    }

    async fn apply(cx: &Context<'_>, iam: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (name, new) = (update.id, update.new);
        let mut existing = BTreeMap::new();
        if update.old.is_some() {
            let (role, policies, _) = Self::require(cx, iam, name).await?;
            if !same_document(role.assume_role_policy_document(), &new.trust_policy()) {
                let call = iam.update_assume_role_policy().role_name(name).policy_document(new.trust_policy());
                call.send().await.context("UpdateAssumeRolePolicy")?;
            }
            existing = policies;
        }
        add_policies(cx, iam, name, &existing, new).await?;
        remove_policies(iam, name, &existing, update.old, new).await?;
        let (set, removed) = tags::retag(update.old.map(|old| &old.tags), &new.tags);
        if set.is_some() {
            iam.tag_role().role_name(name).set_tags(set).send().await.context("TagRole")?;
        }
        if removed.is_some() {
            iam.untag_role().role_name(name).set_tag_keys(removed).send().await.context("UntagRole")?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, iam: &Client, prior: &Prior<Self>) -> Result<()> {
        let name = &prior.id;
        let Some((_, policies, attached)) = Self::describe(cx, iam, name).await? else { return Ok(()) };
        for policy in policies.keys() {
            delete_policy(iam, name, policy).await?;
        }
        for arn in &attached {
            detach_policy(iam, name, arn).await?;
        }
        wait::retry_while_in_use(cx, "waiting until the role is not in use", Duration::from_mins(1), async || {
            iam.delete_role().role_name(name).send().await.context("DeleteRole")
        })
        .await?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, iam: &Client, name: &str) -> Result<Option<Self::Description>> {
        let response = iam.get_role().role_name(name).send().await.context("GetRole");
        let Some(role) = found(response)?.and_then(|response| response.role) else { return Ok(None) };
        let Some(policies) = inline_policies(iam, name).await? else { return Ok(None) };
        let attached = found(attached_policies(iam, name).await)?;
        Ok(attached.map(|attached| (role, policies, attached)))
    }

    async fn find_created(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, iam, &inputs.role_name(cx)).await?;
        Ok(existing.filter(|(role, ..)| tags::are_of_operation(cx, role.tags())))
    }

    fn normalize((role, policies, attached): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = role.role_name();
        let trust = role.assume_role_policy_document();
        let policy = |(name, text): (&String, &String)| {
            let same = recorded
                .and_then(|recorded| recorded.policies.get(name))
                .filter(|recorded| recorded.known().is_ok_and(|recorded| same_document(Some(text), &recorded)));
            (name.clone(), same.cloned().unwrap_or_else(|| text.clone().into()))
        };
        let is_attached = |arn: &&Input<String>| arn.known().is_ok_and(|arn| attached.contains(&arn));
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                trusted_service: recorded
                    .filter(|recorded| same_document(trust, &recorded.trust_policy()))
                    .map_or_else(|| trusted_service(trust), |recorded| recorded.trusted_service.clone()),
                policies: if recorded.is_none_or(|recorded| !recorded.policies.is_empty()) {
                    policies.iter().map(policy).collect()
                } else {
                    BTreeMap::new()
                },
                managed_policies: match recorded {
                    Some(recorded) => recorded.managed_policies.iter().filter(is_attached).cloned().collect(),
                    None => attached.iter().cloned().map(Input::from).collect(),
                },
                tags: tags::declared(role.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: RoleOutputs { name: name.into(), arn: Arn::from(role.arn()).into() },
        }
    }
}

/// Puts the inline policies that differ from the existing ones, and attaches the managed ones.
async fn add_policies(
    cx: &Context<'_>,
    iam: &Client,
    name: &str,
    existing: &BTreeMap<String, String>,
    new: &Role,
) -> Result<()> {
    let status = "waiting until the role is visible everywhere";
    for (policy, document) in &new.policies {
        let document = document.known()?;
        if existing.get(policy).is_some_and(|text| same_document(Some(text), &document)) {
            continue;
        }
        wait::retry_while_inconsistent(cx, status, &["NoSuchEntity"], async || {
            let call = iam.put_role_policy().role_name(name).policy_name(policy).policy_document(&document);
            call.send().await.context("PutRolePolicy")
        })
        .await?;
    }
    for arn in &new.managed_policies {
        let arn = arn.known()?;
        wait::retry_while_inconsistent(cx, status, &["NoSuchEntity"], async || {
            iam.attach_role_policy().role_name(name).policy_arn(&arn).send().await.context("AttachRolePolicy")
        })
        .await?;
    }
    Ok(())
}

/// Detaches managed policies that are not declared any more, and deletes inline policies that are not declared: all of
/// them, or only those that were declared before when none is declared now.
async fn remove_policies(
    iam: &Client,
    name: &str,
    existing: &BTreeMap<String, String>,
    old: Option<&Role>,
    new: &Role,
) -> Result<()> {
    let Some(old) = old else { return Ok(()) };
    let known = |inputs: &[Input<String>]| inputs.iter().map(Input::known).collect::<Result<Vec<_>, _>>();
    let wanted = known(&new.managed_policies)?;
    for arn in known(&old.managed_policies)?.iter().filter(|arn| !wanted.contains(arn)) {
        detach_policy(iam, name, arn).await?;
    }
    let is_surplus = |policy: &&String| {
        !new.policies.contains_key(*policy) && (!new.policies.is_empty() || old.policies.contains_key(*policy))
    };
    for policy in existing.keys().filter(is_surplus) {
        delete_policy(iam, name, policy).await?;
    }
    Ok(())
}

async fn delete_policy(iam: &Client, role: &str, policy: &str) -> Result<()> {
    found(iam.delete_role_policy().role_name(role).policy_name(policy).send().await.context("DeleteRolePolicy"))?;
    Ok(())
}

async fn detach_policy(iam: &Client, role: &str, arn: &str) -> Result<()> {
    found(iam.detach_role_policy().role_name(role).policy_arn(arn).send().await.context("DetachRolePolicy"))?;
    Ok(())
}

/// Returns the inline policies: name → JSON text; `None` when the role does not exist.
async fn inline_policies(iam: &Client, role: &str) -> Result<Option<BTreeMap<String, String>>> {
    let mut policies = BTreeMap::new();
    let mut pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
    while let Some(name) = pages.next().await {
        let Some(name) = found(name.context("ListRolePolicies"))? else { return Ok(None) };
        let response = iam.get_role_policy().role_name(role).policy_name(&name).send().await.context("GetRolePolicy");
        if let Some(response) = found(response)? {
            policies.insert(name, decoded(&response.policy_document));
        }
    }
    Ok(Some(policies))
}

/// Returns the ARNs of the managed policies that are attached to the role.
async fn attached_policies(iam: &Client, role: &str) -> Result<Vec<String>, AwsError> {
    let mut arns = Vec::new();
    let mut pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    while let Some(policy) = pages.next().await {
        arns.extend(policy.context("ListAttachedRolePolicies")?.policy_arn);
    }
    Ok(arns)
}

/// Returns the service that a trust policy names, or the text of a policy that says anything else.
fn trusted_service(document: Option<&str>) -> String {
    let text = decoded(document.unwrap_or_default());
    let json: Json = serde_json::from_str(&text).unwrap_or_default();
    let service = json.pointer("/Statement/0/Principal/Service").and_then(Json::as_str).map(str::to_owned);
    service.filter(|service| same_document(Some(&text), &Role::for_service(service).trust_policy())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn existing_role_as_declared_shows_no_drift() {
        let declared = Role::for_service("ec2.amazonaws.com").policy("logs", r#"{"Statement": {}}"#).managed("arn:p");
        let trust = declared.trust_policy().replace('{', "%7B").replace('"', "%22");
        let role = types::Role::builder().path("/").role_name("web").role_id("AROA1").arn("arn:aws:iam::1:role/web");
        let role = role.create_date(DateTime::from_secs(0)).assume_role_policy_document(trust).build().unwrap();
        let policies = BTreeMap::from([("logs".to_owned(), r#"{"Statement":{}}"#.to_owned())]);
        let existing = (role, policies, vec!["arn:other".to_owned(), "arn:p".to_owned()]);
        let normalized = Role::normalize(&existing, Some(&declared));
        assert_eq!(serde_json::to_value(normalized.inputs).unwrap(), serde_json::to_value(declared).unwrap());
        let imported = Role::normalize(&existing, None).inputs.unwrap();
        assert_eq!((imported.managed_policies.len(), imported.name.as_deref()), (2, Some("web")));
    }

    #[test]
    fn other_trust_policies_are_returned_as_text() {
        let trust = Role::for_service("ec2.amazonaws.com").trust_policy();
        assert_eq!(trusted_service(Some(&trust)), "ec2.amazonaws.com");
        assert_eq!(trusted_service(Some("%7B%7D")), "{}");
    }

    #[test]
    fn check_names_the_policy() {
        let role = Role::for_service("ec2.amazonaws.com")
            .policy("good", "{\"Statement\": {}}")
            .policy("bad", "{\"Statement\": []}");
        let problems = role.check();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].property, "policies.bad");
        let role = Role { name: Some("a b".into()), ..Role::for_service("ec2") };
        assert_eq!(role.check().len(), 2);
    }
}
