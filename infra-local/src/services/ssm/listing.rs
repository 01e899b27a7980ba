//! Lists of parameters, with filters and pages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::filter::{self, Filter};
use super::parameter::{metadata, render};
use super::{PATH, SsmOperation, input, validation};
use crate::model::Cloud;
use crate::model::ssm::Parameter;
use crate::services::{Call, typed};
use crate::wire::{Outcome, Page};

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
    /// Only parameters that other accounts share with this one. There are none.
    #[serde(default)]
    shared: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
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
    if !request.filters.is_empty() && !request.parameter_filters.is_empty() {
        return Err(validation("You can use either Filters or ParameterFilters in a single request."));
    }
    filter::check(&request.parameter_filters, &filter::DESCRIBE)?;
    let older = request.filters.into_iter().map(Filter::from);
    let filters: Vec<Filter> = request.parameter_filters.into_iter().chain(older).collect();
    let own = cloud.region(call.region)?.ssm.parameters.values().filter(|_| !request.shared);
    let found = own.filter(|parameter| filters.iter().all(|filter| filter.accepts(parameter))).collect();
    let page = page(found, request.max_results, 50, request.next_token.as_deref())?;
    let nodes: Vec<Value> = page.items.into_iter().map(|parameter| metadata(call.scope(), parameter)).collect();
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
        return Err(validation(filter::NOT_A_PATH));
    }
    filter::check(&request.parameter_filters, &filter::BY_PATH)?;
    let parameters = cloud.region(call.region)?.ssm.parameters.values();
    let found = parameters.filter(|parameter| {
        filter::is_below(&parameter.name, &request.path, request.recursive)
            && request.parameter_filters.iter().all(|filter| filter.accepts(parameter))
    });
    let page = page(found.collect(), request.max_results, 10, request.next_token.as_deref())?;
    let nodes = page.items.into_iter().filter_map(|parameter| {
        let labelled = filter::label(&request.parameter_filters, parameter);
        let (number, _) = parameter.version(labelled)?;
        Some(render(call.scope(), parameter, number, request.with_decryption, None))
    });
    Ok(with_token(json!({"Parameters": nodes.collect::<Vec<_>>()}), page.next))
}

fn page<'a>(
    found: Vec<&'a Parameter>,
    wanted: Option<usize>,
    most: usize,
    token: Option<&str>,
) -> Outcome<Page<&'a Parameter>> {
    Page::cut(found, Some(limit(wanted, most)?), token, |parameter| &parameter.name)
}

/// Returns the number of items of a page.
pub(super) fn limit(wanted: Option<usize>, most: usize) -> Outcome<usize> {
    let limit = wanted.unwrap_or(most);
    let problem = match limit {
        0 => "greater than or equal to 1".to_owned(),
        _ if limit > most => format!("less than or equal to {most}"),
        _ => return Ok(limit),
    };
    Err(validation(format!(
        "1 validation error detected: Value '{limit}' at 'maxResults' failed to satisfy constraint: Member must have value {problem}"
    )))
}

pub(super) fn with_token(mut node: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        node["NextToken"] = json!(next);
    }
    node
}
