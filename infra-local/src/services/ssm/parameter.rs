//! Single parameters: put, get, delete.

use chrono::{DateTime, Utc};
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tag::{Tag, read_tags};
use super::{PARAMETER, PARAMETERS, Selector, SsmOperation, arn, check_name, input, not_found, policy, validation};
use crate::model::ssm::{Parameter, ParameterKind, ParameterVersion};
use crate::model::{ArnScope, Cloud};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    typed!(Writes, "PutParameter", put).on(&[PARAMETER]),
    typed!(Reads, "GetParameter", get).on(&[PARAMETER]),
    typed!(Reads, "GetParameters", get_several).on(&[PARAMETERS]),
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
    /// Policies of an advanced parameter, a list in JSON.
    policies: Option<String>,
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
    let policies = request.policies.as_deref().map(|policies| policy::parse(policies, call.now)).transpose()?;
    let tier = tier(request.tier.as_deref(), known, &request.value)?;
    if policies.as_ref().is_some_and(|policies| !policies.is_empty()) && tier != "Advanced" {
        return Err(validation("Parameter policies are only supported for parameters in the advanced-parameter tier."));
    }
    let data_type =
        request.data_type.unwrap_or_else(|| known.map_or_else(|| "text".to_owned(), |known| known.data_type.clone()));
    if !["text", "aws:ec2:image"].contains(&data_type.as_str()) {
        return Err(validation(format!(
            "The following data type is not supported: {data_type} (Data type names are all lowercase.)"
        )));
    }
    let mut parameter = known.cloned().unwrap_or_else(|| Parameter {
        name: request.name.clone(),
        kind,
        description: None,
        tier: String::new(),
        data_type: String::new(),
        key_id: None,
        allowed_pattern: None,
        policies: Vec::new(),
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
    parameter.policies = policies.unwrap_or(parameter.policies);
    parameter.tier.clone_from(&tier);
    parameter.data_type = data_type;
    if kind == ParameterKind::SecureString {
        parameter.key_id = request.key_id.or(parameter.key_id).or_else(|| Some("alias/aws/ssm".to_owned()));
    }
    let number = parameter.version(None).map_or(1, |(number, _)| number + 1);
    let version = ParameterVersion::new(request.value, call.now, parameter.description.clone());
    parameter.versions.insert(number, version);
    drop_oldest(&mut parameter)?;
    region.ssm.parameters.insert(request.name, parameter);
    Ok(json!({"Version": number, "Tier": tier}))
}

/// Drops the versions above the limit. A version with a label prevents that; see
/// [Working with parameter versions](https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html).
fn drop_oldest(parameter: &mut Parameter) -> Outcome<()> {
    while parameter.versions.len() > VERSIONS {
        let Some((number, oldest)) = parameter.versions.pop_first() else { break };
        if !oldest.labels.is_empty() {
            return Err(ApiError::new(
                "ParameterMaxVersionLimitExceeded",
                format!(
                    "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. \
                     Version {number}, the oldest version, can't be deleted because it has a label associated with it. \
                     Move the label to another version of the parameter, and try again.",
                    parameter.name
                ),
            ));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Get {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

fn get(cloud: &Cloud, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    let selector = Selector::parse(&request.name);
    let (parameter, number) = selector.find(cloud.region(call.region)?)?;
    Ok(
        json!({"Parameter": render(call.scope(), &parameter, number, request.with_decryption, selector.text.as_deref())}),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Names {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

fn get_several(cloud: &Cloud, call: &Call<'_, Value>, request: Names) -> Outcome<Value> {
    check_names(&request.names)?;
    let region = cloud.region(call.region)?;
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in &request.names {
        let selector = Selector::parse(name);
        match selector.find(region) {
            Ok((parameter, number)) => {
                let text = selector.text.as_deref();
                found.push(render(call.scope(), &parameter, number, request.with_decryption, text));
            }
            Err(_) => invalid.push(name),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
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
    check_names(&request.names)?;
    let region = cloud.region_mut(call.region)?;
    let (deleted, invalid): (Vec<_>, Vec<_>) =
        request.names.into_iter().partition(|name| region.ssm.parameters.remove(name).is_some());
    Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
}

/// Checks the number of names of a request.
fn check_names(names: &[String]) -> Outcome<()> {
    let problem = match names.len() {
        0 => "greater than or equal to 1",
        1..=10 => return Ok(()),
        _ => "less than or equal to 10",
    };
    Err(validation(format!(
        "1 validation error detected: Value '[{}]' at 'names' failed to satisfy constraint: Member must have length {problem}",
        names.join(", ")
    )))
}

/// Renders a version of a parameter with its value.
pub(super) fn render(
    scope: ArnScope<'_>,
    parameter: &Parameter,
    number: u64,
    decrypt: bool,
    selector: Option<&str>,
) -> Value {
    let version = parameter.versions.get(&number);
    let mut node = json!({
        "Name": parameter.name,
        "ARN": arn(scope, &parameter.name),
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
pub(super) fn shown_value(parameter: &Parameter, number: u64, value: &str, decrypt: bool) -> String {
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
pub(super) fn metadata(scope: ArnScope<'_>, parameter: &Parameter) -> Value {
    let mut node = json!({
        "Name": parameter.name,
        "ARN": arn(scope, &parameter.name),
        "Type": kind_name(parameter.kind),
        "Tier": parameter.tier,
        "DataType": parameter.data_type,
        "Policies": policy::render(&parameter.policies),
        "LastModifiedUser": format!("arn:aws:iam::{}:root", scope.account),
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

/// AWS's explanations of the limits of tiers; see
/// [Managing parameter tiers](https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html).
const STANDARD_IS_FULL: &str = " To create a larger parameter value, upgrade the parameter to use the advanced-parameter \
     tier. For more information, see \
     https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html";
const DOWNGRADE: &str = "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
     advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and \
     recreate it as a standard parameter.";

/// Returns the tier of a value. Standard parameters hold 4 KiB, advanced ones 8 KiB; an advanced parameter keeps its
/// tier.
fn tier(wanted: Option<&str>, known: Option<&Parameter>, value: &str) -> Outcome<String> {
    if value.is_empty() {
        return Err(validation("value: Member must have length greater than or equal to 1"));
    }
    let is_advanced = known.is_some_and(|known| known.tier == "Advanced");
    let tier = match (wanted, value.len() > 4096) {
        (Some("Intelligent-Tiering"), true) | (Some("Advanced"), _) => "Advanced",
        // AWS chooses the tier of a parameter that is already advanced.
        (Some("Intelligent-Tiering"), false) if is_advanced => "Advanced",
        (Some("Standard"), _) if is_advanced => return Err(validation(DOWNGRADE)),
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
        let way_out = if tier == "Standard" { STANDARD_IS_FULL } else { "" };
        return Err(validation(format!(
            "{tier} tier parameters support a maximum parameter value of {limit} characters.{way_out}"
        )));
    }
    Ok(tier.to_owned())
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
