//! Single parameters: put, get, delete.

use chrono::{DateTime, Utc};
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tag::{Tag, read_tags};
use super::{PARAMETER, PARAMETERS, Selector, SsmOperation, arn, input, not_found, validation};
use crate::model::Cloud;
use crate::model::ssm::{Parameter, ParameterKind, ParameterVersion};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    typed!(Writes, "PutParameter", put).on(&[PARAMETER]),
    typed!(Reads, "GetParameter", get).on(&[PARAMETER]),
    typed!(Reads, "GetParameters", get_several).on(&[PARAMETERS]),
    typed!(Reads, "GetParameterHistory", history).on(&[PARAMETER]),
    typed!(Writes, "DeleteParameter", delete).on(&[PARAMETER]),
    typed!(Writes, "DeleteParameters", delete_several).on(&[PARAMETERS]),
];

/// AWS's limit of versions per parameter.
const VERSIONS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    name: String,
    value: String,
    description: Option<String>,
    r#type: Option<ParameterKind>,
    key_id: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    tags: Vec<Tag>,
    tier: Option<String>,
    data_type: Option<String>,
    /// Some clients send an empty pattern for none.
    allowed_pattern: Option<String>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    check_name(&request.name)?;
    let tags = read_tags(request.tags)?;
    if request.overwrite && !tags.is_empty() {
        return Err(validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
        ));
    }
    let region = cloud.region_mut(call.region)?;
    let known = region.ssm.parameters.get(&request.name);
    if known.is_some() && !request.overwrite {
        return Err(ApiError::new(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    let kind = match (request.r#type, known) {
        (Some(kind), None) => kind,
        (None, Some(known)) => known.kind,
        (Some(kind), Some(known)) if kind == known.kind => kind,
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "HierarchyTypeMismatch",
                "The parameter type cannot be changed: delete the parameter and create it again",
            ));
        }
        (None, None) => return Err(validation("A parameter type is required when you create a parameter.")),
    };
    if kind != ParameterKind::SecureString && request.key_id.is_some() {
        return Err(validation("KeyId is required for SecureString type parameter only."));
    }
    let tier = tier(request.tier.as_deref(), known, &request.value)?;
    let data_type =
        request.data_type.unwrap_or_else(|| known.map_or_else(|| "text".to_owned(), |known| known.data_type.clone()));
    if !["text", "aws:ec2:image"].contains(&data_type.as_str()) {
        return Err(validation(format!("The data type '{data_type}' is not one of text, aws:ec2:image")));
    }
    let mut parameter = known.cloned().unwrap_or_else(|| Parameter {
        name: request.name.clone(),
        kind,
        description: None,
        tier: String::new(),
        data_type: String::new(),
        key_id: None,
        allowed_pattern: None,
        versions: [].into(),
        tags,
    });
    parameter.description = request.description.or(parameter.description);
    if let Some(pattern) = request.allowed_pattern {
        parameter.allowed_pattern = Some(pattern).filter(|pattern| !pattern.is_empty());
    }
    if let Some(pattern) = &parameter.allowed_pattern {
        check_pattern(pattern, &request.value)?;
    }
    parameter.tier.clone_from(&tier);
    parameter.data_type = data_type;
    if kind == ParameterKind::SecureString {
        parameter.key_id = request.key_id.or(parameter.key_id).or_else(|| Some("alias/aws/ssm".to_owned()));
    }
    let number = parameter.version(None).map_or(1, |(number, _)| number + 1);
    parameter.versions.insert(number, ParameterVersion { value: request.value, modified: call.now });
    while parameter.versions.len() > VERSIONS {
        parameter.versions.pop_first();
    }
    region.ssm.parameters.insert(request.name, parameter);
    Ok(json!({"Version": number, "Tier": tier}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Get {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

fn get(cloud: &Cloud, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    let selector = Selector::parse(&request.name)?;
    let (parameter, number) = selector.find(cloud.region(call.region)?)?;
    Ok(json!({"Parameter": render(call.region, &parameter, number, request.with_decryption, selector.text.as_deref())}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Names {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

fn get_several(cloud: &Cloud, call: &Call<'_, Value>, request: Names) -> Outcome<Value> {
    if !(1..=10).contains(&request.names.len()) {
        return Err(validation("names: Member must have length less than or equal to 10 and at least 1"));
    }
    let region = cloud.region(call.region)?;
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in &request.names {
        match Selector::parse(name).and_then(|selector| Ok((selector.find(region)?, selector.text))) {
            Ok(((parameter, number), text)) => {
                found.push(render(call.region, &parameter, number, request.with_decryption, text.as_deref()));
            }
            Err(_) => invalid.push(name),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
}

fn history(cloud: &Cloud, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    let parameter =
        cloud.region(call.region)?.ssm.parameters.get(&request.name).ok_or_else(|| not_found(&request.name))?;
    let versions = parameter.versions.iter().map(|(number, version)| {
        let mut node = metadata(call.region, parameter);
        node["Version"] = json!(number);
        node["LastModifiedDate"] = timestamp(version.modified);
        node["Value"] = json!(shown_value(parameter, *number, &version.value, request.with_decryption));
        node["Labels"] = json!([]);
        node
    });
    Ok(json!({"Parameters": versions.collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Delete {
    name: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let removed = cloud.region_mut(call.region)?.ssm.parameters.remove(&request.name);
    removed.map(|_| json!({})).ok_or_else(|| not_found(&request.name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteSeveral {
    names: Vec<String>,
}

fn delete_several(cloud: &mut Cloud, call: &Call<'_, Value>, request: DeleteSeveral) -> Outcome<Value> {
    let region = cloud.region_mut(call.region)?;
    let (deleted, invalid): (Vec<_>, Vec<_>) =
        request.names.into_iter().partition(|name| region.ssm.parameters.remove(name).is_some());
    Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
}

/// Renders a version of a parameter with its value.
pub(super) fn render(region: &str, parameter: &Parameter, number: u64, decrypt: bool, selector: Option<&str>) -> Value {
    let version = parameter.versions.get(&number);
    let mut node = json!({
        "Name": parameter.name,
        "ARN": arn(region, &parameter.name),
        "Type": kind_name(parameter.kind),
        "Version": number,
        "DataType": parameter.data_type,
    });
    if let Some(version) = version {
        node["Value"] = json!(shown_value(parameter, number, &version.value, decrypt));
        node["LastModifiedDate"] = timestamp(version.modified);
    }
    if let Some(selector) = selector {
        node["Selector"] = json!(selector);
    }
    node
}

/// Returns the value of a response. Without decryption, a placeholder replaces a secure value.
fn shown_value(parameter: &Parameter, number: u64, value: &str, decrypt: bool) -> String {
    use base64::Engine as _;
    if decrypt || parameter.kind != ParameterKind::SecureString {
        return value.to_owned();
    }
    let digest = Sha256::digest(format!("{}:{number}", parameter.name));
    format!("AQICAH{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

/// Returns a time in the form of JSON services: seconds since 1970 with a fraction.
pub(super) fn timestamp(time: DateTime<Utc>) -> Value {
    json!(time.timestamp_millis() as f64 / 1000.0)
}

pub(super) fn kind_name(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::String => "String",
        ParameterKind::StringList => "StringList",
        ParameterKind::SecureString => "SecureString",
    }
}

/// Renders a parameter for DescribeParameters: without its values.
pub(super) fn metadata(region: &str, parameter: &Parameter) -> Value {
    let mut node = json!({
        "Name": parameter.name,
        "ARN": arn(region, &parameter.name),
        "Type": kind_name(parameter.kind),
        "Tier": parameter.tier,
        "DataType": parameter.data_type,
        "Policies": [],
        "LastModifiedUser": format!("arn:aws:iam::{}:root", crate::model::ACCOUNT),
    });
    if let Some((number, version)) = parameter.version(None) {
        node["Version"] = json!(number);
        node["LastModifiedDate"] = timestamp(version.modified);
    }
    if let Some(description) = &parameter.description {
        node["Description"] = json!(description);
    }
    if let Some(key) = &parameter.key_id {
        node["KeyId"] = json!(key);
    }
    if let Some(pattern) = &parameter.allowed_pattern {
        node["AllowedPattern"] = json!(pattern);
    }
    node
}

/// Checks that a value matches a pattern as a whole.
fn check_pattern(pattern: &str, value: &str) -> Outcome<()> {
    let invalid = |problem: String| ApiError::new("InvalidAllowedPatternException", problem);
    if pattern.chars().count() > 1024 {
        return Err(invalid("AllowedPattern has at most 1024 characters.".to_owned()));
    }
    let compiled = |pattern: &str| {
        Regex::new(pattern).map_err(|error| {
            invalid(format!(
                "AllowedPattern '{pattern}' is not a regular expression that the local cloud supports (it has no look-around and no back-references): {error}"
            ))
        })
    };
    compiled(pattern)?;
    let anchored = compiled(&format!("^(?:{pattern})$"))?;
    if anchored.is_match(value) {
        return Ok(());
    }
    Err(ApiError::new(
        "ParameterPatternMismatchException",
        format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
    ))
}

/// Returns the tier of a value. Standard parameters hold 4 KiB, advanced ones 8 KiB; an advanced parameter keeps its
/// tier.
fn tier(wanted: Option<&str>, known: Option<&Parameter>, value: &str) -> Outcome<String> {
    if value.is_empty() {
        return Err(validation("value: Member must have length greater than or equal to 1"));
    }
    let tier = match (wanted, value.len() > 4096) {
        (Some("Intelligent-Tiering"), true) | (Some("Advanced"), _) => "Advanced",
        (Some("Intelligent-Tiering" | "Standard"), _) => "Standard",
        (None, _) => known.map_or("Standard", |known| known.tier.as_str()),
        (Some(other), _) => {
            return Err(validation(format!(
                "The tier '{other}' is not one of Standard, Advanced, Intelligent-Tiering"
            )));
        }
    };
    let limit = if tier == "Advanced" { 8192 } else { 4096 };
    if value.len() > limit {
        return Err(validation(format!(
            "{tier} tier parameters support a maximum parameter value of {limit} characters."
        )));
    }
    Ok(tier.to_owned())
}

fn check_name(name: &str) -> Outcome<()> {
    let valid = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    if name.is_empty() || name.len() > 1011 || !name.chars().all(valid) || name.ends_with('/') || name.contains("//") {
        return Err(validation(format!(
            "Parameter name '{name}' must be 1 to 1011 letters, digits and _ . - /, without an empty part."
        )));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(validation(
            "Parameter name must be a fully qualified name: it contains / and does not begin with it.",
        ));
    }
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(validation("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive)."));
    }
    if name.matches('/').count() > 15 {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            "A hierarchy can have a maximum of 15 levels.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_match_patterns_as_a_whole() {
        for (pattern, value) in [(r"^\d+$", "12"), ("a|ab", "ab"), ("[a-z]{1,3}", "abc")] {
            assert_eq!(check_pattern(pattern, value), Ok(()), "{pattern}");
        }
        let code = |pattern: &str, value: &str| check_pattern(pattern, value).map_err(|error| error.code);
        for (pattern, value) in [(r"^\d+$", "x1"), ("a|b", "ab"), ("[a-z]{1,3}", "abcd"), (r"\d", "1\n")] {
            assert_eq!(code(pattern, value), Err("ParameterPatternMismatchException".into()), "{pattern}");
        }
        for pattern in ["(", "a)|(b", "(?=a)", &"a".repeat(1025)] {
            assert_eq!(code(pattern, "a"), Err("InvalidAllowedPatternException".into()), "{pattern}");
        }
    }
}
