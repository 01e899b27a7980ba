//! `aws:ssm:Parameter`: a value in the Parameter Store of Systems Manager.

use crate::prelude::*;
use aws_sdk_ssm::{
    Client,
    types::{self, ParameterType, ResourceTypeForTagging, Tag},
};

/// A parameter of Systems Manager: a value of up to 4 KB in the Parameter Store.
///
/// It belongs to the standard tier. A secure parameter is encrypted with the AWS managed key of Systems Manager.
/// Secrets in the environment of a [`Service`](crate::Service) become parameters without a declaration.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::random::Password;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let password = stack.add("password", Password::of_length(32));
/// let parameter = virginia.add("password", Parameter {
///     name: Some("/shop/password".into()),
///     ..Parameter::secure(password.value)
/// });
/// stack.export("parameter", parameter.name);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `PutParameter`; those of a read
/// - Read: `GetParameter` with decryption, `ListTagsForResource`
/// - Update: those of a read, `AddTagsToResource`, `RemoveTagsFromResource`; `PutParameter` if the value differs
/// - Delete: `DeleteParameter`
///
/// # Replacement
/// A change of `name` or `secure` replaces the parameter, because the type of a parameter is fixed. The previous
/// parameter is deleted first, because the new one may have the same name. Another value creates a version.
///
/// # Import
/// The import takes the name of the parameter. The printed declaration contains `[secret]` in place of the value.
///
/// ```console
/// $ stack import aws:ssm:Parameter password /shop/password --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ssm:Parameter", delete_before_replace)]
pub struct Parameter {
    /// Name, unique in the account and region: 1 to 1011 letters, digits and any of `/.-_`, with `/` at the beginning
    /// if there is any other, up to 15 levels, and not beginning with `aws` or `ssm`. `/PROGRAM/STACK/NAME` when
    /// omitted. A change replaces the parameter.
    #[resource(replace)]
    pub name: Option<String>,
    /// Value, 1 to 4096 bytes; secret in the state.
    #[resource(secret)]
    pub value: Input<String>,
    /// Indicates whether the value is encrypted (`SecureString`) or not (`String`). A change replaces the parameter.
    #[resource(replace)]
    pub secure: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Parameter`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ParameterOutputs {
    /// Name of the parameter.
    pub name: Output<String>,
    /// Number of the version of the value, from 1; every change of the value increases it.
    #[output(changes_on_update)]
    pub version: Output<u64>,
    /// Amazon Resource Name of the parameter.
    pub arn: Output<String>,
}

impl Parameter {
    /// Returns a parameter whose value AWS encrypts.
    pub fn secure(value: impl Into<Input<String>>) -> Self {
        Self { name: None, value: value.into(), secure: true, tags: BTreeMap::new() }
    }

    /// Returns a parameter whose value every principal with access to the account's parameters can read.
    pub fn plain(value: impl Into<Input<String>>) -> Self {
        Self { name: None, value: value.into(), secure: false, tags: BTreeMap::new() }
    }

    fn parameter_name(&self, cx: &Context<'_>) -> String {
        let urn = cx.urn();
        self.name.clone().unwrap_or_else(|| default_name(urn.program(), urn.stack(), urn.name()))
    }

    fn kind(&self) -> ParameterType {
        if self.secure { ParameterType::SecureString } else { ParameterType::String }
    }
}

impl AwsResource for Parameter {}

impl Described for Parameter {
    type Client = Aws;
    type Api = Client;
    type Description = (types::Parameter, Vec<Tag>);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(problem) = self.name.as_deref().and_then(name_problem) {
            problems.push(Problem::new("name", problem).hint("write it like `/program/stack/name`"));
        }
        match self.value.known().map(|value| value.len()) {
            Ok(0) => problems.push(Problem::new("value", "the Parameter Store accepts no empty value")),
            Ok(bytes) if bytes > 4096 => problems.push(
                Problem::new("value", format!("the value has {bytes} bytes; a standard parameter has at most 4096"))
                    .hint("store the value in an object of a bucket, and the key of the object in the parameter"),
            ),
            _ => {}
        }
        problems
    }

    async fn create(cx: &Context<'_>, ssm: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.parameter_name(cx);
        let put = ssm.put_parameter().name(&name).value(inputs.value.known()?).r#type(inputs.kind()).overwrite(false);
        let call = put.set_tags(Some(tags::for_create(cx, &inputs.tags)));
        call.send().await.context("PutParameter")?;
        wait::created::<Self>(cx, ssm, &name).await
    }

    async fn apply(cx: &Context<'_>, ssm: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        let (name, value) = (update.id, update.new.value.known()?);
        let existing = Self::require(cx, ssm, name).await?;
        let kind = ResourceTypeForTagging::Parameter;
        let (set, removed) = tags::retag(Some(&old.tags), &update.new.tags);
        if set.is_some() {
            let call = ssm.add_tags_to_resource().resource_type(kind.clone()).resource_id(name).set_tags(set);
            call.send().await.context("AddTagsToResource")?;
        }
        if removed.is_some() {
            let call = ssm.remove_tags_from_resource().resource_type(kind).resource_id(name).set_tag_keys(removed);
            call.send().await.context("RemoveTagsFromResource")?;
        }
        if existing.0.value() == Some(&value) {
            return Ok(Self::normalize(&existing, Some(update.new)).outputs);
        }
        let put = ssm.put_parameter().name(name).value(value).r#type(update.new.kind()).overwrite(true);
        let response = put.send().await.context("PutParameter")?;
        Ok(ParameterOutputs { version: version(response.version).into(), ..update.outputs.clone() })
    }

    async fn delete(_: &Context<'_>, ssm: &Client, prior: &Prior<Self>) -> Result<()> {
        ssm.delete_parameter().name(&prior.id).send().await.context("DeleteParameter")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, ssm: &Client, name: &str) -> Result<Option<Self::Description>> {
        let response = ssm.get_parameter().name(name).with_decryption(true).send().await.context("GetParameter");
        let Some(parameter) = found(response)?.and_then(|response| response.parameter) else { return Ok(None) };
        let call = ssm.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name);
        match call.send().await.context("ListTagsForResource") {
            Err(error) if error.has_code(&["InvalidResourceId"]) => Ok(None),
            response => Ok(found(response)?.map(|response| (parameter, response.tag_list.unwrap_or_default()))),
        }
    }

    async fn find_created(cx: &Context<'_>, ssm: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, ssm, &inputs.parameter_name(cx)).await?;
        Ok(existing.filter(|(_, tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((parameter, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = parameter.name().unwrap_or_default();
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                value: parameter.value().unwrap_or_default().into(),
                secure: parameter.r#type() == Some(&ParameterType::SecureString),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: ParameterOutputs {
                name: name.into(),
                version: version(parameter.version()).into(),
                arn: parameter.arn().unwrap_or_default().into(),
            },
        }
    }
}

fn version(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Returns `/PROGRAM/STACK/NAME`. Names that begin with `aws` or `ssm` are reserved.
fn default_name(program: &str, stack: &str, name: &str) -> String {
    let name = format!("/{program}/{stack}/{name}");
    if is_reserved(&name) { format!("/infra{name}") } else { name }
}

fn is_reserved(name: &str) -> bool {
    let name = name.trim_start_matches('/').to_ascii_lowercase();
    name.starts_with("aws") || name.starts_with("ssm")
}

fn name_problem(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if name.is_empty() || name.len() > 1011 || !name.chars().all(allowed) {
        Some("a parameter's name has 1 to 1011 letters, digits, `/`, `.`, `-` and `_`")
    } else if name.contains('/') && !name.starts_with('/') {
        Some("a name with `/` in it begins with `/`")
    } else if name.split('/').skip(1).count() > 15 {
        Some("a name has at most 15 levels")
    } else if is_reserved(name) {
        Some("names that begin with `aws` or `ssm` are reserved")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_of_the_parameter_store() {
        assert_eq!(default_name("tasks", "dev", "database/password"), "/tasks/dev/database/password");
        assert_eq!(default_name("aws-demo", "dev", "p"), "/infra/aws-demo/dev/p");
        for bad in ["", "a b", "a/b", "/ssm/x", "AWSx", &"/a".repeat(16)] {
            let parameter = Parameter { name: Some(bad.to_owned()), ..Parameter::secure("x") };
            assert_eq!(parameter.check().len(), 1, "{bad}");
        }
        assert_eq!(name_problem("/a/b"), None);
        assert_eq!(name_problem("a"), None);
    }

    #[test]
    fn check_refuses_empty_and_long_values() {
        assert!(Parameter::secure("x").check().is_empty());
        assert_eq!(Parameter::secure("").check().len(), 1);
        assert_eq!(Parameter::plain("x".repeat(4097)).check()[0].property, "value");
    }

    #[test]
    fn value_that_was_changed_elsewhere_is_drift() {
        let existing = types::Parameter::builder().name("/p/dev/a").value("new").version(3);
        let existing = (existing.r#type(ParameterType::SecureString).build(), Vec::new());
        let read = Parameter::normalize(&existing, Some(&Parameter::secure("old")));
        let value = read.inputs.and_then(|inputs| inputs.value.known().ok());
        assert_eq!(value.as_deref(), Some("new"));
        assert_eq!(read.outputs.version.known().ok(), Some(3));
    }
}
