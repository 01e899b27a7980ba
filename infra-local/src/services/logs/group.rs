//! Log groups.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogOperation, input, invalid, milliseconds, no_group, plain_name, resource, store, tag};
use crate::model::logs::LogGroup;
use crate::model::{Cloud, Tags};
use crate::services::{Call, State, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "CreateLogGroup", create).on(&[resource::GROUP]),
    typed!(Performs, "DescribeLogGroups", describe)
        .on_any()
        // The account is linked to no others.
        .ignoring(&[&["includeLinkedAccounts"]]),
    typed!(Writes, "DeleteLogGroup", delete).on(&[resource::GROUP]),
    typed!(Writes, "PutRetentionPolicy", put_retention).on(&[resource::GROUP]),
    typed!(Writes, "DeleteRetentionPolicy", delete_retention).on(&[resource::GROUP]),
];

/// The retention periods that AWS accepts, in days.
const RETENTIONS: &[u32] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    log_group_name: String,
    #[serde(default)]
    tags: Tags,
    log_group_class: Option<String>,
}

fn create(cloud: &mut Cloud, call: &Call<'_, Value>, request: Create) -> Outcome<Value> {
    let name = request.log_group_name;
    let valid = |character: char| character.is_ascii_alphanumeric() || "._-/#".contains(character);
    if name.is_empty() || name.len() > 512 || !name.chars().all(valid) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+ and have 1 to 512 characters"
        )));
    }
    if let Some(class) = request.log_group_class.filter(|class| class != "STANDARD") {
        return Err(invalid(format!("The local cloud has log groups of the class STANDARD, not {class}.")));
    }
    tag::check(&request.tags)?;
    let region = cloud.region_mut(call.region)?;
    if region.logs.groups.contains_key(&name) {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let group = LogGroup {
        arn: call.scope().arn("logs", format_args!("log-group:{name}")),
        created: call.now,
        retention_days: None,
        tags: request.tags,
        streams: std::collections::BTreeMap::new(),
        metric_filters: std::collections::BTreeMap::new(),
        subscription_filters: std::collections::BTreeMap::new(),
        name,
    };
    region.logs.groups.insert(group.name.clone(), group);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    #[serde(default)]
    log_group_identifiers: Vec<String>,
    log_group_class: Option<String>,
    /// Accounts of the groups; there is only this one.
    #[serde(default)]
    account_identifiers: Vec<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn describe(state: &State<'_>, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let prefix = request.log_group_name_prefix.unwrap_or_default();
    let pattern = request.log_group_name_pattern.unwrap_or_default().to_lowercase();
    let identifiers: Vec<&str> = request.log_group_identifiers.iter().map(|id| plain_name(id)).collect();
    let standard = request.log_group_class.is_none_or(|class| class == "STANDARD");
    let wanted = |group: &&LogGroup| {
        standard
            && (request.account_identifiers.is_empty()
                || request.account_identifiers.iter().any(|id| call.account == **id))
            && group.name.starts_with(&prefix)
            && group.name.to_lowercase().contains(&pattern)
            && (identifiers.is_empty() || identifiers.contains(&group.name.as_str()))
    };
    let groups = |cloud: &Cloud| -> Outcome<Vec<LogGroup>> {
        Ok(cloud.region(call.region)?.logs.groups.values().filter(wanted).cloned().collect())
    };
    let limit = limit(request.limit)?;
    let page = Page::cut(state.read(groups)?, limit, request.next_token.as_deref(), |group: &LogGroup| &group.name)?;
    let shown: Vec<Value> = page.items.iter().map(|group| render(group, call)).collect();
    let mut answer = json!({"logGroups": shown});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// Checks the number of items of a page.
pub(super) fn limit(limit: Option<usize>) -> Outcome<Option<usize>> {
    let limit = limit.unwrap_or(50);
    if (1..=50).contains(&limit) { Ok(Some(limit)) } else { Err(invalid("limit must be between 1 and 50")) }
}

fn render(group: &LogGroup, call: &Call<'_, Value>) -> Value {
    let stored: u64 = group.streams.values().map(|stream| store::bytes(call.directory, &stream.file)).sum();
    let mut node = json!({
        "logGroupName": group.name,
        "creationTime": milliseconds(group.created),
        "metricFilterCount": group.metric_filters.len(),
        "arn": format!("{}:*", group.arn),
        "logGroupArn": group.arn,
        "logGroupClass": "STANDARD",
        "storedBytes": stored,
    });
    if let Some(days) = group.retention_days {
        node["retentionInDays"] = json!(days);
    }
    node
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    log_group_name: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    // The runtime removes the files of its streams.
    cloud.region_mut(call.region)?.logs.groups.remove(&request.log_group_name).ok_or_else(no_group)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutRetention {
    log_group_name: String,
    retention_in_days: u32,
}

fn put_retention(cloud: &mut Cloud, call: &Call<'_, Value>, request: PutRetention) -> Outcome<Value> {
    if !RETENTIONS.contains(&request.retention_in_days) {
        let known: Vec<String> = RETENTIONS.iter().map(ToString::to_string).collect();
        return Err(invalid(format!("retentionInDays must be one of {}", known.join(", "))));
    }
    set_retention(cloud, call, &request.log_group_name, Some(request.retention_in_days))
}

fn delete_retention(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    set_retention(cloud, call, &request.log_group_name, None)
}

fn set_retention(cloud: &mut Cloud, call: &Call<'_, Value>, name: &str, days: Option<u32>) -> Outcome<Value> {
    let group = cloud.region_mut(call.region)?.logs.groups.get_mut(name).ok_or_else(no_group)?;
    group.retention_days = days;
    Ok(json!({}))
}
