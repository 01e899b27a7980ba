//! Parameters by name, ARN and version.

use crate::model::ec2::image::public_parameters;
use crate::model::ssm::{Parameter, ParameterKind, ParameterVersion};
use crate::model::{Region, Tags};
use crate::wire::{ApiError, Outcome};

/// Selects a parameter by its name or ARN, and one of its versions.
pub(crate) struct Selector<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<u64>,
    /// Text of the selector after the name, including its colon.
    pub(crate) text: Option<String>,
}

impl<'a> Selector<'a> {
    pub(crate) fn parse(text: &'a str) -> Outcome<Selector<'a>> {
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

    /// Finds the parameter among those of the region and the public parameters.
    pub(crate) fn find(&self, region: &Region) -> Outcome<(Parameter, u64)> {
        // An ARN does not show whether the name begins with a slash.
        let own =
            region.ssm.parameters.get(self.name).or_else(|| region.ssm.parameters.get(self.name.strip_prefix('/')?));
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

/// Returns a public parameter, which another account publishes for all accounts.
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

/// Returns the decrypted value of a parameter.
pub(crate) fn value(region: &Region, name: &str, version: Option<u64>) -> Outcome<String> {
    let (parameter, number) = Selector { name, version, text: None }.find(region)?;
    parameter.versions.get(&number).map(|version| version.value.clone()).ok_or_else(|| not_found(name))
}

pub(crate) fn not_found(name: &str) -> ApiError {
    ApiError::new("ParameterNotFound", format!("Parameter {name} not found."))
}
