//! Amazon EC2 Auto Scaling (version 2011-01-01), one file per kind.

mod activity;
mod group;
mod group_settings;
mod hook;
mod instance;
mod launch_configuration;
mod membership;
mod mixed;
mod notification;
mod parse;
mod policy;
mod refresh;
mod render;
mod resource;
#[cfg(test)]
mod round_trip;
mod schedule;
mod tags;
#[cfg(test)]
mod tests;
mod traffic;
mod types;

use crate::model::Region;
use crate::model::autoscaling::Group;
use crate::services::Operation;
use crate::wire::{ApiError, Node, Outcome, Page, Params};

/// The operations, by kind.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] = &[
    group::OPERATIONS,
    group_settings::OPERATIONS,
    traffic::OPERATIONS,
    instance::OPERATIONS,
    membership::OPERATIONS,
    hook::OPERATIONS,
    activity::OPERATIONS,
    policy::OPERATIONS,
    schedule::OPERATIONS,
    refresh::OPERATIONS,
    tags::OPERATIONS,
    types::OPERATIONS,
    launch_configuration::OPERATIONS,
    notification::OPERATIONS,
];

const PAGES: &[&str] = &["NextToken", "MaxRecords"];
const NAME: &[&str] = &["AutoScalingGroupName"];

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn required<'a>(params: &'a Params, name: &str) -> Outcome<&'a str> {
    params.required(name).map_err(|_| {
        validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// Returns a number within AWS's bounds.
fn number<T>(params: &Params, name: &str, low: T, high: T) -> Outcome<Option<T>>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = params.optional(name) else { return Ok(None) };
    match text.parse::<T>() {
        Ok(number) if number >= low && number <= high => Ok(Some(number)),
        _ => Err(validation(format!("{name} '{text}' must be a number from {low} to {high}"))),
    }
}

fn switch(params: &Params, name: &str) -> Outcome<Option<bool>> {
    match params.optional(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(validation(format!("{name} '{other}' must be true or false"))),
    }
}

fn page<T>(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
    let limit = number(params, "MaxRecords", 1, 100)?.unwrap_or(50);
    Page::cut(items, Some(limit), params.optional("NextToken"), key)
}

fn named<'a>(region: &'a Region, params: &Params) -> Outcome<&'a Group> {
    let name = required(params, "AutoScalingGroupName")?;
    region.autoscaling.groups.get(name).ok_or_else(|| not_found(name))
}

fn named_mut<'a>(region: &'a mut Region, params: &Params) -> Outcome<&'a mut Group> {
    let name = required(params, "AutoScalingGroupName")?;
    match region.autoscaling.groups.get_mut(name) {
        Some(group) if group.deleting => {
            Err(ApiError::new("ScalingActivityInProgress", format!("The AutoScalingGroup '{name}' is being deleted")))
        }
        Some(group) => Ok(group),
        None => Err(not_found(name)),
    }
}

fn not_found(name: &str) -> ApiError {
    validation(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
}

/// Filter of groups by name and tags.
struct Filter {
    name: String,
    values: Vec<String>,
}

const FILTERS: &[&str] = &["Filters.N.Name", "Filters.N.Values.N"];

fn parse_filters(params: &Params) -> Outcome<Vec<Filter>> {
    let filters = params
        .structures("Filters")
        .into_iter()
        .map(|filter| Ok(Filter { name: required(&filter, "Name")?.to_owned(), values: filter.texts("Values") }));
    filters.collect()
}
