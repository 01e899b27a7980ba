//! `aws:iam:RolePolicy`: one inline policy of a role, as a resource of its own.

use super::role::{decoded, document_problem, is_name, name_problem, same_document};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    region::AwsResource,
    wait,
};
use aws_sdk_iam::Client;
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};

/// An inline policy of a role that is declared elsewhere, such as in another stack.
///
/// Made and changed by `PutRolePolicy`, read by `GetRolePolicy`, deleted by `DeleteRolePolicy`. A role that declares
/// `policies` of its own has no others and takes this one away: declare them in one place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolePolicy {
    /// The name of the role.
    pub role: Input<String>,
    /// Its name, unique in the role; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The JSON text of its document.
    pub document: Input<String>,
}

/// What a [`RolePolicy`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolePolicyOutputs {
    /// The name of the role.
    pub role: Output<String>,
    /// Its name.
    pub name: Output<String>,
}

impl RolePolicy {
    /// Lets the role of this name do what the document allows.
    pub fn of(role: impl Into<Input<String>>, document: impl Into<Input<String>>) -> Self {
        Self { role: role.into(), name: None, document: document.into() }
    }

    fn policy_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }
}

impl Resource for RolePolicy {
    const TYPE: &'static str = "aws:iam:RolePolicy";
    type Outputs = RolePolicyOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["role", "name"])
    }
}

impl AwsResource for RolePolicy {}

impl Handler for RolePolicy {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let name = self.name.as_deref().filter(|name| !is_name(name, 128));
        let name = name.map(|name| name_problem("name", name, 128));
        name.into_iter().chain(document_problem("document", &self.document)).collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let (role, name) = (inputs.role.known()?, inputs.policy_name(cx));
        // PutRolePolicy replaces whatever has the name.
        if let Some(living) = document(&iam, &role, &name).await?
            && !same_document(Some(&living), &inputs.document.known()?)
        {
            let taken = format!("the role {role} already has a policy `{name}` that says something else");
            return Err(ProviderError::of(ErrorKind::AlreadyExists, taken)
                .hint("choose another name, or bring the policy under management with `stack import`"));
        }
        put(cx, &iam, &role, &name, inputs).await?;
        Ok(created(&role, &name, None, inputs))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let (role, name) = parts(&prior.id)?;
        let living = document(&iam, role, name).await?;
        Ok(living.map(|living| created(role, name, Some(living), &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let (role, name) = parts(&prior.id)?;
        put(cx, &iam, role, name, inputs).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let (role, name) = parts(&prior.id)?;
        iam.delete_role_policy().role_name(role).policy_name(name).send().await.context("DeleteRolePolicy")?;
        Ok(())
    }

    /// By `ROLE:POLICY`.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let iam = cx.client().iam(cx.region()?).await;
        let (role, name) = parts(id)?;
        let recorded = Self { name: Some(String::new()), ..Self::of("", "") };
        let living = document(&iam, role, name).await?;
        Ok(living.map(|living| created(role, name, Some(living), &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let iam = cx.client().iam(cx.region()?).await;
                let (role, name) = (inputs.role.known()?, inputs.policy_name(cx));
                let wanted = inputs.document.known()?;
                // A derived name is nobody else's, and before a given one is put it was free or said the same.
                let living = document(&iam, &role, &name).await?;
                let ours = living.filter(|living| inputs.name.is_none() || same_document(Some(living), &wanted));
                Ok(Found::from(ours.map(|living| created(&role, &name, Some(living), inputs))))
            })
        })
    }
}

async fn put(
    cx: &Context<'_, Aws>,
    iam: &Client,
    role: &str,
    name: &str,
    inputs: &RolePolicy,
) -> Result<(), ProviderError> {
    let document = inputs.document.known()?;
    wait::while_inconsistent(cx, "waiting until the role is seen everywhere", &["NoSuchEntity"], async || {
        let call = iam.put_role_policy().role_name(role).policy_name(name).policy_document(&document);
        call.send().await.context("PutRolePolicy")
    })
    .await?;
    Ok(())
}

/// The JSON text of a role's policy; `None` when there is none.
async fn document(iam: &Client, role: &str, name: &str) -> Result<Option<String>, AwsError> {
    let answer = iam.get_role_policy().role_name(role).policy_name(name).send().await.context("GetRolePolicy");
    Ok(found(answer)?.map(|answer| decoded(&answer.policy_document)))
}

fn parts(id: &str) -> Result<(&str, &str), ProviderError> {
    id.split_once(':')
        .ok_or_else(|| ProviderError::refused(format!("`{id}` names no policy of a role: write ROLE:POLICY")))
}

/// The policy as it lives, in the words of the recorded inputs where they say the same.
fn created(role: &str, name: &str, living: Option<String>, recorded: &RolePolicy) -> Created<RolePolicy> {
    let same = |living: &String| recorded.document.known().is_ok_and(|text| same_document(Some(living), &text));
    let document = living.filter(|living| !same(living)).map_or_else(|| recorded.document.clone(), Input::from);
    Created {
        id: format!("{role}:{name}"),
        inputs: Some(RolePolicy { role: role.into(), name: recorded.name.as_ref().map(|_| name.to_owned()), document }),
        outputs: RolePolicyOutputs { role: role.into(), name: name.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;

    #[test]
    fn check_names_what_is_wrong() {
        assert!(RolePolicy::of("web", ALLOW).check().is_empty());
        let wrong = RolePolicy { name: Some("a b".into()), ..RolePolicy::of("web", "{}") };
        let properties: Vec<_> = wrong.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["name", "document"]);
    }

    #[test]
    fn only_another_meaning_is_drift() {
        let recorded = RolePolicy::of("web", ALLOW);
        let text = |living: &str| {
            let inputs = created("web", "p", Some(living.to_owned()), &recorded).inputs;
            inputs.and_then(|inputs| inputs.document.known().ok()).unwrap_or_default()
        };
        assert_eq!(text(&ALLOW.replace(' ', "")), ALLOW);
        assert_eq!(text("{}"), "{}");
    }
}
