//! Lists of parameters, with filters and pages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::parameter::{kind_name, metadata, render};
use super::{PATH, SsmOperation, input, validation};
use crate::model::Cloud;
use crate::model::ssm::Parameter;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[SsmOperation] = &[
    typed!(Reads, "DescribeParameters", describe).on_any(),
    typed!(Reads, "GetParametersByPath", by_path).on(&[PATH]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    #[serde(default)]
    filters: Vec<OlderFilter>,
    #[serde(default)]
    parameter_filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

/// The older form of a filter, which selects values by their prefixes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OlderFilter {
    key: String,
    values: Vec<String>,
}

impl From<OlderFilter> for Filter {
    fn from(OlderFilter { key, values }: OlderFilter) -> Filter {
        Filter { key, option: Some("BeginsWith".to_owned()), values }
    }
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    let older = request.filters.into_iter().map(Filter::from);
    let filters: Vec<Filter> = request.parameter_filters.into_iter().chain(older).collect();
    let found = filter(cloud.region(call.region)?.ssm.parameters.values(), &filters)?;
    let page = page(found, request.max_results, 50, request.next_token.as_deref())?;
    let nodes: Vec<Value> = page.items.into_iter().map(|parameter| metadata(call.region, parameter)).collect();
    Ok(with_token(json!({"Parameters": nodes}), page.next))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ByPath {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    parameter_filters: Vec<Filter>,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn by_path(cloud: &Cloud, call: &Call<'_, Value>, request: ByPath) -> Outcome<Value> {
    if !request.path.starts_with('/') {
        return Err(validation("The parameter doesn't meet the parameter name requirements: a path begins with /."));
    }
    let below = cloud
        .region(call.region)?
        .ssm
        .parameters
        .values()
        .filter(|parameter| is_below(&parameter.name, &request.path, request.recursive));
    let found = filter(below, &request.parameter_filters)?;
    let page = page(found, request.max_results, 10, request.next_token.as_deref())?;
    let nodes = page.items.into_iter().filter_map(|parameter| {
        let (number, _) = parameter.version(None)?;
        Some(render(call.region, parameter, number, request.with_decryption, None))
    });
    Ok(with_token(json!({"Parameters": nodes.collect::<Vec<_>>()}), page.next))
}

fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let rest = name.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

fn filter<'a>(all: impl Iterator<Item = &'a Parameter>, filters: &[Filter]) -> Outcome<Vec<&'a Parameter>> {
    let known =
        |key: &str| matches!(key, "Name" | "Type" | "KeyId" | "Path" | "Tier" | "DataType") || key.starts_with("tag:");
    for filter in filters {
        if !known(&filter.key) {
            return Err(ApiError::new("InvalidFilterKey", format!("The filter key '{}' is not valid", filter.key)));
        }
        let options: &[&str] = match filter.key.as_str() {
            "Path" => &["Recursive", "OneLevel"],
            "Name" => &["Equals", "BeginsWith", "Contains"],
            _ => &["Equals", "BeginsWith"],
        };
        if filter.option.as_deref().is_some_and(|option| !options.contains(&option)) {
            return Err(ApiError::new(
                "InvalidFilterOption",
                format!("The filter option of {} is not valid; valid are {}", filter.key, options.join(", ")),
            ));
        }
    }
    Ok(all.filter(|parameter| filters.iter().all(|filter| filter.accepts(parameter))).collect())
}

impl Filter {
    fn accepts(&self, parameter: &Parameter) -> bool {
        let actual = match self.key.as_str() {
            "Path" => {
                let recursive = self.option.as_deref() == Some("Recursive");
                return self.values.iter().any(|path| is_below(&parameter.name, path, recursive));
            }
            "Name" => Some(parameter.name.as_str()),
            "Type" => Some(kind_name(parameter.kind)),
            "KeyId" => parameter.key_id.as_deref(),
            "Tier" => Some(parameter.tier.as_str()),
            "DataType" => Some(parameter.data_type.as_str()),
            tag => tag.strip_prefix("tag:").and_then(|key| parameter.tags.get(key)).map(String::as_str),
        };
        let Some(actual) = actual else { return false };
        // A tag filter without values matches the key alone.
        self.values.is_empty()
            || self.values.iter().any(|value| match self.option.as_deref() {
                Some("BeginsWith") => actual.starts_with(value.as_str()),
                Some("Contains") => actual.contains(value.as_str()),
                _ => actual == value,
            })
    }
}

fn page<'a>(
    found: Vec<&'a Parameter>,
    wanted: Option<usize>,
    most: usize,
    token: Option<&str>,
) -> Outcome<Page<&'a Parameter>> {
    let limit = wanted.unwrap_or(most);
    if !(1..=most).contains(&limit) {
        return Err(validation(format!("MaxResults lies in 1 to {most}")));
    }
    Page::cut(found, Some(limit), token, |parameter| &parameter.name)
}

fn with_token(mut node: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        node["NextToken"] = json!(next);
    }
    node
}
