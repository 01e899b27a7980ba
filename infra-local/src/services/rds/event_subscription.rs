//! Subscriptions to events, and their categories.
//!
//! The local cloud has no topics, so it records the subscriptions and sends no notification. Source: Amazon RDS API
//! reference, `CreateEventSubscription` and related operations; Amazon RDS User Guide, "Amazon RDS event categories and
//! event messages".

use std::collections::BTreeSet;

use super::{FILTERS, PAGES, TAGS, arn, check_identifier, entries, filtered, not_found, page, parse_tags, resource};
use crate::model::rds::EventSubscription;
use crate::model::{ArnScope, Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateEventSubscription", create, &[NAME, SETTINGS, SOURCES, TAGS])
        .on(&[resource::SUBSCRIPTION]),
    Operation::writes("ModifyEventSubscription", modify, &[NAME, SETTINGS]).on(&[resource::SUBSCRIPTION]),
    Operation::reads("DescribeEventSubscriptions", describe, &[NAME, PAGES, FILTERS]).on(&[resource::SUBSCRIPTION]),
    Operation::writes("DeleteEventSubscription", delete, &[NAME]).on(&[resource::SUBSCRIPTION]),
    Operation::writes("AddSourceIdentifierToSubscription", add_source, &[NAME, &["SourceIdentifier"]])
        .on(&[resource::SUBSCRIPTION]),
    Operation::writes("RemoveSourceIdentifierFromSubscription", remove_source, &[NAME, &["SourceIdentifier"]])
        .on(&[resource::SUBSCRIPTION]),
    Operation::reads("DescribeEventCategories", categories, &[&["SourceType"], FILTERS]).on_any(),
];

const NAME: &[&str] = &["SubscriptionName"];
const SETTINGS: &[&str] =
    &["SnsTopicArn", "SourceType", "EventCategories", "EventCategories.EventCategory.N", "Enabled"];
const SOURCES: &[&str] = &["SourceIds", "SourceIds.SourceId.N"];

/// AWS's quota of subscriptions.
const LIMIT: usize = 20;

/// Categories of the events of each type of source that the local cloud has.
const CATEGORIES: &[(&str, &[&str])] = &[
    (
        "db-instance",
        &[
            "availability",
            "backup",
            "configuration change",
            "creation",
            "deletion",
            "failover",
            "failure",
            "low storage",
            "maintenance",
            "notification",
            "read replica",
            "recovery",
            "restoration",
            "security",
        ],
    ),
    ("db-parameter-group", &["configuration change"]),
    ("db-snapshot", &["creation", "deletion", "notification", "restoration"]),
    (
        "db-cluster",
        &["configuration change", "creation", "deletion", "failover", "failure", "maintenance", "notification"],
    ),
    ("db-cluster-snapshot", &["backup"]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_identifier(params.required("SubscriptionName")?, "SubscriptionName", 255)?;
    params.required("SnsTopicArn")?;
    let region = cloud.region_mut(call.region)?;
    if region.rds.subscriptions.contains_key(&name) {
        let message = format!("Subscription {name} already exists.");
        return Err(ApiError::new("SubscriptionAlreadyExist", message));
    }
    if region.rds.subscriptions.len() >= LIMIT {
        let message = format!("You have reached the maximum number of event subscriptions, {LIMIT}.");
        return Err(ApiError::new("EventSubscriptionQuotaExceeded", message));
    }
    let mut subscription = EventSubscription {
        name: name.clone(),
        topic: String::new(),
        source_type: None,
        categories: BTreeSet::new(),
        sources: BTreeSet::new(),
        enabled: true,
        created: call.now,
        tags: parse_tags(params)?,
    };
    apply(&mut subscription, params)?;
    for source in params.texts("SourceIds.SourceId") {
        check_source(region, &subscription, &source)?;
        subscription.sources.insert(source.to_lowercase());
    }
    region.rds.subscriptions.insert(name, subscription.clone());
    Ok(answer(&subscription, call.scope()))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let subscription = find(cloud.region_mut(call.region)?, &call.input)?;
    apply(subscription, &call.input)?;
    Ok(answer(subscription, call.scope()))
}

/// Applies the settings of a request.
fn apply(subscription: &mut EventSubscription, params: &Params) -> Outcome<()> {
    if let Some(topic) = params.optional("SnsTopicArn") {
        if !topic.starts_with("arn:aws:sns:") || topic.split(':').count() != 6 {
            return Err(ApiError::new("SNSInvalidTopic", format!("The topic ARN {topic} is not valid.")));
        }
        topic.clone_into(&mut subscription.topic);
    }
    if let Some(kind) = params.optional("SourceType").filter(|kind| !kind.is_empty()) {
        categories_of(kind)?;
        subscription.source_type = Some(kind.to_owned());
    }
    if params.has_list("EventCategories.EventCategory") {
        subscription.categories = params.texts("EventCategories.EventCategory").into_iter().collect();
    }
    let kind = subscription.source_type.as_deref();
    if let Some(unknown) = subscription.categories.iter().find(|name| !is_known(name, kind)) {
        let message = format!("The category {unknown} does not exist for the source type {}.", kind.unwrap_or("any"));
        return Err(not_found("SubscriptionCategoryNotFound", message));
    }
    subscription.enabled = params.parsed("Enabled")?.unwrap_or(subscription.enabled);
    Ok(())
}

fn is_known(category: &str, kind: Option<&str>) -> bool {
    let mut kinds = CATEGORIES.iter().filter(|(other, _)| kind.is_none_or(|kind| kind == *other));
    kinds.any(|(_, categories)| categories.contains(&category))
}

fn categories_of(kind: &str) -> Outcome<&'static [&'static str]> {
    let found = CATEGORIES.iter().find(|(other, _)| *other == kind).map(|(_, categories)| *categories);
    found.ok_or_else(|| {
        let kinds = CATEGORIES.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ");
        ApiError::invalid(format!("Invalid source type: {kind}. The local cloud has the source types {kinds}"))
    })
}

