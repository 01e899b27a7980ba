//! AWS Systems Manager: parameters.

mod listing;
mod parameter;
mod tag;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::Region;
use crate::model::ec2::image::public_parameters;
use crate::model::ssm::{Parameter, ParameterKind, ParameterVersion};
use crate::model::{ACCOUNT, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

/// An entry of Systems Manager's tables.
type SsmOperation = Operation<Value, Value>;

/// Systems Manager's operations, by kind.
pub(crate) const OPERATIONS: &[&[SsmOperation]] = &[parameter::OPERATIONS, listing::OPERATIONS, tag::OPERATIONS];

/// Reads a request into its type; unknown fields are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn not_found(name: &str) -> ApiError {
    ApiError::new("ParameterNotFound", format!("Parameter {name} not found."))
}

fn arn(region: &str, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter{slash}{name}")
}

/// A parameter that is wanted by name or ARN, in one of its versions.
struct Selector<'a> {
    name: &'a str,
    version: Option<u64>,
    /// What stood behind the name, colon included.
    text: Option<String>,
}

impl<'a> Selector<'a> {
    fn parse(text: &'a str) -> Outcome<Selector<'a>> {
        let text = match text.split_once(":parameter") {
            Some((before, name)) if before.starts_with("arn:aws:ssm:") => name,
            _ => text,
        };
        let Some((name, version)) = text.split_once(':') else {
            return Ok(Selector { name: text, version: None, text: None });
        };
        let number = version.parse().map_err(|_| {
            ApiError::new(
                "ParameterVersionLabelNotFound",
                format!("Systems Manager could not find version {version} of {name}: the local cloud has no labels, use a number"),
            )
        })?;
        Ok(Selector { name, version: Some(number), text: Some(format!(":{version}")) })
    }

    /// Finds it among the region's parameters, own and public ones.
    fn find(&self, region: &Region) -> Outcome<(Parameter, u64)> {
        // An ARN does not tell whether the name begins with a slash.
        let own = region.parameters.get(self.name).or_else(|| region.parameters.get(self.name.strip_prefix('/')?));
        let parameter = own.cloned().or_else(|| public(region, self.name)).ok_or_else(|| not_found(self.name))?;
        match parameter.version(self.version).map(|(number, _)| number) {
            Some(number) => Ok((parameter, number)),
            None => Err(ApiError::new(
                "ParameterVersionNotFound",
                format!(
                    "Systems Manager could not find version {} of {}.",
                    self.version.unwrap_or_default(),
                    self.name
                ),
            )),
        }
    }
}

/// A parameter that somebody else publishes for all accounts.
fn public(region: &Region, name: &str) -> Option<Parameter> {
    let (name, image) = public_parameters(&region.name).into_iter().find(|(known, _)| known == name)?;
    Some(Parameter {
        name,
        kind: ParameterKind::String,
        description: None,
        tier: "Standard".to_owned(),
        data_type: "aws:ec2:image".to_owned(),
        key_id: None,
        allowed_pattern: None,
        versions: [(1, ParameterVersion { value: image.id, modified: image.created })].into(),
        tags: Tags::new(),
    })
}

/// The plain value of a parameter, for the data plane.
pub(crate) fn value(region: &Region, name: &str, version: Option<u64>) -> Outcome<String> {
    let (parameter, number) = Selector { name, version, text: None }.find(region)?;
    parameter.versions.get(&number).map(|version| version.value.clone()).ok_or_else(|| not_found(name))
}
