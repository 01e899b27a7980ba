//! `aws:iam:RolePolicy`: an inline policy of a role.

use super::{
    document::{decoded, document_problem, same_document},
    name_problem,
};
use crate::prelude::*;
use aws_sdk_iam::Client;

/// An inline policy of a role that is declared elsewhere, such as in another stack.
///
/// A [`Role`](super::role::Role) that declares `policies` deletes all other inline policies, also this one: declare all
/// policies of a role in one place.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let role = virginia.add("role", Role::for_service("ec2.amazonaws.com"));
/// let document = r#"{"Version": "2012-10-17", "Statement": [
///     {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}
/// ]}"#;
/// virginia.add("metrics", RolePolicy::of(role.name, document));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `GetRolePolicy` if `name` is declared, because `PutRolePolicy` would change an existing policy;
///   `PutRolePolicy`
/// - Read: `GetRolePolicy`
/// - Update: `PutRolePolicy`
/// - Delete: `DeleteRolePolicy`
///
/// # Replacement
/// A change of `role` or `name` replaces the policy. The new policy is created before the previous one is deleted.
/// With the same declared `name`, which `up --replace` requests, the previous policy is deleted first.
///
/// # Import
/// The import takes `ROLE:NAME`, the names of the role and the policy:
///
/// ```console
/// $ stack import aws:iam:RolePolicy metrics web:metrics --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:iam:RolePolicy")]
pub struct RolePolicy {
    /// Name of the role. A change replaces the policy.
    #[resource(replace, key)]
    pub role: Input<String>,
    /// Name, unique in the role: 1 to 128 letters, digits and any of `_+=,.@-`. When omitted, the declaration's name
    /// with a unique suffix. A change replaces the policy.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// JSON text of the policy document, with at least one statement.
    pub document: Input<String>,
}

/// Outputs of a [`RolePolicy`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct RolePolicyOutputs {
    /// Name of the role.
    pub role: Output<String>,
    /// Name of the policy.
    pub name: Output<String>,
}

impl RolePolicy {
    /// Returns a policy that grants the document's permissions to the role with this name.
    pub fn of(role: impl Into<Input<String>>, document: impl Into<Input<String>>) -> Self {
        Self { role: role.into(), name: None, document: document.into() }
    }

    fn policy_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(128))
    }
}

impl AwsResource for RolePolicy {}

impl Described for RolePolicy {
    type Client = Aws;
    type Api = Client;
    /// Role, name and JSON text.
    type Description = (String, String, String);

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str = "choose another name, or import the existing policy";

    fn check(&self) -> Vec<Problem> {
        let name = self.name.as_deref().and_then(|name| name_problem("name", name, 128));
        name.into_iter().chain(document_problem("document", &self.document)).collect()
    }

    async fn create(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Self::Description> {
        let (role, name, document) = (inputs.role.known()?, inputs.policy_name(cx), inputs.document.known()?);
        // PutRolePolicy replaces an existing policy with this name. Derived names are unique.
        if inputs.name.is_some()
            && let Some((_, _, existing)) = Self::describe(cx, iam, &id(&role, &name)).await?
            && !same_document(Some(&existing), &document)
        {
            let message = format!("the role `{role}` already has another policy `{name}`");
            return Err(ProviderError::of(ErrorKind::AlreadyExists, message));
        }
        put(cx, iam, &role, &name, &document).await?;
        Ok((role, name, document))
    }

    async fn apply(cx: &Context<'_>, iam: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        if update.old.is_some() {
            let (role, name) = parts(update.id)?;
            put(cx, iam, role, name, &update.new.document.known()?).await?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, iam: &Client, prior: &Prior<Self>) -> Result<()> {
        let (role, name) = parts(&prior.id)?;
        iam.delete_role_policy().role_name(role).policy_name(name).send().await.context("DeleteRolePolicy")?;
        Ok(())
    }

    /// Describes the policy with the id `ROLE:POLICY`.
    async fn describe(_: &Context<'_>, iam: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (role, name) = parts(id)?;
        let response = iam.get_role_policy().role_name(role).policy_name(name).send().await.context("GetRolePolicy");
        let text = found(response)?.map(|response| decoded(&response.policy_document));
        Ok(text.map(|text| (role.to_owned(), name.to_owned(), text)))
    }

    async fn find_created(cx: &Context<'_>, iam: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let (id, document) = (id(&inputs.role.known()?, &inputs.policy_name(cx)), inputs.document.known()?);
        let existing = Self::describe(cx, iam, &id).await?;
        // Derived names are unique. Another name was unused or had the same document before the request.
        Ok(existing.filter(|(_, _, text)| inputs.name.is_none() || same_document(Some(text), &document)))
    }

    fn normalize((role, name, text): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let same = |recorded: &Input<String>| recorded.known().is_ok_and(|known| same_document(Some(text), &known));
        let document = recorded.map(|recorded| &recorded.document).filter(|recorded| same(recorded));
        Created {
            id: id(role, name),
            inputs: Some(Self {
                role: role.clone().into(),
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.clone()),
                document: document.cloned().unwrap_or_else(|| text.clone().into()),
            }),
            outputs: RolePolicyOutputs { role: role.clone().into(), name: name.clone().into() },
        }
    }
}

async fn put(cx: &Context<'_>, iam: &Client, role: &str, name: &str, document: &str) -> Result<()> {
    wait::retry_while_inconsistent(cx, "waiting until the role is visible everywhere", &["NoSuchEntity"], async || {
        let call = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document);
        call.send().await.context("PutRolePolicy")
    })
    .await?;
    Ok(())
}

fn id(role: &str, name: &str) -> String {
    format!("{role}:{name}")
}

fn parts(id: &str) -> Result<(&str, &str)> {
    let error = || ProviderError::refused(format!("`{id}` is no id of a role's policy")).hint("write `ROLE:POLICY`");
    id.split_once(':').ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;

    #[test]
    fn check_names_the_properties() {
        assert!(RolePolicy::of("web", ALLOW).check().is_empty());
        let wrong = RolePolicy { name: Some("a b".into()), ..RolePolicy::of("web", "{}") };
        let properties: Vec<_> = wrong.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["name", "document"]);
    }

    #[test]
    fn only_another_meaning_is_drift() {
        let recorded = RolePolicy::of("web", ALLOW);
        let text = |existing: &str| {
            let description = ("web".to_owned(), "p".to_owned(), existing.to_owned());
            let inputs = RolePolicy::normalize(&description, Some(&recorded)).inputs;
            inputs.and_then(|inputs| inputs.document.known().ok()).unwrap_or_default()
        };
        assert_eq!(text(&ALLOW.replace(' ', "")), ALLOW);
        assert_eq!(text("{}"), "{}");
    }
}
