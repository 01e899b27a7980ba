//! Tags of groups.

use std::collections::BTreeMap;

use super::{FILTERS, PAGES, page, parse_filters, required, resource, switch, validation};
use crate::model::Cloud;
use crate::model::autoscaling::{Group, GroupTag};
use crate::model::{Region, Tags};
use crate::services::tags as common_tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateOrUpdateTags", create, &[TAGS]).on(&[resource::TAGGED]),
    Operation::writes("DeleteTags", delete, &[TAGS]).on(&[resource::TAGGED]),
    Operation::reads("DescribeTags", describe, &[FILTERS, PAGES]).on_any(),
];

pub(super) const TAGS: &[&str] =
    &["Tags.N.Key", "Tags.N.Value", "Tags.N.PropagateAtLaunch", "Tags.N.ResourceId", "Tags.N.ResourceType"];

/// Returns the tags of a group that is being created.
pub(super) fn at_creation(params: &Params, name: &str) -> Outcome<BTreeMap<String, GroupTag>> {
    let mut tags = BTreeMap::new();
    for entry in params.structures("Tags") {
        if entry.optional("ResourceId").is_some_and(|id| id != name) {
            return Err(validation("The ResourceId of a tag must be the name of the group"));
        }
        let (key, tag) = parse(&entry)?;
        if tags.insert(key.clone(), tag).is_some() {
            return Err(validation(format!("Duplicate keys not allowed - Duplicate key: {key}")));
        }
    }
    check(&tags)?;
    Ok(tags)
}

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    for entry in call.input.structures("Tags") {
        let (key, tag) = parse(&entry)?;
        let group = resource(region, &entry)?;
        group.tags.insert(key, tag);
        check(&group.tags)?;
    }
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    for entry in call.input.structures("Tags") {
        let key = required(&entry, "Key")?;
        resource(region, &entry)?.tags.remove(key);
    }
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let filters = parse_filters(params)?;
    let known = ["auto-scaling-group", "key", "value", "propagate-at-launch"];
    if let Some(other) = filters.iter().find(|filter| !known.contains(&filter.name.as_str())) {
        return Err(validation(format!(
            "Filter type {} is not correct. Allowed Filter types are: [{}]",
            other.name,
            known.join(", ")
        )));
    }
    let region = cloud.region(call.region)?;
    let all =
        region.autoscaling.groups.values().flat_map(|group| {
            group.tags.iter().map(move |(key, tag)| (format!("{}/{key}", group.name), group, key, tag))
        });
    let wanted = all.filter(|(_, group, key, tag)| {
        filters.iter().all(|filter| {
            let value = match filter.name.as_str() {
                "auto-scaling-group" => group.name.clone(),
                "key" => (*key).clone(),
                "value" => tag.value.clone(),
                _ => tag.propagate.to_string(),
            };
            filter.values.contains(&value)
        })
    });
    let page = page(wanted.collect(), params, |(order, ..)| order)?;
    let shown = page.items.into_iter().map(|(_, group, key, tag)| render(&group.name, key, tag));
    Ok(Node::new().list("Tags", shown).maybe("NextToken", page.next))
}

pub(super) fn render(group: &str, key: &str, tag: &GroupTag) -> Node {
    Node::new()
        .with("ResourceId", group)
        .with("ResourceType", "auto-scaling-group")
        .with("Key", key)
        .with("Value", &tag.value)
        .with("PropagateAtLaunch", tag.propagate)
}

fn parse(entry: &Params) -> Outcome<(String, GroupTag)> {
    if entry.optional("ResourceType").is_some_and(|kind| kind != "auto-scaling-group") {
        return Err(validation("The ResourceType of a tag must be auto-scaling-group"));
    }
    let tag = GroupTag {
        value: entry.optional("Value").unwrap_or_default().to_owned(),
        propagate: switch(entry, "PropagateAtLaunch")?.unwrap_or(false),
    };
    Ok((required(entry, "Key")?.to_owned(), tag))
}

fn check(tags: &BTreeMap<String, GroupTag>) -> Outcome<()> {
    let plain: Tags = tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
    common_tags::check(&plain).map_err(|error| match error.code.as_ref() {
        "TagLimitExceeded" => ApiError::new("LimitExceeded", error.message),
        _ => validation(error.message),
    })
}

fn resource<'a>(region: &'a mut Region, entry: &Params) -> Outcome<&'a mut Group> {
    let name = required(entry, "ResourceId")?;
    region
        .autoscaling
        .groups
        .get_mut(name)
        .ok_or_else(|| validation(format!("AutoScalingGroup not found: no group has the name {name}")))
}
