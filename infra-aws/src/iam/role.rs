//! `aws:iam:Role`: what a service may do on one's behalf.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    tags, wait,
};
use aws_sdk_iam::{
    Client,
    types::{Role as Described, Tag},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, time::Duration};

/// A role that an AWS service takes on, with the policies that say what it then may do.
///
/// Made by `CreateRole`; policies are put with `PutRolePolicy` and removed with `DeleteRolePolicy`, managed ones are
/// attached with `AttachRolePolicy`; tags are changed by `TagRole` and `UntagRole`. Roles are the same in all regions of
/// an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// Its name, unique in the account; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The service that may take it on, such as `ec2.amazonaws.com`.
    pub trusted_service: String,
    /// Its inline policies: name → JSON text of the document. When there are any, it has no others; when there are none,
    /// others may give it some, such as a [`RolePolicy`](super::role_policy::RolePolicy).
    #[serde(default)]
    pub policies: BTreeMap<String, Input<String>>,
    /// Managed policies that are attached to it, by ARN; others may attach theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_policies: Vec<Input<String>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Role`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleOutputs {
    /// Its name.
    pub name: Output<String>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<Role>>,
}

impl Role {
    /// A role that `service` may take on, and that may do nothing yet: `Role::for_service("ec2.amazonaws.com")`.
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

