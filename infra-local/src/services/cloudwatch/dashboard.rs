//! Dashboards.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DASHBOARD, DASHBOARDS, WatchOperation, input};
use crate::model::cloudwatch::Dashboard;
use crate::model::{Account, Cloud};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[WatchOperation] = &[
    typed!(Writes, "PutDashboard", put).on(&[DASHBOARD]),
    typed!(Reads, "GetDashboard", get).on(&[DASHBOARD]),
    typed!(Reads, "ListDashboards", list).on_any(),
    typed!(Writes, "DeleteDashboards", delete).on(&[DASHBOARDS]),
];

/// AWS's limit of dashboards per page.
const PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    dashboard_name: String,
    dashboard_body: String,
}

/// Stores a dashboard. AWS refuses a body that is not JSON, and warns of unknown properties of widgets.
fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let invalid = |message: String| ApiError::new("InvalidParameterInput", message);
    let name = request.dashboard_name;
    check_name(&name, "InvalidParameterInput")?;
    let body: Value = serde_json::from_str(&request.dashboard_body)
        .map_err(|error| invalid(format!("The field DashboardBody must be a valid JSON object: {error}")))?;
    if !body.is_object() {
        return Err(invalid("The field DashboardBody must be a valid JSON object".to_owned()));
    }
    let dashboard = Dashboard { name: name.clone(), body: request.dashboard_body, modified: call.now };
    cloud.region_mut(call.region)?.cloudwatch.dashboards.insert(name, dashboard);
    Ok(json!({"DashboardValidationMessages": []}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Get {
    dashboard_name: String,
}

fn get(cloud: &Cloud, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    check_name(&request.dashboard_name, "InvalidParameterValue")?;
    let dashboards = &cloud.region(call.region)?.cloudwatch.dashboards;
    let found = dashboards.get(&request.dashboard_name).ok_or_else(|| not_found(&request.dashboard_name))?;
    Ok(
        json!({"DashboardArn": arn(call.account, &found.name), "DashboardBody": found.body, "DashboardName": found.name}),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    dashboard_name_prefix: Option<String>,
    next_token: Option<String>,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let prefix = request.dashboard_name_prefix.unwrap_or_default();
    if !prefix.is_empty() {
        check_name(&prefix, "InvalidParameterValue")?;
    }
    let dashboards = cloud.region(call.region)?.cloudwatch.dashboards.values();
    let wanted = dashboards.filter(|dashboard| dashboard.name.starts_with(&prefix)).collect();
    let page = Page::cut(wanted, Some(PAGE), request.next_token.as_deref(), |dashboard: &&Dashboard| &dashboard.name)?;
    let entries = page.items.into_iter().map(|dashboard| {
        json!({
            "DashboardName": dashboard.name,
            "DashboardArn": arn(call.account, &dashboard.name),
            "LastModified": timestamp(dashboard.modified),
            "Size": dashboard.body.len(),
        })
    });
    Ok(json!({"DashboardEntries": entries.collect::<Vec<_>>(), "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Delete {
    dashboard_names: Vec<String>,
}

/// Deletes all dashboards, or none if one does not exist.
fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let dashboards = &mut cloud.region_mut(call.region)?.cloudwatch.dashboards;
    for name in &request.dashboard_names {
        check_name(name, "InvalidParameterValue")?;
        dashboards.remove(name).ok_or_else(|| not_found(name))?;
    }
    Ok(json!({}))
}

/// Refuses an invalid name of a dashboard with this code.
fn check_name(name: &str, code: &'static str) -> Outcome<()> {
    let valid = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if !name.is_empty() && name.len() <= 255 && name.chars().all(valid) {
        return Ok(());
    }
    let message = format!(
        "The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) \
         and underscore (_)."
    );
    Err(ApiError::new(code, message))
}

fn not_found(name: &str) -> ApiError {
    ApiError::new("ResourceNotFound", format!("Dashboard {name} does not exist")).with_status(404)
}

/// Dashboards have no region in their ARNs.
fn arn(account: Account, name: &str) -> String {
    format!("arn:aws:cloudwatch::{account}:dashboard/{name}")
}
