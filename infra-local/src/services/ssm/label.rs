//! Labels of versions, and the history of a parameter.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{limit, with_token};
use super::parameter::{metadata, shown_value, timestamp};
use super::{PARAMETER, SsmOperation, input, not_found, validation};
use crate::domain::ssm::{Version, no_version};
use crate::model::Cloud;
use crate::model::ssm::{LABELS, Parameter};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    typed!(Writes, "LabelParameterVersion", label).on(&[PARAMETER]),
    typed!(Writes, "UnlabelParameterVersion", unlabel).on(&[PARAMETER]),
    typed!(Reads, "GetParameterHistory", history).on(&[PARAMETER]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Label {
    name: String,
    parameter_version: Option<u64>,
    labels: Vec<String>,
}

/// Attaches labels. A label of another version moves; invalid labels are returned and not attached. See
/// [LabelParameterVersion](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_LabelParameterVersion.html).
fn label(cloud: &mut Cloud, call: &Call<'_, Value>, request: Label) -> Outcome<Value> {
    check_labels(&request.labels)?;
    let parameter = cloud.region_mut(call.region)?.ssm.parameters.get_mut(&request.name);
    let parameter = parameter.ok_or_else(|| not_found(&request.name))?;
    let number = version(parameter, request.parameter_version)?;
    let (valid, invalid): (BTreeSet<String>, BTreeSet<String>) =
        request.labels.into_iter().partition(|label| is_valid(label));
    for version in parameter.versions.values_mut() {
        version.labels.retain(|label| !valid.contains(label));
    }
    if let Some(version) = parameter.versions.get_mut(&number) {
        version.labels.extend(valid);
        if version.labels.len() > LABELS {
            return Err(ApiError::new(
                "ParameterVersionLabelLimitExceeded",
                format!(
                    "A parameter version can have a maximum of {LABELS} labels. Move one or more labels to another version and try again."
                ),
            ));
        }
    }
    Ok(json!({"InvalidLabels": invalid, "ParameterVersion": number}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Unlabel {
    name: String,
    parameter_version: u64,
    labels: Vec<String>,
}

fn unlabel(cloud: &mut Cloud, call: &Call<'_, Value>, request: Unlabel) -> Outcome<Value> {
    check_labels(&request.labels)?;
    let parameter = cloud.region_mut(call.region)?.ssm.parameters.get_mut(&request.name);
    let parameter = parameter.ok_or_else(|| not_found(&request.name))?;
    let number = version(parameter, Some(request.parameter_version))?;
    let Some(version) = parameter.versions.get_mut(&number) else {
        return Err(no_version(&request.name, Version::Number(number)));
    };
    let (removed, invalid): (Vec<_>, Vec<_>) =
        request.labels.into_iter().partition(|label| version.labels.remove(label));
    Ok(json!({"RemovedLabels": removed, "InvalidLabels": invalid}))
}

fn check_labels(labels: &[String]) -> Outcome<()> {
    let problem = match labels.len() {
        0 => "greater than or equal to 1",
        1..=LABELS => return Ok(()),
        _ => "less than or equal to 10",
    };
    Err(validation(format!(
        "1 validation error detected: Value '[{}]' at 'labels' failed to satisfy constraint: Member must have length {problem}",
        labels.join(", ")
    )))
}

fn version(parameter: &Parameter, wanted: Option<u64>) -> Outcome<u64> {
    let found = parameter.version(wanted).map(|(number, _)| number);
    found.ok_or_else(|| no_version(&parameter.name, wanted.map_or(Version::Latest, Version::Number)))
}

/// Returns whether a label consists of the allowed characters and does not begin with a number, `aws` or `ssm`.
fn is_valid(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    label.len() <= 100
        && label.starts_with(|first: char| !first.is_ascii_digit())
        && label.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character))
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct History {
    name: String,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn history(cloud: &Cloud, call: &Call<'_, Value>, request: History) -> Outcome<Value> {
    let parameters = &cloud.region(call.region)?.ssm.parameters;
    let parameter = parameters.get(&request.name).ok_or_else(|| not_found(&request.name))?;
    let limit = limit(request.max_results, 50)?;
    let keyed = parameter.versions.iter().map(|(number, version)| (format!("{number:020}"), *number, version));
    let page = Page::cut(keyed.collect(), Some(limit), request.next_token.as_deref(), |(key, ..)| key)?;
    let versions = page.items.into_iter().map(|(_, number, version)| {
        let mut node = metadata(call.scope(), parameter);
        node["Version"] = json!(number);
        node["LastModifiedDate"] = timestamp(version.modified);
        node["Value"] = json!(shown_value(parameter, number, &version.value, request.with_decryption));
        node["Labels"] = json!(version.labels);
        match &version.description {
            Some(description) => node["Description"] = json!(description),
            None => drop(node.as_object_mut().and_then(|fields| fields.remove("Description"))),
        }
        node
    });
    Ok(with_token(json!({"Parameters": versions.collect::<Vec<_>>()}), page.next))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn labels_begin_with_a_letter_or_a_symbol() {
        assert!(["release", "R.1-b_c", "_x"].into_iter().all(is_valid));
        assert!(!["", "1a", "aws-x", "SSMx", "a b", "a/b"].into_iter().any(is_valid));
        assert!(is_valid(&"a".repeat(100)) && !is_valid(&"a".repeat(101)));
    }
}