    fn role_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(64))
    }

    fn trust(&self) -> String {
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

impl Resource for Role {
    const TYPE: &'static str = "aws:iam:Role";
    type Outputs = RoleOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl AwsResource for Role {}

impl Handler for Role {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(name) = self.name.as_deref().filter(|name| !is_name(name, 64)) {
            problems.push(name_problem("name", name, 64));
        }
        if !self.trusted_service.contains('.') {
            let message = format!("`{}` is no service", self.trusted_service);
            problems.push(Problem::new("trusted_service", message).hint("write it like `ec2.amazonaws.com`"));
        }
        for (name, document) in &self.policies {
            let property = format!("policies.{name}");
            if !is_name(name, 128) {
                problems.push(name_problem(&property, name, 128));
            }
            problems.extend(document_problem(&property, document));
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let name = inputs.role_name(cx);
        let answer = iam
            .create_role()
            .role_name(&name)
            .assume_role_policy_document(inputs.trust())
            .description(cx.urn().to_string())
            .set_tags(Some(tags::iam(cx, &inputs.tags)?))
            .send()
            .await
            .context("CreateRole");
        let role = match answer {
            Ok(answer) => answer.role.ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => match ours(cx, &iam, &name).await? {
                Some(role) => role,
                None => return Err(error.hint("choose another name, or delete the role that has it").into()),
            },
            Err(error) => return Err(error.into()),
        };
        let created = Created::new(&name, outputs(&role));
        match converge(cx, &iam, &name, None, inputs).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        match describe(&iam, &prior.id).await? {
            Some(role) => Ok(Some(live(&iam, &role, &prior.inputs).await?)),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let role = describe(&iam, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        if !same_document(role.assume_role_policy_document(), &inputs.trust()) {
            let call = iam.update_assume_role_policy().role_name(&prior.id).policy_document(inputs.trust());
            call.send().await.context("UpdateAssumeRolePolicy")?;
        }
        converge(cx, &iam, &prior.id, Some(&prior.inputs), inputs).await?;
        let (set, removed) = tags::changes(&prior.inputs.tags, &inputs.tags);
        if !set.is_empty() {
            iam.tag_role().role_name(&prior.id).set_tags(Some(tag_list(set)?)).send().await.context("TagRole")?;
        }
        if !removed.is_empty() {
            let call = iam.untag_role().role_name(&prior.id).set_tag_keys(Some(removed));
            call.send().await.context("UntagRole")?;
        }
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let name = &prior.id;
        let Some(policies) = policies(&iam, name).await? else {
            return Ok(());
        };
        for policy in policies.keys() {
            let call = iam.delete_role_policy().role_name(name).policy_name(policy);
            found(call.send().await.context("DeleteRolePolicy"))?;
        }
        for arn in attached(&iam, name).await? {
            let call = iam.detach_role_policy().role_name(name).policy_arn(arn);
            found(call.send().await.context("DetachRolePolicy"))?;
        }
        let status = "waiting until nothing uses the role any more";
        wait::while_needed(cx, status, Duration::from_mins(1), async || {
            iam.delete_role().role_name(name).send().await.context("DeleteRole")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let Some(role) = describe(&iam, id).await? else { return Ok(None) };
        let inline = policies(&iam, id).await?.unwrap_or_default();
        let named = Self {
            name: Some(String::new()),
            policies: inline.into_iter().map(|(name, text)| (name, text.into())).collect(),
            managed_policies: attached(&iam, id).await?.into_iter().map(Input::from).collect(),
            tags: tags::foreign(pairs(&role)),
            ..Self::for_service("")
        };
        Ok(Some(live(&iam, &role, &named).await?))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let iam = cx.client().iam(cx.region()?).await;
                match ours(cx, &iam, &inputs.role_name(cx)).await? {
                    Some(role) => Ok(Found::Found(live(&iam, &role, inputs).await?)),
                    None => Ok(Found::Absent),
                }
            })
        })
    }
}

/// Brings the policies in order, whatever they are now; new ones first. Attached ones, and inline ones where none are
/// declared, are taken away only when they were declared `before`.
async fn converge(
    cx: &Context<'_, Aws>,
    iam: &Client,
    name: &str,
    before: Option<&Role>,
    inputs: &Role,
) -> Result<(), ProviderError> {
    let status = "waiting until the role is seen everywhere";
    let living = policies(iam, name).await?.unwrap_or_default();
    for (policy, document) in &inputs.policies {
        let document = document.known()?;
        if living.get(policy).is_some_and(|text| same_document(Some(text), &document)) {
            continue;
        }
        wait::while_inconsistent(cx, status, &["NoSuchEntity"], async || {
            let call = iam.put_role_policy().role_name(name).policy_name(policy).policy_document(&document);
            call.send().await.context("PutRolePolicy")
        })
        .await?;
    }
    let known = |inputs: &[Input<String>]| inputs.iter().map(Input::known).collect::<Result<Vec<_>, _>>();
    let wanted = known(&inputs.managed_policies)?;
    let attached = known(before.map(|before| before.managed_policies.as_slice()).unwrap_or_default())?;
    for arn in &wanted {
        wait::while_inconsistent(cx, status, &["NoSuchEntity"], async || {
            iam.attach_role_policy().role_name(name).policy_arn(arn).send().await.context("AttachRolePolicy")
        })
        .await?;
    }
    for arn in attached.iter().filter(|arn| !wanted.contains(arn)) {
        let call = iam.detach_role_policy().role_name(name).policy_arn(arn);
        found(call.send().await.context("DetachRolePolicy"))?;
    }
    let declared_before = |policy: &str| before.is_some_and(|before| before.policies.contains_key(policy));
    let surplus = |policy: &&String| {
        !inputs.policies.contains_key(*policy) && (!inputs.policies.is_empty() || declared_before(policy))
    };
    for policy in living.keys().filter(surplus) {
        let call = iam.delete_role_policy().role_name(name).policy_name(policy);
        found(call.send().await.context("DeleteRolePolicy"))?;
    }
    Ok(())
}

async fn describe(iam: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = iam.get_role().role_name(name).send().await.context("GetRole");
    Ok(found(answer)?.and_then(|answer| answer.role))
}

/// The role of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, iam: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let role = describe(iam, name).await?;
    Ok(role.filter(|role| tags::are_ours(cx, role.tags().iter().map(|tag| (Some(tag.key()), Some(tag.value()))))))
}

/// The inline policies: name → JSON text. `None` when the role is gone.
async fn policies(iam: &Client, role: &str) -> Result<Option<BTreeMap<String, String>>, AwsError> {
    let mut policies = BTreeMap::new();
    let mut pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
    while let Some(name) = pages.next().await {
        let Some(name) = found(name.context("ListRolePolicies"))? else {
            return Ok(None);
        };
        let answer = iam.get_role_policy().role_name(role).policy_name(&name).send().await.context("GetRolePolicy");
        if let Some(answer) = found(answer)? {
            policies.insert(name, decoded(&answer.policy_document));
        }
    }
    Ok(Some(policies))
}

/// The managed policies that somebody attached.
async fn attached(iam: &Client, role: &str) -> Result<Vec<String>, AwsError> {
    let mut arns = Vec::new();
    let mut pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    while let Some(policy) = pages.next().await {
        match found(policy.context("ListAttachedRolePolicies"))? {
            Some(policy) => arns.extend(policy.policy_arn),
            None => break,
        }
    }
    Ok(arns)
}

/// The role as it lives, in the words of the recorded inputs where they say the same.
async fn live(iam: &Client, role: &Described, recorded: &Role) -> Result<Created<Role>, ProviderError> {
    let name = role.role_name();
    let mut living = BTreeMap::new();
    if !recorded.policies.is_empty() {
        living = policies(iam, name).await?.unwrap_or_default();
    }
    let in_recorded_words = |(name, text): (String, String)| {
        let recorded = recorded
            .policies
            .get(&name)
            .filter(|recorded| recorded.known().is_ok_and(|recorded| same_document(Some(&text), &recorded)));
        (name, recorded.cloned().unwrap_or_else(|| text.into()))
    };
    let trusted = if same_document(role.assume_role_policy_document(), &recorded.trust()) {
        recorded.trusted_service.clone()
    } else {
        trusted_service(role.assume_role_policy_document())
    };
    let attached = if recorded.managed_policies.is_empty() { Vec::new() } else { attached(iam, name).await? };
    let still = |arn: &&Input<String>| arn.known().is_ok_and(|arn| attached.contains(&arn));
    Ok(Created {
        id: name.to_owned(),
        inputs: Some(Role {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            trusted_service: trusted,
            policies: living.into_iter().map(in_recorded_words).collect(),
            managed_policies: recorded.managed_policies.iter().filter(still).cloned().collect(),
            tags: tags::own(pairs(role), &recorded.tags),
        }),
        outputs: outputs(role),
    })
}

fn pairs(role: &Described) -> impl Iterator<Item = (&str, &str)> {
    role.tags().iter().map(|tag| (tag.key(), tag.value()))
}

/// Tags as IAM's Tag calls take them.
pub(super) fn tag_list(tags: BTreeMap<&String, &String>) -> Result<Vec<Tag>, ProviderError> {
    let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    tags.collect::<Result<_, _>>().map_err(|error| ProviderError::refused(error.to_string()))
}

fn outputs(role: &Described) -> RoleOutputs {
    RoleOutputs { name: role.role_name().into(), arn: Arn::from(role.arn()).into() }
}

fn lost(role: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the role {role} is gone"))
}

/// Whether a text is JSON that states something.
fn is_policy(text: &str) -> bool {
    let json: Json = serde_json::from_str(text).unwrap_or_default();
    json.get("Statement").is_some_and(|statement| statement.as_array().is_none_or(|several| !several.is_empty()))
}

/// The service that a trust policy names, or the policy itself when it says something else.
fn trusted_service(document: Option<&str>) -> String {
    let text = decoded(document.unwrap_or_default());
    let json: Json = serde_json::from_str(&text).unwrap_or_default();
    let service = json.pointer("/Statement/0/Principal/Service").and_then(Json::as_str).map(str::to_owned);
    service.filter(|service| same_document(Some(&text), &Role::for_service(service).trust())).unwrap_or(text)
}

/// Whether a document as IAM answers it, percent-encoded, says the same as this text.
pub(super) fn same_document(living: Option<&str>, text: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Json>(text).ok();
    let living = living.map(decoded).unwrap_or_default();
    living == text || parse(&living).is_some_and(|living| Some(living) == parse(text))
}

/// Undoes the percent-encoding (RFC 3986) in which IAM answers documents.
pub(super) fn decoded(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| first == b'%').and_then(|hex| hex::decode(hex).ok());
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        bytes.extend(escaped.unwrap_or_else(|| vec![first]));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether IAM takes the name.
pub(super) fn is_name(name: &str, longest: usize) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (1..=longest).contains(&name.len()) && name.chars().all(allowed)
}