/// Refuses a source that does not exist. A subscription has sources only if it has a type of them.
fn check_source(region: &Region, subscription: &EventSubscription, source: &str) -> Outcome<()> {
    let Some(kind) = subscription.source_type.as_deref() else {
        return Err(super::combination("SourceType must be specified if SourceIds are specified."));
    };
    let (rds, id) = (&region.rds, source.to_lowercase());
    let exists = match kind {
        "db-instance" => rds.instances.contains_key(&id),
        "db-parameter-group" => rds.parameter_groups.contains_key(&id),
        "db-snapshot" => rds.snapshots.contains_key(&id),
        "db-cluster" => rds.clusters.contains_key(&id),
        _ => rds.cluster_snapshots.contains_key(&id),
    };
    if exists {
        return Ok(());
    }
    Err(not_found("SourceNotFound", format!("The source {source} of the type {kind} was not found.")))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let rds = &cloud.region(call.region)?.rds;
    let wanted: Vec<&EventSubscription> = match params.optional("SubscriptionName") {
        Some(name) => vec![rds.subscriptions.get(&name.to_lowercase()).ok_or_else(|| unknown(name))?],
        None => rds.subscriptions.values().collect(),
    };
    let page = page(filtered(wanted.into_iter(), params, &[])?, params, |found| &found.name)?;
    let shown = page.items.into_iter().map(|found| render(found, call.scope()));
    Ok(Node::new().with("EventSubscriptionsList", entries("EventSubscription", shown)).maybe("Marker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let name = find(region, &call.input)?.name.clone();
    let removed = region.rds.subscriptions.remove(&name).ok_or_else(|| unknown(&name))?;
    Ok(answer(&removed, call.scope()))
}

fn add_source(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let source = call.input.required("SourceIdentifier")?;
    let region = cloud.region_mut(call.region)?;
    let subscription = find(region, &call.input)?.clone();
    check_source(region, &subscription, source)?;
    let subscription = find(region, &call.input)?;
    subscription.sources.insert(source.to_lowercase());
    Ok(answer(subscription, call.scope()))
}

fn remove_source(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let source = call.input.required("SourceIdentifier")?;
    let subscription = find(cloud.region_mut(call.region)?, &call.input)?;
    if !subscription.sources.remove(&source.to_lowercase()) {
        return Err(not_found("SourceNotFound", format!("The subscription has no source {source}.")));
    }
    Ok(answer(subscription, call.scope()))
}

fn categories(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    filtered(std::iter::empty::<&String>(), &call.input, &[])?;
    let wanted = call.input.optional("SourceType").filter(|kind| !kind.is_empty());
    if let Some(kind) = wanted {
        categories_of(kind)?;
    }
    let maps = CATEGORIES.iter().filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind));
    let maps = maps.map(|(kind, categories)| {
        Node::new()
            .with("SourceType", *kind)
            .with("EventCategories", entries("EventCategory", categories.iter().copied()))
    });
    Ok(Node::new().with("EventCategoriesMapList", entries("EventCategoriesMap", maps)))
}

fn find<'a>(region: &'a mut Region, params: &Params) -> Outcome<&'a mut EventSubscription> {
    let name = params.required("SubscriptionName")?;
    region.rds.subscriptions.get_mut(&name.to_lowercase()).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    not_found("SubscriptionNotFound", format!("Subscription {name} not found."))
}

fn answer(subscription: &EventSubscription, scope: ArnScope<'_>) -> Node {
    Node::new().with("EventSubscription", render(subscription, scope))
}

fn render(subscription: &EventSubscription, scope: ArnScope<'_>) -> Node {
    Node::new()
        .with("CustomerAwsId", scope.account)
        .with("CustSubscriptionId", &subscription.name)
        .with("EventSubscriptionArn", arn(scope, "es", &subscription.name))
        .with("SnsTopicArn", &subscription.topic)
        .with("Status", "active")
        .with("SubscriptionCreationTime", subscription.created)
        .maybe("SourceType", subscription.source_type.as_ref())
        .with("SourceIdsList", entries("SourceId", &subscription.sources))
        .with("EventCategoriesList", entries("EventCategory", &subscription.categories))
        .with("Enabled", subscription.enabled)
}
