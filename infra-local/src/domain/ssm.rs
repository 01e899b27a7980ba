//! Parameters by name, ARN, version and label.

use crate::model::ec2::image::public_parameters;
use crate::model::ssm::{Parameter, ParameterKind, ParameterVersion};
use crate::model::{Region, Tags};
use crate::wire::{ApiError, Outcome};

/// Selects a version of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version<'a> {
    Latest,
    Number(u64),
    Label(&'a str),
}

/// Selects a parameter by its name or ARN, and one of its versions.
pub(crate) struct Selector<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Version<'a>,
    /// Text of the selector after the name, including its colon.
    pub(crate) text: Option<String>,
}

impl<'a> Selector<'a> {
    pub(crate) fn parse(text: &'a str) -> Selector<'a> {
        let text = match text.split_once(":parameter") {
            Some((before, name)) if before.starts_with("arn:aws:ssm:") => name,
            _ => text,
        };
        let Some((name, version)) = text.split_once(':') else {
            return Selector { name: text, version: Version::Latest, text: None };
        };
        let selected = version.parse().map_or(Version::Label(version), Version::Number);
        Selector { name, version: selected, text: Some(format!(":{version}")) }
    }

    /// Finds the parameter among those of the region and the public parameters.
    pub(crate) fn find(&self, region: &Region) -> Outcome<(Parameter, u64)> {
        // An ARN does not show whether the name begins with a slash.
        let own =
            region.ssm.parameters.get(self.name).or_else(|| region.ssm.parameters.get(self.name.strip_prefix('/')?));
        let parameter = own.cloned().or_else(|| public(region, self.name)).ok_or_else(|| not_found(self.name))?;
        let number = match self.version {
            Version::Latest => parameter.version(None).map(|(number, _)| number),
            Version::Number(number) => parameter.version(Some(number)).map(|(number, _)| number),
            Version::Label(label) => parameter.labelled(label),
        };
        number.map(|number| (parameter, number)).ok_or_else(|| no_version(self.name, self.version))
    }
}

/// Returns the error for an unknown version or label. GetParameter has the same code for both; see its
/// [errors](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html#API_GetParameter_Errors).
pub(crate) fn no_version(name: &str, version: Version<'_>) -> ApiError {
    let message = match version {
        Version::Label(label) => format!(
            "Systems Manager could not find label {label} for parameter {name}. Verify the label and try again."
        ),
        Version::Number(number) => {
            format!("Systems Manager could not find version {number} of {name}. Verify the version and try again.")
        }
        Version::Latest => format!("Systems Manager could not find a version of {name}."),
    };
    ApiError::new("ParameterVersionNotFound", message)
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
        policies: Vec::new(),
        versions: [(1, ParameterVersion::new(image.id, image.created, None))].into(),
        tags: Tags::new(),
    })
}

/// Returns the decrypted value of a parameter.
pub(crate) fn value(region: &Region, name: &str, version: Option<u64>) -> Outcome<String> {
    let version = version.map_or(Version::Latest, Version::Number);
    let (parameter, number) = Selector { name, version, text: None }.find(region)?;
    parameter.versions.get(&number).map(|version| version.value.clone()).ok_or_else(|| not_found(name))
}

pub(crate) fn not_found(name: &str) -> ApiError {
    ApiError::new("ParameterNotFound", format!("Parameter {name} not found."))
}
