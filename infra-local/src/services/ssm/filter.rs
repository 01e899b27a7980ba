//! Filters of lists, by the rules of
//! [ParameterStringFilter](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html).

use serde::Deserialize;

use super::parameter::kind_name;
use super::validation;
use crate::model::ssm::Parameter;
use crate::wire::{ApiError, Outcome};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) key: String,
    pub(super) option: Option<String>,
    #[serde(default)]
    pub(super) values: Vec<String>,
}

/// Keys that an operation accepts: those that its messages list, and further ones.
pub(super) struct Keys {
    listed: &'static [&'static str],
    others: &'static [&'static str],
    tags: bool,
}

pub(super) const DESCRIBE: Keys =
    Keys { listed: &["Path", "Name", "Type", "KeyId", "Tier"], others: &["DataType"], tags: true };
pub(super) const BY_PATH: Keys = Keys { listed: &["Type", "KeyId"], others: &["Label"], tags: false };

pub(super) const NOT_A_PATH: &str = "The parameter doesn't meet the parameter name requirements. The parameter name must \
     begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only \
     letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. \
     All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.";

/// Limit of the values of a filter.
const VALUES: usize = 50;

/// Checks the filters of a request.
pub(super) fn check(filters: &[Filter], keys: &Keys) -> Outcome<()> {
    for (index, filter) in filters.iter().enumerate() {
        check_key(filter, keys)?;
        if filters[..index].iter().any(|other| other.key == filter.key) {
            return Err(ApiError::new(
                "InvalidFilterKey",
                format!(
                    "The following filter is duplicated in the request: {}. A request can contain only one occurrence of a \
                     specific filter.",
                    filter.key
                ),
            ));
        }
        check_option(filter)?;
        check_values(filter)?;
    }
    Ok(())
}

fn check_key(filter: &Filter, keys: &Keys) -> Outcome<()> {
    let key = filter.key.as_str();
    let is_tag = key.strip_prefix("tag:").is_some_and(|tag| !tag.is_empty());
    if keys.listed.contains(&key) || keys.others.contains(&key) || (keys.tags && is_tag) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidFilterKey",
        format!(
            "The following filter key is not valid: {key}. Valid filter keys include: [{}].",
            keys.listed.join(", ")
        ),
    ))
}

fn check_option(filter: &Filter) -> Outcome<()> {
    let options: &[&str] = match filter.key.as_str() {
        "Path" => &["Recursive", "OneLevel"],
        "Name" => &["BeginsWith", "Equals", "Contains"],
        "Tier" | "Label" | "DataType" => &["Equals"],
        _ => &["BeginsWith", "Equals"],
    };
    match filter.option.as_deref() {
        Some(option) if !options.contains(&option) => Err(ApiError::new(
            "InvalidFilterOption",
            format!(
                "The following filter option is not valid: {option}. Valid options include: [{}].",
                options.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

fn check_values(filter: &Filter) -> Outcome<()> {
    let invalid = |message: String| Err(ApiError::new("InvalidFilterValue", message));
    let is_tag = filter.key.starts_with("tag:");
    if filter.values.is_empty() && !is_tag {
        return invalid(format!("The following filter values are missing : null for filter key {}.", filter.key));
    }
    if filter.values.len() > VALUES {
        return invalid(format!("A filter has at most {VALUES} values, not {}.", filter.values.len()));
    }
    let known: &[&str] = match filter.key.as_str() {
        "Tier" => &["Standard", "Advanced", "Intelligent-Tiering"],
        "Type" => &["String", "StringList", "SecureString"],
        "Path" => return filter.values.iter().try_for_each(|path| check_path(path)),
        _ => return Ok(()),
    };
    match filter.values.iter().find(|value| !known.contains(&value.as_str())) {
        Some(value) => Err(ApiError::new(
            "InvalidFilterOption",
            format!("The following filter value is not valid: {value}. Valid values include: [{}].", known.join(", ")),
        )),
        None => Ok(()),
    }
}

fn check_path(path: &str) -> Outcome<()> {
    let first = path.trim_start_matches('/').to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(validation(
            "Filters can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). When using global parameters, please \
             specify within a global namespace.",
        ));
    }
    let valid = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    if path.starts_with('/') && !path.contains("//") && path.chars().all(valid) {
        return Ok(());
    }
    Err(validation(NOT_A_PATH))
}

/// Returns whether a parameter is below a path: directly, or on any level.
pub(super) fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let rest = name.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

/// Returns the version with the label that a filter selects.
pub(super) fn label(filters: &[Filter], parameter: &Parameter) -> Option<u64> {
    let labels = filters.iter().find(|filter| filter.key == "Label")?;
    labels.values.iter().find_map(|label| parameter.labelled(label))
}

impl Filter {
    pub(super) fn accepts(&self, parameter: &Parameter) -> bool {
        let actual = match self.key.as_str() {
            "Path" => {
                let recursive = self.option.as_deref() == Some("Recursive");
                return self.values.iter().any(|path| is_below(&parameter.name, path, recursive));
            }
            "Label" => return self.values.iter().any(|label| parameter.labelled(label).is_some()),
            "Name" => Some(parameter.name.as_str()),
            "Type" => Some(kind_name(parameter.kind)),
            "KeyId" => parameter.key_id.as_deref(),
            "Tier" => Some(parameter.tier.as_str()),
            "DataType" => Some(parameter.data_type.as_str()),
            tag => tag.strip_prefix("tag:").and_then(|key| parameter.tags.get(key)).map(String::as_str),
        };
        let Some(actual) = actual else { return false };
        // A tag filter without values matches the key alone.
        self.values.is_empty() || self.values.iter().any(|value| self.matches(actual, value))
    }

    fn matches(&self, actual: &str, value: &str) -> bool {
        // The first slash of a name does not matter.
        let (actual, value) = match self.key.as_str() {
            "Name" => (actual.trim_start_matches('/'), value.trim_start_matches('/')),
            _ => (actual, value),
        };
        match self.option.as_deref() {
            Some("BeginsWith") => actual.starts_with(value),
            Some("Contains") => actual.contains(value),
            _ => actual == value,
        }
    }
}
