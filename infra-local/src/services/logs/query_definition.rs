//! Saved queries.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogOperation, input, milliseconds};
use crate::model::Cloud;
use crate::model::logs::QueryDefinition;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "PutQueryDefinition", put).on_any(),
    typed!(Reads, "DescribeQueryDefinitions", describe).on_any(),
    typed!(Writes, "DeleteQueryDefinition", delete).on_any(),
];

/// AWS's limit of saved queries per region.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
const MOST: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    query_language: Option<String>,
    name: String,
    query_definition_id: Option<String>,
    log_group_names: Option<Vec<String>>,
    query_string: String,
    client_token: Option<String>,
}

/// Creates a query, or changes the one with the given id.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html>
fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let all = &mut cloud.region_mut(call.region)?.logs.query_definitions;
    let id = match request.query_definition_id {
        Some(id) if all.contains_key(&id) => id,
        Some(_) => return Err(no_query()),
        // A repeated request has the same token, and therefore the same id. Clients send a token with each change, too.
        None => request.client_token.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
    };
    if all.len() >= MOST && !all.contains_key(&id) {
        return Err(ApiError::new("LimitExceededException", "Resource limit exceeded."));
    }
    let definition = QueryDefinition {
        id: id.clone(),
        name: request.name,
        query: request.query_string,
        language: request.query_language.unwrap_or_else(|| "CWLI".to_owned()),
        groups: request.log_group_names.unwrap_or_default(),
        modified: call.now,
    };
    all.insert(id.clone(), definition);
    Ok(json!({"queryDefinitionId": id}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    query_language: Option<String>,
    query_definition_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    let prefix = request.query_definition_name_prefix.unwrap_or_default();
    let all = cloud.region(call.region)?.logs.query_definitions.values();
    let wanted = all.filter(|it| it.name.starts_with(&prefix));
    let wanted = wanted.filter(|it| request.query_language.as_ref().is_none_or(|language| it.language == *language));
    let limit = Some(request.max_results.unwrap_or(MOST));
    let page = Page::cut(wanted.collect(), limit, request.next_token.as_deref(), |it: &&QueryDefinition| &it.id)?;
    let shown = page.items.into_iter().map(render);
    let mut answer = json!({"queryDefinitions": shown.collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn render(definition: &QueryDefinition) -> Value {
    json!({
        "queryLanguage": definition.language,
        "queryDefinitionId": definition.id,
        "name": definition.name,
        "queryString": definition.query,
        "lastModified": milliseconds(definition.modified),
        "logGroupNames": definition.groups,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delete {
    query_definition_id: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let all = &mut cloud.region_mut(call.region)?.logs.query_definitions;
    all.remove(&request.query_definition_id).map(|_| json!({"success": true})).ok_or_else(no_query)
}

fn no_query() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified query definition does not exist.")
}
