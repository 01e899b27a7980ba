//! `aws:ssm:Parameter`: a value in Systems Manager's parameter store.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    region::AwsResource,
    tags,
};
use aws_sdk_ssm::{
    Client,
    types::{Parameter as Described, ParameterType, ResourceTypeForTagging, Tag},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value in the parameter store, of the standard tier: up to 4 KB.
///
/// Made and changed by `PutParameter`, which encrypts a secure one with the account's key for parameters; tags are changed
/// by `AddTagsToResource` and `RemoveTagsFromResource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name; `/PROGRAM/STACK/NAME` when none is given.
    pub name: Option<String>,
    /// Its value, always kept as a secret here.
    pub value: Input<String>,
    /// Whether AWS keeps it encrypted, as a `SecureString`.
    pub secure: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Parameter`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterOutputs {
    /// Its name.
    pub name: Output<String>,
    /// Grows by one whenever the value is put.
    pub version: Output<u64>,
    /// Its Amazon Resource Name.
    pub arn: Output<String>,
}

impl Parameter {
    /// A value that AWS keeps encrypted.
    pub fn secure(value: impl Into<Input<String>>) -> Self {
        Self { name: None, value: value.into(), secure: true, tags: BTreeMap::new() }
    }

    /// A value that everybody with access to the account's parameters may read.
    pub fn plain(value: impl Into<Input<String>>) -> Self {
        Self { name: None, value: value.into(), secure: false, tags: BTreeMap::new() }
    }

    fn parameter_name(&self, cx: &Context<'_, Aws>) -> String {
        let urn = cx.urn();
        self.name.clone().unwrap_or_else(|| default_name(urn.program(), urn.stack(), urn.name()))
    }

    fn kind(&self) -> ParameterType {
        if self.secure { ParameterType::SecureString } else { ParameterType::String }
    }
}

impl Resource for Parameter {
    const TYPE: &'static str = "aws:ssm:Parameter";
    type Outputs = ParameterOutputs;

    fn schema() -> Schema {
        // A parameter cannot change its type, and its replacement may claim the same name.
        Schema::new()
            .replace_on(["name", "secure"])
            .delete_before_replace()
            .secret(["value"])
            .changes_on_update(["version"])
    }
}

impl AwsResource for Parameter {}

impl Handler for Parameter {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(problem) = self.name.as_deref().and_then(name_problem) {
            problems.push(Problem::new("name", problem).hint("write it like `/program/stack/name`"));
        }
        match self.value.known().map(|value| value.len()) {
            Ok(0) => problems.push(Problem::new("value", "AWS keeps no empty values")),
            Ok(bytes) if bytes > 4096 => problems.push(
                Problem::new("value", format!("it has {bytes} bytes, and a standard parameter takes up to 4096"))
                    .hint("put it into an object of a bucket, and its name into the parameter"),
            ),
            _ => {}
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ssm = cx.client().ssm(cx.region()?).await;
        let name = inputs.parameter_name(cx);
        let answer = ssm
            .put_parameter()
            .name(&name)
            .value(inputs.value.known()?)
            .r#type(inputs.kind())
            .overwrite(false)
            .set_tags(Some(tags::ssm(cx, &inputs.tags)?))
            .send()
            .await
            .context("PutParameter");
        let parameter = match answer {
            Ok(_) => describe(&ssm, &name).await?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => match ours(cx, &ssm, &name).await? {
                Some(parameter) => Some(parameter),
                None => return Err(error.hint("choose another name, or delete the parameter that has it").into()),
            },
            Err(error) => return Err(error.into()),
        };
        let parameter = parameter.ok_or_else(|| lost(&name))?;
        Ok(Created { inputs: None, ..created(&parameter, inputs, BTreeMap::new()) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ssm = cx.client().ssm(cx.region()?).await;
        let Some(parameter) = describe(&ssm, &prior.id).await? else { return Ok(None) };
        let recorded = &prior.inputs.tags;
        let tags = if recorded.is_empty() { Vec::new() } else { tags_of(&ssm, &prior.id).await?.unwrap_or_default() };
        Ok(Some(created(&parameter, &prior.inputs, tags::own(pairs(&tags), recorded))))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ssm = cx.client().ssm(cx.region()?).await;
        let value = inputs.value.known()?;
        let parameter = describe(&ssm, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        retag(&ssm, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        if parameter.value() == Some(&value) {
            return Ok(created(&parameter, inputs, BTreeMap::new()).outputs);
        }
        let put = ssm.put_parameter().name(&prior.id).value(value).r#type(inputs.kind()).overwrite(true);
        let answer = put.send().await.context("PutParameter")?;
        Ok(ParameterOutputs { version: version(answer.version).into(), ..prior.outputs.clone() })
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ssm = cx.client().ssm(cx.region()?).await;
        ssm.delete_parameter().name(&prior.id).send().await.context("DeleteParameter")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ssm = cx.client().ssm(cx.region()?).await;
        let Some(parameter) = describe(&ssm, id).await? else { return Ok(None) };
        let tags = tags_of(&ssm, id).await?.unwrap_or_default();
        let named = Self { name: Some(String::new()), ..Self::plain("") };
        Ok(Some(created(&parameter, &named, tags::foreign(pairs(&tags)))))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let ssm = cx.client().ssm(cx.region()?).await;
                let parameter = ours(cx, &ssm, &inputs.parameter_name(cx)).await?;
                Ok(Found::from(parameter.map(|parameter| created(&parameter, inputs, inputs.tags.clone()))))
            })
        })
    }
}

async fn describe(ssm: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = ssm.get_parameter().name(name).with_decryption(true).send().await.context("GetParameter");
    Ok(found(answer)?.and_then(|answer| answer.parameter))
}

/// The parameter of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, ssm: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let tags = tags_of(ssm, name).await?.unwrap_or_default();
    if tags::are_ours(cx, tags.iter().map(|tag| (Some(tag.key()), Some(tag.value())))) {
        describe(ssm, name).await
    } else {
        Ok(None)
    }
}

/// Its tags; `None` when there is no such parameter.
async fn tags_of(ssm: &Client, name: &str) -> Result<Option<Vec<Tag>>, AwsError> {
    let call = ssm.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name);
    let answer = match call.send().await.context("ListTagsForResource") {
        Err(error) if error.is(&["InvalidResourceId"]) => return Ok(None),
        answer => found(answer)?,
    };
    Ok(answer.map(|answer| answer.tag_list.unwrap_or_default()))
}

fn pairs(tags: &[Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|tag| (tag.key(), tag.value()))
}

async fn retag(
    ssm: &Client,
    name: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), ProviderError> {
    let (set, removed) = tags::changes(old, new);
    if !set.is_empty() {
        let set = set.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let set: Vec<Tag> = set.collect::<Result<_, _>>().map_err(|error| ProviderError::refused(error.to_string()))?;
        let call = ssm.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name);
        call.set_tags(Some(set)).send().await.context("AddTagsToResource")?;
    }
    if !removed.is_empty() {
        let call = ssm.remove_tags_from_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name);
        call.set_tag_keys(Some(removed)).send().await.context("RemoveTagsFromResource")?;
    }
    Ok(())
}

fn created(parameter: &Described, recorded: &Parameter, tags: BTreeMap<String, String>) -> Created<Parameter> {
    let name = parameter.name().unwrap_or_default();
    Created {
        id: name.to_owned(),
        inputs: Some(Parameter {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            value: parameter.value().unwrap_or_default().into(),
            secure: parameter.r#type() == Some(&ParameterType::SecureString),
            tags,
        }),
        outputs: ParameterOutputs {
            name: name.into(),
            version: version(parameter.version()).into(),
            arn: parameter.arn().unwrap_or_default().into(),
        },
    }
}

fn version(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn lost(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the parameter {name} is gone"))
}

/// `/PROGRAM/STACK/NAME`. AWS keeps names that begin with `aws` or `ssm` to itself.
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
        Some("names that begin with `aws` or `ssm` are AWS's own")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
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
    fn values_must_fit() {
        assert!(Parameter::secure("x").check().is_empty());
        assert_eq!(Parameter::secure("").check().len(), 1);
        assert_eq!(Parameter::plain("x".repeat(4097)).check()[0].property, "value");
    }

    #[test]
    fn a_value_that_was_changed_elsewhere_is_drift() {
        let lives = Described::builder().name("/p/dev/a").value("new").version(3).r#type(ParameterType::SecureString);
        let read = created(&lives.build(), &Parameter::secure("old"), BTreeMap::new());
        let value = read.inputs.and_then(|inputs| inputs.value.known().ok());
        assert_eq!(value.as_deref(), Some("new"));
        assert_eq!(read.outputs.version.known().ok(), Some(3));
    }
}
