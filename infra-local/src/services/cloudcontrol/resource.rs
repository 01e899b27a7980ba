//! Existing resources of a type.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ControlOperation, input, limit, not_found, supported};
use crate::model::Cloud;
use crate::services::{Call, typed};
use crate::wire::{Outcome, Page};

pub(super) const OPERATIONS: &[ControlOperation] =
    &[typed!(Reads, "GetResource", get).on_any(), typed!(Reads, "ListResources", list).on_any()];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Get {
    type_name: String,
    identifier: String,
}

fn get(cloud: &Cloud, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    let Get { type_name, identifier } = request;
    let kind = supported::named(&type_name, call.directory)?;
    let properties = kind.read(cloud, call.region, &identifier)?;
    let properties = properties.ok_or_else(|| not_found(&type_name, &identifier))?;
    Ok(json!({"TypeName": type_name, "ResourceDescription": description(identifier, &properties)}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    type_name: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let List { type_name, max_results, next_token } = request;
    let kind = supported::named(&type_name, call.directory)?;
    let identifiers = kind.list(cloud, call.region)?;
    let page = Page::cut(identifiers, limit(max_results)?, next_token.as_deref(), String::as_str)?;
    let mut descriptions = Vec::new();
    for identifier in page.items {
        if let Some(properties) = kind.read(cloud, call.region, &identifier)? {
            descriptions.push(description(identifier, &properties));
        }
    }
    let mut answer = json!({"TypeName": type_name, "ResourceDescriptions": descriptions});
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn description(identifier: String, properties: &Value) -> Value {
    json!({"Identifier": identifier, "Properties": properties.to_string()})
}