/// What is wrong with a policy document.
pub(super) fn document_problem(property: &str, document: &Input<String>) -> Option<Problem> {
    document.known().is_ok_and(|text| !is_policy(&text)).then(|| {
        Problem::new(property, "it is no policy document: JSON with a `Statement`")
            .hint("`serde_json::json!({\"Version\": \"2012-10-17\", \"Statement\": […]}).to_string()`")
    })
}

pub(super) fn name_problem(property: &str, name: &str, longest: usize) -> Problem {
    Problem::new(property, format!("IAM does not take the name `{name}`"))
        .hint(format!("write 1 to {longest} letters, digits and `_+=,.@-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_say() {
        let text = Role::for_service("ec2.amazonaws.com").trust();
        let encoded = text.replace('{', "%7B").replace('"', "%22");
        assert!(same_document(Some(&encoded), &text));
        assert!(same_document(Some("{\"a\": 1}"), "{\"a\":1}"));
        assert!(!same_document(Some("{\"a\": 1}"), "{\"a\":2}"));
        assert!(!same_document(None, "{}"));
        assert_eq!(trusted_service(Some(&encoded)), "ec2.amazonaws.com");
        assert_eq!(trusted_service(Some("%7B%7D")), "{}");
        assert_eq!(decoded("a%zz%4"), "a%zz%4");
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
